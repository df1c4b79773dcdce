import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { endAll } from '../src/embedded/server.ts';
import type { TransactionOptions } from '../src/transactions/boundary/options.ts';
import { askOutcome, outcomeGraceMs } from '../src/transactions/boundary/outcome.ts';
import { CommitOutcomeUnknownError, ConnectionLostError } from '../src/transactions/errors.ts';
import { afterCommit, afterRollback } from '../src/transactions/hooks.ts';
import { sendWithCommit } from '../src/transactions/participant.ts';
import { Pool } from '../src/transactions/wire/pool.ts';
import { type Bare, fresh, startBare } from './support/bare.ts';
import { fullCount } from './support/counts.ts';
import { eventually, inFlight, underLoad } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { ask, type OwnCluster, startOwnCluster } from './support/own-cluster.ts';
import { type Break, type Proxy, startProxy, type Trap } from './support/proxy.ts';

let database: TestDatabase;
let proxy: Proxy;
let core: Bare;
const cores: Bare[] = [];

beforeAll(async () => {
  database = await createDatabase();
  proxy = await startProxy(database.urls.app);
  core = await start({ DATABASE_POOL_SIZE: '8' });
});
afterEach(() => {
  proxy.refuseNew(false);
  proxy.heal();
});
afterAll(async () => {
  // First, so that no connection stays silent.
  await proxy.close();
  for (const one of cores) await one.close();
  await database.drop();
});

async function start(variables: Record<string, string>): Promise<Bare> {
  const one = await startBare({ app: proxy.through(database.urls.app) }, variables);
  cores.push(one);
  return one;
}

/** What somebody outside saw of a boundary. */
interface Seen {
  /** The value of the work; null when it failed. */
  readonly value: string | null;
  readonly error: Error | null;
  /** How often the work was run. */
  readonly attempts: number;
  readonly committed: number;
  readonly rolledBack: number;
}

/** Runs a boundary whose work counts its runs and registers a hook of each kind. */
async function watch(one: Bare, options: TransactionOptions, work: () => Promise<unknown>): Promise<Seen> {
  const seen = { attempts: 0, committed: 0, rolledBack: 0 };
  const done = one.run(options, async () => {
    seen.attempts++;
    afterCommit(() => seen.committed++);
    afterRollback(() => seen.rolledBack++);
    await work();
    return 'done';
  });
  const [value, error] = await done.then(
    (returned) => [returned, null] as const,
    (thrown: unknown) => [null, thrown as Error] as const,
  );
  return { ...seen, value, error };
}

/** What a boundary may do, and which marks it leaves when it is stored. */
interface Kind {
  readonly options: TransactionOptions;
  readonly work: (one: Bare, slug: string) => Promise<unknown>;
  readonly marks: (slug: string) => string[];
}
const rawWrite = (one: Bare, slug: string) =>
  one.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${slug}, ${slug})`;

const writeWithCommit = (slug: string): void =>
  sendWithCommit({
    name: 'write_with_commit',
    text: 'INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), $1, $1)',
    values: [slug],
  });

const kinds: Record<string, Kind> = {
  writes: { options: {}, work: (one, slug) => one.write(slug), marks: (slug) => [slug] },
  'writes by a raw SELECT': {
    options: {},
    work: (one, slug) =>
      one.db
        .$queryRaw`WITH made AS (INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${slug}, ${slug}) RETURNING slug) SELECT slug FROM made`,
    marks: (slug) => [slug],
  },
  'writes with COMMIT': {
    options: {},
    work: async (one, slug) => {
      await rawWrite(one, slug);
      writeWithCommit(`${slug}-last`);
    },
    marks: (slug) => [slug, `${slug}-last`],
  },
  'writes with COMMIT only': { options: {}, work: async (_, slug) => writeWithCommit(slug), marks: (slug) => [slug] },
  'writes last': {
    options: {},
    work: async (one, slug) => {
      await one.db.product.count();
      await rawWrite(one, slug);
    },
    marks: (slug) => [slug],
  },
  'reads only': { options: {}, work: (one) => one.db.product.count(), marks: () => [] },
  'is read-only': { options: { readOnly: true }, work: (one) => one.pid(), marks: () => [] },
  'has savepoints': {
    options: {},
    work: async (one, slug) => {
      const nested = (what: string, ...more: (() => Promise<unknown>)[]) =>
        one.run({ propagation: 'nested' }, async () => {
          await rawWrite(one, `${slug}-${what}`);
          for (const work of more) await work();
        });
      await nested('undone', () => Promise.reject(new Error('thrown'))).catch(() => undefined);
      await nested('kept');
    },
    marks: (slug) => [`${slug}-kept`],
  },
  'is serializable': {
    options: { isolation: 'serializable' },
    work: async (one, slug) => {
      await one.db.product.count({ where: { slug } });
      await rawWrite(one, slug);
    },
    marks: (slug) => [slug],
  },
};
const breaks: Break[] = ['cut', 'half', 'silence'];

/** How a boundary's name stands on the wire, in its BEGIN. */
const sent = (name: string): string => `holdfast ${name}'`;

