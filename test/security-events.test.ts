/** @servers any */
import { Writable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type * as Pino from 'nestjs-pino';
import type * as Log from '../src/operations/log.ts';
import { startApp, type TestApp } from './support/app.ts';
import { makers, type Person, uuidOf } from './support/make.ts';

interface Line {
  readonly msg: string;
  readonly event?: string;
  readonly [member: string]: unknown;
}
// What the service writes, line by line; `mock` is what Jest asks of a name that a factory uses.
const mockWritten: string[] = [];
jest.mock('../src/operations/log.ts', () => {
  const actual = jest.requireActual<typeof Log>('../src/operations/log.ts');
  const { LoggerModule } = jest.requireActual<typeof Pino>('nestjs-pino');
  const sink = new Writable({
    write: (line, _, done) => {
      mockWritten.push(String(line));
      done();
    },
  });
  const config = { level: 'info', messages: 'own' } as const;
  const { lines, logRequests } = actual;
  return {
    ...actual,
    logModule: () =>
      LoggerModule.forRoot({ forRoutes: [], pinoHttp: [{ ...lines(config), autoLogging: false }, sink] }),
    logRequests: (fastify: FastifyInstance) => logRequests(fastify, config, sink),
  };
});

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
beforeAll(async () => {
  service = await startApp({ HTTP_TRUSTED_PROXIES: '127.0.0.0/8' });
  make = makers(service);
  operator = await make.operator();
});
afterAll(() => service.close());

const sessionOf = ({ token }: Person): string =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string }).sid;

