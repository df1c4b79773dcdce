import { randomUUID } from 'node:crypto';
import type { Cases } from '../support/cases.ts';
import { sent } from './transfers.ts';

const eur = (amount: number) => ({ amount, currency: 'EUR' });

let limit = 100;
export const cases: Cases = {
  memory: { 'modules/accounts/house-accounts.ts known': 'two for each currency that is accepted' },
  tables: { account_change: 'stays' },
  rights: { account_change: 'INSERT' },
  refusals: {
    // Some settings of an account are its owner's, the others an operator's.
    editAccount: ['insufficient-funds', 'not-allowed'],
    closeAccount: ['version-mismatch'],
  },
  things: {
    acct: ({ alice }, by) => Promise.resolve(by.accountId || alice.accountId),
  },
  rows: {
    'GET /v1/accounts/{id}/entries': async (world) => void (await sent(world)),
    'GET /v1/accounts/{id}/changes': async ({ operator }, path) => {
      const patch = { overdraftLimit: eur(++limit) };
      await operator.api.patch(path.replace('/changes', ''), patch).set('if-match', '*').expect(200);
    },
  },
  routes: {
    'PATCH /v1/accounts/{id}': ({ operator, alice }) => {
      const limits = { overdraftLimit: eur(500), maxBalance: eur(5_000_000) };
      const body = { name: 'Savings', ...limits, frozen: false, reason: 'Asked for' };
      return Promise.resolve({ caller: operator, id: alice.accountId, body });
    },
    'POST /v1/accounts/{id}/close': async ({ alice }) => {
      const { id } = (await alice.api.post('/v1/accounts', { currency: 'EUR' }).expect(201)).body;
      return { caller: alice, id, body: { reason: 'Not needed' } };
    },
  },
  measured: {
    'POST /v1/accounts':
      async ({ alice }) =>
      () =>
        alice.api.post('/v1/accounts', { currency: 'EUR' }).set('idempotency-key', randomUUID()),
    'GET /v1/accounts/:id, with asOf':
      async ({ alice }) =>
      () =>
        alice.api.get(`/v1/accounts/${alice.accountId}?asOf=2100-01-01T00:00:00Z`),
    'PATCH /v1/accounts/:id':
      async ({ alice, operator }) =>
      () =>
        operator.api.patch(`/v1/accounts/${alice.accountId}`, { overdraftLimit: eur(5) }).set('if-match', '*'),
    'POST /v1/accounts/:id/close': async ({ alice }) => {
      const { id } = (await alice.api.post('/v1/accounts', { currency: 'EUR' }).expect(201)).body;
      return () => alice.api.post(`/v1/accounts/${id}/close`).set('if-match', '"1"');
    },
  },
};
