import { newId } from '../src/kernel/ids.ts';
import { TransactionKit } from '../src/testing/testing.ts';
import { CommitOutcomeUnknownError } from '../src/transactions/errors.ts';
import { sendWithCommit } from '../src/transactions/participant.ts';
import { type Bare, fresh, startBare, stored } from './support/bare.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { faults, moments, startFaultyWire, type WireFault } from './support/wire-faults.ts';

// Statements leave together: BEGIN, settings, savepoints, the statement itself, the question for the transaction's id. Here each of them is
// spoilt in each way in which a server can refuse, stop or lose it. What the caller is told and what is stored agree every time.

let database: TestDatabase;
let wire: Awaited<ReturnType<typeof startFaultyWire>>;
let bare: Bare;
beforeAll(async () => {
  database = await createDatabase();
  wire = await startFaultyWire(database.urls.app);
  bare = await startBare({ app: wire.url }, { DATABASE_POOL_SIZE: '3' });
});
afterAll(async () => {
  await bare.close();
  await wire.close();
  await database.drop();
});

const ignore = (): undefined => undefined;
const raw = (slug: string) =>
  bare.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${slug}, ${slug})`;
const withSku = (slug: string) =>
  bare.db.product.create({
    data: {
      id: newId(),
      slug,
      name: slug,
      skus: { create: { id: newId(), code: slug, name: slug, price: 1n, currency: 'EUR' } },
    },
  });
const nested = (work: () => Promise<unknown>) => bare.run({ propagation: 'nested' }, work);
const mark = (slug: string) => ({
  name: 'mark',
  text: 'INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), $1, $1)',
  values: [slug],
});
const other = (slug: string) => `${slug}-other`;

/** Work that writes the slug, and all of its others, or nothing. */
interface Way {
  readonly work: (slug: string) => Promise<unknown>;
  /** What it writes beside the slug. */
  readonly others?: (slug: string) => string[];
}
const ways: Readonly<Record<string, Way>> = {
  'a raw statement': { work: (slug) => bare.run({ timeout: '9s' }, () => raw(slug)) },
  'a statement of a model': { work: (slug) => bare.run({ isolation: 'serializable' }, () => bare.write(slug)) },
  'a nested write': { work: (slug) => bare.run({}, () => withSku(slug)) },
  'a nested write outside any boundary': { work: withSku },
  'one that only reads, and reads': {
    work: async (slug) => {
      await bare.run({ readOnly: true, isolation: 'repeatable-read' }, () =>
        bare.db.product.count({ where: { slug } }),
      );
      throw new Error('it has written nothing');
    },
  },
  'one that only reads, and writes': { work: (slug) => bare.run({ readOnly: true }, () => raw(slug).catch(ignore)) },
  'one that throws': {
    work: (slug) =>
      bare.run({}, async () => {
        await raw(slug);
        throw new Error('thrown');
      }),
  },
  'savepoints before it and around it': {
    work: (slug) =>
      bare.run({}, async () => {
        await nested(() => nested(() => raw(slug)));
        await nested(() => bare.write(other(slug)));
      }),
    others: (slug) => [other(slug)],
  },
  'a savepoint that is taken back': {
    work: (slug) =>
      bare.run({}, async () => {
        const undone = nested(async () => {
          await raw(`${slug}-undone`);
          throw new Error('thrown');
        });
        await undone.catch(ignore);
        await bare.write(slug);
      }),
  },
  'a boundary of its own on a second connection': {
    work: (slug) =>
      new Promise((resolve, reject) => {
        // What becomes of the outer one is its own.
        const outer = bare.run({}, async () => {
          await bare.pid();
          await bare.run({ propagation: 'requires-new', timeout: '9s' }, () => raw(slug)).then(resolve, reject);
        });
        outer.catch(reject);
      }),
  },
  'two statements at once': {
    work: (slug) => bare.run({}, () => Promise.all([raw(slug), raw(other(slug))])),
    others: (slug) => [other(slug)],
  },
  'statements that leave with COMMIT': {
    work: (slug) =>
      bare.run({}, async () => {
        await raw(slug);
        for (const one of [other(slug), `${other(slug)}-last`]) sendWithCommit(mark(one));
      }),
    others: (slug) => [other(slug), `${other(slug)}-last`],
  },
  'nothing but what leaves with COMMIT': { work: (slug) => bare.run({}, async () => sendWithCommit(mark(slug))) },
  'a statement that does not do all that it was to do and leaves with COMMIT': {
    work: (slug) =>
      bare.run({}, async () => {
        await raw(slug);
        sendWithCommit({ name: 'missing', text: 'SELECT refuse_missing(ARRAY[0])', values: [] });
      }),
  },
  'a statement whose error is swallowed': {
    work: (slug) =>
      bare.run({}, async () => {
        await raw(other(slug)).catch(ignore);
        await raw(slug).catch(ignore);
      }),
    others: (slug) => [other(slug)],
  },
  'a second attempt': {
    work: (slug) => {
      let attempt = 0;
      return bare.run({}, async () => {
        if (++attempt > 1) return raw(slug);
        return bare.db.$executeRaw`DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$`;
      });
    },
  },
};

/** Every statement of the work, as it leaves. */
async function statementsOf(work: (slug: string) => Promise<unknown>): Promise<string[]> {
  wire.plant(null);
  await work(fresh('clean')).catch(ignore);
  wire.take();
  await work(fresh('clean')).catch(ignore);
  return wire.take();
}

function cellsOf(statements: readonly string[]): WireFault[] {
  return statements.flatMap((_, at) => faults.flatMap((fault) => moments.map((moment) => ({ at, fault, moment }))));
}

/** What does not agree, in words; null when all does. */
async function disagreement(cell: WireFault, { work, others = () => [] }: Way): Promise<string | null> {
  const slug = fresh('cell');
  wire.plant(cell);
  wire.take();
  const told: unknown = await work(slug).then(
    () => 'done',
    (error: unknown) => error,
  );
  wire.plant(null);
  // Where the outcome is unknown, either is true, but not a half.
  const all = [slug, ...others(slug)].toSorted();
  const there = await stored(database, [...all, `${slug}-undone`]);
  const right = told === 'done' ? [all] : told instanceof CommitOutcomeUnknownError ? [all, []] : [[]];
  if (right.some((rows) => rows.join() === there.join())) return null;
  const how = `${cell.fault}, ${cell.moment} statement ${cell.at}`;
  return `${how}: told ${String(told)}, stored [${there.join()}]\n${wire.take().join('\n')}`;
}

it.each(Object.keys(ways))(
  '%s: the rows are as the caller is told, whatever becomes of each statement',
  async (name) => {
    const way = ways[name] as Way;
    const wrong: string[] = [];
    const statements = await statementsOf(way.work);
    expect(statements.length).toBeGreaterThan(1);
    for (const cell of cellsOf(statements)) {
      const said = await disagreement(cell, way);
      if (said !== null) wrong.push(said);
    }
    expect(wrong).toEqual([]);
    // And nothing is left behind for those who come after.
    const after = fresh('after');
    await Promise.all([1, 2, 3].map((n) => bare.run({}, () => bare.write(`${after}-${n}`))));
    expect(
      await stored(
        database,
        [1, 2, 3].map((n) => `${after}-${n}`),
      ),
    ).toHaveLength(3);
  },
  120_000,
);

it('on the one connection of a test that is rolled back as well', async () => {
  const kit = new TransactionKit(() => bare.app);
  const seen = async (slug: string): Promise<number> =>
    (await kit.query('SELECT FROM product WHERE slug = $1', [slug]).catch(() => [])).length;
  const way = async (slug: string): Promise<void> => {
    const hasBegun = await kit.begin().then(
      () => true,
      () => false,
    );
    if (!hasBegun) return;
    // Whether COMMIT was carried out is asked until the time is over.
    const told = await bare
      .run({ timeout: '300ms' }, () => raw(slug))
      .then(
        () => 1,
        () => 0,
      );
    wire.plant(null);
    const found = await seen(slug);
    await kit.rollback().catch(ignore); // its connection is lost
    if (found !== told) throw new Error(`told ${told}, found ${found}`);
  };
  const wrong: string[] = [];
  for (const cell of cellsOf(await statementsOf(way))) {
    const slug = fresh('kit');
    wire.plant(cell);
    await way(slug).catch((error: unknown) => wrong.push(`${JSON.stringify(cell)} ${String(error)}`));
    wire.plant(null);
    if ((await stored(database, [slug])).length > 0) wrong.push(`${JSON.stringify(cell)}: stored`);
  }
  expect(wrong).toEqual([]);
}, 240_000);
