import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TransactionOptions } from '../src/transactions/boundary/options.ts';
import { UnexpectedRollbackError } from '../src/transactions/errors.ts';
import { PoolTimeoutError, TransactionExpiredError } from '../src/transactions/wire/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { eventually } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { startProxy } from './support/proxy.ts';

let database: TestDatabase;
let superuser: pg.Client;
/** A pool of one connection, so that the server's view of it is known beforehand. */
let core: Bare;
const cores: Bare[] = [];

beforeAll(async () => {
  database = await createDatabase();
  superuser = new pg.Client({ connectionString: database.urls.superuser });
  superuser.on('error', () => undefined);
  await superuser.connect();
  core = await start({ DATABASE_POOL_SIZE: '1' });
  // Looks on by itself, so that neither this process nor the network has a part in what it measures.
  await superuser.query(`
    CREATE FUNCTION lasted(backend int, state_sought text) RETURNS float8 LANGUAGE plpgsql AS $$
    DECLARE began timestamptz; patience timestamptz := clock_timestamp() + '15s';
    BEGIN
      LOOP
        PERFORM pg_stat_clear_snapshot();
        SELECT xact_start INTO began FROM pg_stat_activity WHERE pid = backend AND state = state_sought;
        EXIT WHEN began IS NOT NULL;
        IF clock_timestamp() > patience THEN RAISE 'it did not begin'; END IF;
        PERFORM pg_sleep(0.001);
      END LOOP;
      LOOP
        PERFORM pg_stat_clear_snapshot();
        PERFORM FROM pg_stat_activity WHERE pid = backend AND xact_start = began;
        EXIT WHEN NOT FOUND;
        IF clock_timestamp() > patience THEN RAISE 'it did not end'; END IF;
        PERFORM pg_sleep(0.001);
      END LOOP;
      RETURN extract(epoch FROM clock_timestamp() - began) * 1000;
    END $$`);
});
afterAll(async () => {
  for (const one of cores) await one.close();
  await superuser.end();
  await database.drop();
});

async function start(variables: Record<string, string>, app = database.urls.app): Promise<Bare> {
  const one = await startBare({ app }, variables);
  cores.push(one);
  return one;
}

const sleeping = (seconds: number) => core.db.$queryRaw`SELECT pg_sleep(${seconds}::float8)::text`;
/** A setting in milliseconds. */
async function shown(one: Bare, setting: string): Promise<number> {
  const [row] = await one.db.$queryRaw<
    { ms: number }[]
  >`SELECT setting::int AS ms FROM pg_settings WHERE name = ${setting}`;
  return row?.ms ?? -1;
}
/** Blocks the event loop of this process: no timer of ours fires. */
const block = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** How long the transaction was there, by the server's own clock, from BEGIN; and what its caller was told. */
async function measure(state: string, options: TransactionOptions, work: () => Promise<unknown>) {
  const pid = await core.pid();
  const lasted = superuser.query<{ ms: number }>('SELECT lasted($1, $2) AS ms', [pid, state]);
  await sleep(20); // it is on its way before the event loop may be blocked
  const error = await errorOf(core.run(options, work));
  return { ms: (await lasted).rows[0]!.ms, error };
}

