/** @servers any */
import type { INestApplicationContext } from '@nestjs/common';
import { api, type Api, serve, startApp, type TestApp } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { raw } from './support/raw.ts';
import { allRoutes, type Route } from './support/routes.ts';

// What is withdrawn on one instance is tried on another one, which has seen the session before.
const recheckSeconds = 1;
let service: TestApp;
let other: { app: INestApplicationContext & { close(): Promise<void> }; url: string };
let judge: Person;
let routes: Route[];
let needsOperator: ReadonlySet<string>;
beforeAll(async () => {
  service = await startApp();
  other = await serve(service.database, { AUTH_RECHECK_SECONDS: String(recheckSeconds) });
  judge = await makers(service).operator();
  const { paths } = (await service.as().get('/openapi.json').expect(200)).body as {
    paths: Record<string, Record<string, { security?: Record<string, string[]>[] }>>;
  };
  const secured = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { security = [] }]) =>
      security.map((one) => [`${method.toUpperCase()} ${path}`, (one['bearer'] ?? []).includes('operator')] as const),
    ),
  );
  needsOperator = new Set<string>(secured.filter(([, isSo]) => isSo).map(([name]) => name));
  const closed = new Set<string>(secured.map(([name]) => name));
  // Whoever logs out is let in to do it.
  closed.delete('DELETE /v1/sessions/current');
  routes = (await allRoutes(service)).filter(({ name }) => closed.has(name));
  expect(new Set(routes.map(({ name }) => name))).toEqual(closed);
});
afterAll(async () => {
  await other.app.close();
  await service.close();
});

interface Session {
  readonly id: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}
const logIn = async ({ email, password }: Person): Promise<Session> =>
  (await service.as().post('/v1/sessions', { email, password }).expect(201)).body;
const access = (person: Person, patch: object) =>
  judge.api
    .patch(`/v1/users/${person.id}/access`, { reason: 'Asked for', ...patch })
    .set('if-match', '*')
    .expect(200);

/** Calls the route as it should be called. */
const call = (by: Api, { method, path, body }: Route) =>
  method === 'get' || method === 'delete' ? by[method](path) : by[method](path, body ?? {}).set('if-match', '*');

/** Each way in which a session ends, and how it is made possible again. */
const endings: Record<string, (session: Session, person: Person) => Promise<unknown>> = {
  'the log-out': ({ accessToken }) => service.as(accessToken).delete('/v1/sessions/current').expect(204),
  'the reuse of a refresh token': async ({ id, refreshToken }) => {
    const refresh = () => service.as().post('/v1/sessions/refresh', { refreshToken });
    await refresh().expect(201);
    await service.database.query(
      `UPDATE refresh_token SET created_at = created_at - interval '1 minute', used_at = used_at - interval '1 minute' WHERE session_id = $1`,
      [uuidOf(id)],
    );
    await refresh().expect(401);
  },
  'its end by another session': async ({ id }, person) =>
    service
      .as((await logIn(person)).accessToken)
      .delete(`/v1/sessions/${id}`)
      .expect(204),
  'the end of all others': async (_, person) =>
    service
      .as((await logIn(person)).accessToken)
      .delete('/v1/sessions')
      .expect(204),
  'another password': async (_, person) => {
    const change = (currentPassword: string, newPassword: string) =>
      logIn({ ...person, password: currentPassword }).then(({ accessToken }) =>
        service.as(accessToken).post('/v1/users/me/password', { currentPassword, newPassword }).expect(204),
      );
    await change(person.password, 'another horse');
    await change('another horse', person.password);
  },
  'a reset password': async (_, person) => {
    const { token } = (await judge.api.post(`/v1/users/${person.id}/password-resets`).expect(201)).body;
    await service.as().post('/v1/password-resets', { token, newPassword: person.password }).expect(204);
  },
  'the end of all by an operator': (_, { id }) => judge.api.delete(`/v1/users/${id}/sessions`).expect(204),
  'a disabled user': async (_, person) => {
    await access(person, { disabled: true });
    await service.as().post('/v1/sessions', { email: person.email, password: person.password }).expect(403);
    await access(person, { disabled: false });
  },
  'its deletion': ({ id }) =>
    service.database
      .query('DELETE FROM refresh_token WHERE session_id = $1', [uuidOf(id)])
      .then(() => service.database.query('DELETE FROM session WHERE id = $1', [uuidOf(id)])),
};

