import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import pg from 'pg';
import { answerFor } from '../src/http/problems/problem.ts';
import { allOf } from '../src/kernel/all-of.ts';
import { newId } from '../src/kernel/ids.ts';
import { LockUnavailableError, TransactionJoinError, TransactionRequiredError } from '../src/transactions/errors.ts';
import { type Lockable, lockableTable, lockableTables } from '../src/transactions/lockable-tables.ts';
import { type LockOptions, lockRows } from '../src/transactions/locks.ts';
import { InjectDatabase, type Sql } from '../src/transactions/tables.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Core, startCore } from './support/core.ts';
import { fullCount } from './support/counts.ts';
import { atOnce, eventually, untilBlocked } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { type LockableIds, lockableRows } from './support/lock-order-rows.ts';
import { recordStatements } from './support/statements.ts';

type Wanted = Partial<Record<Lockable, readonly string[]>>;

@Injectable()
class Locks {
  constructor(@InjectDatabase() private readonly db: Sql) {}

  lock<T extends Lockable>(rows: Readonly<Record<T, readonly string[]>>, options?: LockOptions) {
    return lockRows(this.db, rows, options);
  }
}

let database: TestDatabase;
let core: Core;
let locks: Locks;
let ids: LockableIds;
let outsider: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [Locks]);
  locks = core.get(Locks);
  ids = await lockableRows(database);
  outsider = new pg.Client({ connectionString: database.urls.owner });
  await outsider.connect();
});
afterAll(async () => {
  await outsider.end();
  await core.close();
  await database.drop();
});

/** Holds the rows in a boundary, as long as the work takes. */
const holding = (rows: Wanted, work: () => Promise<unknown>) =>
  core.run({ name: 'Holder' }, async () => {
    await locks.lock(rows as Record<Lockable, readonly string[]>);
    // The work is somebody else's: it must not be part of this boundary.
    await core.run({ propagation: 'not-supported' }, work);
  });

/** Whether nobody holds the row, in whatever way `strength` minds. */
async function isFree(table: Lockable, id: string, strength = 'NO KEY UPDATE'): Promise<boolean> {
  const sql = `SELECT FROM "${table}" WHERE ${lockableTable(table).key} = $1 FOR ${strength} NOWAIT`;
  try {
    return (await outsider.query(sql, [id])).rowCount === 1;
  } catch (error) {
    if (databaseFailure(error)?.sqlState !== '55P03') throw error;
    return false;
  }
}

const account = (n: number): string => ids.account[n] ?? '';
const stock = (n: number): string => ids.stock[n] ?? '';
const session = (n: number): string => ids.session[n] ?? '';

describe('what may be locked', () => {
  it('comes in the order in which the services of earlier releases lock it', () => {
    // No boundary locks a session and an order.
    const released: readonly string[][] = [
      ['user', 'session'],
      ['user', 'order', 'stock', 'account'],
    ];
    const tables = lockableTables().map(({ table }) => table);
    for (const together of released) expect(tables.filter((table) => together.includes(table))).toEqual(together);
  });

  it.each(lockableTables())('$table is named by its primary key, $key', async ({ table, key }) => {
    const { rows } = await outsider.query<{ name: string; type: string }>(
      `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
       WHERE i.indisprimary AND i.indrelid = $1::regclass`,
      [`"${table}"`],
    );
    expect(rows).toEqual([{ name: key, type: 'uuid' }]);
  });
});

