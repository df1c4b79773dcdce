import { EventEmitter, once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '../src/kernel/ids.ts';
import { currentTransaction } from '../src/transactions/current.ts';
import { DetachedTransactionError } from '../src/transactions/errors.ts';
import { afterCommit, afterRollback } from '../src/transactions/hooks.ts';
import { lockRows } from '../src/transactions/locks.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { eventually, inFlight } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

let database: TestDatabase;
let core: Bare;
const unhandled: unknown[] = [];
const remember = (reason: unknown): void => void unhandled.push(reason);
beforeAll(async () => {
  process.on('unhandledRejection', remember);
  database = await createDatabase();
  core = await startBare({ app: database.urls.app }, { DATABASE_POOL_SIZE: '4' });
});
afterAll(async () => {
  await core.close();
  await database.drop();
  process.off('unhandledRejection', remember);
  expect(unhandled).toEqual([]);
});

const rawWrite = (slug: string) =>
  core.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${slug}, ${slug})`;
const lateRows = async (): Promise<unknown[]> => database.query(`SELECT slug FROM product WHERE slug LIKE 'late-%'`);
afterEach(async () => expect(await lateRows()).toEqual([]));

/** All that a piece of work may ask for; each writes, or would let others write, marks called late. */
const requests: Record<string, () => unknown> = {
  'a write': () => core.write(fresh('late')),
  'a read': () => core.db.product.findMany(),
  'a raw write': () => rawWrite(fresh('late')),
  'a raw read': () => core.pid(),
  'a boundary': () => core.run({}, () => core.write(fresh('late'))),
  'a nested boundary': () => core.run({ propagation: 'nested' }, () => core.write(fresh('late'))),
  'a boundary of its own': () => core.run({ propagation: 'requires-new' }, () => core.write(fresh('late'))),
  'a part without a boundary': () => core.run({ propagation: 'not-supported' }, () => core.write(fresh('late'))),
  'a supporting part': () => core.run({ propagation: 'supports' }, () => core.write(fresh('late'))),
  'a hook after the commit': async () => afterCommit(() => core.write(fresh('late'))),
  'a hook after the rollback': async () => afterRollback(() => undefined),
  'row locks': () => lockRows(core.db, { account: [newId()] }),
  'what is running': async () => currentTransaction(),
};

describe('work that outlives its boundary', () => {
  it.each(Object.entries(requests))('is refused %s', async (_, request) => {
    for (const ends of ['returns', 'throws'] as const) {
      const slug = fresh('kept');
      let late: Promise<Error> = Promise.resolve(new Error('not begun'));
      let isOver: () => void = () => undefined;
      const over = new Promise<void>((resolve) => (isOver = resolve));
      const boundary = core.run({ name: 'Short' }, async () => {
        await core.write(slug);
        late = over.then(() => errorOf(Promise.resolve(request())));
        if (ends === 'throws') throw new Error('thrown');
      });
      await boundary.catch(() => undefined);
      isOver();
      const error = await late;
      expect(error).toBeInstanceOf(DetachedTransactionError);
      expect(error.message).toMatch(/^Short is over/);
      expect(await stored(database, [slug])).toEqual(ends === 'returns' ? [slug] : []);
    }
  });

  it('is refused wherever it waited: timers, emitters, streams, microtasks', async () => {
    const emitter = new EventEmitter();
    const errors: Error[] = [];
    const late = async (): Promise<void> => void errors.push(await errorOf(core.write(fresh('late'))));
    let interval: NodeJS.Timeout | undefined;
    let piped: Promise<unknown> = Promise.resolve();
    await core.run({}, async () => {
      await core.pid();
      setTimeout(() => void late(), 30);
      setImmediate(() => setTimeout(() => void late(), 30));
      interval = setInterval(() => void late(), 30);
      void once(emitter, 'said').then(late);
      piped = pipeline(
        Readable.from(
          (async function* () {
            await sleep(30);
            yield 'chunk';
          })(),
        ),
        async (chunks) => {
          for await (const chunk of chunks) if (chunk) await late();
        },
      );
    });
    try {
      emitter.emit('said');
      await eventually(
        async () => errors.length,
        (n) => n >= 5,
      );
    } finally {
      clearInterval(interval);
    }
    await piped;
    for (const error of errors) expect(error).toBeInstanceOf(DetachedTransactionError);
  });

  it('a listener belongs to whoever emits, not to the boundary in which it was added', async () => {
    const emitter = new EventEmitter();
    const slug = fresh('heard');
    let written: Promise<void> = Promise.resolve();
    await core.run({}, async () => {
      await core.pid();
      emitter.on('said', () => {
        written = core.write(slug);
      });
    });
    emitter.emit('said');
    await written;
    expect(await stored(database, [slug])).toEqual([slug]);
  });

  it('never gets into another boundary, however many there are by then', async () => {
    const late: Promise<Error>[] = [];
    const told = await inFlight(6, 120, async (n) => {
      const slug = fresh('crowd');
      let isOver: () => void = () => undefined;
      const over = new Promise<void>((resolve) => (isOver = resolve));
      const isKept = await core
        .run({ retry: 0 }, async () => {
          await core.write(slug);
          // Reaches the database while others are at work on the same connections.
          const request = Object.values(requests)[n % Object.keys(requests).length]!;
          late.push(over.then(() => sleep(n % 7)).then(() => errorOf(Promise.resolve(request()))));
          if (n % 5 === 0) await sleep(n % 9);
        })
        .then(
          () => true,
          () => false,
        );
      isOver();
      return isKept ? [slug] : [];
    });
    const kept = told.flat();
    for (const error of await Promise.all(late)) expect(error).toBeInstanceOf(DetachedTransactionError);
    expect(late).toHaveLength(120);
    const rows = await database.query<{ slug: string }>(
      `SELECT slug FROM product WHERE slug LIKE 'crowd-%' ORDER BY 1`,
    );
    expect(rows.map(({ slug }) => slug)).toEqual(kept.sort());
  });
});

describe('a boundary that ends while something is under way', () => {
  const pending: Record<string, [what: string, start: () => Promise<unknown>]> = {
    'a write': ['product.create', () => core.write(fresh('late'))],
    'a raw write': ['$executeRaw', () => rawWrite(fresh('late'))],
    'a read': ['product.findMany', () => core.db.product.findMany()],
    'a nested boundary': [
      'Slow',
      () =>
        core.run({ propagation: 'nested', name: 'Slow' }, async () => {
          await core.write(fresh('late'));
          await sleep(30);
          await core.write(fresh('late'));
        }),
    ],
    'a write of several parts': [
      'product.create',
      () => {
        const slug = fresh('late');
        const skus = [1, 2, 3].map((k) => ({
          id: newId(),
          code: `${slug.toUpperCase()}-${k}`,
          name: 'Part',
          price: 1n,
          currency: 'EUR',
        }));
        return core.db.product.create({ data: { id: newId(), slug, name: slug, skus: { create: skus } } });
      },
    ],
  };

  it.each(Object.entries(pending))('%s: says so and stores nothing', async (_, [what, start]) => {
    for (const isWarm of [true, false]) {
      const slug = fresh('late');
      let started: Promise<unknown> = Promise.resolve();
      const boundary = core.run({ name: 'Hasty' }, async () => {
        if (isWarm) await core.write(slug);
        started = start();
        started.catch(() => undefined);
      });
      const error = await errorOf(boundary);
      expect(error).toBeInstanceOf(DetachedTransactionError);
      expect(error.message).toBe(`Hasty ended while ${what} was under way. Await it inside.`);
      const late = await started.then(
        () => null,
        (thrown: unknown) => thrown,
      );
      if (late !== null) expect(late).toBeInstanceOf(DetachedTransactionError);
      expect(await lateRows()).toEqual([]);
      expect(await core.run({}, () => core.pid())).toBeGreaterThan(0);
    }
  });

  it('because it threw keeps its own error, and what was under way is refused', async () => {
    const boundary = core.run({ name: 'Hasty' }, async () => {
      await core.write(fresh('late'));
      core.write(fresh('late')).catch(() => undefined);
      throw new Error('thrown');
    });
    expect((await errorOf(boundary)).message).toBe('thrown');
  });

  it('also one that waits for a connection: it is told so at once, and nothing of it is sent later', async () => {
    const single = await startBare(
      { app: database.urls.app },
      { DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: '9000' },
    );
    try {
      let letGo: () => void = () => undefined;
      const held = new Promise<void>((resolve) => (letGo = resolve));
      const holder = single.run({}, async () => {
        await single.pid();
        await held;
      });
      await eventually(
        async () => single.databases.write.pool.totalCount,
        (n) => n === 1,
      );
      const from = performance.now();
      let waiting: Promise<unknown> = Promise.resolve();
      const boundary = single.run({}, async () => {
        waiting = single.write(fresh('late'));
        waiting.catch(() => undefined);
      });
      expect(await errorOf(boundary)).toBeInstanceOf(DetachedTransactionError);
      expect(await errorOf(waiting)).toBeInstanceOf(DetachedTransactionError);
      const took = performance.now() - from;
      letGo();
      await holder;
      expect(took).toBeLessThan(5000);
      expect(await single.run({}, () => single.pid())).toBeGreaterThan(0);
    } finally {
      await single.close();
    }
  });
});
