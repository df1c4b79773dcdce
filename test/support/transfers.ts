import type { Api } from './app.ts';
import type { Person } from './make.ts';

export const eur = (amount: number) => ({ amount, currency: 'EUR' });

/** The body of a transfer between the first accounts of two people. */
export const between = (from: Person, to: Person, amount: number, more: object = {}) => ({
  fromAccountId: from.accountId,
  toAccountId: to.accountId,
  amount: eur(amount),
  ...more,
});

export const send = (from: Person, to: Person, amount: number, more: object = {}) =>
  from.api.post('/v1/transfers', between(from, to, amount, more));

/** One that was made; gives its id as the API shows it. */
export const sentId = async (from: Person, to: Person, amount: number, more: object = {}): Promise<string> =>
  (await send(from, to, amount, more).expect(201)).body.id;

/** What an operator sees of somebody's first account, and does with it. */
export const accountsBy = (operator: () => Api) => ({
  accountOf: async (person: Person) => (await operator().get(`/v1/accounts/${person.accountId}`).expect(200)).body,
  /** Whatever its version is. */
  edit: (person: Person, patch: object) =>
    operator().patch(`/v1/accounts/${person.accountId}`, patch).set('if-match', '*'),
});
