/** @servers any */
import { showId } from '../src/kernel/ids.ts';
import { type Api, readAll, startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { accountsBy, eur, letPass, send, sentId } from './support/transfers.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Api;
let [ada, bob, eve] = [] as unknown as [Person, Person, Person];
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  operator = (await make.operator()).api;
});
beforeEach(async () => {
  [ada, bob, eve] = [await make.user({ balance: 1000 }), await make.user({ balance: 1000 }), await make.user()];
});
afterEach(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
});
afterAll(() => service.close());

const { accountOf, edit } = accountsBy(() => operator);
const pending = { type: 'pending' };
const balances = async (person: Person) => {
  const { balance, pending: coming, available } = await accountOf(person);
  return [balance.amount, coming.amount, available.amount];
};
const houseAccount = async (house: string, currency = 'EUR'): Promise<string> => {
  const [row] = await service.database.query<{ id: string }>(
    'SELECT id FROM account WHERE house = $1::house AND currency = $2',
    [house, currency],
  );
  return showId('acct', row?.id ?? '');
};
const places = (body: { errors: { pointer: string }[] }) => body.errors.map(({ pointer }) => pointer);

describe('accounts', () => {
  it('are opened empty, in any currency there is, with a name', async () => {
    const ada = await make.user();
    const { body, headers } = await ada.api.post('/v1/accounts', { name: 'Savings', currency: 'JPY' }).expect(201);
    expect(body).toEqual({
      object: 'account',
      id: expect.stringMatching(/^acct_/),
      userId: ada.id,
      name: 'Savings',
      currency: 'JPY',
      balance: { amount: 0, currency: 'JPY' },
      pending: { amount: 0, currency: 'JPY' },
      available: { amount: 0, currency: 'JPY' },
      overdraftLimit: { amount: 0, currency: 'JPY' },
      maxBalance: null,
      status: 'active',
      version: 1,
      balanceVersion: 0,
      createdAt: expect.any(String),
    });
    expect(headers['location']).toBe(`/v1/accounts/${body.id}`);
    expect((await ada.api.get(`/v1/accounts/${body.id}`).expect(200)).body).toEqual(body);
    expect((await ada.api.post('/v1/accounts', { currency: 'EUR' }).expect(201)).body.name).toBe('Main');
  });

  it.each([
    [{ currency: 'eur' }, '/currency'],
    [{ currency: 'XXX' }, '/currency'],
    [{}, '/currency'],
    [{ currency: 'EUR', name: '' }, '/name'],
    [{ currency: 'EUR', name: 'x'.repeat(101) }, '/name'],
    [{ currency: 'EUR', balance: 100 }, '/balance'],
    [{ currency: 'EUR', userId: 'usr_01h455vb4pex5vsknk084sn02q' }, '/userId'],
  ])('cannot be opened as %j', async (account, pointer) => {
    const { api } = await make.user();
    const { body } = await api.post('/v1/accounts', account).expect(422);
    expect(places(body)).toEqual([pointer]);
  });

  it('are listed oldest first, page by page, and only one’s own', async () => {
    const [ada, bob] = [await make.user(), await make.user()];
    const own = [ada.accountId];
    for (const name of ['A', 'B', 'C', 'D'])
      own.push((await ada.api.post('/v1/accounts', { name, currency: 'EUR' }).expect(201)).body.id);
    const seen = await readAll(ada.api, '/v1/accounts', 2);
    expect(seen.map(({ id }) => id)).toEqual(own);
    const { body } = await bob.api.get('/v1/accounts').expect(200);
    expect(body.data.map(({ id }: { id: string }) => id)).toEqual([bob.accountId]);
  });

  it('of others are not found, nor are their entries; an operator sees them', async () => {
    const [ada, bob] = [await make.user(), await make.user({ balance: 5 })];
    for (const path of [`/v1/accounts/${bob.accountId}`, `/v1/accounts/${bob.accountId}/entries`]) {
      expect((await ada.api.get(path).expect(404)).body.code).toBe('account-not-found');
      await service.as().get(path).expect(401);
      await operator.get(path).expect(200);
    }
    expect((await ada.api.get(`/v1/accounts/${await houseAccount('cash')}`).expect(404)).body.code).toBe(
      'account-not-found',
    );
  });

  it('of the house are shown to an operator, and belong to nobody', async () => {
    const { body } = await operator.get(`/v1/accounts/${await houseAccount('cash')}`).expect(200);
    expect(body).toMatchObject({ userId: null, name: 'Cash', currency: 'EUR' });
    expect(body.balance.amount).toBeLessThanOrEqual(0);
  });

  it('show their entries newest first, each with the balance it left', async () => {
    const [ada, bob] = [await make.user({ balance: 1000 }), await make.user()];
    for (const amount of [1, 20, 300]) await send(ada, bob, amount).expect(201);
    const { body } = await send(bob, ada, 50).expect(201);

    const first = await ada.api.get(`/v1/accounts/${ada.accountId}/entries?limit=3`).expect(200);
    const second = await ada.api
      .get(`/v1/accounts/${ada.accountId}/entries?limit=3&cursor=${first.body.nextCursor}`)
      .expect(200);
    expect(second.body).toMatchObject({ hasMore: false, nextCursor: null });
    expect(first.body.data[0]).toEqual({
      object: 'entry',
      accountId: ada.accountId,
      seq: 5,
      transferId: body.id,
      amount: eur(50),
      balanceAfter: eur(729),
      createdAt: expect.any(String),
    });
    const entries = [...first.body.data, ...second.body.data];
    expect(entries.map(({ seq, amount, balanceAfter }) => [seq, amount.amount, balanceAfter.amount])).toEqual([
      [5, 50, 729],
      [4, -300, 679],
      [3, -20, 979],
      [2, -1, 999],
      [1, 1000, 1000],
    ]);
  });
});

