/** @servers any */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { ProblemError } from '../src/kernel/problem.ts';
import { OrderLanes } from '../src/modules/orders/order-lanes.ts';
import type { NewOrder } from '../src/modules/orders/orders.schema.ts';
import { api, serve, type TestApp } from './support/app.ts';
import { fullCount } from './support/counts.ts';
import { atOnce, crowd, eventually, tally, untilBlocked } from './support/crowd.ts';
import { batchesOf, endBoth, withAndWithoutLanes } from './support/lanes.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { expectProblem } from './support/problem.ts';
import { randomFrom } from './support/random.ts';

let service: TestApp;
/** The same without lanes, on a database of its own. */
let plain: TestApp;
let holder: pg.Client;
beforeAll(async () => {
  [service, plain] = await withAndWithoutLanes();
  holder = new pg.Client({ connectionString: service.database.urls.owner });
  await holder.connect();
});
afterAll(async () => {
  await holder.end();
  await endBoth([service, plain]);
});

/** People with money, and SKUs of one price. */
interface Shop {
  readonly people: readonly Person[];
  readonly skus: readonly string[];
}
async function shop(app: TestApp, onHand: number[], balance = 100_000): Promise<Shop> {
  const make = makers(app);
  const people = await crowd(app, 4, { balance });
  const { skus } = await make.product({ onHand, price: 10 });
  return { people, skus: skus.map(({ id }) => id) };
}
const order = ({ people, skus }: Shop, who: number, items: readonly (readonly [sku: number, quantity: number])[]) => ({
  items: items.map(([sku, quantity]) => ({ skuId: skus[sku]!, quantity })),
  payment: { accountId: people[who]!.accountId },
});
const place = (at: Shop, who: number, items: readonly (readonly [sku: number, quantity: number])[]) =>
  at.people[who]!.api.post('/v1/orders', order(at, who, items));

const principal = ({ people }: Shop, who: number) =>
  ({ userId: uuidOf(people[who]!.id), sessionId: randomUUID(), role: 'customer' }) as const;

/** What is stored, but for ids and times. */
async function stateOf({ database }: TestApp, { people, skus }: Shop) {
  const accounts = people.map(({ accountId }) => uuidOf(accountId));
  return database.query(
    `SELECT (SELECT array_agg(balance ORDER BY array_position($1::uuid[], id))::text FROM account WHERE id = ANY($1::uuid[])) AS balances,
      (SELECT array_agg(on_hand ORDER BY array_position($2::uuid[], sku_id))::text FROM stock WHERE sku_id = ANY($2::uuid[])) AS stocks,
      (SELECT count(*)::int FROM "order" o JOIN payment p ON p.order_id = o.id WHERE p.account_id = ANY($1::uuid[])) AS orders,
      (SELECT count(*)::int FROM refund r JOIN payment p ON p.id = r.payment_id WHERE p.account_id = ANY($1::uuid[])) AS refunds`,
    [accounts, skus.map(uuidOf)],
  );
}

interface Answer {
  readonly id: string;
  readonly status: string;
  readonly total: unknown;
  readonly items: readonly { readonly quantity: number }[];
}
async function shown(answer: Promise<Answer>) {
  const [settled] = await Promise.allSettled([answer]);
  if (settled.status === 'fulfilled') {
    const { status, total, items } = settled.value;
    return { id: settled.value.id, told: [status, total, items.map(({ quantity }) => quantity)] };
  }
  expect(settled.reason).toBeInstanceOf(ProblemError);
  const { code, message, errors } = settled.reason as ProblemError;
  return { id: null, told: [code, message, errors] };
}

