import type { Cases } from '../support/cases.ts';

export const cases: Cases = {
  tables: { refresh_token: 'removed with its session' },
  rights: { session: 'INSERT, UPDATE, DELETE', refresh_token: 'INSERT, UPDATE, DELETE' },
  things: {
    ses: async ({ service }, { email, password }) =>
      (await service.as().post('/v1/sessions', { email, password }).expect(201)).body.id,
  },
  rows: {
    'GET /v1/sessions': async ({ service, alice: { email, password } }) => {
      await service.as().post('/v1/sessions', { email, password }).expect(201);
    },
  },
  routes: {
    'POST /v1/sessions': ({ alice }) => {
      const body = { email: alice.email, password: alice.password, deviceToken: 'none' };
      return Promise.resolve({ caller: alice, body });
    },
    'POST /v1/sessions/refresh': ({ alice }) =>
      Promise.resolve({ caller: alice, body: { refreshToken: alice.refreshToken } }),
    'DELETE /v1/sessions': async ({ make }) => ({ caller: await make.user() }),
    'DELETE /v1/sessions/{id}': async ({ service, make }) => {
      const caller = await make.user();
      const { email, password } = caller;
      return { caller, id: (await service.as().post('/v1/sessions', { email, password }).expect(201)).body.id };
    },
    'DELETE /v1/sessions/current': async ({ make }) => ({ caller: await make.user(), body: { refreshToken: 'none' } }),
  },
  measured: {
    'POST /v1/sessions':
      async ({ service, bob }) =>
      () =>
        service.as().post('/v1/sessions', { email: bob.email, password: bob.password }),
    'POST /v1/sessions/refresh':
      async ({ service, bob }) =>
      () =>
        service.as().post('/v1/sessions/refresh', { refreshToken: bob.refreshToken }),
    'DELETE /v1/sessions/current': async ({ service, bob }) => {
      const { accessToken } = (await service.as().post('/v1/sessions', { email: bob.email, password: bob.password }))
        .body;
      return () => service.as(accessToken).delete('/v1/sessions/current');
    },
  },
};
