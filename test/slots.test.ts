/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '../src/kernel/ids.ts';
import { CommitOutcomeUnknownError } from '../src/transactions/errors.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { fullCount } from './support/counts.ts';
import { inFlight } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { startFaultyWire } from './support/wire-faults.ts';

// Boundaries one after the other use the same transaction of Prisma's. What these tests ask is whether anything of one ever gets into another.

let database: TestDatabase;
let bare: Bare;
// Writes down what passes.
let wire: Awaited<ReturnType<typeof startFaultyWire>>;
beforeAll(async () => {
  database = await createDatabase();
  bare = await startBare({ app: database.urls.app }, { DATABASE_POOL_SIZE: '4' });
  wire = await startFaultyWire(database.urls.app);
});
afterAll(async () => {
  await bare.close();
  await wire.close();
  await database.drop();
});

const { floor } = Math;
const ignore = (): undefined => undefined;
/** What somebody else does meanwhile, in boundaries of their own. */
const others = (times: number) =>
  inFlight(4, times, (n) => bare.run({ name: 'Other' }, () => bare.write(fresh(`other-${n}`))));

it('a call that its boundary did not wait for is never in the next one', async () => {
  const late: string[] = [];
  const detached: Promise<unknown>[] = [];
  await inFlight(4, 200, async (n) => {
    const slug = fresh('late');
    late.push(slug);
    const careless = bare.run({ name: 'Careless' }, async () => {
      if (n % 2 === 0) await bare.pid();
      detached.push(bare.write(slug).catch(ignore));
    });
    await careless.catch(ignore);
    await bare.run({ name: 'Next' }, async () => {
      await bare.write(fresh('next'));
      await sleep(n % 3);
    });
  });
  await Promise.all(detached);
  expect(await stored(database, late)).toEqual([]);
});

it('what Prisma is still doing for a call that failed is never in the next one', async () => {
  const taken = fresh('taken');
  await bare.write(taken);
  const late: string[] = [];
  await inFlight(4, 100, async () => {
    const slugs = [fresh('beside'), fresh('beside'), fresh('beside')];
    late.push(...slugs);
    // The first one fails, and nobody waits for the others any more.
    const torn = bare.run({ name: 'Torn' }, () =>
      Promise.all([bare.write(taken), ...slugs.map((slug) => bare.write(slug))]),
    );
    await torn.catch(ignore);
    await bare.run({ name: 'Next' }, () => bare.write(fresh('next')));
  });
  await sleep(100);
  expect(await stored(database, late)).toEqual([]);
});

it('each sees its own rows only, also when all ask at the same moment for what Prisma reads together', async () => {
  const seen = await inFlight(8, 80, async (n) => {
    const own = newId();
    return bare.run({}, async () => {
      await bare.db.product.create({ data: { id: own, slug: fresh('own'), name: `${n}` } });
      const [mine, again] = await Promise.all([
        bare.db.product.findUnique({ where: { id: own } }),
        bare.db.product.findUnique({ where: { id: own } }),
      ]);
      return [mine?.name, again?.name].every((name) => name === `${n}`);
    });
  });
  expect(seen.every(Boolean)).toBe(true);
});

it(
  'one that failed, was torn by the database or ran out of time leaves nothing to those after it',
  async () => {
    const one = await startBare({ app: wire.url }, { DATABASE_POOL_SIZE: '4' });
    const taken = fresh('taken');
    await one.write(taken);
    const ways = [
      () => Promise.reject(new Error('thrown')),
      () => one.write(taken),
      () => one.run({ propagation: 'nested' }, () => one.write(taken)),
      () => sleep(80),
      () => one.db.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())::text`,
    ];
    const fails = async (n: number): Promise<string> => {
      const bad = fresh('bad');
      const way = ways[n % ways.length]!;
      const torn = one.run({ timeout: '60ms', retry: 0 }, async () => {
        await one.write(bad);
        await way();
      });
      const error = await errorOf(torn);
      // Where nobody knows, either may be.
      return error instanceof CommitOutcomeUnknownError ? '' : bad;
    };
    const succeeds = async (): Promise<string> => {
      const good = fresh('good');
      await one.run({}, async () => {
        await one.write(good);
        // A little less where the machine is slow; far less were it that of the one before.
        expect(await one.show('statement_timeout')).toMatch(/^(10s|\d{4}ms)$/);
      });
      return good;
    };
    for (let round = 0; round < fullCount(1, 833); round++) {
      wire.take();
      const slugs = await inFlight(4, 120, async (n) => [await fails(n), await succeeds()] as const);
      const there = await stored(database, slugs.flat());
      const kept = slugs.map(([, good]) => good);
      if (there.join() !== kept.toSorted().join()) process.stderr.write(`${wire.take().join('\n')}\n`);
      expect([round, there]).toEqual([round, kept.toSorted()]);
      if (round % 25 === 24) process.stderr.write(`${(round + 1) * 120} that failed have left nothing\n`);
    }
    await one.close();
  },
  fullCount(180_000, 10_800_000),
);

it('nested boundaries work on and on in one that is used again', async () => {
  const kept: string[] = [];
  for (let n = 0; n < 30; n++) {
    const [outer, inner] = [fresh('outer'), fresh('inner')];
    kept.push(outer, ...(n % 3 === 0 ? [] : [inner]));
    await bare.run({}, async () => {
      await bare.write(outer);
      const nested = bare.run({ propagation: 'nested' }, async () => {
        await bare.write(inner);
        if (n % 3 === 0) throw new Error('thrown');
      });
      await nested.catch(ignore);
    });
  }
  expect(await stored(database, kept)).toEqual(kept.toSorted());
  expect(kept).toHaveLength(30 + floor((30 * 2) / 3));
});

it('closing the application is not held up by those that are kept', async () => {
  const another = await startBare({ app: database.urls.app });
  await another.run({}, () => another.write(fresh('another')));
  await others(8);
  await another.close();
  const left = await database.query(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`,
  );
  expect(left).toEqual([]);
});
