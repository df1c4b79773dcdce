/** @servers any */
import { randomUUID } from 'node:crypto';
import type * as Argon from '@node-rs/argon2';
import { UsersService } from '../src/modules/users/users.service.ts';
import { startApp, type TestApp } from './support/app.ts';
import { atOnce, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { expectProblem } from './support/problem.ts';

jest.mock('@node-rs/argon2', () => {
  // At the cost of the service, which it has in no other test.
  const actual = jest.requireActual<typeof Argon>('../node_modules/@node-rs/argon2');
  const work: string[] = [];
  return {
    ...actual,
    work,
    hash: (...given: Parameters<typeof Argon.hash>) => (work.push('hash'), actual.hash(...given)),
    verify: (...given: Parameters<typeof Argon.verify>) => (work.push('verify'), actual.verify(...given)),
  };
});
/** What was hashed and verified. */
const { work } = jest.requireMock<{ work: string[] }>('@node-rs/argon2');

const composed = 'schl\u00fcssel zum t\u00fcr';
const decomposed = composed.normalize('NFD');

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  operator = await make.operator();
});
afterAll(() => service.close());
beforeEach(() => void work.splice(0));

const newUser = (password: string, more: { email?: string; displayName?: string } = {}) => {
  const { email = `${randomUUID()}@example.com`, displayName = 'Ada Lovelace' } = more;
  return { email, password, profile: { displayName } };
};
const signUp = (user: object) => service.as().post('/v1/users', user);
const logIn = (email: string, password: string) => service.as().post('/v1/sessions', { email, password });
const hashOf = async (email: string): Promise<string> => {
  const [row] = await service.database.query<{ hash: string }>(
    'SELECT password_hash AS hash FROM "user" WHERE email = $1',
    [email],
  );
  return row?.hash ?? '';
};
const logInAs = ({ email, password }: Pick<Person, 'email' | 'password'>) => logIn(email, password);
const setDisabled = (id: string, disabled: boolean) =>
  operator.api.patch(`/v1/users/${id}/access`, { reason: 'Asked for', disabled }).set('if-match', '*');
const changesOf = async (id: string) =>
  (await operator.api.get(`/v1/users/${id}/changes`).expect(200)).body.data as Record<string, unknown>[];

describe('one password', () => {
  it.each([
    ['as one character and as two', composed, decomposed],
    ['as two characters and as one', decomposed, composed],
    ['in full width', '\uff50\uff41\uff53\uff53 \uff50\uff48\uff52\uff41\uff53\uff45', 'pass phrase'],
    ['with a ligature', 'di\ufb03cult words', 'difficult words'],
  ])('is the same %s', async (_, first, second) => {
    const user = newUser(first);
    await signUp(user).expect(201);
    for (const typed of [first, second]) await logIn(user.email, typed).expect(201);
    await logIn(user.email, `${second}.`).expect(401);
  });

  it('has at least eight characters, counted as it is hashed', async () => {
    const words = ['a\u0308'.repeat(7), '\u{1f600}\u{1f511}\u{1f512}\u{1f513}', 'e\u0301'.repeat(5)];
    for (const short of words) {
      const { body } = await signUp(newUser(short)).expect(422);
      expect(body.errors).toEqual([expect.objectContaining({ pointer: '/password' })]);
    }
    for (const enough of ['\u{1f600}\u{1f511}\u{1f512}\u{1f513}\u{1f9c0}\u{1f980}\u{1f98a}\u{1f40c}', 'a\u0308bcdefgh'])
      await signUp(newUser(enough)).expect(201);
  });

  it('is kept as an argon2id hash only', async () => {
    const user = newUser('correct horse');
    await signUp(user).expect(201);
    expect(await hashOf(user.email)).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });

  it('that was hashed as it was typed is taken in both forms, and is hashed anew once', async () => {
    const argon = jest.requireActual<typeof Argon>('../node_modules/@node-rs/argon2');
    const user = newUser(composed);
    await signUp(user).expect(201);
    const old = await argon.hash(decomposed);
    await service.database.query('UPDATE "user" SET password_hash = $1 WHERE email = $2', [old, user.email]);
    await logIn(user.email, decomposed).expect(201);
    const better = await hashOf(user.email);
    expect([better === old, await argon.verify(better, composed)]).toEqual([false, true]);
    for (const typed of [composed, decomposed]) await logIn(user.email, typed).expect(201);
    expect(await hashOf(user.email)).toBe(better);
  });
});

