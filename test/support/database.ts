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
  /** Runs a statement as the owner of the tables. */
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
  drop(): Promise<void>;
}

export const clusterUrls = (): ClusterUrls => JSON.parse(process.env['HOLDFAST_TEST_CLUSTER'] ?? '{}') as ClusterUrls;

let made = 0;

export async function createDatabase(): Promise<TestDatabase> {
  const cluster = clusterUrls();
  // The count begins anew in each test file, and one that failed may have left its database.
  const name = `test_${process.pid}_${++made}_${randomBytes(4).toString('hex')}`;
  // From elsewhere: of two who clone the template at once, each would find the other one in it.
  const elsewhere = at(cluster.superuser, 'postgres');
  await once(elsewhere, `CREATE DATABASE ${name} TEMPLATE holdfast OWNER holdfast_owner`);
  // A clone does not take over who may use the database it was cloned from.
  await once(elsewhere, `REVOKE ALL ON DATABASE ${name} FROM PUBLIC`);
  await once(elsewhere, `GRANT CONNECT ON DATABASE ${name} TO holdfast_app, holdfast_reader`);
  const urls = {
    superuser: at(cluster.superuser, name),
    owner: at(cluster.owner, name),
    app: at(cluster.app, name),
    reader: at(cluster.reader, name),
  };
  await untilReplicated(urls.reader);
  const outside = AsyncLocalStorage.snapshot();
  const pool = new pg.Pool({ connectionString: urls.owner, max: 2 });
  // DROP DATABASE may meet a connection that is still saying goodbye.
  pool.on('error', () => undefined);
  return {
    urls,
    // Also when it is asked from inside a boundary, whose work this is not.
    query: (sql, values) => outside(async () => (await pool.query(sql, values)).rows as never),
    drop: async () => {
      await pool.end();
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
