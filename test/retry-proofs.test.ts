import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { DatabaseClients } from '../src/database/database-clients.ts';
import { newId } from '../src/kernel/ids.ts';
import { type AttemptFailed, attemptFailed } from '../src/transactions/boundary/channels.ts';
import { isConflict } from '../src/transactions/boundary/named-errors.ts';
import type { TransactionOptions } from '../src/transactions/boundary/options.ts';
import { currentTransaction } from '../src/transactions/current.ts';
import { TransactionConflictError, UnexpectedRollbackError } from '../src/transactions/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Core, startCore } from './support/core.ts';
import { fullCount } from './support/counts.ts';
import { eventually, inFlight } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { Marks, marksLike } from './support/marks.ts';

// Conflicts that PostgreSQL itself finds between boundaries that run at the same time. Nothing is planted.

let database: TestDatabase;
let core: Core;
let db: Marks['db'];
let marks: Marks;
let run: Core['run'];
let superuser: pg.Pool;
/** A statement as superuser, also from inside a boundary, whose work it is not. */
let ask: (sql: string, values?: unknown[]) => Promise<pg.QueryResult>;

beforeAll(async () => {
  database = await createDatabase();
  superuser = new pg.Pool({ connectionString: database.urls.superuser, max: 2 });
  // DROP … FORCE may reach a connection that is about to close by itself.
  superuser.on('error', () => undefined);
  const outside = AsyncLocalStorage.snapshot();
  ask = (sql, values) => outside(() => superuser.query(sql, values));
  // A deadlock is looked for after this time.
  const [{ name }] = (await ask('SELECT current_database() AS name')).rows as [{ name: string }];
  await ask(`ALTER DATABASE ${pg.escapeIdentifier(name)} SET deadlock_timeout = '50ms'`);
  await database.query(`CREATE TABLE touching (slug text)`);
  await database.query(`GRANT SELECT, INSERT ON touching TO holdfast_app`);
  await database.query(`CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM FROM product WHERE slug = NEW.slug FOR NO KEY UPDATE; RETURN NULL; END $$`);
  await database.query(`CREATE CONSTRAINT TRIGGER touch AFTER INSERT ON touching
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION touch()`);
  core = await startCore(database, [Marks], {
    variables: { DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '60000' },
  });
  marks = core.get(Marks);
  db = marks.db;
  run = core.run;
});
afterAll(async () => {
  await core.close();
  await superuser.end();
  await database.drop();
});

let counted = 0;
const fresh = (name: string): string => `${name}-${++counted}-`;
const named = async (slug: string): Promise<string | undefined> => {
  const [row] = await database.query<{ name: string }>('SELECT name FROM product WHERE slug = $1', [slug]);
  return row?.name;
};
const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );

/** The two ways to change a row. */
const changes = {
  'a model query': (slug: string, name: string): Promise<unknown> =>
    db.product.update({ where: { slug }, data: { name } }),
  'a raw statement': (slug: string, name: string): Promise<unknown> =>
    db.$executeRaw`UPDATE product SET name = ${name} WHERE slug = ${slug}`,
} as const;
type Way = keyof typeof changes;
const ways = Object.keys(changes) as Way[];
const codes = { 'a model query': 'P2034', 'a raw statement': 'P2010' };

/** Runs the work, and gives what it was told of attempts that failed. */
async function heard<T>(work: () => Promise<T>): Promise<{ value: T; failed: AttemptFailed[] }> {
  const failed: AttemptFailed[] = [];
  const hear = (message: unknown): void => void failed.push(message as AttemptFailed);
  attemptFailed.subscribe(hear);
  try {
    return { value: await work(), failed };
  } finally {
    attemptFailed.unsubscribe(hear);
  }
}

/** Lets two of them meet: the first waits until the second has come. */
function meeting(size: number) {
  const { promise, resolve } = Promise.withResolvers();
  let there = 0;
  return async (): Promise<void> => {
    if (++there >= size) resolve(null);
    await promise;
  };
}

/**
 * A boundary that looks at a row, waits until somebody else has changed it, and changes it: at repeatable-read its first attempt meets
 * 40001 there. Gives the attempts and what the work saw.
 */
