import { showId } from '../src/kernel/ids.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, type Person } from './support/make.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const largest = Number.MAX_SAFE_INTEGER;
const eur = (amount: unknown) => ({ amount, currency: 'EUR' });
const nobodys = 'acct_01h455vb4pex5vsknk084sn02q';
const transferOf = (from: Person | string, to: Person | string, amount: object) => ({
  fromAccountId: typeof from === 'string' ? from : from.accountId,
  toAccountId: typeof to === 'string' ? to : to.accountId,
  amount,
});
const houseAccount = async (house: string, currency = 'EUR'): Promise<string> => {
  const [row] = await service.database.query<{ id: string }>(
    'SELECT id FROM account WHERE house = $1::house AND currency = $2',
    [house, currency],
  );
  return showId('acct', row?.id ?? '');
};
const movements = async (): Promise<unknown> =>
  (
    await service.database.query(
      'SELECT (SELECT count(*) FROM transfer) AS transfers, (SELECT count(*) FROM entry) AS entries, (SELECT sum(abs(balance)) FROM account) AS money',
    )
  )[0];
const places = (body: { errors: { pointer: string }[] }) => body.errors.map(({ pointer }) => pointer);

describe('deposits', () => {
  it('are made by operators, from the cash of the house, and show in the account', async () => {
    const [ada, operator] = [await make.user(), await make.operator()];
    const cash = await houseAccount('cash');
    const cashBefore = (await operator.api.get(`/v1/accounts/${cash}`).expect(200)).body.balance.amount;
    const { body, headers } = await operator.api
      .post('/v1/deposits', { accountId: ada.accountId, amount: eur(500), note: 'Paid in at the desk' })
      .expect(201);
    expect(body).toEqual({
      object: 'transfer',
      id: expect.stringMatching(/^tr_/),
      kind: 'deposit',
      type: 'direct',
      status: 'posted',
      fromAccountId: cash,
      toAccountId: ada.accountId,
      amount: eur(500),
      postedAmount: eur(500),
      expiresAt: null,
      settledAt: null,
      reversal: null,
      note: 'Paid in at the desk',
      createdAt: expect.any(String),
    });
    expect(headers['location']).toBe(`/v1/transfers/${body.id}`);
    expect((await ada.api.get(`/v1/transfers/${body.id}`).expect(200)).body).toEqual(body);
    expect(await make.balanceOf(ada)).toBe(500);
    const { body: after } = await operator.api.get(`/v1/accounts/${cash}`).expect(200);
    expect(after.balance.amount).toBe(cashBefore - 500);
  });

  it('are refused to customers and to nobody in particular', async () => {
    const ada = await make.user();
    const deposit = { accountId: ada.accountId, amount: eur(1_000_000) };
    expect((await ada.api.post('/v1/deposits', deposit).expect(403)).body.code).toBe('not-allowed');
    expect((await service.as().post('/v1/deposits', deposit).expect(401)).body.code).toBe('token-missing');
    expect(await make.balanceOf(ada)).toBe(0);
  });

  it('into an account of the house, or one that is not there, are not found', async () => {
    const { api } = await make.operator();
    const before = await movements();
    for (const accountId of [await houseAccount('cash'), await houseAccount('sales'), nobodys]) {
      const { body } = await api.post('/v1/deposits', { accountId, amount: eur(1) }).expect(404);
      expect(body).toMatchObject({ code: 'account-not-found', errors: [{ pointer: '/accountId' }] });
    }
    expect(await movements()).toEqual(before);
  });

  it('in another currency than the account’s are refused', async () => {
    const [ada, { api }] = [await make.user({ currency: 'CHF' }), await make.operator()];
    const { body } = await api.post('/v1/deposits', { accountId: ada.accountId, amount: eur(1) }).expect(422);
    expect(body.code).toBe('currency-mismatch');
    expect(await make.balanceOf(ada)).toBe(0);
  });

  it('may reach 2^53 - 1 minor units together and not one more', async () => {
    const [ada, bob] = [await make.user({ currency: 'SEK' }), await make.user({ currency: 'SEK' })];
    const { api } = await make.operator();
    await make.deposit(ada.accountId, largest - 1, 'SEK');
    await make.deposit(ada.accountId, 1, 'SEK');
    expect(await make.balanceOf(ada)).toBe(largest);
    for (const { accountId } of [ada, bob]) {
      const { body } = await api
        .post('/v1/deposits', { accountId, amount: { amount: 1, currency: 'SEK' } })
        .expect(422);
      expect(body.code).toBe('balance-too-large');
    }
    expect(await make.balanceOf(ada)).toBe(largest);
    const { body } = await api.get(`/v1/accounts/${await houseAccount('cash', 'SEK')}`).expect(200);
    expect(body.balance).toEqual({ amount: -largest, currency: 'SEK' });
    await ada.api.post('/v1/transfers', transferOf(ada, bob, { amount: largest, currency: 'SEK' })).expect(201);
    expect([await make.balanceOf(ada), await make.balanceOf(bob)]).toEqual([0, largest]);
  });
});