describe('a boundary of 300 ms is over for the server within 50 ms of that', () => {
  const slugs: string[] = [];
  const idle = (wait: () => unknown) => async () => {
    const slug = fresh('idle');
    slugs.push(slug);
    await core.write(slug);
    await wait();
  };
  it.each<[string, string, () => () => Promise<unknown>]>([
    ['in a statement of three seconds', 'active', () => () => sleeping(3)],
    ['while it does nothing', 'idle in transaction', () => idle(() => sleep(1000))],
    ['while the event loop is blocked', 'idle in transaction', () => idle(() => block(700))],
    [
      'in the last of many statements',
      'active',
      () => async () => {
        for (let n = 0; n < 60; n++) await sleeping(0.05);
      },
    ],
  ])('%s', async (_, state, work) => {
    const lasted: number[] = [];
    for (let n = 0; n < 4; n++) {
      const { ms, error } = await measure(state, { timeout: '300ms' }, work());
      expect(error).toBeInstanceOf(TransactionExpiredError);
      expect(error.message).toMatch(/^The time of (a|the) boundary is over/);
      // A machine that does something else meanwhile is late; the promise is about one that does not.
      expect(ms).toBeLessThan(2000);
      lasted.push(ms);
      // Usable, and without what was set for the last one.
      expect(await core.run({}, () => shown(core, 'statement_timeout'))).toBeGreaterThan(1000);
      // Before PostgreSQL 17 there is none.
      expect([0, -1]).toContain(await core.run({}, () => shown(core, 'transaction_timeout')));
    }
    expect(Math.max(...lasted)).toBeGreaterThan(250);
    // 300 ms, and 50 ms more; the session of one that is idle is ended by the server at that, and noticed a little later.
    const promisedMs = state === 'active' ? 350 : 375;
    expect(Math.min(...lasted)).toBeLessThan(process.env['PROVE'] === 'true' ? promisedMs : 1500);
    if (process.env['PROVE'] === 'true') process.stderr.write(`lasted: ${lasted.map(Math.round).join(' ')} ms\n`);
    expect(await stored(database, slugs)).toEqual([]);
  });

  it('also for a caller whose server has gone silent, in a statement, at its end or between', async () => {
    const proxy = await startProxy(database.urls.app);
    const far = await start({}, proxy.through(database.urls.app));
    const goSilent = async (): Promise<void> => proxy.goSilent();
    const works: (() => Promise<unknown>)[] = [
      () => Promise.all([far.db.$queryRaw`SELECT pg_sleep(5)::text`, sleep(50).then(goSilent)]),
      () =>
        far
          .pid()
          .then(goSilent)
          .then(() => far.pid()),
      () =>
        far
          .write(fresh('silent'))
          .then(goSilent)
          .then(() => sleep(1000)),
      () =>
        far
          .write(fresh('silent'))
          .then(goSilent)
          .then(() => Promise.reject(new Error('thrown'))),
    ];
    try {
      for (const [n, work] of works.entries()) {
        const from = performance.now();
        const error = await errorOf(far.run({ timeout: '300ms' }, work));
        // Its time and the patience for a silent server; a statement's would be eleven seconds.
        expect(performance.now() - from).toBeLessThan(5000);
        // What the work threw itself, unless a slow machine used the time up before.
        if (error.message === 'thrown') expect(n).toBe(3);
        else expect([n, error.name, error.cause !== undefined]).toEqual([n, 'TransactionExpiredError', true]);
        proxy.heal();
        // Nobody is given the connection that met the silence.
        expect(await far.run({ retry: 0 }, () => far.pid())).toEqual(expect.any(Number));
      }
    } finally {
      await proxy.close();
    }
    expect(await database.query(`SELECT slug FROM product WHERE slug LIKE 'silent-%'`)).toEqual([]);
  });

  it('and tells what ended it as the cause', async () => {
    const error = await errorOf(core.run({ timeout: '200ms', name: 'Late' }, () => sleeping(3)));
    expect(databaseFailure(error.cause)?.sqlState).toBe('57014');
    expect(error).toMatchObject({ name: 'TransactionExpiredError', message: 'The time of Late is over.' });
  });
});

