import { showId } from '../src/kernel/ids.ts';
import { readAll, startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, uuidOf } from './support/make.ts';

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

const eur = (amount: number) => ({ amount, currency: 'EUR' });
const unknownSku = 'sku_01h455vb4pex5vsknk084sn02q';
const unknownAccount = 'acct_01h455vb4pex5vsknk084sn02q';
/** All that an order writes to. */
const contents = () =>
  service.database.query(`
    SELECT (SELECT count(*) FROM "order") AS orders, (SELECT count(*) FROM order_line) AS lines, (SELECT count(*) FROM payment) AS payments,
           (SELECT count(*) FROM transfer) AS transfers, (SELECT count(*) FROM entry) AS entries,
           (SELECT count(*) FROM stock_movement) AS movements, (SELECT count(*) FROM refund) AS refunds,
           (SELECT jsonb_agg(t ORDER BY sku_id) FROM stock t) AS stocks, (SELECT jsonb_agg(t ORDER BY id) FROM account t) AS accounts`);
const idsOf = (rows: { id: string }[]) => rows.map(({ id }) => id);

describe('placing an order', () => {
  it('stores it with its lines, takes the stock and the money, and shows all of it', async () => {
    const ada = await make.user({ balance: 10_000 });
    const mug = await make.product({ onHand: [5, 5], price: 1299 });
    const [blue = '', red = ''] = idsOf(mug.skus);
    const order = {
      ...make.orderOf(ada, [{ skuId: blue, quantity: 2 }, red]),
      note: 'Please ring twice',
      expectedTotal: eur(3897),
    };
    const { body, headers } = await ada.api.post('/v1/orders', order).expect(201);

    const item = { unitPrice: eur(1299) };
    expect(body).toEqual({
      object: 'order',
      id: expect.stringMatching(/^ord_/),
      userId: ada.id,
      status: 'placed',
      paymentState: 'paid',
      note: 'Please ring twice',
      items: [
        { skuId: blue, name: expect.stringMatching(/, Variant 0$/), quantity: 2, ...item, lineTotal: eur(2598) },
        { skuId: red, name: expect.stringMatching(/, Variant 1$/), quantity: 1, ...item, lineTotal: eur(1299) },
      ],
      total: eur(3897),
      payment: {
        id: expect.stringMatching(/^pay_/),
        accountId: ada.accountId,
        transferId: expect.stringMatching(/^tr_/),
        amount: eur(3897),
        createdAt: expect.any(String),
      },
      refund: null,
      cancellation: null,
      version: 1,
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
    expect(headers['location']).toBe(`/v1/orders/${body.id}`);
    expect(headers['etag']).toMatch(/^"1-[\w-]{16}"$/);
    expect((await ada.api.get(`/v1/orders/${body.id}`).expect(200)).body).toEqual(body);

    expect(await make.balanceOf(ada)).toBe(10_000 - 3897);
    expect([await make.onHandOf(blue), await make.onHandOf(red)]).toEqual([3, 4]);
    const transfer = await ada.api.get(`/v1/transfers/${body.payment.transferId}`).expect(200);
    expect(transfer.body).toMatchObject({ kind: 'payment', fromAccountId: ada.accountId, amount: eur(3897) });
    const movements = await service.database.query(
      'SELECT quantity, on_hand_after, reason FROM stock_movement WHERE order_id = $1 ORDER BY quantity',
      [uuidOf(body.id)],
    );
    expect(movements).toEqual([
      { quantity: -2, on_hand_after: 3, reason: 'sold' },
      { quantity: -1, on_hand_after: 4, reason: 'sold' },
    ]);
  });

  it('merges the items of one SKU into one line, in the place of the first', async () => {
    const ada = await make.user({ balance: 10_000 });
    const [one, other] = [await make.sku(10, 100), await make.sku(10, 10)];
    const { body } = await ada.api
      .post('/v1/orders', make.orderOf(ada, [one, other, { skuId: one, quantity: 3 }]))
      .expect(201);
    expect(body.items.map(({ skuId, quantity }: never) => [skuId, quantity])).toEqual([
      [one, 4],
      [other, 1],
    ]);
    expect(body.total).toEqual(eur(410));
    expect(await make.onHandOf(one)).toBe(6);
  });

  it('copies names and prices: what the catalog says later does not change the order', async () => {
    const ada = await make.user({ balance: 10_000 });
    const { id, skus } = await make.product({ price: 500 });
    const [sku] = skus;
    const order = await make.order(ada, [sku?.id ?? '']);
    const { api } = await make.operator();
    await api
      .patch(`/v1/skus/${sku?.id}`, { price: eur(1), name: 'Cheap' })
      .set('if-match', '*')
      .expect(200);
    await api.patch(`/v1/products/${id}`, { name: 'Renamed' }).set('if-match', '*').expect(200);
    expect((await ada.api.get(`/v1/orders/${order.id}`).expect(200)).body).toEqual(order);
    const { body } = await ada.api.post(`/v1/orders/${order.id}/cancel`).expect(200);
    expect(body.refund.amount).toEqual(eur(500));
    expect(await make.balanceOf(ada)).toBe(10_000);
  });

  it('for just the money and just the units that there are leaves nothing of both', async () => {
    const ada = await make.user({ balance: 3000 });
    const skuId = await make.sku(3);
    await make.order(ada, [{ skuId, quantity: 3 }]);
    expect([await make.balanceOf(ada), await make.onHandOf(skuId)]).toEqual([0, 0]);
  });

  it('can be paid from any account of one’s own in the currency of the prices', async () => {
    const ada = await make.user({ balance: 100 });
    const { body: yen } = await ada.api.post('/v1/accounts', { currency: 'JPY' }).expect(201);
    await make.deposit(yen.id, 500, 'JPY');
    const order = { ...make.orderOf(ada, [await make.sku(1, 500, 'JPY')]), payment: { accountId: yen.id } };
    const { body } = await ada.api.post('/v1/orders', order).expect(201);
    expect(body.total).toEqual({ amount: 500, currency: 'JPY' });
    expect(await make.balanceOf(ada)).toBe(100);
  });
});

describe('an order that cannot be supplied', () => {
  it('lists every item that is short, with what was asked for and what there is, and stores nothing', async () => {
    const ada = await make.user({ balance: 100_000 });
    const skus = [await make.sku(10), await make.sku(2), await make.sku(0), await make.sku(5)] as const;
    const before = await contents();
    const quantities = [10, 3, 1, 5];
    const order = make.orderOf(
      ada,
      skus.map((skuId, i) => ({ skuId, quantity: quantities[i] ?? 0 })),
    );
    const { body } = await ada.api.post('/v1/orders', order).expect(409);
    expect(body).toMatchObject({ code: 'out-of-stock', retryable: false });
    expect(body.errors).toEqual([
      { pointer: '/items/1', code: 'out-of-stock', requested: 3, available: 2 },
      { pointer: '/items/2', code: 'out-of-stock', requested: 1, available: 0 },
    ]);
    expect(await contents()).toEqual(before);
  });

  it('is refused when two items of one SKU together are more than there is', async () => {
    const ada = await make.user({ balance: 100_000 });
    const [other, skuId] = [await make.sku(1), await make.sku(5)];
    const before = await contents();
    const order = make.orderOf(ada, [other, { skuId, quantity: 3 }, { skuId, quantity: 3 }]);
    const { body } = await ada.api.post('/v1/orders', order).expect(409);
    expect(body.errors).toEqual([{ pointer: '/items/1', code: 'out-of-stock', requested: 6, available: 5 }]);
    expect(await contents()).toEqual(before);
  });

  it('is told of the stock that others have left, not of what there was', async () => {
    const [ada, bob] = [await make.user({ balance: 100_000 }), await make.user({ balance: 100_000 })];
    const skuId = await make.sku(5);
    await make.order(bob, [{ skuId, quantity: 4 }]);
    const { body } = await ada.api.post('/v1/orders', make.orderOf(ada, [{ skuId, quantity: 2 }])).expect(409);
    expect(body.errors).toEqual([{ pointer: '/items/0', code: 'out-of-stock', requested: 2, available: 1 }]);
  });
});

describe('an order that cannot be placed', () => {
  const refused = async (balance: number, order: (buyer: Awaited<ReturnType<typeof make.user>>) => Promise<object>) => {
    const ada = await make.user({ balance });
    const wanted = await order(ada);
    const before = await contents();
    const { body } = await ada.api.post('/v1/orders', wanted);
    expect(await contents()).toEqual(before);
    return body;
  };

  it('because its price has changed is refused', async () => {
    for (const expectedTotal of [eur(999), eur(1001), { amount: 1000, currency: 'USD' }]) {
      const body = await refused(5000, async (ada) => ({ ...make.orderOf(ada, [await make.sku(1)]), expectedTotal }));
      expect(body).toMatchObject({ status: 409, code: 'price-changed' });
    }
  });

  it('because there is not enough money is refused and leaves the stock alone', async () => {
    const body = await refused(999, async (ada) => make.orderOf(ada, [await make.sku(1)]));
    expect(body).toMatchObject({ status: 422, code: 'insufficient-funds' });
  });

  it('because the account is somebody else’s, the house’s or nobody’s is refused as not found', async () => {
    const [house] = await service.database.query<{ id: string }>(
      `SELECT id FROM account WHERE house = 'sales' AND currency = 'EUR'`,
    );
    const bob = await make.user({ balance: 5000 });
    for (const accountId of [bob.accountId, showId('acct', house?.id ?? ''), unknownAccount]) {
      const body = await refused(5000, async (ada) => ({
        ...make.orderOf(ada, [await make.sku(1)]),
        payment: { accountId },
      }));
      expect(body).toMatchObject({
        status: 404,
        code: 'account-not-found',
        errors: [{ pointer: '/payment/accountId' }],
      });
    }
    expect(await make.balanceOf(bob)).toBe(5000);
  });

  it('because a SKU does not exist is refused with a pointer to each of them', async () => {
    const other = 'sku_01h455vb4pex5vsknk084sn02r';
    const body = await refused(5000, async (ada) => make.orderOf(ada, [unknownSku, await make.sku(1), other]));
    expect(body).toMatchObject({ status: 404, code: 'sku-not-found' });
    expect(body.errors).toEqual([
      { pointer: '/items/0', code: 'sku-not-found' },
      { pointer: '/items/2', code: 'sku-not-found' },
    ]);
  });

  it('because its items are in two currencies, or not in the account’s, is refused', async () => {
    const mixed = await refused(5000, async (ada) =>
      make.orderOf(ada, [await make.sku(1), await make.sku(1, 1, 'USD')]),
    );
    expect(mixed).toMatchObject({ status: 422, code: 'currency-mismatch' });
    const foreign = await refused(5000, async (ada) => make.orderOf(ada, [await make.sku(1, 1, 'USD')]));
    expect(foreign).toMatchObject({ status: 422, code: 'currency-mismatch' });
  });

  it('because it costs more than can be counted is refused', async () => {
    const body = await refused(5000, async (ada) =>
      make.orderOf(ada, [{ skuId: await make.sku(2, Number.MAX_SAFE_INTEGER), quantity: 2 }]),
    );
    expect(body).toMatchObject({ status: 422, code: 'total-too-large' });
  });

  it.each([
    ['no items', { items: [] }, '/items'],
    ['101 items', { items: Array.from({ length: 101 }, () => ({ skuId: unknownSku, quantity: 1 })) }, '/items'],
    ['a quantity of 0', { items: [{ skuId: unknownSku, quantity: 0 }] }, '/items/0/quantity'],
    ['a quantity below 0', { items: [{ skuId: unknownSku, quantity: -1 }] }, '/items/0/quantity'],
    ['a quantity of 1.5', { items: [{ skuId: unknownSku, quantity: 1.5 }] }, '/items/0/quantity'],
    ['a quantity of 10,001', { items: [{ skuId: unknownSku, quantity: 10_001 }] }, '/items/0/quantity'],
    ['a price of one’s own', { items: [{ skuId: unknownSku, quantity: 1, unitPrice: eur(1) }] }, '/items/0/unitPrice'],
    ['a status', { status: 'cancelled' }, '/status'],
    ['another buyer', { userId: 'usr_01h455vb4pex5vsknk084sn02q' }, '/userId'],
    ['no account', { payment: {} }, '/payment/accountId'],
    ['a note of 501 letters', { note: 'x'.repeat(501) }, '/note'],
  ])('because it has %s is refused with a pointer to it', async (_, changes, pointer) => {
    const ada = await make.user();
    const order = { ...make.orderOf(ada, [unknownSku]), ...changes };
    const { body } = await ada.api.post('/v1/orders', order).expect(422);
    expect(body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([pointer]);
  });

  it('needs a token', async () => {
    const ada = await make.user();
    await service
      .as()
      .post('/v1/orders', make.orderOf(ada, [unknownSku]))
      .expect(401);
  });
});

describe('reading orders', () => {
  it('lists one’s own, newest first, page by page, and by status', async () => {
    const [ada, bob] = [await make.user({ balance: 10_000 }), await make.user({ balance: 10_000 })];
    const skuId = await make.sku(100, 1);
    const placed: string[] = [];
    for (let i = 0; i < 5; i++) {
      placed.unshift((await make.order(ada, [skuId])).id);
      await make.order(bob, [skuId]);
    }
    const [newest, second, ...rest] = placed;
    for (const id of [newest, rest[0]]) await ada.api.post(`/v1/orders/${id}/cancel`).expect(200);

    expect(idsOf(await readAll(ada.api, '/v1/orders', 2))).toEqual(placed);
    expect(idsOf(await readAll(ada.api, '/v1/orders?status=cancelled', 1))).toEqual([newest, rest[0]]);
    expect(idsOf(await readAll(ada.api, '/v1/orders?status=placed', 2))).toEqual([second, ...rest.slice(1)]);
    const { body } = await ada.api.get('/v1/orders?status=paid').expect(422);
    expect(body.errors).toEqual([expect.objectContaining({ parameter: 'status' })]);
  });

  it('shows nobody else’s orders, except to an operator, who sees all', async () => {
    const [ada, bob, operator] = [await make.user({ balance: 1000 }), await make.user(), await make.operator()];
    const { id } = await make.order(ada, [await make.sku(1)]);
    expect((await bob.api.get(`/v1/orders/${id}`).expect(404)).body.code).toBe('order-not-found');
    expect((await bob.api.get('/v1/orders').expect(200)).body.data).toEqual([]);
    await service.as().get(`/v1/orders/${id}`).expect(401);
    await service.as().get('/v1/orders').expect(401);
    expect((await operator.api.get(`/v1/orders/${id}`).expect(200)).body.userId).toBe(ada.id);
    const [row] = await service.database.query<{ n: number }>('SELECT count(*)::int AS n FROM "order"');
    expect(await readAll(operator.api, '/v1/orders', 100)).toHaveLength(row?.n ?? -1);
  });
});

describe('cancelling an order', () => {
  it('puts the goods and the money back, once, and keeps who, when and why', async () => {
    const ada = await make.user({ balance: 5000 });
    const [one, other] = [await make.sku(5), await make.sku(1)];
    const order = await make.order(ada, [{ skuId: one, quantity: 3 }, other]);
    const { body, headers } = await ada.api
      .post(`/v1/orders/${order.id}/cancel`, { reason: 'Changed my mind' })
      .expect(200);
    expect(body).toEqual({
      ...order,
      status: 'cancelled',
      paymentState: 'refunded',
      refund: {
        id: expect.stringMatching(/^rfd_/),
        transferId: expect.stringMatching(/^tr_/),
        amount: eur(4000),
        createdAt: expect.any(String),
      },
      cancellation: { cancelledById: ada.id, reason: 'Changed my mind', createdAt: expect.any(String) },
      version: 2,
      updatedAt: expect.any(String),
    });
    expect(headers['etag']).toMatch(/^"2-[\w-]{16}"$/);
    const held = async () => [await make.balanceOf(ada), await make.onHandOf(one), await make.onHandOf(other)];
    expect(await held()).toEqual([5000, 5, 1]);

    const before = await contents();
    const again = await ada.api.post(`/v1/orders/${order.id}/cancel`, { reason: 'Once more' }).expect(409);
    expect(again.body).toMatchObject({ code: 'not-cancellable', retryable: false });
    expect(await contents()).toEqual(before);
    expect((await ada.api.get(`/v1/orders/${order.id}`).expect(200)).body).toEqual(body);

    const entries = await ada.api.get(`/v1/accounts/${ada.accountId}/entries`).expect(200);
    expect(entries.body.data.map(({ amount }: { amount: object }) => amount)).toEqual([
      eur(4000),
      eur(-4000),
      eur(5000),
    ]);
    const refund = await ada.api.get(`/v1/transfers/${body.refund.transferId}`).expect(200);
    expect(refund.body).toMatchObject({ kind: 'refund', toAccountId: ada.accountId, amount: eur(4000) });
    const restocked = await service.database.query(
      `SELECT quantity, on_hand_after FROM stock_movement WHERE order_id = $1 AND reason = 'restocked' ORDER BY quantity`,
      [uuidOf(order.id)],
    );
    expect(restocked).toEqual([
      { quantity: 1, on_hand_after: 1 },
      { quantity: 3, on_hand_after: 5 },
    ]);
  });

  it('needs no reason', async () => {
    const ada = await make.user({ balance: 3000 });
    const skuId = await make.sku(2);
    for (const body of [{}, { reason: null }]) {
      const order = await make.order(ada, [skuId]);
      const answer = await ada.api.post(`/v1/orders/${order.id}/cancel`, body).expect(200);
      expect(answer.body.cancellation.reason).toBeNull();
    }
  });

  it('by an operator refunds the buyer', async () => {
    const [ada, operator] = [await make.user({ balance: 1000 }), await make.operator()];
    const { id } = await make.order(ada, [await make.sku(1)]);
    const { body } = await operator.api.post(`/v1/orders/${id}/cancel`, { reason: 'Recalled' }).expect(200);
    expect(body).toMatchObject({ userId: ada.id, cancellation: { cancelledById: operator.id, reason: 'Recalled' } });
    expect(body.payment.accountId).toBe(ada.accountId);
    expect(await make.balanceOf(ada)).toBe(1000);
    expect((await ada.api.get(`/v1/orders/${id}`).expect(200)).body).toEqual(body);
  });

  it('of somebody else is refused as not found and changes nothing', async () => {
    const [ada, bob] = [await make.user({ balance: 1000 }), await make.user()];
    const { id } = await make.order(ada, [await make.sku(1)]);
    const before = await contents();
    expect((await bob.api.post(`/v1/orders/${id}/cancel`).expect(404)).body.code).toBe('order-not-found');
    await service.as().post(`/v1/orders/${id}/cancel`).expect(401);
    expect(await contents()).toEqual(before);
  });

  it('by several at once is done once', async () => {
    const ada = await make.user({ balance: 1000 });
    const skuId = await make.sku(1);
    const { id } = await make.order(ada, [skuId]);
    const { api } = await make.operator();
    const answers = await Promise.all([ada.api, api, ada.api, api].map((who) => who.post(`/v1/orders/${id}/cancel`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
    expect([await make.balanceOf(ada), await make.onHandOf(skuId)]).toEqual([1000, 1]);
  });

  it('frees the goods for the next buyer', async () => {
    const [ada, bob] = [await make.user({ balance: 1000 }), await make.user({ balance: 1000 })];
    const skuId = await make.sku(1);
    const { id } = await make.order(ada, [skuId]);
    await bob.api.post('/v1/orders', make.orderOf(bob, [skuId])).expect(409);
    await ada.api.post(`/v1/orders/${id}/cancel`).expect(200);
    await make.order(bob, [skuId]);
  });

  it('that does not exist is not found', async () => {
    const { api } = await make.user();
    const { body } = await api.post('/v1/orders/ord_01h455vb4pex5vsknk084sn02q/cancel').expect(404);
    expect(body.code).toBe('order-not-found');
  });
});
