/** @servers any */
import { readAll, startApp, type TestApp } from './support/app.ts';
import { atOnce } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { expectProblem } from './support/problem.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  operator = await make.operator();
});
afterAll(() => service.close());

const logIn = ({ email, password }: Pick<Person, 'email' | 'password'>) =>
  service.as().post('/v1/sessions', { email, password });
const change = (by: Person, id: string, patch: object, etag = '*') =>
  by.api.patch(`/v1/users/${id}/access`, { reason: 'Asked for', ...patch }).set('if-match', etag);
const changesOf = async (id: string) =>
  (await operator.api.get(`/v1/users/${id}/changes`).expect(200)).body.data as Record<string, unknown>[];

describe('sessions', () => {
  it('are listed to who has them, page by page, the present one marked', async () => {
    const [ada, bob] = [await make.user(), await make.user()];
    const ids = [(await logIn(ada).expect(201)).body.id, (await logIn(ada).expect(201)).body.id];
    await logIn(bob).expect(201);
    const sessions = await readAll<{ id: string; isCurrent: boolean }>(ada.api, '/v1/sessions', 1);
    expect(sessions.slice(0, 2).map(({ id }) => id)).toEqual(ids.toReversed());
    expect(sessions.map(({ isCurrent }) => isCurrent)).toEqual([false, false, true]);
    await ada.api.delete(`/v1/sessions/${ids[0]}`).expect(204);
    expect((await readAll(ada.api, '/v1/sessions')).map(({ id }) => id)).not.toContain(ids[0]);
  });

  it('of somebody else are not found and go on, also those of a customer for an operator', async () => {
    const [ada, bob] = [await make.user(), await make.user()];
    const { body } = await logIn(ada).expect(201);
    for (const { api } of [bob, operator])
      expect((await api.delete(`/v1/sessions/${body.id}`).expect(404)).body.code).toBe('session-not-found');
    await service.as(body.accessToken).get('/v1/users/me').expect(200);
  });

  it('end once, whoever ends them first', async () => {
    const ada = await make.user();
    const { id } = (await logIn(ada).expect(201)).body;
    const answers = await atOnce(4, () => ada.api.delete(`/v1/sessions/${id}`));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404, 404]);
  });

  it('but the present one end together', async () => {
    const ada = await make.user();
    for (let n = 0; n < 3; n++) await logIn(ada).expect(201);
    await atOnce(3, () => ada.api.delete('/v1/sessions').expect(204));
    expect(await readAll<{ isCurrent: boolean }>(ada.api, '/v1/sessions')).toEqual([
      expect.objectContaining({ isCurrent: true }),
    ]);
  });

  it('that are begun while the user is disabled, or the password changed, do not survive it', async () => {
    for (const end of [
      (person: Person) => change(operator, person.id, { disabled: true }).expect(200),
      (person: Person) =>
        person.api
          .post('/v1/users/me/password', { currentPassword: person.password, newPassword: 'another horse' })
          .expect(204),
    ]) {
      const person = await make.user();
      await Promise.all([...Array.from({ length: 4 }, () => logIn(person)), end(person)]);
      const [row] = await service.database.query<{ n: number }>(
        'SELECT count(*)::int AS n FROM session WHERE user_id = $1 AND ended_at IS NULL',
        [uuidOf(person.id)],
      );
      expect(row?.n).toBeLessThanOrEqual(1);
    }
  });
});