async function overtaken(
  slug: string,
  change: () => Promise<unknown>,
): Promise<{ attempts: number[]; seen: unknown[] }> {
  const looked = Promise.withResolvers();
  const overtook = Promise.withResolvers();
  const attempts: number[] = [];
  const seen: unknown[] = [];
  const work = run({ isolation: 'repeatable-read' }, async () => {
    attempts.push(currentTransaction()?.attempt ?? 0);
    await db.product.findUniqueOrThrow({ where: { slug } });
    looked.resolve(null);
    await overtook.promise;
    await change().catch((error: unknown) => {
      seen.push(error);
      throw error;
    });
  });
  // So that nobody waits for ever when the work fails before it has looked.
  await Promise.race([looked.promise, work]);
  await run({}, () =>
    db.product.update({ where: { slug }, data: { description: 'changed', version: { increment: 1 } } }),
  );
  overtook.resolve(null);
  await work;
  return { attempts, seen };
}

describe('a serialization failure (40001)', () => {
  it.each(ways)('at %s is retried, and the second attempt sees what the first did not', async (way) => {
    const slug = fresh('overtaken');
    await marks.write(slug);
    const { value, failed } = await heard(() => overtaken(slug, () => changes[way](slug, 'mine')));
    expect(value.attempts).toEqual([1, 2]);
    // The shape in which the work sees it.
    expect(value.seen).toMatchObject([{ code: codes[way] }]);
    expect(databaseFailure(value.seen[0])?.sqlState).toBe('40001');
    expect(failed).toMatchObject([{ attempt: 1 }]);
    expect(await database.query('SELECT name, description FROM product WHERE slug = $1', [slug])).toEqual([
      { name: 'mine', description: 'changed' },
    ]);
  });

  it('at COMMIT is retried', async () => {
    const mark = fresh('skew');
    const pair = [`${mark}a`, `${mark}b`];
    for (const slug of pair) await marks.write(slug);
    const bothLooked = meeting(2);
    const bothChanged = meeting(2);
    const attempts: number[] = [];
    let returned = 0;
    const { value: left, failed } = await heard(() =>
      Promise.all(
        pair.map((slug) =>
          run({ isolation: 'serializable', name: slug }, async () => {
            attempts.push(currentTransaction()?.attempt ?? 0);
            const isLast = (await db.product.count({ where: { slug: { in: pair }, name: { not: 'gone' } } })) < 2;
            await bothLooked();
            if (!isLast) await db.product.update({ where: { slug }, data: { name: 'gone' } });
            // So that none meets the other's COMMIT at its own statement.
            await bothChanged();
            returned++;
            return !isLast;
          }),
        ),
      ),
    );
    expect(left.filter(Boolean)).toHaveLength(1);
    expect(attempts).toEqual([1, 1, 2]);
    expect(failed).toHaveLength(1);
    expect(databaseFailure(failed[0]?.error)?.sqlState).toBe('40001');
    // The work of the failed attempt had returned: it was COMMIT that failed.
    expect(returned).toBe(3);
    expect((await Promise.all(pair.map(named))).filter((name) => name === 'gone')).toHaveLength(1);
  });
});

describe('a conflict that Prisma itself meets at COMMIT', () => {
  it('is one, although Prisma gives it neither a class nor a code of its own', async () => {
    const mark = fresh('prisma');
    const pair = [`${mark}a`, `${mark}b`];
    for (const slug of pair) await marks.write(slug);
    const { prisma } = core.app.get(DatabaseClients).write;
    const bothLooked = meeting(2);
    const bothChanged = meeting(2);
    const outcomes = pair.map((slug) =>
      prisma.$transaction(
        async (transaction) => {
          await transaction.product.findMany({ where: { slug: { in: pair } } });
          await bothLooked();
          await transaction.product.update({ where: { slug }, data: { name: 'gone' } });
          await bothChanged();
        },
        { isolationLevel: 'Serializable' },
      ),
    );
    const [error] = (await Promise.all(outcomes.map(errorOf))).filter((thrown) => thrown !== null);
    expect(error).toMatchObject({ name: 'DriverAdapterError' });
    expect(error).not.toHaveProperty('code');
    expect(isConflict(error)).toBe(true);
  });
});