describe.each(Object.entries(endings))('after %s', (_, end) => {
  it('the access token of the session opens nothing', async () => {
    const people = [...new Map(routes.map(({ caller }) => [caller.id, caller])).values()];
    const as = new Map<string, Api>();
    for (const person of people) {
      const session = await logIn(person);
      const by = api(other.url, session.accessToken);
      await by.get('/v1/users/me').expect(200);
      await end(session, person);
      as.set(person.id, by);
    }
    const isOwnRead = ({ name, method }: Route) => method === 'get' && !needsOperator.has(name);
    const answers: [string, number, string][] = [];
    // What is decided by what is true now comes first, without any time to learn of it.
    for (const route of routes.toSorted((a, b) => Number(isOwnRead(a)) - Number(isOwnRead(b)))) {
      const send = () => call(as.get(route.caller.id) as Api, route);
      const { status, body } = isOwnRead(route) ? await eventually(send, ({ status }) => status === 401) : await send();
      answers.push([route.name, status, body.code]);
    }
    expect(answers).toEqual(answers.map(([name]) => [name, 401, 'invalid-token']));
    expect(answers).toHaveLength(routes.length);
  });
});

describe('after a role was withdrawn', () => {
  it('what is for operators is closed at once, and what others own is not found', async () => {
    const [operator, owner] = [await makers(service).operator(), await makers(service).user()];
    const by = api(other.url, operator.token);
    // This instance has not written the owner: the replica that it reads may learn of it later.
    await eventually(
      () => by.get(`/v1/users/${owner.id}`),
      ({ status }) => status === 200,
    );
    await access(operator, { role: 'customer' });
    for (const route of routes.filter(({ name }) => needsOperator.has(name))) {
      const { status, body } = await call(by, route);
      expect([route.name, status, body.code]).toEqual([route.name, 403, 'not-allowed']);
    }
    await eventually(
      () => by.get(`/v1/users/${owner.id}`),
      ({ status }) => status === 404,
    );
    await by.get('/v1/users/me').expect(200);
    await by.patch(`/v1/users/${owner.id}`, { profile: {} }).set('if-match', '*').expect(404);
  });

  it('and given back, it opens what it opened, with the same token', async () => {
    const operator = await makers(service).operator();
    for (const [role, status] of [
      ['customer', 403],
      ['operator', 200],
    ] as const) {
      await access(operator, { role });
      await operator.api.get('/v1/ledger/chain').expect(status);
    }
  });
});

it('after a role was given, the token that was signed before opens what is for operators', async () => {
  const person = await makers(service).user();
  await person.api.get('/v1/ledger/chain').expect(403);
  await access(person, { role: 'operator' });
  await person.api.get('/v1/ledger/chain').expect(200);
});

it('whoever may not use a route is refused before its body is there', async () => {
  const { token } = await makers(service).user();
  // The body is never sent.
  const of = ['Host: a', 'Content-Type: application/json', 'Content-Length: 5000', 'Connection: close'];
  const post = (...more: string[]) =>
    raw(service.url, `${['POST /v1/products HTTP/1.1', ...of, ...more].join('\r\n')}\r\n\r\n`);
  const answers = [await post(), await post(`Authorization: Bearer ${token}`)];
  expect(answers.map(({ status, body }) => [status, body['code']])).toEqual([
    [401, 'token-missing'],
    [403, 'not-allowed'],
  ]);
});

describe('while the instance that withdraws is the one that is asked', () => {
  // It has seen the session a moment ago, and would go by that for some seconds.
  const here = Object.entries(endings).filter(([name]) => name !== 'its deletion');

  it.each(here)('reads end at once as well after %s', async (_, end) => {
    const person = await makers(service).user();
    const session = await logIn(person);
    const by = service.as(session.accessToken);
    await by.get('/v1/users/me').expect(200);
    await end(session, person);
    await by.get('/v1/users/me').expect(401);
  });

  it('what others own is not found at once after the role was taken away', async () => {
    const [owner, person] = [await makers(service).user(), await makers(service).operator()];
    await person.api.get(`/v1/accounts/${owner.accountId}`).expect(200);
    await access(person, { role: 'customer' });
    await person.api.get(`/v1/accounts/${owner.accountId}`).expect(404);
  });
});

it('no token opens anything of a user who was disabled by hand, and none is refreshed', async () => {
  const { email, password, id } = await makers(service).user();
  const { accessToken, refreshToken } = await logIn({ email, password } as Person);
  await service.database.query('UPDATE "user" SET disabled_at = now() WHERE id = $1', [uuidOf(id)]);
  await api(other.url, accessToken).get('/v1/users/me').expect(401);
  await service.as().post('/v1/sessions/refresh', { refreshToken }).expect(401);
});

it('no token opens anything whose session was never there', async () => {
  const { token, id } = await makers(service).user();
  await service.database.query(
    'DELETE FROM refresh_token t USING session s WHERE s.id = t.session_id AND s.user_id = $1',
    [uuidOf(id)],
  );
  await service.database.query('DELETE FROM session WHERE user_id = $1', [uuidOf(id)]);
  const { body } = await api(other.url, token).get('/v1/users/me').expect(401);
  expect(body.code).toBe('invalid-token');
});
