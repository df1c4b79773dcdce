import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Where the cluster of this test run is, by role; `reader` leads to the replica. */
export interface ClusterUrls {
  readonly superuser: string;
  readonly owner: string;
  readonly app: string;
  readonly reader: string;
  readonly version: string;
}

/** A database of its own, cloned from the migrated template. */
export interface TestDatabase {
  readonly urls: Omit<ClusterUrls, 'version'>;
  /** Runs a statement as the owner of the tables. What it writes is on the replica when it returns: no reader's token tells of it. */
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
  drop(): Promise<void>;
}

export const clusterUrls = (): ClusterUrls => JSON.parse(process.env['HOLDFAST_TEST_CLUSTER'] ?? '{}') as ClusterUrls;

let made = 0;
// A replica may stand still.
const asked = { connectionTimeoutMillis: 3000, query_timeout: 3000 } as const;

export async function createDatabase(): Promise<TestDatabase> {
  const cluster = clusterUrls();
  // The count begins anew in each test file, and one that failed may have left its database.
  const name = `test_${process.pid}_${++made}_${randomBytes(4).toString('hex')}`;
  // From elsewhere: of two who clone the template at once, each would find the other one in it.
  const elsewhere = at(cluster.superuser, 'postgres');
  await once(elsewhere, `CREATE DATABASE ${name} TEMPLATE holdfast OWNER holdfast_owner`);
  // A clone does not take over who may use the database it was cloned from. In one transaction: between the two nobody could connect, and a
  // replica that is behind would tell a test so later.
  await once(
    elsewhere,
    `REVOKE ALL ON DATABASE ${name} FROM PUBLIC; GRANT CONNECT ON DATABASE ${name} TO holdfast_app, holdfast_reader`,
  );
  const urls = {
    superuser: at(cluster.superuser, name),
    owner: at(cluster.owner, name),
    app: at(cluster.app, name),
    reader: at(cluster.reader, name),
  };
  await untilReplicated(urls.reader);
  const outside = AsyncLocalStorage.snapshot();
  const pool = new pg.Pool({ connectionString: urls.owner, max: 2 });
  // DROP DATABASE may meet a connection that is still saying goodbye, and a replica may go away.
  const replica = new pg.Pool({ connectionString: urls.reader, max: 2, ...asked });
  for (const one of [pool, replica]) one.on('error', () => undefined);
  return {
    urls,
    // Also when it is asked from inside a boundary, whose work this is not.
    query: (sql, values) =>
      outside(async () => {
        const { rows, command } = await pool.query(sql, values);
        if (command !== 'SELECT') await untilCaughtUp(pool, replica);
        return rows as never;
      }),
    drop: async () => {
      await Promise.all([pool.end(), replica.end()]);
      await once(elsewhere, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

const at = (url: string, database: string): string => Object.assign(new URL(url), { pathname: `/${database}` }).href;

async function once(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

async function untilReplicated(url: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; ; await sleep(20)) {
    try {
      return await once(url, 'SELECT 1 FROM _prisma_migrations');
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

/** Runs a script past the rules, as the superuser; what it writes is on the replica as well when it returns. */
export async function pastRules({ urls }: Pick<TestDatabase, 'urls'>, script: string): Promise<void> {
  await once(urls.superuser, `BEGIN; SET LOCAL session_replication_role = replica; ${script}; COMMIT`);
  const primary = new pg.Client({ connectionString: urls.owner });
  const replica = new pg.Client({ connectionString: urls.reader, ...asked });
  try {
    await primary.connect();
    const isThere = await replica.connect().then(
      () => true,
      () => false,
    );
    if (isThere) await untilCaughtUp(primary, replica);
  } finally {
    await Promise.allSettled([primary.end(), replica.end()]);
  }
}

/** Not for one that a test has stopped, or keeps behind: what it has by then it has. */
async function untilCaughtUp(primary: pg.Pool | pg.Client, replica: pg.Pool | pg.Client): Promise<void> {
  const { rows } = await primary.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() AS lsn');
  try {
    for (const deadline = Date.now() + 2000; Date.now() < deadline; await sleep(5)) {
      const { rows: states } = await replica.query<{ isThere: boolean }>(
        `SELECT NOT pg_is_in_recovery() OR pg_get_wal_replay_pause_state() <> 'not paused' OR pg_last_wal_replay_lsn() >= $1::pg_lsn AS "isThere"`,
        [rows[0]?.lsn],
      );
      if (states[0]?.isThere !== false) return;
    }
  } catch {
    // It is away.
  }
}
