/** @servers any */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { allOf } from '../src/kernel/all-of.ts';
import {
  describeCycle,
  lockCycles,
  LockOrder,
  lockOrder,
  recordLockOrder,
} from '../src/transactions/boundary/lock-order.ts';
import type { Lockable } from '../src/transactions/lockable-tables.ts';
import { type LockOptions, lockRows } from '../src/transactions/locks.ts';
import { InjectDatabase, type Sql } from '../src/transactions/tables.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { startApp } from './support/app.ts';
import { type Core, startCore } from './support/core.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { type LockableIds, lockableRows } from './support/lock-order-rows.ts';
import { makers } from './support/make.ts';
import { buildService, leastEnvironment } from './support/process.ts';

type Rows = Partial<Record<Lockable, readonly string[]>>;

@Injectable()
class Locks {
  constructor(@InjectDatabase() private readonly db: Sql) {}

  lock = (rows: Rows, options?: LockOptions) => lockRows(this.db, rows as Record<Lockable, string[]>, options);
}

@Injectable()
class Payments {
  constructor(private readonly locks: Locks) {}

  @Transactional()
  async pay(first: Rows, second: Rows): Promise<void> {
    await this.locks.lock(first);
    await this.settle(second);
  }

  @Transactional()
  async payAtOnce(first: Rows, second: Rows): Promise<void> {
    await allOf([this.locks.lock(first), this.locks.lock(second)]);
  }

  private async settle(rows: Rows): Promise<void> {
    await this.locks.lock(rows);
  }
}

@Injectable()
class Audits {
  constructor(private readonly locks: Locks) {}

  @Transactional({ name: 'nightly audit' })
  async audit(first: Rows, second: Rows): Promise<void> {
    await this.locks.lock(first);
    await this.locks.lock(second);
  }
}

let database: TestDatabase;
let core: Core;
let locks: Locks;
let ids: LockableIds;
beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [Locks, Payments, Audits]);
  locks = core.get(Locks);
  ids = await lockableRows(database);
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

// What is done wrong here on purpose is not for the record of the run.
let order: LockOrder;
let ofTheRun: LockOrder | null;
beforeEach(() => {
  ofTheRun = lockOrder();
  recordLockOrder((order = new LockOrder()));
});
afterEach(() => recordLockOrder(ofTheRun));

const pay = (first: Rows, second: Rows) => core.get(Payments).pay(first, second);
const audit = (first: Rows, second: Rows) => core.get(Audits).audit(first, second);
const account = (n: number): Rows => ({ account: [ids.account[n] ?? ''] });
const stock = (n: number): Rows => ({ stock: [ids.stock[n] ?? ''] });
const session = (n: number): Rows => ({ session: [ids.session[n] ?? ''] });

const edges = (): string[] => order.edges.map(({ held, wanted }) => `${held.table} → ${wanted.table}`).sort();
const circles = (): string[] => lockCycles(order.edges).map((cycle) => cycle.map(({ held }) => held.table).join(' → '));