describe('a deadlock (40P01)', () => {
  it.each(ways)('at %s is retried by the one that lost', async (way) => {
    const mark = fresh('deadlock');
    const [a, b] = [`${mark}a`, `${mark}b`];
    for (const slug of [a, b]) await marks.write(slug);
    const bothHoldOne = meeting(2);
    const oneIsDone = Promise.withResolvers();
    const attempts: number[] = [];
    const seen: unknown[] = [];
    const inOrder = async (first: string, second: string): Promise<void> => {
      await run({}, async () => {
        attempts.push(currentTransaction()?.attempt ?? 0);
        // Or it could take the first row before the one that it made way for is awake, and lose again.
        if (attempts.length > 2) await oneIsDone.promise;
        await changes[way](first, `${first} first`);
        await bothHoldOne();
        await changes[way](second, `${first} first`).catch((error: unknown) => {
          seen.push(error);
          throw error;
        });
      });
      oneIsDone.resolve(null);
    };
    await Promise.all([inOrder(a, b), inOrder(b, a)]);
    expect(attempts).toEqual([1, 1, 2]);
    expect(seen).toMatchObject([{ code: codes[way] }]);
    expect(databaseFailure(seen[0])?.sqlState).toBe('40P01');
    // The one that lost came last, and changed both.
    expect(await named(a)).toBe(await named(b));
  });

  it('at COMMIT is retried by the one that lost', async () => {
    const mark = fresh('deadlock');
    const [a, b] = [`${mark}a`, `${mark}b`];
    for (const slug of [a, b]) await marks.write(slug);
    const bothHoldOne = meeting(2);
    const oneIsDone = Promise.withResolvers();
    const attempts: number[] = [];
    let returned = 0;
    const inOrder = async (first: string, second: string): Promise<void> => {
      await run({}, async () => {
        attempts.push(currentTransaction()?.attempt ?? 0);
        // Or it could take the first row before the one that it made way for is awake, and lose again.
        if (attempts.length > 2) await oneIsDone.promise;
        await db.product.update({ where: { slug: first }, data: { name: 'held' } });
        // Asked for at COMMIT only.
        await db.$executeRaw`INSERT INTO touching VALUES (${second})`;
        await bothHoldOne();
        returned++;
      });
      oneIsDone.resolve(null);
    };
    const { failed } = await heard(() => Promise.all([inOrder(a, b), inOrder(b, a)]));
    expect(attempts).toEqual([1, 1, 2]);
    expect(failed.map(({ error }) => databaseFailure(error)?.sqlState)).toEqual(['40P01']);
    expect(returned).toBe(3);
    expect(await database.query('SELECT slug FROM touching WHERE slug = ANY($1)', [[a, b]])).toHaveLength(2);
  });
});

describe('two hundred that each leave unless they are the last one', () => {
  const stayed = (slugs: string[]) =>
    database.query<{ slug: string }>(`SELECT slug FROM product WHERE slug = ANY($1) AND name <> 'gone'`, [slugs]);
  /** At serializable, with time enough; a conflict that reaches its caller fails the test. */
  const leave = (all: string[], slug: string) =>
    run({ isolation: 'serializable', retry: 10_000, timeout: '120s' }, async () => {
      const isLast = (await db.product.count({ where: { slug: { in: all }, name: { not: 'gone' } } })) < 2;
      if (!isLast) await db.product.update({ where: { slug }, data: { name: 'gone' } });
      return !isLast;
    });

  it('two by two: one of each pair stays', async () => {
    const mark = fresh('pairs');
    const slugs = Array.from({ length: 200 }, (_, n) => `${mark}${n}`);
    await inFlight(8, 200, (n) => marks.write(slugs[n]!));
    const pairOf = (n: number): string[] => slugs.slice(n - (n % 2), n - (n % 2) + 2);
    const left = await inFlight(16, 200, (n) => leave(pairOf(n), slugs[n]!));
    for (let n = 0; n < 200; n += 2) expect(await stayed(pairOf(n))).toHaveLength(1);
    const rows = await stayed(slugs);
    expect(rows.map(({ slug }) => slug).sort()).toEqual(slugs.filter((_, n) => !left[n]).sort());
  }, 300_000);

  it('all together: one of all stays', async () => {
    const mark = fresh('set');
    const size = fullCount(60, 200);
    const slugs = Array.from({ length: size }, (_, n) => `${mark}${n}`);
    await inFlight(8, size, (n) => marks.write(slugs[n]!));
    const left = await inFlight(16, size, (n) => leave(slugs, slugs[n]!));
    expect(left.filter(Boolean)).toHaveLength(size - 1);
    expect(await stayed(slugs)).toEqual([{ slug: slugs[left.indexOf(false)] }]);
  }, 300_000);
});

