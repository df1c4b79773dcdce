import type { Cases } from '../support/cases.ts';

export const cases: Cases = {
  rows: {
    'GET /v1/users/{id}/changes': async ({ operator }, path) => {
      await operator.api.post(path.replace('/changes', '/password-resets')).expect(201);
    },
  },
  routes: {
    'PATCH /v1/users/{id}/access': ({ operator, bob }) => {
      const body = { role: 'customer', disabled: false, reason: 'Asked for' };
      return Promise.resolve({ caller: operator, id: bob.id, body });
    },
  },
  measured: {
    'PATCH /v1/users/:id/access': async ({ make, operator }) => {
      const { id } = await make.user();
      const patch = { role: 'operator', reason: 'Asked for' };
      return () => operator.api.patch(`/v1/users/${id}/access`, patch).set('if-match', '*');
    },
  },
};