/** A boundary of its own name, whose connection is broken so. */
interface Case {
  readonly name: string;
  readonly slug: string;
  readonly kind: Kind;
  readonly trap: Trap;
  readonly options: TransactionOptions;
  /** What it left, in words, so that a failure says which one it was. */
  readonly label: string;
}

function caseOf(n: number): Case {
  const names = Object.keys(kinds);
  const label = names[n % names.length]!;
  const kind = kinds[label]!;
  const how = breaks[Math.floor(n / names.length) % breaks.length]!;
  const when = n % 2 === 0 ? 'before' : 'after';
  // A serializable boundary without any is refused.
  const few = label === 'is serializable' ? 1 : 0;
  const retry = n % 5 === 0 ? few : 5;
  const [name, slug] = [`Broken ${n}`, `broken-${n}`];
  return {
    name,
    slug,
    kind,
    trap: { text: 'COMMIT', on: sent(name), when, how },
    options: { ...kind.options, name, timeout: '1500ms', retry } as TransactionOptions,
    label: `${label}, ${how} ${when} COMMIT, retry ${retry}`,
  };
}

const marksOf = async (slug: string): Promise<string[]> =>
  (
    await database.query<{ slug: string }>('SELECT slug FROM product WHERE slug = $1 OR slug LIKE $2 ORDER BY 1', [
      slug,
      `${slug}-%`,
    ])
  ).map((row) => row.slug);

