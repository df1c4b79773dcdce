import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { atOnce, crowd, inFlight, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '20000' });
  make = makers(service);
});
afterEach(async () => expect(await findMistakes(service.database)).toEqual([]));
afterAll(() => service.close());

const count = async (sql: string, ...values: unknown[]): Promise<number> =>
  Number((await service.database.query<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`, values))[0]?.n);
const place = (buyer: Person, ...items: Parameters<typeof make.orderOf>[1]) =>
  buyer.api.post('/v1/orders', make.orderOf(buyer, items));
const transfer = (from: Person, to: Person, amount: number) =>
  from.api.post('/v1/transfers', {
    fromAccountId: from.accountId,
    toAccountId: to.accountId,
    amount: { amount, currency: 'EUR' },
  });

describe('stock', () => {
  it('the last unit goes to exactly one of fifty buyers, and the others leave nothing behind', async () => {
    const buyers = await crowd(service, 50, { balance: 1000 });
    const [sku] = (await make.product({ onHand: [1] })).skus;

    const answers = await atOnce(50, (n) => place(buyers[n]!, sku!.id));

    expect(tally(answers)).toEqual({ '201': 1, '409 out-of-stock': 49 });
    expect(await make.onHandOf(sku!.id)).toBe(0);
    const id = uuidOf(sku!.id);
    expect(await count('order_line WHERE sku_id = $1', id)).toBe(1);
    expect(await count(`stock_movement WHERE sku_id = $1 AND reason = 'sold'`, id)).toBe(1);
    const ids = buyers.map((buyer) => uuidOf(buyer.id));
    expect(await count('"order" WHERE user_id = ANY($1)', ids)).toBe(1);
    expect(await count(`payment p JOIN account a ON a.id = p.account_id WHERE a.user_id = ANY($1)`, ids)).toBe(1);
    expect(await count(`transfer WHERE kind = 'payment' AND created_by_id = ANY($1)`, ids)).toBe(1);
  });

  it('orders of the same two SKUs in opposite order of their items never wait for each other in a circle', async () => {
    const buyers = await crowd(service, 8, { balance: 100_000 });
    const [left, right] = (await make.product({ onHand: [100, 100], price: 10 })).skus;

    const answers = await inFlight(32, 64, (n) =>
      place(buyers[n % 8]!, ...(n % 2 === 0 ? [left!.id, right!.id] : [right!.id, left!.id])),
    );

    expect(tally(answers)).toEqual({ '201': 64 });
    expect(await make.onHandOf(left!.id)).toBe(36);
    expect(await make.onHandOf(right!.id)).toBe(36);
  });

  it('adjustments beside orders lose no unit', async () => {
    const buyers = await crowd(service, 8, { balance: 100_000 });
    const operator = await make.operator();
    const [sku] = (await make.product({ onHand: [20], price: 10 })).skus;

    const answers = await inFlight(32, 90, (n) =>
      n % 3 === 0
        ? operator.api.post(`/v1/skus/${sku!.id}/stock-adjustments`, { quantity: n % 2 === 0 ? 2 : -1 })
        : place(buyers[n % 8]!, sku!.id),
    );

    const counts = tally(answers);
    expect(Object.keys(counts).every((answer) => /^201$|out-of-stock$|insufficient-stock$/.test(answer))).toBe(true);
    const sold = answers.filter(({ status, body }) => status === 201 && body.object === 'order').length;
    const adjusted = answers
      .filter(({ status, body }) => status === 201 && body.object === 'stock_movement')
      .reduce((sum, { body }) => sum + body.quantity, 0);
    expect(await make.onHandOf(sku!.id)).toBe(20 + adjusted - sold);
  });
});

describe('money', () => {
  it('money for one order pays for exactly one of fifty', async () => {
    const [buyer] = await crowd(service, 1, { balance: 1000 });
    const [sku] = (await make.product({ onHand: [100], price: 1000 })).skus;

    const answers = await atOnce(50, () => place(buyer!, sku!.id));

    expect(tally(answers)).toEqual({ '201': 1, '422 insufficient-funds': 49 });
    expect(await make.balanceOf(buyer!)).toBe(0);
    expect(await make.onHandOf(sku!.id)).toBe(99);
    expect(await count('"order" WHERE user_id = $1', uuidOf(buyer!.id))).toBe(1);
  });

  it('transfers from A to B and from B to A, 64 in flight, end without a deadlock and keep the sum', async () => {
    const [a, b] = (await crowd(service, 2, { balance: 1000 })) as [Person, Person];

    const answers = await inFlight(64, 256, (n) => (n % 2 === 0 ? transfer(a, b, 7) : transfer(b, a, 5)));

    expect(tally(answers)).toEqual({ '201': 256 });
    expect(await make.balanceOf(a)).toBe(1000 - 128 * 7 + 128 * 5);
    expect((await make.balanceOf(a)) + (await make.balanceOf(b))).toBe(2000);
  });

  it('of fifty transfers that each take all there is, one passes', async () => {
    const [a, b] = (await crowd(service, 2, { balance: 100 })) as [Person, Person];
    const answers = await atOnce(50, () => transfer(a, b, 100));
    expect(tally(answers)).toEqual({ '201': 1, '422 insufficient-funds': 49 });
    expect(await make.balanceOf(b)).toBe(200);
  });
});

describe('cancellation', () => {
  it('of twenty at once one is done and the money comes back once', async () => {
    const [buyer] = (await crowd(service, 1, { balance: 5000 })) as [Person];
    const operator = await make.operator();
    const [sku] = (await make.product({ onHand: [3], price: 2000 })).skus;
    const { body: order } = await place(buyer, { skuId: sku!.id, quantity: 2 }).expect(201);

    const answers = await atOnce(20, (n) => (n % 2 ? operator : buyer).api.post(`/v1/orders/${order.id}/cancel`));

    expect(tally(answers)).toEqual({ '200': 1, '409 not-cancellable': 19 });
    expect(await make.balanceOf(buyer)).toBe(5000);
    expect(await make.onHandOf(sku!.id)).toBe(3);
    expect(await count('refund r JOIN payment p ON p.id = r.payment_id WHERE p.order_id = $1', uuidOf(order.id))).toBe(
      1,
    );
  });

  it('racing new orders for the same unit, the unit is never sold twice', async () => {
    const buyers = await crowd(service, 12, { balance: 10_000 });
    const [sku] = (await make.product({ onHand: [1], price: 100 })).skus;
    let { body: order } = await place(buyers[0]!, sku!.id).expect(201);
    let holder = buyers[0]!;
    for (let round = 0; round < 6; round++) {
      const [cancelled, ...placed] = await Promise.all([
        holder.api.post(`/v1/orders/${order.id}/cancel`),
        ...buyers.map((buyer) => place(buyer, sku!.id)),
      ]);
      expect(cancelled.status).toBe(200);
      const winners = placed.filter(({ status }) => status === 201);
      expect(tally(placed)).toEqual({
        ...(winners.length > 0 && { '201': 1 }),
        '409 out-of-stock': placed.length - winners.length,
      });
      expect(await make.onHandOf(sku!.id)).toBe(1 - winners.length);
      const winner = winners[0] ?? (await place(buyers[0]!, sku!.id).expect(201));
      order = winner.body;
      holder = buyers.find(({ id }) => id === order.userId)!;
    }
  });
});

describe('people', () => {
  it('an e-mail address is taken once, however many sign up with it at the same moment', async () => {
    const body = { email: 'race@example.com', password: 'correct horse battery', profile: { displayName: 'R' } };
    const answers = await atOnce(10, () => service.as().post('/v1/users', body));
    expect(tally(answers)).toEqual({ '201': 1, '409 email-taken': 9 });
    expect(await count(`"user" WHERE email = 'race@example.com'`)).toBe(1);
    expect(await count(`profile p JOIN "user" u ON u.id = p.user_id WHERE u.email = 'race@example.com'`)).toBe(1);
  });

  it('of ten edits with the same ETag one is made', async () => {
    const [person] = (await crowd(service, 1)) as [Person];
    const { headers } = await person.api.get('/v1/users/me').expect(200);
    const answers = await atOnce(10, (n) =>
      person.api
        .patch(`/v1/users/${person.id}`, { profile: { displayName: `Name ${n}` } })
        .set('if-match', headers['etag'] as string),
    );
    expect(tally(answers)).toEqual({ '200': 1, '412 version-mismatch': 9 });
    const winner = answers.findIndex(({ status }) => status === 200);
    const { body } = await person.api.get('/v1/users/me').expect(200);
    expect(body).toMatchObject({ version: 2, profile: { displayName: `Name ${winner}` } });
  });

  const refresh = (refreshToken: string) => service.as().post('/v1/sessions/refresh', { refreshToken });

  it('a refresh token used by ten at the same moment gives all of them the same next one, and the session goes on', async () => {
    const { refreshToken } = await make.user();
    const answers = await atOnce(10, () => refresh(refreshToken));
    expect(tally(answers)).toEqual({ '201': 10 });
    expect(new Set(answers.map(({ body }) => body.refreshToken)).size).toBe(1);
    const { id, refreshToken: next } = answers[0]!.body;
    expect(await count('refresh_token WHERE session_id = $1', uuidOf(id))).toBe(2);
    await refresh(next).expect(201);
    expect(await count('session WHERE id = $1 AND ended_at IS NULL', uuidOf(id))).toBe(1);
  });

  it('a refresh token used by ten at the same moment when the next one was used gives no tokens and ends the session', async () => {
    const { refreshToken } = await make.user();
    const { body: second } = await refresh(refreshToken).expect(201);
    const { body: third } = await refresh(second.refreshToken).expect(201);
    const answers = await atOnce(10, () => refresh(refreshToken));
    expect(tally(answers)).toEqual({ '401 invalid-refresh-token': 10 });
    await refresh(third.refreshToken).expect(401);
    expect(await count(`session WHERE id = $1 AND end_reason = 'token_reused'`, uuidOf(third.id))).toBe(1);
  });

  it('ten replace all images of a product at once, whatever its version: those of one of them are there', async () => {
    const { api } = await make.operator();
    const { id } = await make.product();
    const image = (n: number, position: number) => ({ url: `https://images.example.com/${n}-${position}.jpg` });
    const answers = await atOnce(10, (n) =>
      api.patch(`/v1/products/${id}`, { images: [image(n, 0), image(n, 1)] }).set('if-match', '*'),
    );
    expect(tally(answers)).toEqual({ '200': 10 });
    const last = answers.findIndex(({ body }) => body.version === 11);
    const { body } = await api.get(`/v1/products/${id}`).expect(200);
    expect(body.images).toMatchObject([0, 1].map((position) => ({ ...image(last, position), position })));
  });

  it('of ten products with one slug one is made, with all its parts', async () => {
    const operator = await make.operator();
    const answers = await atOnce(10, (n) =>
      operator.api.post('/v1/products', {
        slug: 'contested',
        name: 'Contested',
        skus: [{ code: `CONTESTED-${n}`, name: 'One', price: { amount: 1, currency: 'EUR' }, onHand: 1 }],
      }),
    );
    expect(tally(answers)).toEqual({ '201': 1, '409 slug-taken': 9 });
    expect(await count(`sku WHERE code LIKE 'CONTESTED-%'`)).toBe(1);
  });
});