describe('limits', () => {
  it('let an account go below zero as far as it may', async () => {
    expect((await edit(eve, { overdraftLimit: eur(300) }).expect(200)).body).toMatchObject({
      overdraftLimit: eur(300),
      available: eur(300),
      version: 2,
    });
    await send(eve, bob, 300).expect(201);
    expect((await send(eve, bob, 1).expect(422)).body.code).toBe('insufficient-funds');
    expect(await balances(eve)).toEqual([-300, -300, 0]);
    expect((await edit(eve, { overdraftLimit: eur(299) }).expect(422)).body.code).toBe('insufficient-funds');
  });

  it('keep an account from holding more, also when what was pending is posted', async () => {
    await edit(bob, { maxBalance: eur(1100) }).expect(200);
    const id = await sentId(ada, bob, 60, pending);
    const deposit = { accountId: bob.accountId, amount: eur(101) };
    expect((await operator.post('/v1/deposits', deposit).expect(422)).body.code).toBe('balance-too-large');
    await send(ada, bob, 41).expect(201);
    expect((await operator.post(`/v1/transfers/${id}/post`).expect(422)).body.code).toBe('balance-too-large');
    await ada.api.post(`/v1/transfers/${id}/post`, { amount: eur(59) }).expect(200);
    expect(await balances(bob)).toEqual([1100, 1100, 1100]);
    expect((await edit(bob, { maxBalance: eur(1099) }).expect(422)).body.code).toBe('balance-too-large');
    await edit(bob, { maxBalance: null }).expect(200);
    await send(ada, bob, 1).expect(201);
  });

  it('and freezing are an operator’s; the name is also the owner’s', async () => {
    const path = `/v1/accounts/${ada.accountId}`;
    const { body, headers } = await ada.api.patch(path, { name: 'Rent' }).set('if-match', '"1"').expect(200);
    expect([body.name, body.version, headers['etag']]).toEqual(['Rent', 2, expect.stringMatching(/^"2-/)]);
    for (const patch of [{ overdraftLimit: eur(1) }, { maxBalance: eur(9999) }, { frozen: true, reason: 'Mine' }])
      expect((await ada.api.patch(path, patch).set('if-match', '*').expect(403)).body.code).toBe('not-allowed');
    expect((await bob.api.patch(path, { name: 'Mine' }).set('if-match', '*').expect(404)).body.code).toBe(
      'account-not-found',
    );
    const stale = await ada.api.patch(path, { name: 'Late' }).set('if-match', '"1"').expect(412);
    expect([stale.body.code, stale.headers['etag']]).toEqual(['version-mismatch', '"2"']);
    await ada.api.patch(path, { name: 'Late' }).expect(428);
    const changes = await service.database.query(
      'SELECT version, name, reason FROM account_change WHERE account_id = $1',
      [uuidOf(ada.accountId)],
    );
    expect(changes).toEqual([{ version: 2, name: 'Rent', reason: null }]);
  });

  it('do not belong to accounts of the house', async () => {
    const [cash] = await service.database.query<{ id: string }>(
      `SELECT id FROM account WHERE house = 'cash' AND currency = 'EUR'`,
    );
    const { body } = await operator
      .patch(`/v1/accounts/${showId('acct', cash!.id)}`, { frozen: true, reason: 'Stop' })
      .set('if-match', '*')
      .expect(404);
    expect(body.code).toBe('account-not-found');
  });
});

describe('an account that is frozen', () => {
  it('neither gives nor takes, until it is not', async () => {
    const waiting = await sentId(ada, bob, 10, pending);
    expect((await edit(ada, { frozen: true }).expect(422)).body.errors[0].pointer).toBe('/reason');
    expect((await edit(ada, { frozen: true, reason: 'Suspected' }).expect(200)).body.status).toBe('frozen');
    const refused = await send(ada, bob, 1).expect(409);
    expect(refused.body).toMatchObject({ code: 'account-frozen', errors: [{ pointer: '/fromAccountId' }] });
    expect((await send(bob, ada, 1).expect(409)).body).toMatchObject({
      code: 'cannot-receive',
      errors: [{ pointer: '/toAccountId' }],
    });
    await send(bob, ada, 1, pending).expect(409);
    expect((await ada.api.post(`/v1/transfers/${waiting}/post`).expect(409)).body.code).toBe('account-frozen');
    await operator.post('/v1/deposits', { accountId: ada.accountId, amount: eur(1) }).expect(409);
    await ada.api.post(`/v1/transfers/${waiting}/void`).expect(200);
    expect((await edit(ada, { frozen: false }).expect(200)).body.status).toBe('active');
    await send(ada, bob, 1).expect(201);
  });
});

describe('an account that is closed', () => {
  const close = (who: Api, person: Person, version = '*') =>
    who.post(`/v1/accounts/${person.accountId}/close`, { reason: 'Moved away' }).set('if-match', version);

  it('was empty, is shown, and takes nothing any more', async () => {
    expect((await close(ada.api, ada).expect(409)).body.code).toBe('balance-not-zero');
    await send(ada, eve, 5).expect(201);
    const id = await sentId(eve, bob, 5, pending);
    expect((await close(eve.api, eve).expect(409)).body.code).toBe('pending-transfers');
    await eve.api.post(`/v1/transfers/${id}/post`).expect(200);
    expect((await close(bob.api, eve).expect(404)).body.code).toBe('account-not-found');
    await close(eve.api, eve, '"7"').expect(412);
    const { body } = await close(eve.api, eve, '"1"').expect(200);
    expect(body).toMatchObject({ status: 'closed', version: 2 });
    expect((await send(ada, eve, 1).expect(409)).body.code).toBe('cannot-receive');
    expect((await close(eve.api, eve).expect(409)).body.code).toBe('account-closed');
    expect((await edit(eve, { name: 'Again' }).expect(409)).body.code).toBe('account-closed');
    expect((await eve.api.get(`/v1/accounts/${eve.accountId}`).expect(200)).body.status).toBe('closed');
  });

  it('may have had transfers pending that expired', async () => {
    await sentId(ada, eve, 5, { ...pending, expiresInSeconds: 60 });
    await letPass(service, 61);
    expect((await close(eve.api, eve).expect(200)).body.status).toBe('closed');
  });
});

describe('a balance as of a moment', () => {
  it('is what the newest entry at or before it left', async () => {
    const moments: [string, number][] = [['2020-01-01T00:00:00Z', 0]];
    for (let n = 1; n <= 9; n++) {
      const { body } = await send(ada, bob, n).expect(201);
      moments.push([body.createdAt, (await accountOf(ada)).balance.amount]);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    moments.push(['2100-01-01T00:00:00+01:00', 955]);
    for (const [asOf, amount] of moments) {
      const { body } = await ada.api.get(`/v1/accounts/${ada.accountId}?asOf=${encodeURIComponent(asOf)}`).expect(200);
      expect([asOf, body.balance.amount, body.pending, body.available]).toEqual([asOf, amount, null, null]);
    }
    await ada.api.get(`/v1/accounts/${ada.accountId}?asOf=yesterday`).expect(422);
    await bob.api.get(`/v1/accounts/${ada.accountId}?asOf=2100-01-01T00:00:00Z`).expect(404);
  });
});