describe('a wait for a lock', () => {
  let slug: string;
  let letGo: () => Promise<unknown>;
  const change = (one: Bare) => one.db.product.updateMany({ where: { slug }, data: { name: 'changed' } });
  beforeEach(async () => {
    slug = fresh('locked');
    await core.write(slug);
    const holder = new pg.Client({ connectionString: database.urls.owner });
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM product WHERE slug = $1 FOR UPDATE', [slug]);
    letGo = () => holder.end();
  });
  afterEach(() => letGo());

  it('ends with the lock timeout, which is no end of the time', async () => {
    const from = performance.now();
    const error = await errorOf(core.run({ lockTimeout: '200ms' }, () => change(core)));
    expect(performance.now() - from).toBeLessThan(3000);
    expect(databaseFailure(error)?.sqlState).toBe('55P03');
    expect(error).not.toBeInstanceOf(TransactionExpiredError);
  });

  it('ends with the time of the boundary', async () => {
    const { ms, error } = await measure('active', { timeout: '300ms' }, () => change(core));
    expect(error).toBeInstanceOf(TransactionExpiredError);
    expect(ms).toBeLessThan(2000);
  });

  it('ends with the shorter lock timeout of an inner boundary, after which the outer one waits as long as before', async () => {
    await core.run({ lockTimeout: '3s' }, async () => {
      const error = await errorOf(
        core.run({ propagation: 'nested', lockTimeout: '100ms' }, async () => {
          expect(await shown(core, 'lock_timeout')).toBe(100);
          await change(core);
        }),
      );
      expect(databaseFailure(error)?.sqlState).toBe('55P03');
      expect(await shown(core, 'lock_timeout')).toBe(3000);
      setTimeout(() => void letGo(), 300);
      expect((await change(core)).count).toBe(1);
    });
    expect(await core.run({}, () => shown(core, 'lock_timeout'))).toBe(5000);
  });
});

describe('the deadline of an outer boundary', () => {
  let wide: Bare;
  beforeAll(async () => {
    wide = await start({ DATABASE_POOL_SIZE: '3' });
  });

  it.each(['required', 'nested', 'mandatory', 'supports', 'requires-new'] as const)(
    'is that of an inner one (%s), which has no other',
    async (propagation) => {
      await wide.run({ timeout: '2s' }, async () => {
        await wide.pid();
        await wide.run({ propagation }, async () => {
          const ms = await shown(wide, 'statement_timeout');
          expect(ms).toBeLessThanOrEqual(2000);
          expect(ms).toBeGreaterThan(500);
        });
      });
      const from = performance.now();
      const error = await errorOf(
        wide.run({ timeout: '300ms' }, () =>
          wide.run({ propagation }, () => wide.db.$queryRaw`SELECT pg_sleep(8)::text`),
        ),
      );
      expect(error).toBeInstanceOf(TransactionExpiredError);
      expect(performance.now() - from).toBeLessThan(4000);
    },
  );

  it('ends the session of an inner one of its own also when the event loop is blocked', async () => {
    const slug = fresh('blocked');
    await wide.write(slug);
    const looking = new pg.Client({ connectionString: database.urls.owner });
    await looking.connect();
    try {
      const blocked = wide.run({ timeout: '300ms', name: 'Outer' }, async () => {
        await wide.pid();
        await wide.run({ propagation: 'requires-new' }, async () => {
          await wide.db.product.updateMany({ where: { slug }, data: { name: 'Inner' } });
          // Sent before the block, answered by the server as soon as the lock is free.
          const waited = looking.query<{ at: number }>(
            `WITH b AS MATERIALIZED (SELECT clock_timestamp() AS at), l AS MATERIALIZED (SELECT FROM product WHERE slug = '${slug}' FOR UPDATE)
             SELECT (extract(epoch FROM clock_timestamp() - b.at) * 1000)::float8 AS at FROM b, (SELECT count(*) FROM l) AS n`,
          );
          await sleep(20);
          block(1500);
          expect((await waited).rows[0]!.at).toBeLessThan(1200);
        });
      });
      expect(await errorOf(blocked)).toBeInstanceOf(TransactionExpiredError);
    } finally {
      await looking.end();
    }
  });

  it('outlives the shorter one of an inner boundary, which bounds that alone', async () => {
    const slug = fresh('outlives');
    await wide.run({ timeout: '20s' }, async () => {
      await wide.write(slug);
      for (const propagation of ['nested', 'requires-new'] as const) {
        const error = await errorOf(
          wide.run({ propagation, timeout: '200ms' }, async () => {
            expect(await shown(wide, 'statement_timeout')).toBeLessThanOrEqual(200);
            await wide.db.$queryRaw`SELECT pg_sleep(8)::text`;
          }),
        );
        expect(error).toBeInstanceOf(TransactionExpiredError);
        expect(await shown(wide, 'statement_timeout')).toBeGreaterThan(5000);
      }
      // Joined, and idle when its time was over: no statement has failed, so the outer one may go on.
      const late = wide.run({ timeout: '100ms' }, async () => {
        await wide.pid();
        await sleep(200);
      });
      expect(await errorOf(late)).toBeInstanceOf(TransactionExpiredError);
      expect(await shown(wide, 'statement_timeout')).toBeGreaterThan(5000);
    });
    expect(await stored(database, [slug])).toEqual([slug]);
  });

  it('takes the writes of a nested one that came too late with it, and not its own', async () => {
    const [kept, late] = [fresh('kept'), fresh('late')];
    await wide.run({ timeout: '20s' }, async () => {
      await wide.write(kept);
      const nested = wide.run({ propagation: 'nested', timeout: '100ms' }, async () => {
        await wide.write(late);
        await sleep(200);
      });
      expect(await errorOf(nested)).toBeInstanceOf(TransactionExpiredError);
    });
    expect(await stored(database, [kept, late])).toEqual([kept]);
  });
});