/** The lines of one request; `requestId` is that of its answer. */
async function linesOf(ask: () => PromiseLike<{ headers: Record<string, string> }>): Promise<Line[]> {
  const { headers } = await ask();
  const ofRequest = () =>
    mockWritten.map((line) => JSON.parse(line) as Line).filter(({ requestId }) => requestId === headers['request-id']);
  for (const deadline = performance.now() + 5000; performance.now() < deadline;) {
    if (ofRequest().some(({ msg }) => msg === 'request')) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return ofRequest();
}
const far = '192.0.2.7';

describe('the line of a request says who asked, from where, and with which result', () => {
  it('when it was done', async () => {
    const ada = await make.user();
    const lines = await linesOf(() =>
      ada.api.get('/v1/users/me').set('x-forwarded-for', far).set('request-id', 'their-own').expect(200),
    );
    expect(lines).toEqual([
      expect.objectContaining({
        msg: 'request',
        status: 200,
        userId: ada.id,
        sessionId: sessionOf(ada),
        address: far,
        callerRequestId: 'their-own',
      }),
    ]);
    expect(lines[0]).not.toHaveProperty('code');
  });

  it.each([
    ['a forged token', () => service.as('a.b.c').get('/v1/users/me'), 'invalid-token'],
    [
      'a wrong password',
      () => service.as().post('/v1/sessions', { email: 'a@b.example', password: 'x' }),
      'wrong-credentials',
    ],
    ['no such path', () => service.as().get('/v1/nothing'), 'route-not-found'],
    ['broken JSON', () => service.as().post('/v1/users').type('json').send('{'), 'malformed-json'],
  ])('when it was refused: %s', async (_, ask, code) => {
    const [line] = (await linesOf(() => ask().set('x-forwarded-for', far))).filter(({ msg }) => msg === 'request');
    expect(line).toMatchObject({ code, address: far });
  });

  it('and which of a customer who asks for what is for operators', async () => {
    const ada = await make.user();
    const [line] = await linesOf(() => ada.api.post('/v1/products', {}).expect(403));
    expect(line).toMatchObject({ code: 'not-allowed', userId: ada.id });
  });

  it('and takes no id over that is not harmless, nor ours from anybody', async () => {
    for (const id of ['{"a":1}', 'a b', 'x'.repeat(101)]) {
      const [line] = await linesOf(() => service.as().get('/v1/products').set('request-id', id).expect(200));
      expect(line).not.toHaveProperty('callerRequestId');
      expect(line?.['requestId']).toMatch(/^req_/);
    }
  });
});

describe('each security event has a line of its own:', () => {
  const access = (person: Person, patch: object) =>
    operator.api
      .patch(`/v1/users/${person.id}/access`, { reason: 'Asked for', ...patch })
      .set('if-match', '*')
      .expect(200);
  const settings = ({ accountId }: Person, patch: object) =>
    operator.api.patch(`/v1/accounts/${accountId}`, patch).set('if-match', '*').expect(200);
  const about = ({ id }: Person) => ({ subjectId: id });
  const events: Record<
    string,
    [(ada: Person) => PromiseLike<{ headers: Record<string, string> }>, (ada: Person) => object]
  > = {
    'log-in': [({ email, password }) => service.as().post('/v1/sessions', { email, password }).expect(201), about],
    'log-in-failed': [({ email }) => service.as().post('/v1/sessions', { email, password: 'none' }).expect(401), about],
    'log-out': [({ api }) => api.delete('/v1/sessions/current').expect(204), about],
    'refresh-token-reused': [
      async ({ id, refreshToken }) => {
        await service.as().post('/v1/sessions/refresh', { refreshToken }).expect(201);
        await service.database.query(
          `UPDATE refresh_token SET created_at = created_at - interval '1 minute', used_at = used_at - interval '1 minute' WHERE session_id IN (SELECT id FROM session WHERE user_id = $1)`,
          [uuidOf(id)],
        );
        return service.as().post('/v1/sessions/refresh', { refreshToken }).expect(401);
      },
      about,
    ],
    'sessions-ended': [({ id }) => operator.api.delete(`/v1/users/${id}/sessions`).expect(204), about],
    'password-changed': [
      ({ api, password }) =>
        api.post('/v1/users/me/password', { currentPassword: password, newPassword: 'another horse' }).expect(204),
      about,
    ],
    'password-refused': [
      ({ api }) =>
        api.post('/v1/users/me/password', { currentPassword: 'none', newPassword: 'another horse' }).expect(422),
      about,
    ],
    'password-reset-made': [({ id }) => operator.api.post(`/v1/users/${id}/password-resets`).expect(201), about],
    'password-reset': [
      async ({ id }) => {
        const { token } = (await operator.api.post(`/v1/users/${id}/password-resets`).expect(201)).body;
        return service.as().post('/v1/password-resets', { token, newPassword: 'another horse' }).expect(204);
      },
      about,
    ],
    'email-changed': [
      ({ api, id, email, password }) =>
        api
          .patch(`/v1/users/${id}`, { email: `new-${email}`, currentPassword: password })
          .set('if-match', '*')
          .expect(200),
      about,
    ],
    'role-changed': [(ada) => access(ada, { role: 'operator' }), (ada) => ({ ...about(ada), role: 'operator' })],
    'user-disabled': [(ada) => access(ada, { disabled: true }), about],
    'user-enabled': [
      async (ada) => {
        await access(ada, { disabled: true });
        return access(ada, { disabled: false });
      },
      about,
    ],
    'account-limits-changed': [
      (ada) => settings(ada, { overdraftLimit: { amount: 5, currency: 'EUR' } }),
      ({ accountId }) => ({ accountId }),
    ],
    'account-frozen': [(ada) => settings(ada, { frozen: true, reason: 'Looking' }), ({ accountId }) => ({ accountId })],
    'account-unfrozen': [
      async (ada) => {
        await settings(ada, { frozen: true, reason: 'Looking' });
        return settings(ada, { frozen: false, reason: 'Looked' });
      },
      ({ accountId }) => ({ accountId }),
    ],
    'account-closed': [
      ({ api, accountId }) => api.post(`/v1/accounts/${accountId}/close`).set('if-match', '*').expect(200),
      ({ accountId }) => ({ accountId }),
    ],
  };

  it.each(Object.entries(events))('%s', async (event, [ask, subject]) => {
    const ada = await make.user();
    const lines = (await linesOf(() => ask(ada))).filter((line) => line.event === event);
    expect(lines).toEqual([
      expect.objectContaining({ msg: 'security event', event, address: expect.any(String), ...subject(ada) }),
    ]);
    if (lines[0]?.['userId'] !== undefined) expect([ada.id, operator.id]).toContain(lines[0]['userId']);
  });

  it('of what was rolled back there is none', async () => {
    const ada = await make.user();
    const patch = { email: `new-${ada.email}`, currentPassword: ada.password };
    const lines = await linesOf(() => ada.api.patch(`/v1/users/${ada.id}`, patch).set('if-match', '"7"').expect(412));
    expect(lines.map(({ event }) => event)).toEqual([undefined]);
  });

  // What tells of it in the database, by its table and the row that the event's last request adds to it.
  const rows: Record<string, [table: string, row: string]> = {
    'sessions-ended': ['user_change', `new.kind = 'sessions_ended'`],
    'password-changed': ['user_change', `new.kind = 'password'`],
    'password-reset-made': ['user_change', `new.kind = 'password_reset_made'`],
    'password-reset': ['user_change', `new.kind = 'password_reset'`],
    'email-changed': ['user_change', `new.kind = 'email'`],
    'role-changed': ['user_change', `new.kind = 'role'`],
    'user-disabled': ['user_change', `new.kind = 'disabled'`],
    'user-enabled': ['user_change', `new.kind = 'enabled'`],
    'account-limits-changed': ['account_change', 'new.overdraft_limit > 0'],
    'account-frozen': ['account_change', 'new.is_frozen'],
    'account-unfrozen': ['account_change', `new.reason = 'Looked'`],
    'account-closed': ['account_change', 'new.is_closed'],
  };

  it.each(Object.entries(rows))('but not of %s when its COMMIT fails', async (event, [table, row]) => {
    const { query } = service.database;
    const ada = await make.user();
    await query(
      `CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$`,
    );
    await query(
      `CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW WHEN (${row}) EXECUTE FUNCTION fail()`,
    );
    const from = mockWritten.length;
    try {
      await expect((async () => events[event]![0](ada))()).rejects.toThrow('got 500');
    } finally {
      await query(`DROP TRIGGER fails ON ${table}`);
    }
    const lines = mockWritten.slice(from).map((line) => JSON.parse(line) as Line);
    expect(lines.filter((line) => line.event === event)).toEqual([]);
  });

  it('and none of them, nor any other line, holds a password, a token or an address of e-mail', () => {
    const all = mockWritten.join('');
    expect(all).toContain('security event');
    expect(all).not.toMatch(/horse|@example\.com|eyJ|deviceToken/);
  });
});
