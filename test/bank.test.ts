import type { Response } from 'supertest';
import { showId } from '../src/kernel/ids.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { crowd, inFlight, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { randomFrom } from './support/random.ts';

// Set BANK_SEED to repeat a run that failed, BANK_OPERATIONS for a longer one.
const seed = Number(process.env['BANK_SEED'] ?? Date.now() % 1_000_000);
const operations = Number(process.env['BANK_OPERATIONS'] ?? 1500);
const currencies = ['EUR', 'JPY', 'KWD'];
const peoplePerCurrency = 6;
// What may be refused here, and with which words. A 5xx is never among them.
const refusals =
  /^(422 insufficient-funds|422 same-account|422 currency-mismatch|409 out-of-stock|409 insufficient-stock|409 not-cancellable)$/;

interface Customer extends Person {
  readonly currency: string;
}
interface Goods {
  readonly id: string;
  readonly currency: string;
}
/** What the service said it did. */
interface Acknowledged {
  readonly transfers: Map<string, number>;
  readonly orders: Map<string, { total: number; isCancelled: boolean }>;
  readonly movements: Map<string, number>;
}

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
let customers: Customer[];
let goods: Goods[];
const said: Acknowledged = { transfers: new Map(), orders: new Map(), movements: new Map() };
let answers: Response[];

beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '12', DATABASE_POOL_WAIT_MS: '20000' });
  make = makers(service);
  operator = await make.operator();
  customers = [];
  goods = [];
  for (const currency of currencies) {
    for (const person of await crowd(service, peoplePerCurrency, { currency })) customers.push({ ...person, currency });
    const { skus } = await make.product({ onHand: [40, 40, 40], price: 250, currency });
    for (const { id } of skus) goods.push({ id, currency });
  }
  const random = randomFrom(seed);
  // Drawn before it starts: which operation is the n-th must not depend on which answer comes first.
  const plan = Array.from({ length: operations }, () => draw(random));
  answers = await inFlight(24, operations, async (n) => (plan[n] as () => Promise<Response>)());
}, 120_000);
afterAll(() => service.close());

/** Fails with the seed in the message. */
const seeded = (check: () => void | Promise<void>) => async (): Promise<void> => {
  try {
    await check();
  } catch (error) {
    (error as Error).message = `BANK_SEED=${seed}\n${(error as Error).message}`;
    throw error;
  }
};

function draw({ whole, pick }: ReturnType<typeof randomFrom>): () => Promise<Response> {
  const [kind, who, amount, units] = [whole(1, 100), pick(customers), whole(1, 3000), whole(1, 4)];
  const peers = customers.filter(({ currency }) => currency === who.currency);
  // One in ten goes to whomever it hits, also of another currency.
  const to = whole(1, 10) === 1 ? pick(customers) : pick(peers);
  const mine = goods.filter(({ currency }) => currency === who.currency);
  const [one, other, place] = [pick(mine), pick(mine), whole(0, 1_000_000)];
  if (kind <= 20) return () => deposit(who, amount);
  if (kind <= 55) return () => transfer(who, to, amount);
  if (kind <= 80) return () => order(who, [one, other], units);
  if (kind <= 92) return () => cancel(place);
  return () => adjust(one, units * (kind % 3 === 0 ? -1 : 3));
}

async function deposit({ accountId, currency }: Customer, amount: number): Promise<Response> {
  const answer = await operator.api.post('/v1/deposits', { accountId, amount: { amount, currency } });
  if (answer.status === 201) said.transfers.set(uuidOf(answer.body.id), amount);
  return answer;
}

async function transfer(from: Customer, to: Customer, amount: number): Promise<Response> {
  const answer = await from.api.post('/v1/transfers', {
    fromAccountId: from.accountId,
    toAccountId: to.accountId,
    amount: { amount, currency: from.currency },
  });
  if (answer.status === 201) said.transfers.set(uuidOf(answer.body.id), amount);
  return answer;
}

async function order(buyer: Customer, [one, other]: [Goods, Goods], quantity: number): Promise<Response> {
  const items = [{ skuId: one.id, quantity }, other.id];
  const answer = await buyer.api.post('/v1/orders', make.orderOf(buyer, items));
  if (answer.status === 201) {
    const { id, total, payment } = answer.body;
    said.orders.set(uuidOf(id), { total: total.amount, isCancelled: false });
    said.transfers.set(uuidOf(payment.transferId), total.amount);
  }
  return answer;
}

/** Any order that has been placed by now. */
async function cancel(place: number): Promise<Response> {
  const ids = [...said.orders.keys()];
  const id = ids[place % ids.length];
  if (id === undefined) return operator.api.get('/v1/users/me');
  const answer = await operator.api.post(`/v1/orders/${showId('ord', id)}/cancel`, { reason: 'bank' });
  if (answer.status === 200) {
    const { total, refund } = answer.body;
    said.orders.set(id, { total: total.amount, isCancelled: true });
    said.transfers.set(uuidOf(refund.transferId), refund.amount.amount);
  }
  return answer;
}

async function adjust({ id }: Goods, quantity: number): Promise<Response> {
  const answer = await operator.api.post(`/v1/skus/${id}/stock-adjustments`, { quantity });
  if (answer.status === 201) said.movements.set(`${uuidOf(id)} ${answer.body.seq}`, quantity);
  return answer;
}

const stored = async (sql: string): Promise<Map<string, number>> => {
  const rows = await service.database.query<{ id: string; n: string }>(sql);
  return new Map(rows.map(({ id, n }) => [id, Number(n)]));
};
const sorted = <T>(map: Map<string, T>): [string, T][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

describe(`${operations} operations in random order, 24 in flight`, () => {
  it(
    'are each done or refused in known words, and enough of every kind are done',
    seeded(() => {
      const counts = tally(answers);
      expect(Object.keys(counts).filter((answer) => !/^20[01]$/.test(answer) && !refusals.test(answer))).toEqual([]);
      expect(counts['201']).toBeGreaterThan(operations / 3);
      const cancelled = [...said.orders.values()].filter(({ isCancelled }) => isCancelled).length;
      expect(Math.min(said.orders.size, cancelled, said.movements.size)).toBeGreaterThan(operations / 100);
    }),
  );

  it(
    'leave books that add up: every account, every currency, every stock, every order',
    seeded(async () => expect(await findMistakes(service.database)).toEqual([])),
  );

  it(
    'are in the database as they were acknowledged, and nothing else is',
    seeded(async () => {
      expect(sorted(await stored('SELECT id::text, amount AS n FROM transfer'))).toEqual(sorted(said.transfers));
      const orders = new Map(
        [...said.orders].map(([id, { total, isCancelled }]) => [id, isCancelled ? -total : total]),
      );
      const cancelledIsNegative = `SELECT id::text, CASE status WHEN 'placed' THEN total ELSE -total END AS n FROM "order"`;
      expect(sorted(await stored(cancelledIsNegative))).toEqual(sorted(orders));
      const byHand = `SELECT sku_id || ' ' || seq AS id, quantity AS n FROM stock_movement WHERE reason = 'adjusted'`;
      expect(sorted(await stored(byHand))).toEqual(sorted(said.movements));
    }),
  );

  it(
    'are what the service shows afterwards',
    seeded(async () => {
      const balances = await stored('SELECT id::text, balance AS n FROM account WHERE user_id IS NOT NULL');
      for (const customer of customers)
        expect(await make.balanceOf(customer)).toBe(balances.get(uuidOf(customer.accountId)));
    }),
  );
});
