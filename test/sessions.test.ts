import { createHash, pbkdf2 as pbkdf2Callback } from 'node:crypto';
import { promisify } from 'node:util';
import { SignJWT, UnsecuredJWT } from 'jose';
import { Clock, later } from '../src/kernel/clock.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, uuidOf } from './support/make.ts';
import { testSecret } from './support/secret.ts';

const secret = testSecret;
const lifeOfSession = 3600;

const pbkdf2 = promisify(pbkdf2Callback);

let service: TestApp;
let make: ReturnType<typeof makers>;
beforeAll(async () => {
  service = await startApp({ AUTH_ACCESS_TOKEN_SECONDS: '60', AUTH_REFRESH_TOKEN_SECONDS: String(lifeOfSession) });
  make = makers(service);
});
afterEach(() => jest.restoreAllMocks());
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const refresh = (refreshToken: string) => service.as().post('/v1/sessions/refresh', { refreshToken });
const me = (token: string) => service.as(token).get('/v1/users/me');
const stateOf = async (sessionId: string) => {
  const [session] = await service.database.query(
    `SELECT ended_at IS NOT NULL AS "hasEnded", end_reason AS reason FROM session WHERE id = $1`,
    [uuidOf(sessionId)],
  );
  return session;
};
const logIn = async (person: { email: string; password: string }) => {
  const { email, password } = person;
  return (await service.as().post('/v1/sessions', { email, password }).expect(201)).body;
};
/** The sessions began so many seconds earlier than they did, and end as much earlier. */
const age = (seconds: number, ...sessions: readonly { readonly id: string }[]) =>
  service.database.query(
    `UPDATE session SET created_at = created_at - make_interval(secs => $1), expires_at = expires_at - make_interval(secs => $1)
     WHERE id = ANY($2)`,
    [seconds, sessions.map(({ id }) => uuidOf(id))],
  );
/** Moves the database's clock, as the service knows it, so many seconds ahead, until the test ends. */
const wait = (seconds: number) => {
  const now = later(new Date(), seconds);
  jest.spyOn(service.app.get(Clock), 'now').mockReturnValue(now);
};

describe('logging in', () => {
  it('gives tokens that work, and tells how long', async () => {
    const ada = await make.user();
    const { body, headers } = await service
      .as()
      .post('/v1/sessions', { email: ada.email, password: ada.password })
      .expect(201);
    expect(body).toEqual({
      object: 'session',
      id: expect.stringMatching(/^ses_/),
      userId: ada.id,
      tokenType: 'Bearer',
      accessToken: expect.any(String),
      expiresInSeconds: 60,
      refreshToken: expect.stringMatching(/^[\w-]{43}$/),
    });
    expect(headers['cache-control']).toBe('no-store');
    expect((await me(body.accessToken).expect(200)).body.id).toBe(ada.id);
  });

  it('does not mind capitals and spaces around the address', async () => {
    const ada = await make.user();
    await service
      .as()
      .post('/v1/sessions', { email: ` ${ada.email.toUpperCase()} `, password: ada.password })
      .expect(201);
  });

  it('answers an unknown person and a wrong password alike', async () => {
    const ada = await make.user();
    const [unknown, wrong, none] = [
      await service.as().post('/v1/sessions', { email: 'nobody@example.com', password: ada.password }).expect(401),
      await service.as().post('/v1/sessions', { email: ada.email, password: 'not the password' }).expect(401),
      await service.as().post('/v1/sessions', { email: ada.email, password: '' }).expect(401),
    ];
    expect(unknown.body.code).toBe('wrong-credentials');
    for (const { body } of [wrong, none])
      expect({ ...body, requestId: '' }).toEqual({ ...unknown.body, requestId: '' });
  });

  it('twice makes two sessions that do not end each other', async () => {
    const ada = await make.user();
    const [first, second] = [await logIn(ada), await logIn(ada)];
    expect(first.id).not.toBe(second.id);
    await service.as(first.accessToken).delete('/v1/sessions/current').expect(204);
    await refresh(first.refreshToken).expect(401);
    await refresh(second.refreshToken).expect(201);
  });

  it('stores the SHA-256 of the refresh token and nothing of the tokens themselves', async () => {
    const ada = await make.user();
    const first = await logIn(ada);
    const { body: second } = await refresh(first.refreshToken).expect(201);
    const rows = await service.database.query<{ hash: Buffer }>(
      'SELECT hash FROM refresh_token WHERE session_id = $1 ORDER BY created_at',
      [uuidOf(first.id)],
    );
    const hashOf = (token: string) => createHash('sha256').update(token).digest('hex');
    expect(rows.map(({ hash }) => hash.toString('hex')).sort()).toEqual(
      [first.refreshToken, second.refreshToken].map(hashOf).sort(),
    );
    const tables = ['session', 'refresh_token', 'user'];
    for (const table of tables) {
      const [dump] = await service.database.query<{ all: string }>(
        `SELECT string_agg(t::text, ' ') AS all FROM "${table}" t`,
      );
      for (const token of [first.refreshToken, first.accessToken, second.refreshToken, second.accessToken])
        expect(dump?.all).not.toContain(token);
    }
  });
});

