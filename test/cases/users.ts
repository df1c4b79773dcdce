import { randomUUID } from 'node:crypto';
import type { Cases } from '../support/cases.ts';

const profile = { displayName: 'Ada', locale: 'en' };

export const cases: Cases = {
  memory: { 'modules/users/hashing-queue.ts waiting': 'the bound of the queue' },
  tables: { user: 'stays', user_change: 'stays', profile: 'stays' },
  rights: { user: 'INSERT, UPDATE', user_change: 'INSERT', profile: 'INSERT, UPDATE' },
  things: {
    // An operator is asked about others.
    usr: async ({ make }, by) => (by.accountId === '' ? (await make.user()).id : by.id),
  },
  routes: {
    'POST /v1/users': ({ alice }) => {
      const signUp = { email: 'routes@example.com', password: 'correct horse' };
      return Promise.resolve({ caller: alice, body: { ...signUp, profile, currency: 'EUR' } });
    },
    'PATCH /v1/users/{id}': ({ alice }) => {
      const body = { email: alice.email, currentPassword: alice.password, profile };
      return Promise.resolve({ caller: alice, id: alice.id, body });
    },
  },
  measured: {
    'POST /v1/users':
      async ({ service }) =>
      () =>
        service
          .as()
          .post('/v1/users', { email: 'n@example.com', password: 'long enough', profile: { displayName: 'N' } })
          .set('idempotency-key', randomUUID()),
    'PATCH /v1/users/:id':
      async ({ alice }) =>
      () =>
        alice.api.patch(`/v1/users/${alice.id}`, { profile: { displayName: 'A' } }).set('if-match', '*'),
  },
};
