/** @servers any */
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
const wholeLife = 3 * lifeOfSession;

const pbkdf2 = promisify(pbkdf2Callback);

let service: TestApp;
let make: ReturnType<typeof makers>;
beforeAll(async () => {
  service = await startApp({
    AUTH_ACCESS_TOKEN_SECONDS: '60',
    AUTH_REFRESH_TOKEN_SECONDS: String(lifeOfSession),
    AUTH_SESSION_SECONDS: String(wholeLife),
  });
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
/** As if so many seconds had passed for this session: it and its tokens are that much older. */
const age = (sessionId: string, seconds: number) =>
  Promise.all([
    service.database.query(
      `UPDATE session SET created_at = created_at - make_interval(secs => $2), expires_at = expires_at - make_interval(secs => $2)
       WHERE id = $1`,
      [uuidOf(sessionId), seconds],
    ),
    service.database.query(
      'UPDATE refresh_token SET created_at = created_at - make_interval(secs => $2), used_at = used_at - make_interval(secs => $2) WHERE session_id = $1',
      [uuidOf(sessionId), seconds],
    ),
  ]);
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
      deviceToken: expect.stringMatching(/^[\w-]{43}$/),
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
    expect(headers['www-authenticate']).toBe('Bearer error="invalid_token"');
  });

  it('that was forged is refused, however it was forged', async () => {
    const ada = await make.user();
    const [, claimed = ''] = ada.token.split('.');
    const { sid } = JSON.parse(Buffer.from(claimed, 'base64url').toString()) as { sid: string };
    const claims = { sid, role: 'operator' };
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
    await age(first.id, 11);
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
    await age(stolen.id, 11);
    await refresh(stolen.refreshToken).expect(401);
    await refresh(other.refreshToken).expect(201);
  });

  it('by several at once with one token gives all of them the same next one, which works', async () => {
    for (let round = 0; round < 5; round++) {
      const { id, refreshToken } = await logIn(await make.user());
      const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(refreshToken)));
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 201));
      const [next, ...others] = new Set(answers.map(({ body }) => body.refreshToken as string));
      expect([next, others]).toEqual([expect.stringMatching(/^[\w-]{43}$/), []]);
      for (const { body } of answers) await me(body.accessToken).expect(200);
      const tokens = await service.database.query('SELECT FROM refresh_token WHERE session_id = $1', [uuidOf(id)]);
      expect(tokens).toHaveLength(2);
      await refresh(next as string).expect(201);
    }
  });

  it('again after a lost answer gives the same next token, until that was used', async () => {
    const first = await logIn(await make.user());
    const { body: second } = await refresh(first.refreshToken).expect(201);
    const { body: again } = await refresh(first.refreshToken).expect(201);
    expect(again.refreshToken).toBe(second.refreshToken);
    const { body: third } = await refresh(second.refreshToken).expect(201);
    await refresh(first.refreshToken).expect(401);
    expect(await stateOf(first.id)).toEqual({ hasEnded: true, reason: 'token_reused' });
    await refresh(third.refreshToken).expect(401);
  });

  it('again works for ten seconds only', async () => {
    const [one, other] = [await logIn(await make.user()), await logIn(await make.user())];
    for (const { id, refreshToken } of [one, other]) {
      await refresh(refreshToken).expect(201);
      await age(id, id === one.id ? 7 : 11);
    }
    await refresh(one.refreshToken).expect(201);
    await refresh(other.refreshToken).expect(401);
  });

  it('again does not bring back a session that has ended', async () => {
    const first = await logIn(await make.user());
    const { body: second } = await refresh(first.refreshToken).expect(201);
    await service.as(second.accessToken).delete('/v1/sessions/current').expect(204);
    for (const token of [first.refreshToken, second.refreshToken]) await refresh(token).expect(401);
    expect(await stateOf(first.id)).toEqual({ hasEnded: true, reason: 'logged_out' });
  });

  it('gives a next token that nobody can tell who has not the key of the service', async () => {
    const first = await logIn(await make.user());
    const { body: second } = await refresh(first.refreshToken).expect(201);
    for (const guess of [createHash('sha256'), createHash('sha512')])
      expect(second.refreshToken).not.toBe(guess.update(first.refreshToken).digest('base64url').slice(0, 43));
    const { body: other } = await refresh((await logIn(await make.user())).refreshToken).expect(201);
    expect(other.refreshToken).not.toBe(second.refreshToken);
  });

  it('keeps a session alive, which otherwise expires', async () => {
    const ada = await make.user();
    const [kept, left] = [await logIn(ada), await logIn(ada)];
    for (const { id } of [kept, left]) await age(id, lifeOfSession - 10);
    const { body: second } = await refresh(kept.refreshToken).expect(201);
    for (const { id } of [kept, left]) await age(id, 20);
    await refresh(second.refreshToken).expect(201);
    const { body } = await refresh(left.refreshToken).expect(401);
    expect(body.code).toBe('invalid-refresh-token');
    expect(await stateOf(left.id)).toEqual({ hasEnded: false, reason: null });
  });

  it('does not keep a session alive for ever', async () => {
    const { id, refreshToken } = await logIn(await make.user());
    let token = refreshToken;
    for (let passed = 0; passed < wholeLife; passed += lifeOfSession - 60) {
      ({ refreshToken: token } = (await refresh(token).expect(201)).body);
      await age(id, lifeOfSession - 60);
    }
    await refresh(token).expect(401);
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
  const logOut = (token?: string) => service.as(token).delete('/v1/sessions/current');
  const loggedOut = { hasEnded: true, reason: 'logged_out' };

  it('ends refreshing, and doing it twice is the same', async () => {
    const { id, accessToken, refreshToken } = await logIn(await make.user());
    for (const _ of ['once', 'twice']) {
      const { body, text } = await logOut(accessToken).expect(204);
      expect([body, text]).toEqual([{}, '']);
    }
    await refresh(refreshToken).expect(401);
    expect(await stateOf(id)).toEqual(loggedOut);
  });

  it('works with an access token that is over', async () => {
    const { id, accessToken } = await logIn(await make.user());
    wait(3600);
    await me(accessToken).expect(401);
    await logOut(accessToken).expect(204);
    expect(await stateOf(id)).toEqual(loggedOut);
  });

  it('works with a refresh token alone, also one that was used', async () => {
    const [fresh, used] = [await logIn(await make.user()), await logIn(await make.user())];
    await refresh(used.refreshToken).expect(201);
    for (const { id, refreshToken } of [fresh, used]) {
      for (const _ of ['once', 'twice']) await logOut().send({ refreshToken }).expect(204);
      expect(await stateOf(id)).toEqual(loggedOut);
    }
    await logOut().send({ refreshToken: 'one that nobody has' }).expect(204);
  });

  it('ends both sessions when the tokens are of two', async () => {
    const ada = await make.user();
    const [one, other] = [await logIn(ada), await logIn(ada)];
    await logOut(one.accessToken).send({ refreshToken: other.refreshToken }).expect(204);
    for (const { id } of [one, other]) expect(await stateOf(id)).toEqual(loggedOut);
  });

  it('works with the body {} or none, whatever is said of its type', async () => {
    for (const send of [
      (token: string) => logOut(token).send({}),
      (token: string) => logOut(token).set('content-length', '0'),
    ]) {
      const { id, accessToken } = await logIn(await make.user());
      await send(accessToken).expect(204);
      expect(await stateOf(id)).toEqual(loggedOut);
    }
  });

  it('needs a token that was given out here', async () => {
    expect((await logOut().expect(401)).body.code).toBe('token-missing');
    expect((await logOut('abc').expect(401)).body.code).toBe('invalid-token');
    const { id, accessToken } = await logIn(await make.user());
    await logOut(`${accessToken.slice(0, -3)}abc`).expect(401);
    expect(await stateOf(id)).toEqual({ hasEnded: false, reason: null });
  });
});
