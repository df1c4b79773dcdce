import type { Api, TestApp } from './app.ts';
import { pastRules } from './database.ts';
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

/** Lets so many seconds pass for what is pending, past the rules: whether it has expired is told by the clock of the database. */
export async function letPass({ database }: TestApp, seconds: number): Promise<void> {
  const earlier = `SET expires_at = expires_at - interval '${seconds} seconds'`;
  await pastRules(database, `UPDATE transfer ${earlier} WHERE expires_at IS NOT NULL; UPDATE reservation ${earlier}`);
}