// The last of 43 characters holds four bits of the signature and two that are thrown away.
const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const sameBits = (character: string): string => base64url.charAt(base64url.indexOf(character) ^ 1);

describe('an access token', () => {
  it('is read without waiting for those who hash', async () => {
    const ada = await make.user();
    await me(ada.token).expect(200);
    // More than libuv has threads, so that whoever asks for one comes last.
    let done = 0;
    const hashes = Array.from({ length: 24 }, () => pbkdf2('a', 'b', 50_000, 64, 'sha512').then(() => done++));
    await me(ada.token).expect(200);
    expect(done).toBeLessThan(24);
    await Promise.all(hashes);
  });

  it('works until it expires', async () => {
    const { token } = await make.user();
    wait(58);
    await me(token).expect(200);
    wait(61);
    const { body, headers } = await me(token).expect(401);
    expect(body).toMatchObject({ code: 'invalid-token', retryable: false });
    expect(headers['www-authenticate']).toBe('Bearer');
  });

  it('that was forged is refused, however it was forged', async () => {
    const ada = await make.user();
    const claims = { sid: 'ses_01h455vb4pex5vsknk084sn02q', role: 'operator' };
    const key = new TextEncoder().encode(secret);
    const now = Math.floor(Date.now() / 1000);
    const token = (changes: object = {}, header: object = {}) =>
      new SignJWT({ iss: 'holdfast', sub: ada.id, iat: now, exp: now + 60, ...claims, ...changes }).setProtectedHeader({
        alg: 'HS256',
        typ: 'at+jwt',
        ...header,
      });
    const [head, payload, signature] = ada.token.split('.') as [string, string, string];
    const raised = Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), role: 'operator' }),
    ).toString('base64url');

    // The same token, made right, is let in: it is each change that is refused.
    expect((await me(await token().sign(key)).expect(200)).body.id).toBe(ada.id);
    const forged: Record<string, string> = {
      'signed with another key': await token().sign(new TextEncoder().encode(`${secret}!`)),
      'signed with no key': new UnsecuredJWT({
        iss: 'holdfast',
        sub: ada.id,
        iat: now,
        exp: now + 60,
        ...claims,
      }).encode(),
      'signed with another algorithm': await token({}, { alg: 'HS512' }).sign(
        new TextEncoder().encode(secret.padEnd(64)),
      ),
      'from another issuer': await token({ iss: 'somebody' }).sign(key),
      'without an issuer': await token({ iss: undefined }).sign(key),
      'without an end': await token({ exp: undefined }).sign(key),
      'without a beginning': await token({ iat: undefined }).sign(key),
      'over since a second': await token({ exp: now - 1 }).sign(key),
      'not valid yet': await token({ nbf: now + 600 }).sign(key),
      'of another type': await token({}, { typ: 'JWT' }).sign(key),
      'without a type': await token({}, { typ: undefined }).sign(key),
      'for something that is no user': await token({ sub: ada.id.replace('usr_', 'acct_') }).sign(key),
      'for a user with a broken id': await token({ sub: 'usr_1' }).sign(key),
      'for nobody': await token({ sub: undefined }).sign(key),
      'of no session': await token({ sid: undefined }).sign(key),
      'of a role that is none': await token({ role: 'admin' }).sign(key),
      'with a changed payload': [head, raised, signature].join('.'),
      'without its signature': [head, payload, ''].join('.'),
      'with another last character of the same bytes': ada.token.slice(0, -1) + sameBits(ada.token.at(-1) as string),
      'with an extension that must be understood': await token({}, { b64: true, crit: ['b64'] }).sign(key),
      'that is no token': 'abc',
      'that is the refresh token': ada.refreshToken,
    };
    for (const [how, token_] of Object.entries(forged)) {
      const { status, body } = await me(token_);
      expect([how, status, body.code]).toEqual([how, 401, 'invalid-token']);
    }
  });

  it('is looked for in the Authorization header as a Bearer only', async () => {
    const { token } = await make.user();
    const send = (authorization: string) => service.as().get('/v1/users/me').set('authorization', authorization);
    for (const authorization of [`bearer ${token}`, `Bearer  ${token}`, `BEARER     ${token}`])
      await send(authorization).expect(200);
    for (const authorization of [token, `Basic ${token}`, `Bearer\t${token}`, 'Bearer', `Bearer ${'x'.repeat(4097)}`])
      expect((await send(authorization).expect(401)).body.code).toBe('token-missing');
    await service.as().get(`/v1/users/me?access_token=${token}`).expect(401);
  });

  it('of a customer does not open what is for operators', async () => {
    const { api } = await make.user();
    const { body } = await api.post('/v1/products', {}).expect(403);
    expect(body.code).toBe('not-allowed');
  });
});

