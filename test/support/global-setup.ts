import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, startCluster } from '../../src/database/embedded/cluster.ts';
import { runPrisma } from '../../src/database/embedded/prisma-cli.ts';
import { stopLeftover } from '../../src/database/embedded/server.ts';
import type { ClusterUrls } from './database.ts';

const prefix = 'holdfast-test-';

/** One cluster for the whole run: a primary and a replica, with a migrated database that every test file clones. */
export default async function setUp(): Promise<void> {
  await clearLeftovers();
  const cluster = await startCluster({
    home: mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`)),
    durable: false,
    maxConnections: 300,
    ...(process.env['POSTGRES_BINARIES'] && { binaries: process.env['POSTGRES_BINARIES'] }),
  });
  (globalThis as { holdfastCluster?: Cluster }).holdfastCluster = cluster;
  const { code, output } = await runPrisma(['migrate', 'deploy'], { databaseUrl: cluster.url('owner'), quiet: true });
  if (code !== 0) throw new Error(`the template could not be migrated:\n${output}`);
  const urls: ClusterUrls = {
    superuser: cluster.url('superuser'),
    owner: cluster.url('owner'),
    app: cluster.url('app'),
    reader: cluster.url('reader'),
    version: cluster.version,
  };
  process.env['HOLDFAST_TEST_CLUSTER'] = JSON.stringify(urls);
}

// A run that was killed could not clean up after itself.
async function clearLeftovers(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(prefix))) {
    const pid = Number(name.slice(prefix.length).split('-')[0]);
    if (isAlive(pid)) continue;
    const home = join(tmpdir(), name);
    for (const server of ['replica', 'primary']) await stopLeftover(join(home, server));
    rmSync(home, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