describe('a connection that breaks around COMMIT', () => {
  const times = fullCount(30, 500);

  it(`gives the caller the answer that the database gives, ${times} times`, async () => {
    const before = proxy.cuts;
    const answers = await inFlight(6, times, async (n) => {
      const { kind, slug, trap, options, label } = caseOf(n);
      proxy.trap(trap);
      const seen = await watch(core, options, () => kind.work(core, slug));
      return { label, slug, expected: kind.marks(slug), seen };
    });
    // A busy machine may let the time of some be over before they come to COMMIT.
    expect(proxy.cuts - before).toBeGreaterThan(times * 0.8);
    const tally: Record<string, number> = {};
    for (const { label, slug, expected, seen } of answers) {
      const { value, error, committed, rolledBack } = seen;
      const said = { label, error: error?.name ?? null, isDone: value === 'done', committed, rolledBack };
      const isDone = error === null;
      const rows = await marksOf(slug);
      // Stored and told so, with the one hook, or neither. Never unknown: the database could be asked all the time.
      expect({ ...said, rows }).toEqual({
        label,
        // The patience for an answer may have used its time up.
        error: isDone ? null : expect.stringMatching(/^(ConnectionLost|TransactionExpired)Error$/),
        isDone,
        committed: isDone ? 1 : 0,
        rolledBack: isDone ? 0 : 1,
        rows: isDone ? expected : [],
      });
      const what = isDone ? (seen.attempts === 1 ? 'stored' : 'done again and stored') : 'not stored';
      tally[what] = (tally[what] ?? 0) + 1;
    }
    // Each of the ways out was taken.
    expect(Object.keys(tally).sort()).toEqual(['done again and stored', 'not stored', 'stored']);
    if (process.env['PROVE'] === 'true') process.stderr.write(`commit-outcome: ${JSON.stringify(tally)}\n`);
  }, 600_000);

  it('is overcome when COMMIT did not arrive: the work is done again and stored once', async () => {
    for (const name of ['writes', 'has savepoints', 'is serializable'] as const) {
      const kind = kinds[name]!;
      const slug = fresh('again');
      proxy.trap({ text: 'COMMIT', on: sent(slug), when: 'before', how: 'cut' });
      const seen = await watch(core, { ...kind.options, name: slug }, () => kind.work(core, slug));
      expect(seen).toMatchObject({ value: 'done', attempts: 2, committed: 1, rolledBack: 0 });
      expect(await marksOf(slug)).toEqual(kind.marks(slug));
    }
  });

  it('costs nothing when COMMIT was done and its answer lost: the work is not done again', async () => {
    const slug = fresh('once');
    proxy.trap({ text: 'COMMIT', on: sent(slug), when: 'after', how: 'cut' });
    const seen = await watch(core, { name: slug }, () => core.write(slug));
    expect(seen).toMatchObject({ value: 'done', attempts: 1, committed: 1, rolledBack: 0 });
    expect(await marksOf(slug)).toEqual([slug]);
  });

  // The id is asked for behind the statement. Whoever has lost that answer does not know that it has written nothing.
  it.each<[string, string, (slug: string) => Promise<unknown>]>([
    ['the first statement', 'INSERT', (slug) => rawWrite(core, slug)],
    [
      'a later one',
      'INSERT',
      async (slug) => {
        await core.db.product.count();
        await rawWrite(core, slug);
      },
    ],
    ['a SELECT', 'SELECT', (slug) => kinds['writes by a raw SELECT']!.work(core, slug)],
  ])(
    'behind the answer to a write by %s, before the id of the transaction is known, is no success',
    async (_, text, write) => {
      for (const how of breaks) {
        const slug = fresh('no-id');
        let isWriting = false;
        const seen = await watch(core, { name: slug, timeout: '700ms', retry: 0 }, () => {
          if (!isWriting) proxy.trap({ text, on: sent(slug), when: 'behind', how });
          isWriting = true;
          return write(slug);
        });
        expect(seen.error?.name).toMatch(/^(ConnectionLost|TransactionExpired)Error$/);
        expect([how, seen.value, seen.committed, seen.rolledBack]).toEqual([how, null, 0, 1]);
        expect(await marksOf(slug)).toEqual([]);
      }
      const slug = fresh('no-id');
      proxy.trap({ text, on: sent(slug), when: 'behind', how: 'cut' });
      const seen = await watch(core, { name: slug }, () => write(slug));
      expect(seen).toMatchObject({ value: 'done', committed: 1 });
      // At least: a connection that the silence before has left behind may have cost another one.
      expect(seen.attempts).toBeGreaterThan(1);
      expect(await marksOf(slug)).toEqual([slug]);
    },
  );

  it('of work that has only read is no failure, whether it was told that it only reads or not', async () => {
    for (const options of [{}, { readOnly: true }, { isolation: 'serializable' }] satisfies TransactionOptions[])
      for (const when of ['before', 'after'] as const) {
        const name = fresh('reads');
        proxy.trap({ text: 'COMMIT', on: sent(name), when, how: 'cut' });
        const seen = await watch(core, { ...options, name }, () => core.db.product.count());
        expect(seen).toMatchObject({ value: 'done', attempts: 1, committed: 1, rolledBack: 0 });
      }
  });
});