describe('a password that is tried first', () => {
  const person = { email: 'grace.hopper@navy.example', displayName: 'Grace Hopper' };

  it.each([
    'password',
    'PASSWORD',
    'Password1',
    '12345678',
    '11111111',
    'qwertyui',
    'iloveyou',
    'trustno1',
    '\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44',
    ' iloveyou ',
    '        ',
    'abababab',
    'holdfast',
    'Holdfast2026!',
    'grace.hopper@navy.example',
    'GRACE.HOPPER@NAVY.EXAMPLE',
    'grace.hopper',
    'Grace Hopper',
    'gracehopper1906',
    'hoppergrace',
    'holdfast-grace',
  ])('is refused: %j', async (password) => {
    const response = await signUp(newUser(password, person)).expect(422);
    expectProblem(response, 'weak-password');
    expect(response.body.errors).toEqual([expect.objectContaining({ pointer: '/password', code: 'weak-password' })]);
    expect(work).toEqual([]);
  });

  it('is refused of an operator as well', async () => {
    const operator = { email: 'an@example.com', password: 'iloveyou', profile: { displayName: 'An' } };
    await expect(service.app.get(UsersService).addOperator(operator)).rejects.toMatchObject({ code: 'weak-password' });
  });

  it('is not one that has something of its own', async () => {
    for (const password of ['grace-demo-1', 'correct horse battery', 'Zx9-q', 'mug on a rock'])
      await signUp(newUser(password, { ...person, email: `${randomUUID()}@navy.example` })).expect(
        password.length < 8 ? 422 : 201,
      );
  });
});

describe('what it costs', () => {
  it('to log in is the same for a right password, a wrong one and an unknown person', async () => {
    const { email } = await make.user();
    for (const [right, wrong, times] of [
      ['correct horse battery', 'another horse', 1],
      [
        '\uff43\uff4f\uff52\uff52\uff45\uff43\uff54 horse battery',
        '\uff43\uff4f\uff52\uff52\uff45\uff43\uff54 donkey',
        2,
      ],
    ] as const) {
      const tries = [
        [email, right, 201],
        [email, wrong, 401],
        ['nobody@example.com', wrong, 401],
        ['no address', wrong, 401],
      ] as const;
      for (const [who, password, status] of tries) {
        work.splice(0);
        await logIn(who, password).expect(status);
        expect([who, work]).toEqual([who, Array.from({ length: times }, () => 'verify')]);
      }
    }
  });

  it('to sign up is the same with an address that is taken', async () => {
    const { email } = await make.user();
    for (const [user, status] of [
      [newUser('another horse'), 201],
      [newUser('another horse', { email }), 409],
    ] as const) {
      work.splice(0);
      await signUp(user).expect(status);
      expect(work).toEqual(['hash']);
    }
  });
});

describe('many at once', () => {
  it('are refused beyond those that may wait, and told when to come again', async () => {
    const { email } = await make.user();
    const answers = await atOnce(100, () => logIn(email, 'another horse'));
    const counts = tally(answers);
    expect(Object.keys(counts).sort()).toEqual(['401 wrong-credentials', '503 temporary-reduced-capacity']);
    const refused = answers.find(({ status }) => status === 503);
    expect(refused?.headers['retry-after']).toBe('1');
    expect(refused?.body.retryable).toBe(true);
    await logIn(email, 'correct horse battery').expect(201);
  });

  it('who sign up leave room for those who log in', async () => {
    const { email, id } = await make.user();
    const flood = atOnce(100, (n) => signUp(newUser('another horse', { email: `flood-${n}@example.com` })));
    const answers = await atOnce(8, () => logIn(email, 'correct horse battery'));
    expect(tally(await flood)).toMatchObject({ '503 temporary-reduced-capacity': expect.any(Number) });
    expect(answers.map(({ status }) => status)).not.toContain(429);
    const [row] = await service.database.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM session WHERE user_id = $1',
      [uuidOf(id)],
    );
    expect(row?.n).toBe(1 + answers.filter(({ status }) => status === 201).length);
    expect(row?.n).toBeGreaterThan(1);
  });
});

describe('a password', () => {
  const changePassword = (person: Person, currentPassword: string, newPassword: string) =>
    person.api.post('/v1/users/me/password', { currentPassword, newPassword });

  it('is changed by who knows the present one; the other sessions end, this one stays', async () => {
    const ada = await make.user();
    const { body: other } = await logInAs(ada).expect(201);
    await changePassword(ada, ada.password, 'another horse').expect(204);
    await ada.api.get('/v1/users/me').expect(200);
    await service.as(other.accessToken).get('/v1/users/me').expect(401);
    await service.as().post('/v1/sessions/refresh', { refreshToken: other.refreshToken }).expect(401);
    await logInAs(ada).expect(401);
    await logInAs({ ...ada, password: 'another horse' }).expect(201);
    expect(await changesOf(ada.id)).toEqual([expect.objectContaining({ kind: 'password', byId: ada.id })]);
  });

  it('is not changed by a token alone', async () => {
    const ada = await make.user();
    const response = await changePassword(ada, 'another one', 'another horse').expect(422);
    expectProblem(response, 'wrong-password');
    expect(response.body.errors).toEqual([{ pointer: '/currentPassword', code: 'wrong-password' }]);
    await ada.api.post('/v1/users/me/password', { newPassword: 'another horse' }).expect(422);
    await logInAs(ada).expect(201);
  });

  it('is changed once when the answer is lost, and asked for again', async () => {
    const ada = await make.user();
    for (const _ of ['once', 'twice']) await changePassword(ada, ada.password, 'another horse').expect(204);
    expect(await changesOf(ada.id)).toHaveLength(1);
  });

  it('is changed to one of two that are asked for at once', async () => {
    const ada = await make.user();
    const wanted = ['another horse', 'one more horse'];
    const answers = await Promise.all(wanted.map((newPassword) => changePassword(ada, ada.password, newPassword)));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 422]);
    const won = wanted[answers.findIndex(({ status }) => status === 204)] as string;
    await logInAs({ ...ada, password: won }).expect(201);
  });

  it('has to be as good as that of a sign-up', async () => {
    const ada = await make.user();
    for (const weak of ['iloveyou', ada.email])
      expect((await changePassword(ada, ada.password, weak).expect(422)).body).toMatchObject({
        code: 'weak-password',
        errors: [{ pointer: '/newPassword' }],
      });
    await changePassword(ada, ada.password, 'short').expect(422);
  });
});