describe('transfers', () => {
  it('Alice and Bob have 100 each: the first transfer of 100 passes, the second is refused and nothing moves', async () => {
    const [alice, bob] = [await make.user({ balance: 100 }), await make.user({ balance: 100 })];
    const transfer = {
      fromAccountId: alice.accountId,
      toAccountId: bob.accountId,
      amount: { amount: 100, currency: 'EUR' },
    };

    const first = await alice.api.post('/v1/transfers', transfer).expect(201);
    expect(first.body).toMatchObject({ object: 'transfer', kind: 'transfer', ...transfer });
    expect(first.headers['location']).toBe(`/v1/transfers/${first.body.id}`);

    const second = await alice.api.post('/v1/transfers', transfer).expect(422);
    expect(second.body).toMatchObject({ code: 'insufficient-funds', status: 422, retryable: false });
    expect(await make.balanceOf(alice)).toBe(0);
    expect(await make.balanceOf(bob)).toBe(200);
    const { body } = await alice.api.get(`/v1/accounts/${alice.accountId}/entries`).expect(200);
    expect(body.data.map(({ amount, balanceAfter }: never) => [amount['amount'], balanceAfter['amount']])).toEqual([
      [-100, 0],
      [100, 100],
    ]);
  });

  it.each([
    ['from an account to itself', async (ada: Person) => transferOf(ada, ada, eur(1)), 422, 'same-account', undefined],
    [
      'to an account in another currency',
      async (ada: Person) => transferOf(ada, await make.user({ currency: 'USD' }), eur(1)),
      409,
      'cannot-receive',
      ['/toAccountId'],
    ],
    [
      'of another currency than both accounts have',
      async (ada: Person) => transferOf(ada, await make.user(), { amount: 1, currency: 'JPY' }),
      422,
      'currency-mismatch',
      undefined,
    ],
    [
      'of more than there is',
      async (ada: Person) => transferOf(ada, await make.user(), eur(101)),
      422,
      'insufficient-funds',
      undefined,
    ],
    [
      'from somebody else’s account',
      async (ada: Person) => transferOf(await make.user({ balance: 100 }), ada, eur(1)),
      404,
      'account-not-found',
      ['/fromAccountId'],
    ],
    [
      'from the cash of the house',
      async (ada: Person) => transferOf(await houseAccount('cash'), ada, eur(1)),
      404,
      'account-not-found',
      ['/fromAccountId'],
    ],
    [
      'from an account that is not there',
      async (ada: Person) => transferOf(nobodys, ada, eur(1)),
      404,
      'account-not-found',
      ['/fromAccountId'],
    ],
    [
      'to an account that is not there',
      async (ada: Person) => transferOf(ada, nobodys, eur(1)),
      409,
      'cannot-receive',
      ['/toAccountId'],
    ],
    [
      'to the sales of the house',
      async (ada: Person) => transferOf(ada, await houseAccount('sales'), eur(1)),
      409,
      'cannot-receive',
      ['/toAccountId'],
    ],
  ])('%s are refused and nothing moves', async (_, transferOfAda, status, code, pointers) => {
    const ada = await make.user({ balance: 100 });
    const transfer = await transferOfAda(ada);
    const before = await movements();
    const { body } = await ada.api.post('/v1/transfers', transfer).expect(status);
    expect(body).toMatchObject({ status, code, retryable: false });
    expect(body.errors && places(body)).toEqual(pointers);
    expect(await movements()).toEqual(before);
    expect(await make.balanceOf(ada)).toBe(100);
  });

  it('are made from one’s own account only, also by an operator', async () => {
    const [ada, bob, operator] = [await make.user({ balance: 100 }), await make.user(), await make.operator()];
    const { body } = await operator.api.post('/v1/transfers', transferOf(ada, bob, eur(1))).expect(404);
    expect(body).toMatchObject({ code: 'account-not-found', errors: [{ pointer: '/fromAccountId' }] });
    expect(await make.balanceOf(ada)).toBe(100);
  });

  it.each([0, -1, 1.5, 0.1, largest + 1, 1e300, '1', '', null, true, [1], {}, undefined])(
    'of the amount %p are refused',
    async (amount) => {
      const [ada, bob] = [await make.user(), await make.user()];
      const { body } = await ada.api.post('/v1/transfers', transferOf(ada, bob, eur(amount))).expect(422);
      expect(body.code).toBe('validation-failed');
      expect(places(body)).toEqual(['/amount/amount']);
    },
  );

  it('are shown to both sides and to operators, and to nobody else', async () => {
    const [ada, bob, eve] = [await make.user({ balance: 10 }), await make.user(), await make.user()];
    const transfer = { ...transferOf(ada, bob, eur(7)), note: 'Lunch' };
    const { body } = await ada.api.post('/v1/transfers', transfer).expect(201);
    const path = `/v1/transfers/${body.id}`;
    for (const { api } of [ada, bob, await make.operator()])
      expect((await api.get(path).expect(200)).body).toEqual(body);
    expect((await eve.api.get(path).expect(404)).body.code).toBe('transfer-not-found');
    await service.as().get(path).expect(401);
  });

  it.each([
    ['JPY', 0],
    ['BHD', 3],
    ['KWD', 3],
  ])('in %s count in its own minor units, of which it has 10^%i', async (currency) => {
    const [ada, bob] = [await make.user({ balance: 1299, currency }), await make.user({ currency })];
    const { body } = await ada.api.post('/v1/transfers', transferOf(ada, bob, { amount: 1, currency })).expect(201);
    expect(body.amount).toEqual({ amount: 1, currency });
    expect([await make.balanceOf(ada), await make.balanceOf(bob)]).toEqual([1298, 1]);
  });
});
