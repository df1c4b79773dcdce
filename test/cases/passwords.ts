import type { Cases } from '../support/cases.ts';

export const cases: Cases = {
  rights: { password_reset: 'INSERT, UPDATE, DELETE' },
  routes: {
    // Those whose sessions end by it are nobody else's callers.
    'POST /v1/users/me/password': async ({ make }) => {
      const caller = await make.user();
      return { caller, body: { currentPassword: caller.password, newPassword: 'another horse' } };
    },
    'POST /v1/users/{id}/password-resets': ({ operator, alice }) => Promise.resolve({ caller: operator, id: alice.id }),
    'POST /v1/password-resets': async ({ operator, make, alice }) => {
      const { id } = await make.user();
      const { token } = (await operator.api.post(`/v1/users/${id}/password-resets`).expect(201)).body;
      return { caller: alice, body: { token, newPassword: 'another horse' } };
    },
  },
  measured: {
    'POST /v1/users/me/password': async ({ make }) => {
      const { api, password } = await make.user();
      return () => api.post('/v1/users/me/password', { currentPassword: password, newPassword: 'another horse' });
    },
    'POST /v1/password-resets': async ({ service, make, operator }) => {
      const { id } = await make.user();
      const { token } = (await operator.api.post(`/v1/users/${id}/password-resets`).expect(201)).body;
      return () => service.as().post('/v1/password-resets', { token, newPassword: 'another horse' });
    },
  },
};