describe('the time of a boundary', () => {
  it('holds for all attempts together, and for the pauses between them', async () => {
    let attempts = 0;
    const from = performance.now();
    const error = await errorOf(
      core.run({ timeout: '400ms', retry: 10_000 }, async () => {
        attempts++;
        await sleeping(0.05);
        await core.db.$executeRaw`DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '40001'; END $$`;
      }),
    );
    expect(['TransactionConflictError', 'TransactionExpiredError']).toContain(error.name);
    expect(error.cause).toBeDefined();
    expect(attempts).toBeGreaterThan(1);
    expect(performance.now() - from).toBeLessThan(3000);
  });

  it('is told of each statement that was under way when it was over', async () => {
    const told: unknown[] = [];
    for (let n = 0; n < 40; n++) {
      const work = async (): Promise<never> => {
        const ends = await Promise.allSettled([sleeping(5), core.db.product.count(), core.pid()]);
        told.push(...ends.map((end) => (end.status === 'rejected' ? (end.reason as unknown) : 'done')));
        throw new Error('over');
      };
      await errorOf(core.run({ timeout: `${60 + (n % 10)}ms` }, work));
    }
    expect(
      told.filter((one) => !(one instanceof TransactionExpiredError || one instanceof UnexpectedRollbackError)),
    ).toEqual([]);
    expect(told).toHaveLength(120);
  });

  it('holds while it waits for a connection, and the place goes to somebody else', async () => {
    const single = await start({ DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: '8000' });
    const slug = fresh('waits');
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const holder = single.run({}, async () => {
      await single.pid();
      await held;
    });
    await eventually(
      async () => single.databases.write.pool.totalCount - single.databases.write.pool.idleCount,
      (n) => n === 1,
    );
    const from = performance.now();
    const error = await errorOf(single.run({ timeout: '300ms', name: 'Waiter' }, () => single.write(slug)));
    const took = performance.now() - from;
    letGo();
    await holder;
    expect(took).toBeLessThan(4000);
    expect(error).toBeInstanceOf(TransactionExpiredError);
    expect(error.cause).toBeDefined();
    expect(await single.run({}, () => single.pid())).toBeGreaterThan(0);
    expect(await stored(database, [slug])).toEqual([]);
  });

  it('longer than the wait for a connection leaves that its own error', async () => {
    const single = await start({ DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: '200' });
    const [hasBegun, held] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const holder = single.run({}, async () => {
      await single.pid();
      hasBegun.resolve(undefined);
      await held.promise;
    });
    await hasBegun.promise;
    const error = await errorOf(single.run({ timeout: '20s' }, () => single.pid())).finally(() => {
      held.resolve(undefined);
    });
    await holder;
    expect(error).toBeInstanceOf(PoolTimeoutError);
  });

  it('longer than the usual limit of a statement allows a longer statement', async () => {
    const impatient = await start({ DATABASE_STATEMENT_TIMEOUT_MS: '300' });
    const long = () => impatient.db.$queryRaw`SELECT pg_sleep(0.8)::text`;
    expect(databaseFailure(await errorOf(impatient.run({}, long)))?.sqlState).toBe('57014');
    await impatient.run({ timeout: '20s' }, long);
    expect(databaseFailure(await errorOf(impatient.run({}, long)))?.sqlState).toBe('57014');
  });
});