describe('the outcome of a COMMIT', () => {
  it('is unknown when the database cannot be asked until the deadline, and then no hook runs', async () => {
    for (const [when, rows] of [
      ['before', 0],
      ['after', 1],
    ] as const) {
      const single = await start({ DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: '200' });
      const slug = fresh('unknown');
      await single.run({}, () => single.pid());
      proxy.refuseNew(true);
      proxy.trap({ text: 'COMMIT', on: sent(slug), when, how: 'cut' });
      const from = performance.now();
      const seen = await watch(single, { name: slug, timeout: '600ms' }, () => single.write(slug));
      expect(performance.now() - from).toBeLessThan(6000);
      expect(seen.error).toBeInstanceOf(CommitOutcomeUnknownError);
      expect(seen.error?.message).not.toContain('INSERT');
      expect(seen.error?.cause).toBeDefined();
      expect(seen).toMatchObject({ attempts: 1, committed: 0, rolledBack: 0 });
      proxy.refuseNew(false);
      expect(await marksOf(slug)).toHaveLength(rows);
      expect(await single.run({}, () => single.pid())).toBeGreaterThan(0);
    }
  });

  it('is found out as soon as the database can be asked again', async () => {
    for (const [when, attempts] of [
      ['before', 2],
      ['after', 1],
    ] as const) {
      const single = await start({ DATABASE_POOL_SIZE: '1' });
      const slug = fresh('late');
      await single.run({}, () => single.pid());
      proxy.refuseNew(true);
      proxy.trap({ text: 'COMMIT', on: sent(slug), when, how: 'cut' });
      const watched = watch(single, { name: slug, timeout: '20s' }, () => single.write(slug));
      await sleep(300);
      expect(await Promise.race([watched, sleep(0, 'still asking')])).toBe('still asking');
      proxy.refuseNew(false);
      expect(await watched).toMatchObject({ value: 'done', attempts, committed: 1, rolledBack: 0 });
      expect(await marksOf(slug)).toEqual([slug]);
    }
  });

  it('is not waited for beyond the deadline in a black hole, whatever other connections there are', async () => {
    const slug = fresh('hole');
    const far = await start({});
    await far.run({}, () => far.pid());
    // Several idle ones, each of which would keep the question waiting.
    await inFlight(6, 6, () => far.run({}, () => far.db.$queryRaw`SELECT pg_sleep(0.05)::text`));
    const from = performance.now();
    const seen = await watch(far, { name: slug, timeout: '400ms' }, async () => {
      await far.write(slug);
      proxy.goSilent();
    });
    // Its own time and that for the question; the rest is for a busy machine.
    expect(performance.now() - from).toBeLessThan(400 + outcomeGraceMs + 1000);
    expect(seen.error).toBeInstanceOf(CommitOutcomeUnknownError);
    expect(seen).toMatchObject({ committed: 0, rolledBack: 0 });
    proxy.heal();
  });

  it('needs no id of work that only reads, and asking for one does not give it one', async () => {
    const xid = () => core.db.$queryRaw<{ id: string | null }[]>`SELECT pg_current_xact_id_if_assigned()::text AS id`;
    const ids: (string | null | undefined)[] = [];
    const nextId = async () =>
      (await database.query<{ n: string }>(`SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS n`))[0]!.n;
    for (const options of [{}, { readOnly: true }, { isolation: 'serializable' }] satisfies TransactionOptions[])
      await core.run(options, async () => {
        await core.db.product.count();
        // A raw statement may have written: behind this one the question is asked.
        await core.pid();
        ids.push((await xid())[0]?.id);
      });
    expect(ids).toEqual([null, null, null]);
    await core.run({}, async () => {
      await core.write(fresh('id'));
      ids.push((await xid())[0]?.id);
    });
    expect(Number(ids[3])).toBeGreaterThan(0);
    expect(Number(await nextId())).toBeGreaterThan(Number(ids[3]));
  });
});