describe('a batch of orders', () => {
  const rounds = fullCount(12, 1000);

  it(`comes to the same as its orders one after the other, and its cancellations as well, ${rounds} times`, async () => {
    const random = randomFrom(20261201);
    for (let round = 0; round < rounds; round++) {
      const [mine, theirs] = [await shop(service, [6, 9, 3, 200], 400), await shop(plain, [6, 9, 3, 200], 400)];
      const plans = Array.from({ length: 16 }, () => ({
        who: random.whole(0, 3),
        items: Array.from(
          { length: random.whole(1, 3) },
          () => [random.whole(0, 3), random.pick([1, 1, 2, 3, 8])] as const,
        ),
        expected: random.pick([undefined, undefined, undefined, 30n]),
      }));
      const asked = (at: Shop, { who, items, expected }: (typeof plans)[number]): NewOrder => ({
        items: items.map(([sku, quantity]) => ({ skuId: uuidOf(at.skus[sku]!), quantity })),
        payment: { accountId: uuidOf(at.people[who]!.accountId) },
        ...(expected !== undefined && { expectedTotal: { amount: expected, currency: 'EUR' } }),
      });
      // What one caller asks is done in its order, and callers take turns: the same order is asked of both.
      const turns = plans.map((plan) => ({ ...plan, who: plans[0]!.who }));
      const [lanes, one] = [service.app.get(OrderLanes), plain.app.get(OrderLanes)];
      const together = await Promise.all(
        turns.map((plan) => shown(lanes.place(principal(mine, plan.who), asked(mine, plan)))),
      );
      const alone = [];
      for (const plan of turns) alone.push(await shown(one.place(principal(theirs, plan.who), asked(theirs, plan))));
      expect(together.map(({ told }) => told)).toEqual(alone.map(({ told }) => told));
      expect(await stateOf(service, mine)).toEqual(await stateOf(plain, theirs));

      // Some of them twice, some by somebody else.
      const picks = Array.from({ length: 12 }, () => [random.whole(0, 15), random.pick([0, 0, 0, 1])] as const);
      const cancels = picks.filter(([n]) => together[n]!.id !== null);
      const by = (n: number) => (turns[0]!.who + n) % 4;
      const cancelled = await Promise.all(
        cancels.map(([n, other]) => shown(lanes.cancel(principal(mine, by(other)), together[n]!.id!, {}))),
      );
      const cancelledAlone = [];
      for (const [n, other] of cancels)
        cancelledAlone.push(await shown(one.cancel(principal(theirs, by(other)), alone[n]!.id!, {})));
      expect(cancelled.map(({ told }) => told)).toEqual(cancelledAlone.map(({ told }) => told));
      expect(await stateOf(service, mine)).toEqual(await stateOf(plain, theirs));
    }
  });

  it('is one for what comes together, and each order is answered as it is read afterwards', async () => {
    const at = await shop(service, [1000, 1000]);
    let placed: { body: { id: string } }[] = [];
    const sizes = await batchesOf(async () => {
      placed = await atOnce(64, (n) =>
        place(at, n % 4, [
          [0, 1],
          [1, 2],
        ]).expect(201),
      );
    });
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(64);
    expect(sizes.length).toBeLessThan(40);
    const read = (n: number) => at.people[n % 4]!.api.get(`/v1/orders/${placed[n]!.body.id}`).expect(200);
    for (let n = 0; n < 64; n += 7) expect((await read(n)).body).toEqual(placed[n]!.body);

    const cancel = (n: number) =>
      at.people[n % 4]!.api.post(`/v1/orders/${placed[n]!.body.id}/cancel`, { reason: 'No' });
    const cancelled = await atOnce(64, (n) => cancel(n).expect(200));
    for (let n = 0; n < 64; n += 7) expect((await read(n)).body).toEqual(cancelled[n]!.body);
    expect(await service.database.query(`SELECT on_hand FROM stock WHERE sku_id = '${uuidOf(at.skus[0]!)}'`)).toEqual([
      { on_hand: 1000 },
    ]);
  });

  it('sells no unit twice, and refuses what cannot be paid or supplied, and that alone', async () => {
    const at = await shop(service, [10, 500], 100);
    const answers = await atOnce(40, (n) => place(at, n % 4, [[0, 1]]));
    expect(tally(answers)).toEqual({ '201': 10, '409 out-of-stock': 30 });
    for (const { body } of answers.filter(({ status }) => status === 409))
      expect(body.errors).toEqual([
        { pointer: '/items/0', code: 'out-of-stock', requested: 1, available: expect.any(Number) },
      ]);
    const left = await atOnce(40, (n) => place(at, n % 4, [[1, 1]]));
    // Each had 100, and ten orders of 10 were placed before by all of them.
    expect(tally(left)).toEqual({ '201': 30, '422 insufficient-funds': 10 });
  });

  it('cancels an order once, however many ask for it at once', async () => {
    const at = await shop(service, [10]);
    const { body } = await place(at, 0, [[0, 3]]).expect(201);
    const answers = await atOnce(20, () => at.people[0]!.api.post(`/v1/orders/${body.id}/cancel`));
    expect(tally(answers)).toEqual({ '200': 1, '409 not-cancellable': 19 });
    const strangers = await atOnce(5, () => at.people[1]!.api.post(`/v1/orders/${body.id}/cancel`));
    expect(tally(strangers)).toEqual({ '404 order-not-found': 5 });
  });
});