describe('the order in which locks are taken', () => {
  it('is recorded of locks that are asked for together as well', async () => {
    await core.get(Payments).payAtOnce(stock(0), account(0));
    expect(edges()).toEqual(['stock → account']);
    await core.get(Payments).payAtOnce(account(1), stock(1));
    expect(circles()).toHaveLength(1);
  });

  it('is recorded with the boundary and the place of both calls', async () => {
    await audit(stock(0), account(0));
    expect(order.edges).toEqual([
      {
        held: { table: 'stock', boundary: 'nightly audit', stack: expect.any(String) },
        wanted: { table: 'account', boundary: 'nightly audit', stack: expect.any(String) },
      },
    ]);
    const [{ held, wanted }] = order.edges as [(typeof order.edges)[0]];
    const lines = readFileSync(__filename, 'utf8').split('\n');
    for (const [{ stack }, text] of [
      [held, 'this.locks.lock(first)'],
      [wanted, 'this.locks.lock(second)'],
    ] as const) {
      const calledAt = [...stack.matchAll(/lock-order\.test\.ts:(\d+)/g)].map(([, line]) => lines[Number(line) - 1]);
      expect(calledAt.join('\n')).toContain(text);
      // The test that has called the boundary is on it, and nothing that is not the caller's.
      expect(calledAt.join('\n')).toContain('await audit(stock(0), account(0))');
      expect(stack).not.toMatch(/node_modules|src\/transactions|node:/);
    }
  });

  it('is a circle when another service takes them in the opposite one, and both places are named', async () => {
    await pay(stock(0), account(0));
    expect(circles()).toEqual([]);
    await audit(account(1), stock(1));
    expect(circles()).toEqual(['stock → account']);
    const said = lockCycles(order.edges).map(describeCycle).join('\n');
    expect(said).toContain('Locks are taken in a circle, stock → account → stock');
    for (const part of ['locked in Payments.pay', 'locked in nightly audit']) expect(said).toContain(part);
    const lines = readFileSync(__filename, 'utf8').split('\n');
    const named = [...said.matchAll(/lock-order\.test\.ts:(\d+)/g)].map(([, line]) => lines[Number(line) - 1]?.trim());
    expect(named).toEqual(expect.arrayContaining(['await this.locks.lock(first);', 'await this.locks.lock(rows);']));
  });

  it('is a circle when it takes three to close it', async () => {
    await audit(session(0), stock(0));
    await audit(stock(0), account(0));
    expect(circles()).toEqual([]);
    await audit(account(0), session(0));
    expect(circles()).toEqual(['session → stock → account']);
  });

  it('is a circle within a table when a later call goes back behind an id that is held', async () => {
    await pay(account(0), account(1));
    expect(circles()).toEqual([]);
    await pay(account(1), account(0));
    expect(circles()).toEqual(['account']);
    expect(lockCycles(order.edges).map(describeCycle).join()).toContain('again, with an id before one it holds');
  });

  it('is none when a row is asked for again that is held already', async () => {
    await pay(stock(0), { ...account(0), ...stock(0) });
    await pay({ ...stock(0), ...account(0) }, stock(0));
    await pay({ account: [...ids.account] }, account(0));
    await pay({ account: [...ids.account] }, { account: ids.account.map((id) => id.toUpperCase()) });
    expect(circles()).toEqual([]);
  });

  it('is kept by one call, however its members and ids are written', async () => {
    const rows = { account: [...ids.account], stock: [...ids.stock], session: [...ids.session] };
    const backwards = Object.entries(rows).map(([table, those]) => [table, [...those].reverse()]);
    await core.run({}, () => locks.lock(rows));
    await core.run({}, () => locks.lock(Object.fromEntries(backwards.reverse()) as Rows));
    expect(new Set(edges())).toEqual(new Set(['session → account', 'session → stock', 'stock → account']));
    expect(circles()).toEqual([]);
  });

  it('does not count what was locked in a savepoint that was rolled back, but what one has kept', async () => {
    const nested = (rows: Rows, end: () => Promise<unknown>) =>
      core.run({ propagation: 'nested' }, async () => {
        await core.run({ propagation: 'nested' }, () => locks.lock(rows));
        await end();
      });
    await core.run({}, async () => {
      await nested(account(0), () => Promise.reject(new Error('undone'))).catch(() => undefined);
      await locks.lock(stock(0));
    });
    expect(edges()).toEqual([]);
    await core.run({}, async () => {
      await nested(account(0), async () => undefined);
      await locks.lock(stock(0));
    });
    expect(edges()).toEqual(['account → stock']);
  });

  it('begins anew with each attempt of a boundary', async () => {
    let attempts = 0;
    await core.run({}, async () => {
      await locks.lock(++attempts === 1 ? account(0) : stock(0));
      if (attempts === 1) throw Object.assign(new Error('planted'), { code: '40001', severity: 'ERROR' });
    });
    expect({ attempts, edges: edges() }).toEqual({ attempts: 2, edges: [] });
  });

  it('does not ask those who do not wait, but others wait for what they hold', async () => {
    await core.run({}, async () => {
      await locks.lock(account(0));
      await locks.lock(stock(0), { wait: false });
      await locks.lock(session(0), { skipLocked: true });
    });
    expect(edges()).toEqual([]);
    await core.run({}, async () => {
      await locks.lock(account(0), { wait: false });
      await locks.lock(stock(0));
    });
    expect(edges()).toEqual(['account → stock']);
  });

  it('is not recorded unless somebody asks, and no part of the service does', async () => {
    recordLockOrder(null);
    await pay(stock(0), account(0));
    expect(order.edges).toEqual([]);
    const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const asking = sources.filter((file) => readFileSync(join('src', file), 'utf8').includes('recordLockOrder'));
    expect(asking).toEqual([join('transactions', 'boundary', 'lock-order.ts')]);
  });

  it('of an order that is placed and cancelled is the order, its goods, the money', async () => {
    const service = await startApp();
    const make = makers(service);
    const buyer = await make.user({ balance: 10_000 });
    const { id } = await make.order(buyer, [await make.sku(5)]);
    await buyer.api.post(`/v1/orders/${id}/cancel`).expect(200);
    await service.app.close();
    await service.database.drop();
    expect(new Set(edges())).toEqual(new Set(['order → account', 'order → stock', 'stock → account']));
    expect(circles()).toEqual([]);
  });
});

// With the configuration and the program of `npm test`, on files that are no tests of ours.
describe('a test run', () => {
  beforeAll(buildService, 300_000);

  function runTests(file: string) {
    const { POSTGRES_BINARIES } = process.env;
    const env = { ...leastEnvironment(), ...(POSTGRES_BINARIES && { POSTGRES_BINARIES }) };
    const args = [
      '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON',
      join('tools', 'test.mts'),
      ...['--maxWorkers=1', '--testMatch', `<rootDir>/test/support/${file}`],
    ];
    return spawnSync(process.execPath, args, { encoding: 'utf8', env, timeout: 240_000 });
  }

  it('passes when locks are taken in one order', () => {
    const { status, stdout, stderr } = runTests('lock-order-one.ts');
    expect({ status, stdout }).toEqual({ status: 0, stdout: '1 passed, 0 failed\n' });
    expect(stderr).not.toContain('circle');
  }, 250_000);

  it('fails when two services in two files take them in opposite ones, and names both places', () => {
    const { status, stdout, stderr } = runTests('lock-order-o*.ts');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '2 passed, 1 failed\n' });
    expect(stderr).toContain('Locks are taken in a circle');
    expect(stderr).toContain('Jest ended with code 1 although no test failed: see above.');
    for (const [boundary, file, call] of [
      ['Sales.sell', 'lock-order-one.ts', 'takeGoods'],
      ['Sales.sell', 'lock-order-one.ts', 'takeMoney'],
      ['Returns.giveBack', 'lock-order-other.ts', 'takeMoney'],
      ['Returns.giveBack', 'lock-order-other.ts', 'takeGoods'],
    ] as const)
      expect(stderr).toMatch(new RegExp(`in ${boundary}\n +at \\w+\\.${call} \\(.*${file}`));
  }, 250_000);
});