describe('lockRows', () => {
  it('gives the keys that were found, for each table that was asked for', async () => {
    const found = await core.run({}, () =>
      locks.lock({ account: [account(1), newId(), account(0)], stock: [], session: [newId()] }),
    );
    expect(found).toEqual({
      account: new Set([account(0), account(1)]),
      stock: new Set(),
      session: new Set(),
    });
  });

  it('takes an id that is given twice, or in capital letters, once', async () => {
    const twice = [account(0), account(0).toUpperCase(), account(0)];
    expect(await core.run({}, () => locks.lock({ account: twice }))).toEqual({ account: new Set([account(0)]) });
  });

  it('sends nothing for tables without ids', async () => {
    const statements = recordStatements();
    await core.run({}, () => locks.lock({ account: [], stock: [] })).finally(statements.stop);
    expect(statements.take()).toEqual([]);
  });

  it('takes tables in one order, however the members are written', async () => {
    const members = { account: [account(0)], session: [session(0)], stock: [stock(0)] };
    const statements = recordStatements();
    try {
      for (const rows of [members, Object.fromEntries(Object.entries(members).reverse())]) {
        await core.run({}, () => locks.lock(rows as typeof members));
        const taken = statements.take().flatMap(({ text }) => /FROM "(\w+)".*FOR NO KEY/.exec(text)?.[1] ?? []);
        expect(taken).toEqual(['session', 'stock', 'account']);
      }
    } finally {
      statements.stop();
    }
  });

  it('takes rows in the order of their ids: one that waits for a row holds those before it and none behind', async () => {
    const [first, held, last] = [0, 1, 2].map(account) as [string, string, string];
    let waiting: Promise<unknown> = Promise.resolve();
    await holding({ account: [held] }, async () => {
      waiting = core.run({}, () => locks.lock({ account: [last, held, first] }));
      await eventually(
        () => isFree('account', first),
        (free) => !free,
      );
      expect(await isFree('account', last)).toBe(true);
    });
    await waiting;
  });

  it('never makes two callers wait for each other, whatever order they give', async () => {
    const rounds = fullCount(15, 300);
    const forwards = { account: ids.account.slice(0, 3), stock: [...ids.stock] };
    const backwards = { stock: [...ids.stock].reverse(), account: ids.account.slice(0, 3).reverse() };
    for (let round = 0; round < rounds; round++) {
      const found = await atOnce(6, (n) =>
        core.run({ retry: 0 }, () => locks.lock(n % 2 === 0 ? forwards : backwards)),
      );
      expect(found.map(({ account: { size } }) => size)).toEqual([3, 3, 3, 3, 3, 3]);
    }
  });

  it('keeps others from changing the row, but not from referring to it', async () => {
    await holding({ account: [account(0)] }, async () => {
      expect(await isFree('account', account(0), 'SHARE')).toBe(false);
      expect(await isFree('account', account(0), 'KEY SHARE')).toBe(true);
    });
    expect(await isFree('account', account(0), 'UPDATE')).toBe(true);
  });

  it('with wait: false throws LockUnavailableError at once, and nothing of the boundary is stored', async () => {
    await holding({ stock: [stock(0)] }, async () => {
      const refused = core.run({ lockTimeout: '60s', timeout: '100s' }, async () => {
        await locks.lock({ account: [account(0)] });
        await locks.lock({ account: [account(1)], stock: [stock(1), stock(0)] }, { wait: false });
      });
      await expect(refused).rejects.toBeInstanceOf(LockUnavailableError);
      await expect(refused).rejects.toMatchObject({
        table: 'stock',
        message: 'Rows of stock are locked by somebody else.',
      });
      expect(await isFree('account', account(0))).toBe(true);
    });
    await core.run({}, () => locks.lock({ stock: [stock(0)] }, { wait: false }));
  });

  it('throws LockUnavailableError when a row is not free within lockTimeout', async () => {
    await holding({ stock: [stock(0)] }, async () => {
      const refused = core.run({ lockTimeout: '50ms' }, () => locks.lock({ stock: [stock(0)] }));
      await expect(refused).rejects.toThrow(LockUnavailableError);
    });
  });

  it('lets a boundary go on without the row when the attempt was nested', async () => {
    await holding({ stock: [stock(0)] }, async () => {
      const got = await core.run({}, async () => {
        const attempt = core.run({ propagation: 'nested' }, () => locks.lock({ stock: [stock(0)] }, { wait: false }));
        await expect(attempt).rejects.toThrow(LockUnavailableError);
        return locks.lock({ stock: [stock(1)] }, { wait: false });
      });
      expect(got).toEqual({ stock: new Set([stock(1)]) });
    });
  });

  it('that could not be had is answered 503, to be tried again, without a word about the rows', async () => {
    let refusal: unknown;
    await holding({ stock: [stock(0)] }, async () => {
      const refused = core.run({}, () => locks.lock({ stock: [stock(0)] }, { wait: false }));
      refusal = await refused.catch((error: unknown) => error);
    });
    const { status, code, retryable, detail } = answerFor(refusal);
    expect({ status, code, retryable }).toEqual({ status: 503, code: 'transient-contention', retryable: true });
    expect(detail).not.toContain('stock');
  });

  it('with skipLocked leaves out what somebody else holds', async () => {
    await holding({ stock: [stock(0), stock(2)] }, async () => {
      const got = await core.run({}, () => locks.lock({ stock: ids.stock }, { skipLocked: true }));
      expect(got).toEqual({ stock: new Set([stock(1), stock(3)]) });
    });
  });

  it('is refused outside a boundary, and where one was put aside', async () => {
    const lock = () => locks.lock({ stock: [stock(0)] });
    await expect(lock()).rejects.toThrow(TransactionRequiredError);
    const aside = core.run({}, () => core.run({ propagation: 'not-supported' }, lock));
    await expect(aside).rejects.toThrow(TransactionRequiredError);
  });

  it('is refused in a boundary that only reads', async () => {
    const lock = () => locks.lock({ stock: [stock(0)] });
    const refused = core.run({ name: 'Report', readOnly: true }, lock);
    await expect(refused).rejects.toThrow(
      new TransactionJoinError('lockRows locks rows, and Report is a boundary that only reads.'),
    );
    // Also in a part of one that writes.
    await expect(core.run({}, () => core.run({ readOnly: true }, lock))).rejects.toThrow(TransactionJoinError);
  });

  it('is refused for a table that has no order', async () => {
    const rows = { entry: [newId()] } as unknown as { stock: string[] };
    await expect(core.run({}, () => locks.lock(rows))).rejects.toThrow(new TypeError('entry has no locks.'));
  });
});

it('locks that are asked for together leave in their order, also where the first waits for its place in a crowd', async () => {
  const [stock = '', account = ''] = [ids.stock[0], ids.account[0]];
  const locked = (texts: readonly string[]) =>
    texts.flatMap((text) => /FROM "(stock|account)" WHERE/.exec(text)?.[1] ?? []);
  await outsider.query('BEGIN');
  await outsider.query('SELECT FROM stock WHERE sku_id = $1 FOR UPDATE', [stock]);
  const crowd = atOnce(3, () => core.run({}, () => locks.lock({ stock: [stock] })));
  await untilBlocked(database, 3);
  const statements = recordStatements();
  try {
    const last = core.run({}, () => allOf([locks.lock({ stock: [stock] }), locks.lock({ account: [account] })]));
    await sleep(200);
    expect(locked(statements.take().map(({ text }) => text))).toEqual([]);
    await outsider.query('COMMIT');
    await Promise.all([crowd, last]);
    expect(locked(statements.take().map(({ text }) => text))).toEqual(['stock', 'account']);
  } finally {
    await outsider.query('ROLLBACK');
    statements.stop();
  }
});