describe('a conflict that the work hides', () => {
  const hiding: [string, (change: () => Promise<unknown>) => () => Promise<unknown>][] = [
    [
      'behind a business error',
      (change) => () =>
        change().catch(() => {
          throw new Error('Somebody else has it.');
        }),
    ],
    ['by going on as if nothing had happened', (change) => () => change().catch(() => undefined)],
    [
      'behind a business error in a joined boundary',
      (change) => () =>
        run({}, () =>
          change().catch(() => {
            throw new Error('Somebody else has it.');
          }),
        ),
    ],
    [
      'behind a business error in a nested boundary',
      (change) => () =>
        run({ propagation: 'nested' }, () =>
          change().catch(() => {
            throw new Error('Somebody else has it.');
          }),
        ),
    ],
    [
      'by going on in a nested boundary',
      (change) => () => run({ propagation: 'nested' }, () => change().catch(() => undefined)),
    ],
  ];
  it.each(hiding)('%s is retried all the same', async (_, hide) => {
    const slug = fresh('hidden');
    await marks.write(slug);
    const { attempts } = await overtaken(
      slug,
      hide(() => changes['a model query'](slug, 'mine')),
    );
    expect(attempts).toEqual([1, 2]);
    expect(await named(slug)).toBe('mine');
  });

  it('behind a business error is not retried when it was no conflict', async () => {
    let attempts = 0;
    const hiding = run({}, async () => {
      attempts++;
      await marks.write('twice').catch(() => undefined);
      await marks.write('twice').catch(() => {
        throw new Error('It is taken.');
      });
    });
    await expect(hiding).rejects.toThrow('It is taken.');
    expect(attempts).toBe(1);
  });

  it('in a nested boundary may be answered by the one around it, which goes on', async () => {
    const slug = fresh('answered');
    await marks.write(slug);
    const { attempts } = await overtaken(slug, async () => {
      const trying = run({ propagation: 'nested' }, () => changes['a model query'](slug, 'mine'));
      const error = await errorOf(trying);
      expect(databaseFailure(error)?.sqlState).toBe('40001');
      await marks.write(`${slug}instead`);
    });
    expect(attempts).toEqual([1]);
    expect(await marksLike(database, slug)).toEqual([slug, `${slug}instead`]);
  });
});

describe('retrying', () => {
  it.each(['required', 'nested', 'requires-new'] as const)(
    'is left to the outermost boundary: %s inside',
    async (propagation) => {
      const slug = fresh('inner');
      await marks.write(slug);
      const looked = Promise.withResolvers();
      const overtook = Promise.withResolvers();
      const runs: string[] = [];
      const work = run({ isolation: 'repeatable-read' }, async () => {
        runs.push(`outer ${currentTransaction()?.attempt}`);
        await marks.write(`${slug}outer-${runs.length}`);
        await run({ propagation, isolation: 'repeatable-read' }, async () => {
          runs.push(`inner ${currentTransaction()?.attempt}`);
          await db.product.findUniqueOrThrow({ where: { slug } });
          looked.resolve(null);
          await overtook.promise;
          await changes['a model query'](slug, 'mine');
        });
      });
      await Promise.race([looked.promise, work]);
      await run({}, () => changes['a model query'](slug, 'theirs'));
      overtook.resolve(null);
      await work;
      // requires-new is in its first attempt each time: it has no other.
      const again = propagation === 'requires-new' ? 'inner 1' : 'inner 2';
      expect(runs).toEqual(['outer 1', 'inner 1', 'outer 2', again]);
      expect(await named(slug)).toBe('mine');
      expect(await marksLike(database, `${slug}outer`)).toEqual([`${slug}outer-3`]);
    },
  );

  it('ends with an error that carries the number of attempts, and stores nothing of any', async () => {
    const slug = fresh('endless');
    await marks.write(slug);
    const attempts: number[] = [];
    const endless = run({ isolation: 'repeatable-read', retry: 3, name: 'Endless' }, async () => {
      const attempt = currentTransaction()?.attempt ?? 0;
      attempts.push(attempt);
      await marks.write(`${slug}attempt-${attempt}`);
      await db.product.findUniqueOrThrow({ where: { slug } });
      // On a connection of its own, and done before the work goes on.
      await ask(`UPDATE product SET version = version + 1 WHERE slug = $1`, [slug]);
      await changes['a raw statement'](slug, 'mine');
    });
    const error = await errorOf(endless);
    expect(error).toBeInstanceOf(TransactionConflictError);
    expect(error).toMatchObject({ attempts: 4 });
    expect(attempts).toEqual([1, 2, 3, 4]);
    expect(await marksLike(database, `${slug}attempt`)).toEqual([]);
    expect(await named(slug)).toBe(slug);
  });
});