describe('the access of a user', () => {
  it('is withdrawn and given back, with a row for each change', async () => {
    const ada = await make.user();
    const { body: disabled } = await change(operator, ada.id, { disabled: true, reason: 'Stolen phone' }, '"1"').expect(
      200,
    );
    expect(disabled).toMatchObject({ version: 2, disabledAt: expect.any(String), role: 'customer' });
    const response = await logIn(ada).expect(403);
    expectProblem(response, 'user-disabled');
    expect((await logIn({ ...ada, password: 'another one' }).expect(401)).body.code).toBe('wrong-credentials');
    await service.as().post('/v1/sessions/refresh', { refreshToken: ada.refreshToken }).expect(401);
    const { body: enabled } = await change(operator, ada.id, { disabled: false, role: 'operator' }, '"2"').expect(200);
    expect(enabled).toMatchObject({ version: 3, disabledAt: null, role: 'operator' });
    await logIn(ada).expect(201);
    expect(await changesOf(ada.id)).toEqual(
      [
        { kind: 'enabled', reason: 'Asked for', oldValue: null },
        { kind: 'role', oldValue: 'customer', newValue: 'operator' },
        { kind: 'disabled', reason: 'Stolen phone' },
      ].map((one) => expect.objectContaining({ ...one, byId: operator.id, userId: ada.id })),
    );
  });

  it('is as it was when nothing of it is changed', async () => {
    const ada = await make.user();
    const { body } = await change(operator, ada.id, { role: 'customer', disabled: false }).expect(200);
    expect([body.version, await changesOf(ada.id)]).toEqual([1, []]);
  });

  it('is changed at the version that was seen, once', async () => {
    const ada = await make.user();
    const answers = await atOnce(4, () => change(operator, ada.id, { role: 'operator' }, '"1"'));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412]);
    expect(await changesOf(ada.id)).toHaveLength(1);
  });

  it('is nobody’s own to change, nor a customer’s', async () => {
    const ada = await make.user();
    expect((await change(operator, operator.id, { role: 'customer' }).expect(409)).body.code).toBe('own-access');
    expect((await change(ada, operator.id, { disabled: true }).expect(403)).body.code).toBe('not-allowed');
    const missing = ada.id.replace(/.{4}$/, '0000');
    expect((await change(operator, missing, { disabled: true }).expect(404)).body.code).toBe('user-not-found');
  });

  it('cannot be taken by two operators from each other', async () => {
    const others = [await makers(service).operator(), await makers(service).operator()] as const;
    const answers = await Promise.all([
      change(others[0], others[1].id, { role: 'customer' }),
      change(others[1], others[0].id, { disabled: true }),
    ]);
    const statuses = answers.map(({ status }) => status).sort();
    expect([
      [200, 403],
      [200, 401],
    ]).toContainEqual(statuses);
  });
});

describe('another e-mail address', () => {
  const edit = (by: Person, id: string, patch: object) => by.api.patch(`/v1/users/${id}`, patch).set('if-match', '*');

  it('needs the present password, and the old one is kept for the news', async () => {
    const ada = await make.user();
    const email = `new-${ada.email}`;
    expectProblem(await edit(ada, ada.id, { email }).expect(422), 'password-needed');
    expectProblem(await edit(ada, ada.id, { email, currentPassword: 'another one' }).expect(422), 'wrong-password');
    expect((await ada.api.get('/v1/users/me').expect(200)).body.email).toBe(ada.email);
    await edit(ada, ada.id, { email, currentPassword: ada.password }).expect(200);
    expect(await changesOf(ada.id)).toEqual([
      expect.objectContaining({ kind: 'email', oldValue: ada.email, newValue: email, byId: ada.id }),
    ]);
  });

  it('of somebody else is not found whatever password is given: nobody’s can be tried this way', async () => {
    const [ada, bob] = [await make.user(), await make.user()];
    for (const currentPassword of [ada.password, 'another one'])
      expectProblem(
        await edit(bob, ada.id, { email: `x-${ada.email}`, currentPassword }).expect(404),
        'user-not-found',
      );
    expect(await changesOf(ada.id)).toEqual([]);
  });

  it('is not another one when it is spelled otherwise', async () => {
    const ada = await make.user();
    await edit(ada, ada.id, { email: ada.email.toUpperCase() }).expect(200);
    expect(await changesOf(ada.id)).toEqual([]);
  });

  it('is given by an operator without it, but not to themselves', async () => {
    const [ada, other] = [await make.user(), await makers(service).operator()];
    await edit(other, ada.id, { email: `by-${ada.email}` }).expect(200);
    await edit(other, other.id, { email: `own-${other.email}` }).expect(422);
    expect((await changesOf(ada.id))[0]).toMatchObject({ kind: 'email', byId: other.id });
  });
});
