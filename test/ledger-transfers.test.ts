import { newId, showId } from '../src/kernel/ids.ts';
import { type Api, readAll, startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { accountsBy, between, eur, letPass, send, sentId } from './support/transfers.ts';

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

const { accountOf } = accountsBy(() => operator);
const pending = { type: 'pending' };
const balances = async (person: Person) => {
  const { balance, pending: coming, available } = await accountOf(person);
  return [balance.amount, coming.amount, available.amount];
};
const stored = async (sql: string): Promise<number> =>
  Number((await service.database.query<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`))[0]?.n);

describe('a pending transfer', () => {
  it('reserves the amount on both sides and moves nothing', async () => {
    const { body } = await send(ada, bob, 400, pending).expect(201);
    expect(body).toMatchObject({ type: 'pending', status: 'pending', postedAmount: null, settledAt: null });
    expect(new Date(body.expiresAt).getTime() - new Date(body.createdAt).getTime()).toBeGreaterThan(6.9 * 86_400_000);
    expect(await balances(ada)).toEqual([1000, 600, 600]);
    expect(await balances(bob)).toEqual([1000, 1400, 1000]);
    expect((await send(ada, bob, 601).expect(422)).body.code).toBe('insufficient-funds');
    expect((await ada.api.get(`/v1/transfers/${body.id}`).expect(200)).body).toEqual(body);
  });

  it('is posted in part, once, and the rest is free again', async () => {
    const id = await sentId(ada, bob, 400, pending);
    const { body } = await ada.api.post(`/v1/transfers/${id}/post`, { amount: eur(150) }).expect(200);
    expect(body).toMatchObject({ id, status: 'posted', amount: eur(400), postedAmount: eur(150) });
    expect(body.settledAt).not.toBeNull();
    expect((await bob.api.get(`/v1/transfers/${id}`).expect(200)).body).toEqual(body);
    expect(await balances(ada)).toEqual([850, 850, 850]);
    expect(await balances(bob)).toEqual([1150, 1150, 1150]);
    for (const path of ['post', 'void'])
      expect((await ada.api.post(`/v1/transfers/${id}/${path}`).expect(409)).body.code).toBe('already-posted');
    const entries = (await ada.api.get(`/v1/accounts/${ada.accountId}/entries`).expect(200)).body.data;
    expect(entries[0]).toMatchObject({ transferId: id, amount: eur(-150), balanceAfter: eur(850) });
  });

  it('is posted as a whole, by an operator too, and not beyond its amount', async () => {
    const id = await sentId(ada, bob, 400, pending);
    const refused = await ada.api.post(`/v1/transfers/${id}/post`, { amount: eur(401) }).expect(422);
    expect(refused.body).toMatchObject({ code: 'exceeds-pending', errors: [{ pointer: '/amount/amount' }] });
    await operator.post(`/v1/transfers/${id}/post`).expect(200);
    expect(await balances(bob)).toEqual([1400, 1400, 1400]);
  });

  it('is voided by either side, once', async () => {
    for (const [n, who] of [ada, bob].entries()) {
      const id = await sentId(ada, bob, 400, pending);
      const { body } = await who.api.post(`/v1/transfers/${id}/void`).expect(200);
      expect(body).toMatchObject({ status: 'voided', postedAmount: null });
      for (const path of ['post', 'void'])
        expect((await ada.api.post(`/v1/transfers/${id}/${path}`).expect(409)).body.code).toBe('already-voided');
      expect(await balances(ada)).toEqual([1000, 1000, 1000]);
      expect(await stored(`settlement WHERE outcome = 'voided'`)).toBeGreaterThan(n);
    }
  });

  it('is posted by nobody on the other side, and touched by no stranger', async () => {
    const id = await sentId(ada, bob, 400, pending);
    expect((await bob.api.post(`/v1/transfers/${id}/post`).expect(404)).body.code).toBe('transfer-not-found');
    for (const path of ['post', 'void', 'reversals'])
      expect((await eve.api.post(`/v1/transfers/${id}/${path}`).expect(404)).body.code).toBe('transfer-not-found');
    expect(await balances(ada)).toEqual([1000, 600, 600]);
  });

  it('that has expired is over for everybody, and gives the room to whoever needs it', async () => {
    const id = await sentId(ada, bob, 400, { ...pending, expiresInSeconds: 60 });
    const other = await sentId(ada, bob, 500, { ...pending, expiresInSeconds: 3600 });
    await letPass(service, 61);
    expect((await ada.api.get(`/v1/transfers/${id}`).expect(200)).body).toMatchObject({
      status: 'expired',
      settledAt: null,
    });
    expect(await balances(ada)).toEqual([1000, 500, 500]);
    expect(await balances(bob)).toEqual([1000, 1500, 1000]);
    const { balanceVersion } = await accountOf(ada);
    for (const path of ['post', 'void'])
      expect((await ada.api.post(`/v1/transfers/${id}/${path}`).expect(409)).body.code).toBe('expired');
    expect(await stored(`settlement WHERE transfer_id = '${uuidOf(id)}'`)).toBe(0);

    // More than is free without it; and its room counts for a condition, whose version is that of before.
    const conditions = { from: { ifVersion: balanceVersion, ifAvailableAtLeast: eur(500) } };
    await send(ada, eve, 500, { conditions }).expect(201);
    expect(await balances(ada)).toEqual([500, 0, 0]);
    expect(await balances(bob)).toEqual([1000, 1500, 1000]);
    // Its rows are left to the sweep: they count on this account no more, and on the other one not until it needs the room.
    expect(await stored(`reservation WHERE transfer_id = '${uuidOf(id)}'`)).toBe(2);
    await ada.api.post(`/v1/transfers/${other}/post`).expect(200);
  });

  it('gives back the room of many at once', async () => {
    const many = Array.from({ length: 250 }, () => between(ada, bob, 4, { ...pending, expiresInSeconds: 60 }));
    await ada.api.post('/v1/transfers/batch', { mode: 'atomic', transfers: many }).expect(201);
    expect(await balances(ada)).toEqual([1000, 0, 0]);
    await letPass(service, 61);
    expect(await balances(ada)).toEqual([1000, 1000, 1000]);
    await send(ada, eve, 1000).expect(201);
    expect(await balances(ada)).toEqual([0, 0, 0]);
  });

  it.each([
    [{ type: 'pending', expiresInSeconds: 0 }, '/expiresInSeconds'],
    [{ type: 'pending', expiresInSeconds: 30 * 86_400 + 1 }, '/expiresInSeconds'],
    [{ type: 'later' }, '/type'],
    [{ id: 'tr_01h455vb4pex5vsknk084sn0' }, '/id'],
    [{ id: showId('tr', '01890a5d-ac96-474b-bcce-b302099a8057') }, '/id'],
    [{ conditions: { from: { ifVersion: -1 } } }, '/conditions/from/ifVersion'],
  ])('or another cannot be made with %j', async (more, pointer) => {
    const { body } = await send(ada, bob, 1, more).expect(422);
    expect([body.code, body.errors[0].pointer]).toEqual(['validation-failed', pointer]);
  });
});

describe('the client’s own id', () => {
  it('names one transfer, whoever sends it again', async () => {
    const id = showId('tr', newId());
    expect((await send(ada, bob, 5, { id }).expect(201)).body.id).toBe(id);
    for (const who of [ada, bob])
      expect((await send(who, eve, 7, { id }).expect(409)).body.code).toBe('transfer-exists');
    // To whoever may not see that transfer there is none, as when they ask for it.
    const hidden = await eve.api.get(`/v1/transfers/${id}`).expect(404);
    const refused = await send(eve, bob, 1, { id }).expect(404);
    expect([refused.body.code, refused.body.errors]).toEqual([
      hidden.body.code,
      [{ pointer: '/id', code: hidden.body.code }],
    ]);
    expect(await balances(ada)).toEqual([995, 995, 995]);
  });
});

describe('conditions', () => {
  it('hold a transfer back unless the account is as was seen', async () => {
    const { balanceVersion } = await accountOf(ada);
    await send(ada, bob, 1, { conditions: { from: { ifVersion: balanceVersion } } }).expect(201);
    const stale = await send(ada, bob, 1, { conditions: { from: { ifVersion: balanceVersion } } }).expect(409);
    expect(stale.body).toMatchObject({
      code: 'condition-not-met',
      errors: [{ pointer: '/conditions/from/ifVersion', code: 'condition-not-met' }],
    });
    await send(ada, bob, 1, { conditions: { from: { ifAvailableAtLeast: eur(1000) } } }).expect(409);
    await send(ada, bob, 1, { conditions: { from: { ifAvailableAtLeast: eur(999) } } }).expect(201);
  });

  it('tell nobody about the account of somebody else', async () => {
    for (const path of ['/v1/transfers', '/v1/transfers/preview']) {
      const body = between(ada, bob, 1, { conditions: { to: { ifAvailableAtLeast: eur(0) } } });
      const refused = await ada.api.post(path, body).expect(404);
      expect(refused.body).toMatchObject({ code: 'account-not-found', errors: [{ pointer: '/conditions/to' }] });
    }
  });
});

describe('reversals', () => {
  it('move back what was received, in parts, and never more', async () => {
    const id = await sentId(ada, bob, 400);
    const first = await bob.api
      .post(`/v1/transfers/${id}/reversals`, { amount: eur(150), note: 'Too much' })
      .expect(201);
    expect(first.body).toMatchObject({
      kind: 'reversal',
      fromAccountId: bob.accountId,
      toAccountId: ada.accountId,
      amount: eur(150),
      note: 'Too much',
      reversal: { reversesId: id, seq: 1, reversedTotal: eur(150) },
    });
    expect(first.headers['location']).toBe(`/v1/transfers/${first.body.id}`);
    expect((await ada.api.get(`/v1/transfers/${first.body.id}`).expect(200)).body).toEqual(first.body);
    const refused = await bob.api.post(`/v1/transfers/${id}/reversals`, { amount: eur(251) }).expect(422);
    expect(refused.body.code).toBe('exceeds-remaining');
    const rest = await operator.post(`/v1/transfers/${id}/reversals`).expect(201);
    expect(rest.body.reversal).toEqual({ reversesId: id, seq: 2, reversedTotal: eur(400) });
    expect((await bob.api.post(`/v1/transfers/${id}/reversals`).expect(422)).body.code).toBe('exceeds-remaining');
    expect(await balances(ada)).toEqual([1000, 1000, 1000]);
  });

  it('of what was posted of a pending one, once it is', async () => {
    const id = await sentId(ada, bob, 400, pending);
    expect((await bob.api.post(`/v1/transfers/${id}/reversals`).expect(409)).body.code).toBe('not-posted');
    await ada.api.post(`/v1/transfers/${id}/post`, { amount: eur(100) }).expect(200);
    const { body } = await bob.api.post(`/v1/transfers/${id}/reversals`).expect(201);
    expect(body.amount).toEqual(eur(100));
  });

  it('are for the receiver, within what the receiver has, and not for every kind', async () => {
    const id = await sentId(ada, eve, 400);
    expect((await ada.api.post(`/v1/transfers/${id}/reversals`).expect(404)).body.code).toBe('transfer-not-found');
    await send(eve, bob, 1).expect(201);
    expect((await eve.api.post(`/v1/transfers/${id}/reversals`).expect(422)).body.code).toBe('insufficient-funds');
    const back = await eve.api.post(`/v1/transfers/${id}/reversals`, { amount: eur(399) }).expect(201);
    expect((await ada.api.post(`/v1/transfers/${back.body.id}/reversals`).expect(409)).body.code).toBe(
      'not-reversible',
    );

    const deposit = await operator.post('/v1/deposits', { accountId: ada.accountId, amount: eur(50) }).expect(201);
    expect((await ada.api.post(`/v1/transfers/${deposit.body.id}/reversals`).expect(409)).body.code).toBe(
      'not-reversible',
    );
    await operator.post(`/v1/transfers/${deposit.body.id}/reversals`).expect(201);
    expect(await balances(ada)).toEqual([999, 999, 999]);
  });
});

describe('a batch', () => {
  const batch = (mode: string, transfers: object[]) => ada.api.post('/v1/transfers/batch', { mode, transfers });

  it('that is atomic is made as a whole, each after those before it', async () => {
    const { body } = await batch('atomic', [between(ada, eve, 1000), between(ada, bob, 1, pending)]).expect(422);
    expect(body).toMatchObject({
      code: 'insufficient-funds',
      errors: [{ pointer: '/transfers/1', code: 'insufficient-funds' }],
    });
    expect(await balances(eve)).toEqual([0, 0, 0]);

    const done = await batch('atomic', [
      between(ada, eve, 600),
      between(ada, bob, 300, pending),
      between(ada, bob, 100),
    ]).expect(201);
    expect(done.body).toMatchObject({ object: 'transfer_batch', mode: 'atomic' });
    expect(done.body.data.map((one: never) => [one['transfer']['status'], one['refusal']])).toEqual([
      ['posted', null],
      ['pending', null],
      ['posted', null],
    ]);
    expect(await balances(ada)).toEqual([300, 0, 0]);
    const { data } = (await ada.api.get(`/v1/accounts/${ada.accountId}/entries?limit=2`).expect(200)).body;
    expect(data.map(({ seq, balanceAfter }: never) => [seq, balanceAfter['amount']])).toEqual([
      [3, 300],
      [2, 400],
    ]);
  });

  it('that is partial makes what may be made and says of the others why not', async () => {
    const id = showId('tr', newId());
    const nobodys = 'acct_01h455vb4pex5vsknk084sn02q';
    const { body } = await batch('partial', [
      between(ada, eve, 1001),
      between(ada, eve, 999, { id }),
      between(bob, eve, 1),
      { ...between(ada, bob, 1), toAccountId: nobodys },
      between(ada, bob, 1, { id }),
      between(ada, bob, 1),
      between(ada, bob, 1),
    ]).expect(207);
    expect(body.data.map((one: never) => one['refusal']?.['code'] ?? one['transfer']['status'])).toEqual([
      'insufficient-funds',
      'posted',
      'account-not-found',
      'cannot-receive',
      'transfer-exists',
      'posted',
      'insufficient-funds',
    ]);
    expect(body.data[3].refusal.errors).toEqual([{ pointer: '/transfers/3/toAccountId', code: 'cannot-receive' }]);
    expect(body.data[4].refusal.errors).toEqual([{ pointer: '/transfers/4', code: 'transfer-exists' }]);
    expect((await ada.api.get(`/v1/transfers/${id}`).expect(200)).body).toEqual(body.data[1].transfer);
    expect(await balances(ada)).toEqual([0, 0, 0]);
  });

  it('may be refused in every part, and stores nothing then', async () => {
    const before = await stored('transfer');
    await batch('partial', [between(ada, eve, 1001), between(bob, eve, 1)]).expect(207);
    expect(await stored('transfer')).toBe(before);
  });

  it('takes a thousand and not one more', async () => {
    const transfers = Array.from({ length: 1001 }, () => between(ada, eve, 1));
    expect((await batch('atomic', transfers).expect(422)).body.code).toBe('batch-too-large');
    const { body } = await batch('atomic', transfers.slice(1)).expect(201);
    expect(body.data).toHaveLength(1000);
    expect(await balances(eve)).toEqual([1000, 1000, 1000]);
    await batch('atomic', []).expect(422);
  });
});

describe('a preview', () => {
  it('says what would come of it, and stores nothing', async () => {
    const before = await stored('transfer');
    const id = showId('tr', newId());
    const { body } = await ada.api.post('/v1/transfers/preview', between(ada, bob, 400, { id })).expect(200);
    expect(body).toMatchObject({
      object: 'transfer_preview',
      transfer: { id, status: 'posted', amount: eur(400) },
      from: { id: ada.accountId, balance: eur(600), available: eur(600) },
      to: null,
    });
    expect(await stored('transfer')).toBe(before);
    expect(await balances(ada)).toEqual([1000, 1000, 1000]);
    await send(ada, bob, 400, { id }).expect(201);
    const refused = await ada.api.post('/v1/transfers/preview', between(ada, bob, 601)).expect(422);
    expect(refused.body.code).toBe('insufficient-funds');
  });
});

describe('the list of transfers', () => {
  it('shows one’s own, newest first, by account and by what became of them', async () => {
    const other = (await ada.api.post('/v1/accounts', { currency: 'EUR' }).expect(201)).body.id;
    const direct = await sentId(ada, bob, 1);
    const waiting = await sentId(ada, bob, 2, pending);
    const voided = await sentId(bob, ada, 3, pending);
    await bob.api.post(`/v1/transfers/${voided}/void`).expect(200);
    const own = (await ada.api.post('/v1/transfers', { ...between(ada, bob, 4), toAccountId: other }).expect(201)).body
      .id;
    const expired = await sentId(ada, bob, 5, { ...pending, expiresInSeconds: 60 });
    await send(bob, eve, 6).expect(201);
    await letPass(service, 61);
    const ids = async (query: string, api = ada.api) =>
      (await readAll(api, `/v1/transfers${query}`, 2)).map(({ id }) => id);
    const [deposit] = (await ids('')).slice(-1);
    expect(await ids('')).toEqual([expired, own, voided, waiting, direct, deposit]);
    expect(await ids(`?accountId=${other}`)).toEqual([own]);
    expect(await ids(`?accountId=${bob.accountId}`)).toEqual([]);
    expect(await ids('?status=pending')).toEqual([waiting]);
    expect(await ids('?status=expired')).toEqual([expired]);
    expect(await ids('?status=voided')).toEqual([voided]);
    expect(await ids('?status=posted')).toEqual([own, direct, deposit]);
    expect(await ids(`?accountId=${other}`, operator)).toEqual([own]);
    expect(await ids('', eve.api)).toHaveLength(1);
  });
});