it('tells nobody of an order that somebody else cancels at the same moment', async () => {
  const at = await shop(service, [100]);
  const placed = await atOnce(8, () => place(at, 0, [[0, 1]]).expect(201));
  const cancel = (who: number, id: string) => at.people[who]!.api.post(`/v1/orders/${id}/cancel`);
  const answers = await atOnce(32, (n) => cancel(n % 4, placed[Math.floor(n / 4)]!.body.id));
  expect(tally(answers)).toEqual({ '200': 8, '404 order-not-found': 24 });
});

describe('keys in a lane of orders', () => {
  it('have one effect and one answer, though two copies of each come at once, on two instances', async () => {
    const other = await serve(service.database);
    try {
      const at = await shop(service, [100]);
      const keys = Array.from({ length: 30 }, () => randomUUID());
      const ada = at.people[0]!;
      const answers = await atOnce(60, (n) =>
        eventually(
          () =>
            api(n < 30 ? service.url : other.url, ada.token)
              .post('/v1/orders', order(at, 0, [[0, 1]]))
              .set('idempotency-key', keys[n % 30]!),
          ({ status }) => status !== 409,
        ),
      );
      expect(answers.every(({ status }) => status === 201)).toBe(true);
      for (let n = 0; n < 30; n++) expect(answers[n]!.text).toBe(answers[n + 30]!.text);
      expect(await makers(service).onHandOf(at.skus[0]!)).toBe(70);
      const reused = await ada.api
        .post('/v1/orders', order(at, 0, [[0, 2]]))
        .set('idempotency-key', keys[0]!)
        .expect(422);
      expectProblem(reused, 'idempotency-key-reused');
    } finally {
      await other.app.close();
    }
  });
});

describe('while somebody outside the lane holds', () => {
  afterEach(() => holder.query('ROLLBACK'));

  it.each([
    ['a stock', (at: Shop) => `SELECT FROM stock WHERE sku_id = '${uuidOf(at.skus[0]!)}' FOR UPDATE`],
    ['an account', (at: Shop) => `SELECT FROM account WHERE id = '${uuidOf(at.people[0]!.accountId)}' FOR UPDATE`],
  ])('%s, orders without it are placed, and those that need it are once it is free', async (_, hold) => {
    const at = await shop(service, [100, 1000]);
    await holder.query(`BEGIN; ${hold(at)}`);
    let waiting = 3;
    const blocked = atOnce(3, () => place(at, 0, [[0, 1]]).then((answer) => (waiting--, answer)));
    await untilBlocked(service.database, 1);
    const sizes = await batchesOf(async () => {
      for (let round = 0; round < 5; round++) await atOnce(12, (n) => place(at, 1 + (n % 3), [[1, 1]]).expect(201));
    });
    // In the lane still, and not each alone.
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThanOrEqual(60);
    expect(waiting).toBe(3);
    await holder.query('COMMIT');
    expect(tally(await blocked)).toEqual({ '201': 3 });
  });
});

it('two instances sell the last units once', async () => {
  const other = await serve(service.database);
  try {
    const at = await shop(service, [25, 25]);
    const answers = await atOnce(80, (n) =>
      api(n % 2 === 0 ? service.url : other.url, at.people[n % 4]!.token).post(
        '/v1/orders',
        order(at, n % 4, [
          [n % 2, 1],
          [(n + 1) % 2, 1],
        ]),
      ),
    );
    expect(tally(answers)).toEqual({ '201': 25, '409 out-of-stock': 55 });
  } finally {
    await other.app.close();
  }
});
