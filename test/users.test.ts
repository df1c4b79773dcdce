/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import { TransactionKit } from '../src/testing/testing.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, uuidOf } from './support/make.ts';
import { rolledBack } from './support/rolled-back.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
const kit = new TransactionKit(() => service.app);
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  // Everybody's, and so not of the first test that asks for it.
  await make.operator();
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const newUser = (email: string, changes: object = {}) => ({
  email,
  password: 'correct horse battery',
  profile: { displayName: 'Ada' },
  ...changes,
});
const countOf = async (table: string): Promise<number> => {
  const [row] = await kit.query<{ n: number }>(`SELECT count(*)::int AS n FROM "${table}"`);
  return row?.n ?? -1;
};
const secrets = /password|\$argon2|hash|correct horse/i;

describe('signing up', () => {
  rolledBack(kit);

  it('makes a user with a profile and an empty first account, and says where it is and which version', async () => {
    const profile = { displayName: 'Ada Lovelace', locale: 'en-GB' };
    const { body, headers } = await service
      .as()
      .post('/v1/users', newUser('ada@example.com', { profile, currency: 'CHF' }))
      .expect(201);

    expect(body).toMatchObject({ object: 'user', email: 'ada@example.com', role: 'customer', profile, version: 1 });
    expect(body.id).toMatch(/^usr_[0-9a-hjkmnp-tv-z]{26}$/);
    expect(headers['location']).toBe(`/v1/users/${body.id}`);
    expect(headers['etag']).toMatch(/^"1-[\w-]{16}"$/);
    expect(new Date(body.createdAt).toISOString()).toBe(body.createdAt);
    expect(body.accounts).toEqual([{ id: expect.stringMatching(/^acct_/), currency: 'CHF' }]);
    const [account] = await kit.query(`SELECT name, currency, balance, entry_count FROM account WHERE user_id = $1`, [
      uuidOf(body.id),
    ]);
    expect(account).toEqual({ name: 'Main', currency: 'CHF', balance: '0', entry_count: 0 });
  });

  it('opens the first account in euro and leaves the locale open when nothing is said', async () => {
    const { body } = await service.as().post('/v1/users', newUser('plain@example.com')).expect(201);
    expect(body.accounts[0].currency).toBe('EUR');
    expect(body.profile).toEqual({ displayName: 'Ada', locale: null });
  });

  it('keeps the e-mail address in lower case and without the spaces around it', async () => {
    const { body } = await service.as().post('/v1/users', newUser('  Grace.Hopper@Example.COM ')).expect(201);
    expect(body.email).toBe('grace.hopper@example.com');
  });

  it('with an address that is taken is refused, also in capitals, and leaves nothing behind', async () => {
    await service.as().post('/v1/users', newUser('taken@example.com')).expect(201);
    const before = [await countOf('user'), await countOf('profile'), await countOf('account')];
    for (const email of ['taken@example.com', 'TAKEN@Example.com']) {
      const { body } = await service.as().post('/v1/users', newUser(email)).expect(409);
      expect(body).toMatchObject({ code: 'email-taken', retryable: false });
    }
    expect([await countOf('user'), await countOf('profile'), await countOf('account')]).toEqual(before);
  });

  it('makes customers only: a role of one’s own choice is refused', async () => {
    const { body } = await service
      .as()
      .post('/v1/users', newUser('boss@example.com', { role: 'operator' }))
      .expect(422);
    expect(body.errors).toEqual([expect.objectContaining({ pointer: '/role', code: 'unknown-member' })]);
  });

  it.each([
    ['an address without @', { email: 'ada.example.com' }, '/email'],
    ['an empty address', { email: '' }, '/email'],
    ['an address with a NUL', { email: 'a\0b@example.com' }, '/email'],
    ['an address of 255 characters', { email: `${'a'.repeat(243)}@example.com` }, '/email'],
    ['a password of 7 characters', { password: 'sevench' }, '/password'],
    ['a password of 201 characters', { password: 'x'.repeat(201) }, '/password'],
    ['no name', { profile: { displayName: '' } }, '/profile/displayName'],
    ['no profile', { profile: undefined }, '/profile'],
    ['a currency that is none', { currency: 'XXX' }, '/currency'],
  ])('with %s is refused with a pointer to it', async (_, changes, pointer) => {
    const { body } = await service.as().post('/v1/users', newUser('valid@example.com', changes)).expect(422);
    expect(body).toMatchObject({ code: 'validation-failed' });
    expect(body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([pointer]);
  });
});

describe('reading users', () => {
  rolledBack(kit);

  it('shows a person itself, by name of me and by id, with the ETag', async () => {
    const ada = await make.user();
    const me = await ada.api.get('/v1/users/me').expect(200);
    const byId = await ada.api.get(`/v1/users/${ada.id}`).expect(200);
    expect(me.body).toEqual(byId.body);
    expect(me.body).toMatchObject({ id: ada.id, email: ada.email });
    expect(me.headers['etag']).toMatch(/^"1-[\w-]{16}"$/);
    expect(byId.headers['etag']).toBe(me.headers['etag']);
  });

  it('shows nobody else: somebody else’s id is answered as one that does not exist', async () => {
    const [ada, bob] = [await make.user(), await make.user()];
    const theirs = await ada.api.get(`/v1/users/${bob.id}`).expect(404);
    const nobodys = await ada.api.get('/v1/users/usr_01h455vb4pex5vsknk084sn02q').expect(404);
    const { requestId: _, instance: __, ...answer } = theirs.body;
    expect(nobodys.body).toMatchObject(answer);
    expect(answer.code).toBe('user-not-found');
  });

  it('shows everybody to an operator', async () => {
    const [operator, ada] = [await make.operator(), await make.user()];
    const { body } = await operator.api.get(`/v1/users/${ada.id}`).expect(200);
    expect(body.email).toBe(ada.email);
    expect((await operator.api.get('/v1/users/me').expect(200)).body).toMatchObject({ role: 'operator', accounts: [] });
  });

  it('needs a token', async () => {
    const { body, headers } = await service.as().get('/v1/users/me').expect(401);
    expect(body.code).toBe('token-missing');
    expect(headers['www-authenticate']).toBe('Bearer');
  });

  it('never shows a password or its hash, nor does any other answer about users', async () => {
    const [operator, ada] = [await make.operator(), await make.user()];
    const answers = [
      await service.as().post('/v1/users', newUser('nosecrets@example.com')),
      await service.as().post('/v1/users', newUser('nosecrets@example.com')),
      await ada.api.get('/v1/users/me'),
      await operator.api.get(`/v1/users/${ada.id}`),
      await ada.api.patch(`/v1/users/${ada.id}`, { profile: { displayName: 'A' } }).set('if-match', '*'),
      await service.as().post('/v1/sessions', { email: ada.email, password: ada.password }),
      await service.as().post('/v1/sessions', { email: ada.email, password: 'another one' }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 409, 200, 200, 200, 201, 401]);
    for (const { body } of answers) {
      const { detail: _, ...rest } = body;
      expect(JSON.stringify(rest)).not.toMatch(secrets);
    }
  });
});

describe('editing a user', () => {
  rolledBack(kit);

  it('changes what is named, keeps the rest, and counts the version up', async () => {
    const ada = await make.user();
    const { body: before } = await ada.api.get('/v1/users/me').expect(200);
    await sleep(2);
    const email = 'New.Address@example.com';
    const patch = { email, currentPassword: ada.password, profile: { locale: 'de' } };
    const { body, headers } = await ada.api.patch(`/v1/users/${ada.id}`, patch).set('if-match', '"1"').expect(200);
    expect(body).toEqual({
      ...before,
      email: 'new.address@example.com',
      profile: { displayName: 'User', locale: 'de' },
      version: 2,
      updatedAt: body.updatedAt,
    });
    expect(body.updatedAt > before.updatedAt).toBe(true);
    expect(headers['etag']).toMatch(/^"2-[\w-]{16}"$/);
    expect((await ada.api.get('/v1/users/me').expect(200)).body).toEqual(body);
    await service.as().post('/v1/sessions', { email: 'new.address@example.com', password: ada.password }).expect(201);
  });

  it('needs If-Match', async () => {
    const ada = await make.user();
    const { body } = await ada.api.patch(`/v1/users/${ada.id}`, { profile: {} }).expect(428);
    expect(body.code).toBe('precondition-required');
  });

  it('of a version that is not the newest is refused and changes nothing', async () => {
    const ada = await make.user();
    await ada.api
      .patch(`/v1/users/${ada.id}`, { profile: { displayName: 'Second' } })
      .set('if-match', '"1"')
      .expect(200);
    const { body: before } = await ada.api.get('/v1/users/me').expect(200);
    for (const etag of ['"1"', '"3"', '"999999999"']) {
      const { body } = await ada.api
        .patch(`/v1/users/${ada.id}`, {
          email: 'lost@example.com',
          currentPassword: ada.password,
          profile: { displayName: 'Lost' },
        })
        .set('if-match', etag)
        .expect('etag', '"2"')
        .expect(412);
      expect(body).toMatchObject({ code: 'version-mismatch', retryable: false });
    }
    expect((await ada.api.get('/v1/users/me').expect(200)).body).toEqual(before);
  });

  it.each(['1', '"1', '"1" "2"', '*, "1"', '**', '"a b"'])('with the malformed ETag %s is refused', async (etag) => {
    const ada = await make.user();
    const { body } = await ada.api.patch(`/v1/users/${ada.id}`, { profile: {} }).set('if-match', etag).expect(400);
    expect(body.code).toBe('malformed-if-match');
  });

  it('with If-Match: * overwrites whatever is there', async () => {
    const ada = await make.user();
    for (const version of [2, 3]) {
      const { body } = await ada.api
        .patch(`/v1/users/${ada.id}`, { profile: { displayName: `At ${version}` } })
        .set('if-match', '*')
        .expect(200);
      expect(body).toMatchObject({ version, profile: { displayName: `At ${version}` } });
    }
  });

  it('to an address that is taken is refused and changes nothing', async () => {
    const [ada, bob] = [await make.user(), await make.user()];
    const { body: before } = await ada.api.get('/v1/users/me').expect(200);
    const { body } = await ada.api
      .patch(`/v1/users/${ada.id}`, {
        email: bob.email.toUpperCase(),
        currentPassword: ada.password,
        profile: { displayName: 'Bob' },
      })
      .set('if-match', '"1"')
      .expect(409);
    expect(body.code).toBe('email-taken');
    expect((await ada.api.get('/v1/users/me').expect(200)).body).toEqual(before);
  });

  it('can take the locale away', async () => {
    const ada = await make.user();
    const edit = (locale: string | null) =>
      ada.api.patch(`/v1/users/${ada.id}`, { profile: { locale } }).set('if-match', '*').expect(200);
    expect((await edit('sv')).body.profile).toEqual({ displayName: 'User', locale: 'sv' });
    expect((await edit(null)).body.profile).toEqual({ displayName: 'User', locale: null });
  });

  it('of somebody else is refused as not found and changes nothing, except by an operator', async () => {
    const [ada, bob, operator] = [await make.user(), await make.user(), await make.operator()];
    const edit = { profile: { displayName: 'Changed' } };
    const { body } = await ada.api.patch(`/v1/users/${bob.id}`, edit).set('if-match', '*').expect(404);
    expect(body.code).toBe('user-not-found');
    expect((await bob.api.get('/v1/users/me').expect(200)).body).toMatchObject({ version: 1 });
    await operator.api.patch(`/v1/users/${bob.id}`, edit).set('if-match', '"1"').expect(200);
    expect((await bob.api.get('/v1/users/me').expect(200)).body).toMatchObject({ version: 2, ...edit });
  });

  it.each(['role', 'version', 'passwordHash', 'id', 'password'])('does not reach %s', async (member) => {
    const ada = await make.user();
    const { body } = await ada.api
      .patch(`/v1/users/${ada.id}`, { [member]: 'operator' })
      .set('if-match', '*')
      .expect(422);
    expect(body.errors).toEqual([expect.objectContaining({ pointer: `/${member}`, code: 'unknown-member' })]);
  });
});

// On connections of their own: one after the other they would not race.
describe('at the same moment', () => {
  it('several who sign up with one address: exactly one of them is let in', async () => {
    const emails = ['race@example.com', 'RACE@example.com', 'Race@example.com', 'race@EXAMPLE.com'];
    const answers = await Promise.all(emails.map((email) => service.as().post('/v1/users', newUser(email))));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
    const rows = await service.database.query(
      `SELECT p.user_id, a.id FROM "user" u JOIN profile p ON p.user_id = u.id JOIN account a ON a.user_id = u.id WHERE email = $1`,
      ['race@example.com'],
    );
    expect(rows).toHaveLength(1);
  });

  it('several edits with one ETag: one is done, and the others are told', async () => {
    const ada = await make.user();
    const answers = await Promise.all(
      ['A', 'B', 'C', 'D'].map((displayName) =>
        ada.api.patch(`/v1/users/${ada.id}`, { profile: { displayName } }).set('if-match', '"1"'),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412]);
    const winner = answers.find(({ status }) => status === 200);
    expect((await ada.api.get('/v1/users/me').expect(200)).body).toEqual(winner?.body);
    expect(winner?.body.version).toBe(2);
  });
});