describe('a reset', () => {
  const makeReset = async (id: string) =>
    (await operator.api.post(`/v1/users/${id}/password-resets`).expect(201)).body as { token: string };
  const reset = (token: string, newPassword: string) =>
    service.as().post('/v1/password-resets', { token, newPassword });

  it('sets a password without the present one, and ends all sessions', async () => {
    const ada = await make.user();
    const { token } = await makeReset(ada.id);
    await reset(token, 'another horse').expect(204);
    await ada.api.get('/v1/users/me').expect(401);
    await logInAs(ada).expect(401);
    await logInAs({ ...ada, password: 'another horse' }).expect(201);
    expect((await changesOf(ada.id)).map(({ kind, byId }) => [kind, byId])).toEqual([
      ['password_reset', null],
      ['password_reset_made', operator.id],
    ]);
  });

  it('works once; the same request again is answered alike, another is refused', async () => {
    const ada = await make.user();
    const { token } = await makeReset(ada.id);
    for (const _ of ['once', 'twice']) await reset(token, 'another horse').expect(204);
    expectProblem(await reset(token, 'one more horse').expect(401), 'invalid-reset-token');
    await service.database.query(
      `UPDATE password_reset SET created_at = created_at - interval '31 seconds', used_at = used_at - interval '31 seconds' WHERE user_id = $1`,
      [uuidOf(ada.id)],
    );
    await reset(token, 'another horse').expect(401);
    await logInAs({ ...ada, password: 'another horse' }).expect(201);
  });

  it('by several at once is done for one of them, and told to those who want the same', async () => {
    const ada = await make.user();
    const { token } = await makeReset(ada.id);
    const answers = await atOnce(4, (n) => reset(token, n % 2 === 0 ? 'another horse' : 'one more horse'));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 204, 401, 401]);
    expect(await changesOf(ada.id)).toHaveLength(2);
  });

  it('is over when it has expired, when a later one was made, and when the password was changed', async () => {
    const ada = await make.user();
    const first = await makeReset(ada.id);
    const second = await makeReset(ada.id);
    await reset(first.token, 'another horse').expect(401);
    await service.database.query(
      `UPDATE password_reset SET expires_at = GREATEST(created_at, now()) WHERE user_id = $1`,
      [uuidOf(ada.id)],
    );
    await reset(second.token, 'another horse').expect(401);
    const third = await makeReset(ada.id);
    await ada.api
      .post('/v1/users/me/password', { currentPassword: ada.password, newPassword: 'one more horse' })
      .expect(204);
    await reset(third.token, 'another horse').expect(401);
    await reset('nonsense', 'another horse').expect(401);
  });

  it('of a user who is disabled sets nothing', async () => {
    const ada = await make.user();
    const before = await makeReset(ada.id);
    await setDisabled(ada.id, true).expect(200);
    const meanwhile = await makeReset(ada.id);
    for (const { token } of [before, meanwhile]) await reset(token, 'another horse').expect(401);
  });

  it('that was made before the user was disabled is over when they are enabled again', async () => {
    const ada = await make.user();
    const { token } = await makeReset(ada.id);
    for (const disabled of [true, false]) await setDisabled(ada.id, disabled).expect(200);
    await reset(token, 'another horse').expect(401);
  });

  it('keeps only a hash of its token, refuses what is weak, and is for operators', async () => {
    const ada = await make.user();
    const { token } = await makeReset(ada.id);
    const [row] = await service.database.query<{ all: string }>(
      `SELECT string_agg(t::text, ' ') AS all FROM password_reset t`,
    );
    expect(row?.all).not.toContain(token);
    expect((await reset(token, 'iloveyou').expect(422)).body.code).toBe('weak-password');
    await reset(token, 'another horse').expect(204);
    await ada.api.post(`/v1/users/${ada.id}/password-resets`).expect(401);
    await (await make.user()).api.post(`/v1/users/${ada.id}/password-resets`).expect(403);
  });
});