describe('a connection that is lost before COMMIT', () => {
  /** Ends the session of the boundary, from outside, and waits until it is gone. */
  async function terminate(pid: number): Promise<void> {
    await ask('SELECT pg_terminate_backend($1)', [pid]);
    const there = () => ask('SELECT FROM pg_stat_activity WHERE pid = $1', [pid]);
    await eventually(there, ({ rowCount }) => rowCount === 0);
  }
  /** Runs a boundary whose first attempt loses its connection; `rest` is what comes then. */
  async function losing(
    options: TransactionOptions,
    lose: (pid: number) => Promise<unknown>,
    rest: (slug: string) => Promise<unknown> = async () => undefined,
  ) {
    const mark = fresh('lost');
    const attempts: number[] = [];
    const error = await errorOf(
      run(options, async () => {
        const attempt = currentTransaction()?.attempt ?? 0;
        attempts.push(attempt);
        await db.product.create({ data: { id: newId(), slug: `${mark}${attempt}`, name: mark } });
        const pid = await marks.pid();
        if (attempt === 1) await lose(pid);
        await rest(`${mark}rest-${attempt}`);
      }),
    );
    return { attempts, error, rows: (await marksLike(database, mark)).map((slug) => slug.slice(mark.length)) };
  }

  it('between two statements is retried, and nothing is stored twice', async () => {
    const { attempts, error, rows } = await losing({}, terminate, (slug) => marks.write(slug));
    expect([error, attempts, rows]).toEqual([null, [1, 2], ['2', 'rest-2']]);
  });

  it('while a statement runs is retried, and nothing is stored twice', async () => {
    const sleeping = (pid: number) => () =>
      ask(`SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'`, [pid]);
    const { attempts, error, rows } = await losing({}, async (pid) => {
      const killing = eventually(sleeping(pid), ({ rowCount }) => rowCount === 1).then(() => terminate(pid));
      await Promise.all([killing, db.$queryRaw`SELECT pg_sleep(9)::text`]);
    });
    expect([error, attempts, rows]).toEqual([null, [1, 2], ['2']]);
  });

  it('when nothing is left to do but COMMIT is retried, and nothing is stored twice', async () => {
    const { attempts, error, rows } = await losing({}, terminate);
    expect([error, attempts, rows]).toEqual([null, [1, 2], ['2']]);
  });

  it('and that the work hides behind a business error, or swallows, is retried all the same', async () => {
    const business = await losing({}, terminate, (slug) =>
      marks.write(slug).catch(() => {
        throw new Error('Not today.');
      }),
    );
    expect(business).toMatchObject({ error: null, attempts: [1, 2], rows: ['2', 'rest-2'] });
    const swallowed = await losing({}, terminate, (slug) => marks.write(slug).catch(() => undefined));
    expect(swallowed).toMatchObject({ error: null, attempts: [1, 2], rows: ['2', 'rest-2'] });
  });

  it('in a nested boundary is retried by the outermost one', async () => {
    const { attempts, error, rows } = await losing({}, (pid) =>
      run({ propagation: 'nested' }, async () => {
        await terminate(pid);
        await marks.pid();
      }),
    );
    expect([error, attempts, rows]).toEqual([null, [1, 2], ['2']]);
  });

  it('is not retried where the boundary says so', async () => {
    const { attempts, error, rows } = await losing({ retry: 0 }, terminate, (slug) => marks.write(slug));
    expect(error).toMatchObject({ name: 'ConnectionLostError' });
    expect([attempts, rows]).toEqual([[1], []]);
  });

  it('by many at once stores each of them once', async () => {
    const mark = fresh('many');
    const times = fullCount(16, 200);
    await inFlight(8, times, (n) =>
      run({}, async () => {
        await db.product.create({ data: { id: newId(), slug: `${mark}${n}-${newId()}`, name: `${n}` } });
        if (currentTransaction()?.attempt === 1) await terminate(await marks.pid());
      }),
    );
    const rows = await marksLike(database, mark);
    const numbers = rows.map((slug) => Number(slug.slice(mark.length).split('-')[0])).sort((a, b) => a - b);
    expect(numbers).toEqual([...Array(times).keys()]);
  });

  it('is an error of its own name, and no swallowed one', async () => {
    const { error } = await losing({ retry: 0 }, terminate, (slug) => marks.write(slug).catch(() => undefined));
    expect(error).not.toBeInstanceOf(UnexpectedRollbackError);
    expect(error).toMatchObject({ name: 'ConnectionLostError' });
  });
});