describe('refreshing', () => {
  it('gives new tokens in the same session, once per token', async () => {
    const ada = await make.user();
    const first = await logIn(ada);
    const { body: second } = await refresh(first.refreshToken).expect(201);
    expect(second).toMatchObject({ object: 'session', id: first.id, userId: ada.id });
    expect(second.refreshToken).not.toBe(first.refreshToken);
    await me(second.accessToken).expect(200);
    const { body: third } = await refresh(second.refreshToken).expect(201);
    expect(third.id).toBe(first.id);
  });

  it('with a token that was used ends the session, also for who holds the newer token', async () => {
    const first = await logIn(await make.user());
    const { body: second } = await refresh(first.refreshToken).expect(201);
    const { body } = await refresh(first.refreshToken).expect(401);
    expect(body).toMatchObject({ code: 'invalid-refresh-token', retryable: false });
    expect(await stateOf(first.id)).toEqual({ hasEnded: true, reason: 'token_reused' });
    await refresh(second.refreshToken).expect(401);
    await refresh(first.refreshToken).expect(401);
  });

  it('of one’s session does not touch the others of the same person', async () => {
    const ada = await make.user();
    const [stolen, other] = [await logIn(ada), await logIn(ada)];
    await refresh(stolen.refreshToken).expect(201);
    await refresh(stolen.refreshToken).expect(401);
    await refresh(other.refreshToken).expect(201);
  });

  it('by several at once with one token lets one of them in at most, and then the session is over', async () => {
    for (let round = 0; round < 5; round++) {
      const { id, refreshToken } = await logIn(await make.user());
      const answers = await Promise.all([1, 2, 3, 4].map(() => refresh(refreshToken)));
      const winners = answers.filter(({ status }) => status === 201);
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 401, 401, 401]);
      expect(await stateOf(id)).toEqual({ hasEnded: true, reason: 'token_reused' });
      for (const { body } of winners) await refresh(body.refreshToken).expect(401);
      const tokens = await service.database.query('SELECT used_at FROM refresh_token WHERE session_id = $1', [
        uuidOf(id),
      ]);
      expect(tokens).toHaveLength(2);
    }
  });

  it('keeps a session alive, which otherwise expires', async () => {
    const ada = await make.user();
    const [kept, left] = [await logIn(ada), await logIn(ada)];
    await age(lifeOfSession - 60, kept, left);
    const { body: second } = await refresh(kept.refreshToken).expect(201);
    await age(120, kept, left);
    await refresh(second.refreshToken).expect(201);
    const { body } = await refresh(left.refreshToken).expect(401);
    expect(body.code).toBe('invalid-refresh-token');
    expect(await stateOf(left.id)).toEqual({ hasEnded: false, reason: null });
  });

  it('with a token that is none is refused', async () => {
    for (const token of ['', 'x', 'x'.repeat(43), 'ä'.repeat(200)])
      expect((await refresh(token).expect(401)).body.code).toBe('invalid-refresh-token');
  });

  it('shows the role that the person has now', async () => {
    const ada = await make.user();
    await service.database.query(`UPDATE "user" SET role = 'operator' WHERE id = $1`, [uuidOf(ada.id)]);
    const { body } = await refresh(ada.refreshToken).expect(201);
    const [, payload] = body.accessToken.split('.');
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ role: 'operator' });
  });
});

describe('logging out', () => {
  it('ends refreshing, and doing it twice is the same', async () => {
    const ada = await make.user();
    const { id, accessToken, refreshToken } = await logIn(ada);
    for (const _ of ['once', 'twice']) {
      const { body, text } = await service.as(accessToken).delete('/v1/sessions/current').expect(204);
      expect([body, text]).toEqual([{}, '']);
    }
    await refresh(refreshToken).expect(401);
    expect(await stateOf(id)).toEqual({ hasEnded: true, reason: 'logged_out' });
  });

  it('needs a token', async () => {
    await service.as().delete('/v1/sessions/current').expect(401);
  });
});