describe('a primary that is killed around COMMIT', () => {
  let own: OwnCluster;
  let around: Proxy;
  let one: Bare;
  beforeAll(async () => {
    own = await startOwnCluster();
    around = await startProxy(own.database.urls.app);
    one = await startBare({ app: around.through(own.database.urls.app) }, { DATABASE_POOL_SIZE: '12' });
  });
  afterAll(async () => {
    await around.close();
    await one.close();
    await own.close();
  });

  const crash = async (how: 'immediate' | 'SIGKILL'): Promise<void> => {
    const folder = join(own.cluster.home, 'primary');
    if (how === 'SIGKILL') {
      await endAll(folder);
      rmSync(join(folder, 'postmaster.pid'), { force: true });
    }
    await own.cluster.primary.stop('immediate');
  };
  const rowsOf = async (slug: string): Promise<number> =>
    (await own.database.query('SELECT FROM product WHERE slug = $1', [slug])).length;
  const raw = (slug: string) => rawWrite(one, slug);
  const times = fullCount(3, 20);

  it(`and comes back has stored what it was said to have stored, and nothing else, ${times} times`, async () => {
    const seen: { slug: string; what: Seen }[] = [];
    for (let round = 0; round < times; round++) {
      const boundary = async (slug: string): Promise<void> => {
        const what = await watch(one, { name: slug, timeout: '25s' }, () => raw(slug));
        seen.push({ slug, what });
      };
      // Some wait for an answer to COMMIT when it dies, whether it has heard of COMMIT or not; others are anywhere.
      const doomed = (['before', 'after'] as const).flatMap((when) =>
        [1, 2, 3].map((n) => ({ when, slug: `killed-${round}-${when}-${n}` })),
      );
      const cutsBefore = around.cuts;
      for (const { when, slug } of doomed) around.trap({ text: 'COMMIT', on: sent(slug), when, how: 'stall' });
      const waiting = doomed.map(({ slug }) => boundary(slug));
      await eventually(
        async () => around.cuts - cutsBefore,
        (cuts) => cuts === doomed.length,
      );
      let n = 0;
      await underLoad(
        4,
        () => boundary(`killed-${round}-${++n}`),
        async () => {
          await sleep(30 + 10 * (round % 5));
          await crash(round % 2 === 0 ? 'SIGKILL' : 'immediate');
          await own.cluster.primary.start();
          await Promise.all(waiting);
        },
      );
    }
    const rows = new Map<string, number>();
    for (const { slug } of await own.database.query<{ slug: string }>(
      `SELECT slug FROM product WHERE slug LIKE 'killed-%'`,
    ))
      rows.set(slug, (rows.get(slug) ?? 0) + 1);
    const tally: Record<string, number> = {};
    for (const { slug, what } of seen) {
      const { value, error, committed, rolledBack } = what;
      const isDone = value !== null;
      expect({ slug, error: error?.message, committed, rolledBack, rows: rows.get(slug) ?? 0 }).toEqual({
        slug,
        error: error?.message,
        committed: isDone ? 1 : 0,
        rolledBack: isDone ? 0 : 1,
        rows: isDone ? 1 : 0,
      });
      expect(error).not.toBeInstanceOf(CommitOutcomeUnknownError);
      const outcome = error === null ? (what.attempts === 1 ? 'stored' : 'done again and stored') : error.name;
      tally[outcome] = (tally[outcome] ?? 0) + 1;
    }
    expect(tally['stored']).toBeGreaterThan(0);
    expect(tally['done again and stored']).toBeGreaterThan(0);
    if (process.env['PROVE'] === 'true') process.stderr.write(`killed primary: ${JSON.stringify(tally)}\n`);
  }, 600_000);

  it('is not asked for what a standby cannot know', async () => {
    const running = new pg.Client({ connectionString: own.database.urls.owner });
    await running.connect();
    const settings = { statement_timeout: 0, lock_timeout: 0, idle_in_transaction_session_timeout: 0 };
    const standby = new Pool(
      { connectionString: own.database.urls.reader },
      { size: 1, waitMs: 5000, demand: { role: null, settings } },
    );
    try {
      await running.query('BEGIN');
      const id =
        'SELECT pg_current_xact_id()::text AS id, extract(epoch FROM pg_postmaster_start_time())::text AS start';
      const { rows } = await running.query<{ id: string; start: string }>(id);
      // It has written nothing yet, so the standby has not heard of it; it may still be committed.
      expect(await askOutcome(standby, `${rows[0]!.id}@${rows[0]!.start}`, performance.now())).toBe('unknown');
    } finally {
      await running.end();
      await standby.end();
    }
  });

  it.each([
    ['has taken back the id of a lost transaction knows that it is not stored', 'taken back'],
    ['has given the id of a lost transaction to another one knows that it is not stored', 'given away'],
    ['has given it to another one does not know, once a checkpoint has gone over the trace', 'trace lost'],
  ])(
    'and %s',
    async (_, fate) => {
      const isTraceLost = fate === 'trace lost';
      // What was written by then is not flushed, and so is lost with the id.
      await ask(own.cluster.url('superuser'), `ALTER SYSTEM SET wal_writer_delay = '10s'`);
      await ask(own.cluster.url('superuser'), 'SELECT pg_reload_conf()');
      await sleep(300);
      await ask(own.cluster.url('superuser'), 'CHECKPOINT');
      const slug = fresh('taken-back');
      const idOf = (client: Pick<Bare['db'], '$queryRaw'>) =>
        client.$queryRaw<{ id: string }[]>`SELECT pg_current_xact_id()::text AS id`;
      let id = 0;
      const cutsBefore = around.cuts;
      around.trap({ text: 'COMMIT', on: sent(slug), when: 'before', how: 'stall' });
      const watched = watch(one, { name: slug, timeout: '25s', retry: 0 }, async () => {
        await raw(slug);
        id = Number((await idOf(one.db))[0]?.id);
      });
      await eventually(
        async () => around.cuts - cutsBefore,
        (cuts) => cuts === 1,
      );
      around.refuseNew(true);
      await crash('SIGKILL');
      await own.cluster.primary.start();
      let taken = 0;
      while (taken < id && fate !== 'taken back') {
        const [row] = await own.database.query<{ id: string }>(`SELECT pg_current_xact_id()::text AS id`);
        taken = Number(row!.id);
      }
      // The same number, for somebody else, and committed.
      expect(taken).toBe(fate === 'taken back' ? 0 : id);
      if (isTraceLost) await ask(own.cluster.url('superuser'), 'CHECKPOINT');
      around.refuseNew(false);
      const { error, value, committed, rolledBack } = await watched;
      expect({ value, committed, rows: await rowsOf(slug) }).toEqual({ value: null, committed: 0, rows: 0 });
      expect(error).toBeInstanceOf(isTraceLost ? CommitOutcomeUnknownError : ConnectionLostError);
      expect(rolledBack).toBe(isTraceLost ? 0 : 1);
    },
    60_000,
  );
});
