/** @servers any */
import pg from 'pg';
import type { Response } from 'supertest';
import { sharesOf } from '../src/transactions/boundary/crowding.ts';
import { KeyedGate } from '../src/transactions/boundary/keyed-gate.ts';
import { RowBusyError } from '../src/transactions/errors.ts';
import { lockRows } from '../src/transactions/locks.ts';
import { DATABASE, type Sql } from '../src/transactions/tables.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { atOnce, crowd, eventually, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { expectProblem } from './support/problem.ts';

const poolSize = 10;
const lockTimeoutMs = 6000;

let service: TestApp;
let make: ReturnType<typeof makers>;
let people: Person[];
// Superusers: others do not see for what a connection waits.
let holder: pg.Client;
let watcher: pg.Client;
beforeAll(async () => {
  service = await startApp({
    DATABASE_POOL_SIZE: String(poolSize),
    DATABASE_LOCK_TIMEOUT_MS: String(lockTimeoutMs),
  });
  make = makers(service);
  people = await crowd(service, 13, { balance: 100_000 });
  [holder, watcher] = [1, 2].map(() => new pg.Client({ connectionString: service.database.urls.superuser })) as [
    pg.Client,
    pg.Client,
  ];
  await Promise.all([holder.connect(), watcher.connect()]);
});
afterEach(() => holder.query('ROLLBACK'));
afterAll(async () => {
  await Promise.all([holder.end(), watcher.end()]);
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const order = (person: Person, skuId: string) => person.api.post('/v1/orders', make.orderOf(person, [skuId]));
const hold = (skuIds: readonly string[]) =>
  holder.query(`BEGIN; SELECT FROM stock WHERE sku_id IN (${skuIds.map((id) => `'${uuidOf(id)}'`).join()}) FOR UPDATE`);

/** How many connections of the service wait for a row or a table. */
const waiting = async (): Promise<number> => {
  const { rows } = await watcher.query(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'holdfast %' AND wait_event_type = 'Lock'`,
  );
  return rows.length;
};
const untilCrowded = (least: number) => eventually(waiting, (n) => n >= least);

/** What strangers do meanwhile: none of it needs a row that is held. */
async function expectServed(): Promise<void> {
  const [stranger] = people as [Person];
  const other = await make.sku(100);
  const { email, password } = stranger;
  const { body } = await service.as().post('/v1/sessions', { email: email, password }).expect(201);
  await service.as().post('/v1/sessions/refresh', { refreshToken: body.refreshToken }).expect(201);
  await order(people[1] as Person, other).expect(201);
  await stranger.api.post('/v1/accounts', { currency: 'EUR', name: 'Another' }).expect(201);
}

/** All of them were served, but for those whose time was over by then: on a busy machine it may be. */
function expectEnded(answers: readonly Response[]): void {
  const { '201': served = 0, '503 transient-contention': late = 0 } = tally(answers);
  expect(served + late).toBe(answers.length);
  expect(served).toBeGreaterThan(0);
}

describe('while somebody holds the row of one SKU', () => {
  it('few connections wait for it, and everything else is served; who waits is told to come again', async () => {
    const hot = await make.sku(100);
    await hold([hot]);
    const orders = people.map((person) => order(person, hot).then((response: Response) => response));
    await untilCrowded(sharesOf(poolSize).perRow);
    await expectServed();
    expect(await waiting()).toBeLessThanOrEqual(sharesOf(poolSize).perRow);
    const answers = await Promise.all(orders);
    for (const answer of answers) {
      expectProblem(answer, 'transient-contention');
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    }
    expect(tally(answers)).toEqual({ '503 transient-contention': people.length });
  });

  it('all are served once it is free', async () => {
    const hot = await make.sku(100);
    await hold([hot]);
    const orders = people.map((person) => order(person, hot).then((response: Response) => response));
    await untilCrowded(sharesOf(poolSize).perRow);
    await expectServed();
    await holder.query('ROLLBACK');
    expectEnded(await Promise.all(orders));
  });
});

it('while somebody holds many rows, some connections are left for work that needs none of them', async () => {
  const hot = await Promise.all(people.map(() => make.sku(100)));
  await hold(hot);
  const orders = people.map((person, n) => order(person, hot[n] ?? '').then((response: Response) => response));
  await untilCrowded(sharesOf(poolSize).waiting);
  await expectServed();
  expect(await waiting()).toBeLessThanOrEqual(sharesOf(poolSize).waiting);
  await holder.query('ROLLBACK');
  expectEnded(await Promise.all(orders));
});

it('one caller has a part of the connections, whatever it waits for', async () => {
  const { perCaller } = sharesOf(poolSize);
  const [busy] = people as [Person];
  // Where no gate of rows sees it: in front of a table.
  await holder.query('BEGIN; LOCK TABLE payment IN SHARE ROW EXCLUSIVE MODE');
  const skus = await Promise.all(Array.from({ length: 2 * poolSize }, () => make.sku(1)));
  const orders = skus.map((skuId) => order(busy, skuId).then((response: Response) => response));
  await untilCrowded(1);
  const { email, password } = people[2] as Person;
  await service.as().post('/v1/sessions', { email, password }).expect(201);
  expect(await waiting()).toBeLessThanOrEqual(perCaller);
  await holder.query('ROLLBACK');
  await Promise.all(orders);
});

it('a boundary that gave way stores its work once, and runs its hooks once', async () => {
  const skus = await Promise.all([1, 2].map(() => make.sku(1)));
  const ids = skus.map(uuidOf);
  const transactions = service.app.get(Transactions);
  const db = service.app.get<Sql>(DATABASE);
  await hold(skus);
  let runs = 0;
  const lock = () =>
    transactions.run({ name: 'crowded' }, async () => {
      runs++;
      await lockRows(db, { stock: ids });
    });
  const all = atOnce(poolSize, lock);
  await untilCrowded(sharesOf(poolSize).perRow);
  // Those who gave way wait without a connection.
  await eventually(
    async () => runs,
    (n) => n === poolSize,
  );
  await expectServed();
  await holder.query('ROLLBACK');
  await all;
  expect(runs).toBeGreaterThan(poolSize);
});

it('one whose row is busy does not go on, also when it takes no notice of the error', async () => {
  const id = uuidOf(await make.sku(1));
  const transactions = service.app.get(Transactions);
  const db = service.app.get<Sql>(DATABASE);
  await holder.query(`BEGIN; SELECT FROM stock WHERE sku_id = '${id}' FOR UPDATE`);
  const careless = () =>
    transactions.run({ name: 'careless', timeout: '1s' }, async () => {
      await lockRows(db, { stock: [id] }).catch(() => undefined);
    });
  const outcomes = await Promise.allSettled(Array.from({ length: poolSize }, careless));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  // Who gave way waits for a place to the end of its time, and is told then what was lacking.
  expect(outcomes.some((one) => one.status === 'rejected' && one.reason instanceof RowBusyError)).toBe(true);

  // With time enough all get places, one after the other, and the row is what each of them lacks.
  let runs = 0;
  const patient = () =>
    transactions.run({ name: 'patient', lockTimeout: '300ms' }, async () => {
      runs++;
      await lockRows(db, { stock: [id] }).catch(() => undefined);
    });
  const late = await Promise.allSettled(Array.from({ length: poolSize }, patient));
  expect(late.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  expect(runs).toBeGreaterThan(poolSize);

  // No place is lost with those who failed.
  await holder.query('ROLLBACK');
  expect(
    await atOnce(poolSize, async () => transactions.run({ name: 'later' }, () => lockRows(db, { stock: [id] }))),
  ).toHaveLength(poolSize);
});

describe('a gate', () => {
  it('lets so many in for each key, in the order of their coming, and forgets a key that nobody wants', async () => {
    const gate = new KeyedGate(2);
    expect(await Promise.all([gate.enter('a', 0), gate.enter('a', 0), gate.enter('a', 0)])).toEqual([
      true,
      true,
      false,
    ]);
    expect(await gate.enter('b', 0)).toBe(true);
    const came: number[] = [];
    const line = [1, 2].map(async (n) => (await gate.enter('a', 5000)) && came.push(n));
    gate.leave('a');
    gate.leave('a');
    await Promise.all(line);
    expect(came).toEqual([1, 2]);
    for (const key of ['a', 'a', 'b']) gate.leave(key);
    expect(gate.size).toBe(0);
  });

  it('forgets who has waited in vain', async () => {
    const gate = new KeyedGate(1);
    await gate.enter('a', 0);
    expect(await gate.enter('a', 5)).toBe(false);
    gate.leave('a');
    expect([gate.size, await gate.enter('a', 0)]).toEqual([0, true]);
  });
});
