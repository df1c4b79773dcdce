/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError, PoolStarvedError, PoolTimeoutError } from '../src/transactions/wire/errors.ts';
import { isUnreachable } from '../src/transactions/wire/postgres-errors.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { fullCount } from './support/counts.ts';
import { atOnce, eventually } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

let database: TestDatabase;
let core: Bare;
const cores: Bare[] = [];
const size = 3;

beforeAll(async () => {
  database = await createDatabase();
  core = await start({ DATABASE_POOL_SIZE: `${size}`, DATABASE_POOL_WAIT_MS: '10000' });
});
afterAll(async () => {
  for (const one of cores) await one.close();
  await database.drop();
});

async function start(variables: Record<string, string>): Promise<Bare> {
  const one = await startBare({ app: database.urls.app }, { DATABASE_TRANSACTION_TIMEOUT_MS: '20000', ...variables });
  cores.push(one);
  return one;
}

/** Every place of the pool can be had at the same time, by boundaries and by plain statements. */
async function expectWhole(one: Bare, places: number): Promise<void> {
  const { pool } = one.databases.write;
  await eventually(
    async () => pool.totalCount - pool.idleCount,
    (busy) => busy === 0,
  );
  let arrived = 0;
  let met: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (met = resolve));
  const pids = await atOnce(places, () =>
    one.run({ retry: 0 }, async () => {
      const pid = await one.pid();
      if (++arrived === places) met();
      await all;
      return pid;
    }),
  );
  expect(new Set(pids).size).toBe(places);
  const plain = await atOnce(
    places,
    () => one.db.$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid FROM pg_sleep(0.05)`,
  );
  expect(new Set(plain.map(([row]) => row?.pid)).size).toBe(places);
  expect(pool.waitingCount).toBe(0);
}

interface Outcome {
  readonly slugs: readonly string[];
  readonly error: Error | null;
}
async function outcomeOf(slugs: readonly string[], work: () => Promise<unknown>): Promise<Outcome> {
  const error = await work().then(
    () => null,
    (thrown: unknown) => thrown as Error,
  );
  return { slugs, error };
}

/** All succeeded, or failed by name; whoever succeeded has stored all of it. */
async function expectAllOrNamed(outcomes: readonly Outcome[]): Promise<void> {
  const done = outcomes.filter(({ error }) => error === null);
  for (const { error } of outcomes) if (error !== null) expect(error).toBeInstanceOf(DatabaseError);
  for (const { slugs } of done) expect(await stored(database, slugs)).toEqual([...slugs].sort());
  // With so much patience it is an exception that somebody gives up.
  expect(done.length).toBeGreaterThan(outcomes.length * 0.9);
  for (const { slugs, error } of outcomes)
    // The outer one is the first; the inner ones are stored by themselves, at each attempt.
    if (error !== null) expect(await stored(database, slugs.slice(0, 1))).toEqual([]);
}

const own = { propagation: 'requires-new' } as const;
const aside = { propagation: 'not-supported' } as const;
const crowd = fullCount(30, 300);

describe(`a pool of ${size}, and ${crowd} boundaries at once that need another connection each`, () => {
  /** The outer row, and inner ones of this attempt. */
  const outer = (name: string, inner: (slugs: string[]) => Promise<unknown>) => {
    const slugs = [fresh(`${name}-outer`)];
    return outcomeOf(slugs, () =>
      core.run({ retry: 30 }, async () => {
        slugs.length = 1;
        await core.write(slugs[0]!);
        await sleep(2);
        await inner(slugs);
      }),
    );
  };
  const write = (slugs: string[], name: string): Promise<void> => {
    const slug = fresh(name);
    slugs.push(slug);
    return core.write(slug);
  };

  it('serves them all in a boundary of their own', async () => {
    const from = performance.now();
    await expectAllOrNamed(
      await atOnce(crowd, () => outer('own', (slugs) => core.run(own, () => write(slugs, 'own-inner')))),
    );
    // Without admission they wait for each other until their patience ends.
    expect(performance.now() - from).toBeLessThan(fullCount(9000, 60_000));
    await expectWhole(core, size);
  });

  it('serves them all where the outer one is set aside', async () => {
    const from = performance.now();
    await expectAllOrNamed(
      await atOnce(crowd, () =>
        outer('aside', (slugs) =>
          core.run(aside, async () => {
            await core.db.product.count();
            await write(slugs, 'aside-plain');
            await core.run({}, () => write(slugs, 'aside-boundary'));
          }),
        ),
      ),
    );
    expect(performance.now() - from).toBeLessThan(fullCount(9000, 60_000));
    await expectWhole(core, size);
  });

  it('serves those beside them that only read, which wait for nobody for long', async () => {
    const reading: Promise<number>[] = [];
    const outcomes = atOnce(crowd, () => outer('beside', (slugs) => core.run(own, () => write(slugs, 'beside-inner'))));
    let isOver = false;
    const readers = atOnce(3, async () => {
      while (!isOver) {
        const from = performance.now();
        await core.db.product.count();
        reading.push(Promise.resolve(performance.now() - from));
      }
    });
    await expectAllOrNamed(await outcomes);
    isOver = true;
    await readers;
    expect(reading.length).toBeGreaterThan(10);
    expect(Math.max(...(await Promise.all(reading)))).toBeLessThan(9000);
    await expectWhole(core, size);
  });

  it('serves them three deep', async () => {
    const deep = Math.ceil(crowd / 3);
    await expectAllOrNamed(
      await atOnce(deep, () =>
        outer('deep', (slugs) =>
          core.run(own, async () => {
            await write(slugs, 'deep-middle');
            await core.run(own, () => write(slugs, 'deep-inner'));
          }),
        ),
      ),
    );
    await expectWhole(core, size);
  });

  it('tells at once those that would need more than there are', async () => {
    const from = performance.now();
    const deeper = (left: number): Promise<unknown> =>
      core.run(own, async () => {
        await core.pid();
        if (left > 0) await deeper(left - 1);
      });
    const error = await errorOf(core.run({}, () => deeper(size)));
    expect(error).toBeInstanceOf(PoolStarvedError);
    expect((error as PoolStarvedError).isTransient).toBe(false);
    expect(performance.now() - from).toBeLessThan(5000);
    await expectWhole(core, size);
  });
});

describe('a pool of one', () => {
  let single: Bare;
  beforeAll(async () => {
    single = await start({ DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: '4000' });
  });

  it('refuses at once what would wait for itself, whichever way it asks', async () => {
    for (const options of [own, aside])
      for (const ask of [
        () => single.pid(),
        () => single.db.product.count(),
        () => single.run(own, () => single.pid()),
      ]) {
        const slug = fresh('single');
        const from = performance.now();
        let inner: Error | null = null;
        await single.run({}, async () => {
          await single.write(slug);
          inner = await errorOf(single.run(options, ask));
        });
        expect(performance.now() - from).toBeLessThan(3000);
        expect(inner).toBeInstanceOf(PoolStarvedError);
        // The outer one goes on: nothing has happened to its transaction.
        expect(await stored(database, [slug])).toEqual([slug]);
      }
    await expectWhole(single, 1);
  });

  it('serves an inner one whose outer one has said nothing yet, and the outer one after it', async () => {
    const [inner, outer] = [fresh('inner'), fresh('outer')];
    await single.run({}, async () => {
      await single.run(own, () => single.write(inner));
      await single.write(outer);
    });
    expect(await stored(database, [inner, outer])).toEqual([inner, outer].sort());
  });

  it('lets nobody wait longer than DATABASE_POOL_WAIT_MS, and says so by name', async () => {
    const impatient = await start({ DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: '300' });
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const holder = impatient.run({}, async () => {
      await impatient.pid();
      await held;
    });
    await eventually(
      async () => impatient.databases.write.pool.totalCount - impatient.databases.write.pool.idleCount,
      (busy) => busy === 1,
    );
    const from = performance.now();
    const waiting: (() => Promise<unknown>)[] = [
      () => impatient.run({}, () => impatient.pid()),
      () => impatient.run({ timeout: '20s' }, () => impatient.write(fresh('waits'))),
      () => impatient.db.product.count(),
      () => impatient.pid(),
      () => impatient.write(fresh('waits')),
    ];
    const errors = await Promise.all(waiting.map((ask) => errorOf(ask()))).finally(letGo);
    expect(performance.now() - from).toBeLessThan(3000);
    for (const error of errors) expect(error).toBeInstanceOf(PoolTimeoutError);
    for (const error of errors) expect(isUnreachable(error)).toBe(true);
    await holder;
    await expectWhole(impatient, 1);
  });
});
