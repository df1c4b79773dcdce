import { rmSync } from 'node:fs';
import pg from 'pg';
import { type Cluster, startCluster } from '../../src/embedded/cluster.ts';
import { eventually } from './crowd.ts';
import type { TestDatabase } from './database.ts';
import { makeHome } from './home.ts';
import { applyMigrations } from './migrations.ts';

/** A primary and a replica of the test's own, which it may stop, start and hold up. */
export interface OwnCluster {
  readonly cluster: Cluster;
  /** The migrated database in it. `query` connects anew each time: the primary may have been away. */
  readonly database: Pick<TestDatabase, 'urls' | 'query'>;
  close(): Promise<void>;
}

/** `archive`: where its write-ahead log is archived. */
export async function startOwnCluster({ archive = null }: { archive?: string | null } = {}): Promise<OwnCluster> {
  const cluster = await startCluster({
    home: makeHome('own'),
    durable: false,
    archive,
    maxConnections: 60,
    // The test starts again what it has ended; a server that came back by itself would be one too many.
    restartPausesMs: [],
    ...(process.env['POSTGRES_BINARIES'] && { binaries: process.env['POSTGRES_BINARIES'] }),
  });
  await applyMigrations(cluster.url('owner'));
  const urls = {
    superuser: cluster.url('superuser'),
    owner: cluster.url('owner'),
    app: cluster.url('app'),
    reader: cluster.url('reader'),
  };
  return {
    cluster,
    database: { urls, query: (sql, values) => ask(urls.owner, sql, values) as never },
    close: async () => {
      await cluster.stop();
      rmSync(cluster.home, { recursive: true, force: true });
    },
  };
}

/** Runs one statement on a connection of its own. */
export async function ask<Row extends pg.QueryResultRow>(url: string, sql: string, values?: unknown[]): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(sql, values)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The replica of a test's own cluster as its superuser, who may hold up its replay. */
export const replicaSuperuser = ({ cluster }: OwnCluster): string =>
  Object.assign(new URL(cluster.url('superuser')), { port: String(cluster.replica.port) }).href;

/** Stops the replay of a standby. A pause is only asked for: what comes until it has begun may still be replayed. */
export async function pauseReplay(superuserUrl: string): Promise<void> {
  await ask(superuserUrl, 'SELECT pg_wal_replay_pause()');
  await eventually(
    () => ask<{ state: string }>(superuserUrl, 'SELECT pg_get_wal_replay_pause_state() AS state'),
    ([row]) => row?.state === 'paused',
  );
}
