import { setTimeout as sleep } from 'node:timers/promises';
import { CommitOutcomeUnknownError } from '../src/transactions/errors.ts';
import { type Bare, fresh, startBare, stored } from './support/bare.ts';
import { fullCount } from './support/counts.ts';
import { inFlight } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { WireLog } from './support/wire-log.ts';

// A boundary can be ended by its work, by its time (on the client and on the server), by the database and by its connection, and by several
// of them at once. Whoever it belongs to is told what became of its rows, with the wire written down so that a row too many can be explained.

// What is asked is what is stored, not how soon a busy machine makes a connection.
const patience = { DATABASE_POOL_WAIT_MS: '30000', DATABASE_TRANSACTION_TIMEOUT_MS: '60000' };

let database: TestDatabase;
let bare: Bare;
let wire: WireLog;
beforeAll(async () => {
  database = await createDatabase();
  wire = new WireLog(40_000);
  bare = await startBare({ app: database.urls.app }, { DATABASE_POOL_SIZE: '6', ...patience });
  await bare.write('taken');
});
afterAll(async () => {
  wire.end();
  await bare.close();
  await database.drop();
});

interface Told {
  readonly slug: string;
  readonly outcome: 'stored' | 'not stored' | 'unknown';
}

const limitMs = 60;
const ends: readonly ((slug: string) => Promise<unknown>)[] = [
  () => Promise.reject(new Error('thrown')),
  () => bare.write('taken'),
  () => bare.run({ propagation: 'nested' }, () => bare.write('taken')),
  () => sleep(80),
  () => bare.db.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())::text`,
  // At the very moment at which its time is over: in a statement, before it, in COMMIT.
  () => bare.db.$queryRaw`SELECT pg_sleep(${(limitMs - Math.random() * 20) / 1000})::text`,
  () => sleep(limitMs - Math.random() * 20),
  async () => {
    await sleep(limitMs - Math.random() * 20);
    await bare.write(fresh('beside'));
  },
  () => bare.db.$queryRaw`SELECT pg_sleep(0.2)::text`,
  () => bare.db.$queryRaw`SELECT pg_cancel_backend(pg_backend_pid())::text`,
];

async function ended(n: number): Promise<Told> {
  const slug = fresh('ended');
  const end = ends[n % ends.length]!;
  const outcome = bare
    .run({ timeout: limitMs, retry: 0 }, async () => {
      await bare.write(slug);
      await end(slug);
    })
    .then(
      () => 'stored' as const,
      (error: unknown) => (error instanceof CommitOutcomeUnknownError ? 'unknown' : 'not stored'),
    );
  return { slug, outcome: await outcome };
}

/** What is stored and should not be, or is not and should, with what was said on its connection. */
async function disagreements(told: readonly Told[]): Promise<string[]> {
  const slugs = told.map(({ slug }) => slug);
  const there = new Set(await stored(database, slugs));
  const wrong = told.filter(({ slug, outcome }) => outcome !== 'unknown' && there.has(slug) !== (outcome === 'stored'));
  return wrong.map(
    ({ slug, outcome }) =>
      `${slug}: told ${outcome}, stored ${there.has(slug)}\n${wire.around(` ${slug} `).join('\n')}`,
  );
}

it(
  'however many ways end a boundary at once, its rows are as its caller is told, and the next one has none of them',
  async () => {
    const counts = { stored: 0, 'not stored': 0, unknown: 0 };
    for (let left = fullCount(200, 100_000); left > 0; left -= 400) {
      const kept: string[] = [];
      const told = await inFlight(6, Math.min(left, 400), async (n) => {
        const one = await ended(n);
        const next = fresh('next');
        await bare.run({}, () => bare.write(next));
        kept.push(next);
        return one;
      });
      for (const { outcome } of told) counts[outcome]++;
      expect(await disagreements(told)).toEqual([]);
      expect(await stored(database, kept)).toEqual(kept.toSorted());
      if (fullCount(0, 1) === 1 && left % 10_000 === 0) console.info(`${left} left`, counts);
    }
    expect(counts['not stored']).toBeGreaterThan(counts.stored);
  },
  fullCount(180_000, 7_200_000),
);

it('what is written down of the wire tells a statement, its answer and the transaction it was in', async () => {
  const slug = fresh('seen');
  await bare.run({}, () => bare.write(slug));
  const said = wire.around(` ${slug} `).join('\n');
  expect(said).toMatch(/→ P .*BEGIN[^]*→ B .*seen[^]*← C BEGIN[^]*← C INSERT[^]*→ P .*COMMIT[^]*← C COMMIT/);
});
