import pg from 'pg';
import { newId } from '../src/kernel/ids.ts';
import { CommitOutcomeUnknownError } from '../src/transactions/errors.ts';
import { type Bare, fresh, startBare, stored } from './support/bare.ts';
import { fullCount } from './support/counts.ts';
import { inFlight } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

// Somebody cancels statements, or ends sessions, at moments that nobody has chosen: an administrator, a watchdog. Each caller is told what
// became of its rows.

const strikesAtOnce = 20;

let database: TestDatabase;
let bare: Bare;
let killer: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  bare = await startBare({ app: database.urls.app }, { DATABASE_POOL_SIZE: '6' });
  killer = new pg.Client({ connectionString: database.urls.superuser });
  await killer.connect();
});
afterAll(async () => {
  await bare.close();
  await killer.end();
  await database.drop();
});

const raw = (slug: string) =>
  bare.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${slug}, ${slug})`;
const nested = (work: () => Promise<unknown>) => bare.run({ propagation: 'nested' }, work);
const writes: readonly ((slug: string) => Promise<unknown>)[] = [
  raw,
  (slug) => bare.write(slug),
  (slug) => nested(() => raw(slug)),
  async (slug) => {
    await bare.pid();
    await bare.write(slug);
  },
];
const options = [{}, { isolation: 'serializable' }, { timeout: '20s' }, { retry: 0 }] as const;

interface Told {
  readonly slug: string;
  /** Null where it is told to be stored. */
  readonly error: unknown;
}

/** Every second one throws at its end. */
async function boundary(n: number): Promise<Told> {
  const slug = fresh('cut');
  const write = writes[n % writes.length] as (typeof writes)[number];
  const work = bare.run(options[(n >> 1) % options.length] ?? {}, async () => {
    await write(slug);
    if ((n >> 2) % 2 === 0) throw new Error('thrown');
  });
  return work.then(
    () => ({ slug, error: null }),
    (error: unknown) => ({ slug, error }),
  );
}

const wasHit = ({ error }: Told): boolean => error !== null && (error as Error).message !== 'thrown';

async function disagreements(told: readonly Told[]): Promise<string[]> {
  const there = new Set(
    await stored(
      database,
      told.map(({ slug }) => slug),
    ),
  );
  const wrong = told.filter(
    ({ slug, error }) => !(error instanceof CommitOutcomeUnknownError) && there.has(slug) !== (error === null),
  );
  return wrong.map(
    ({ slug, error }) =>
      `${slug}: told ${error === null ? 'stored' : (error as Error).message}, stored ${there.has(slug)}`,
  );
}

it.each([
  ['pg_cancel_backend', 0.5, fullCount(400, 10_000), 3],
  ['pg_terminate_backend', 30, fullCount(100, 2000), 1],
])(
  'under %s from another connection the rows are as their callers are told',
  async (way, pauseMs, times, leastHits) => {
    // On the server, where nothing else decides over the moment.
    const sql = `
      DO $$ BEGIN
        FOR n IN 1..${strikesAtOnce} LOOP
          PERFORM pg_stat_clear_snapshot();
          PERFORM ${way}(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'holdfast%';
          PERFORM pg_sleep(random() * ${pauseMs / 1000});
        END LOOP;
      END $$`;
    let isOver = false;
    let strikes = 0;
    const striking = (async () => {
      for (; !isOver; strikes += strikesAtOnce) await killer.query(sql);
    })();
    const told: Told[] = [];
    const hits = (): number => told.filter(wasHit).length;
    try {
      for (let round = 0; told.length < times || (hits() < leastHits && round < 50); round++)
        told.push(...(await inFlight(4, Math.min(times, 400), boundary)));
    } finally {
      isOver = true;
      await striking;
    }
    const wrong = await disagreements(told);
    const unknown = told.filter(({ error }) => error instanceof CommitOutcomeUnknownError).length;
    if (fullCount(0, 1) === 1)
      console.info(`${way}: ${told.length} boundaries, ${strikes} strikes, ${hits()} failed, ${unknown} unknown`);
    expect([way, wrong]).toEqual([way, []]);
    expect(hits()).toBeGreaterThanOrEqual(leastHits);
  },
);
