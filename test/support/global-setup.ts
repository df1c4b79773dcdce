import { resolve } from 'node:path';
import { shutOut } from '../../src/config/platform-variables.ts';
import { type Cluster, startCluster } from '../../src/embedded/cluster.ts';
import type { ClusterUrls } from './database.ts';
import { clearLeftovers, makeHome } from './home.ts';
import { openLockOrders } from './lock-order.ts';
import { applyMigrations } from './migrations.ts';

/** One cluster for the whole run: a primary and a replica, with a migrated database that every test file clones. */
export default async function setUp(): Promise<void> {
  // The workers have their environment from here: no connection of a test is another one for what is set at the terminal.
  shutOut(process.env);
  // What the tests start as programs, many times each, Node compiles once.
  process.env['NODE_COMPILE_CACHE'] ??= resolve('node_modules', '.cache', 'node');
  await clearLeftovers();
  openLockOrders();
  const cluster = await startCluster({
    home: makeHome(),
    durable: false,
    maxConnections: 300,
    ...(process.env['POSTGRES_BINARIES'] && { binaries: process.env['POSTGRES_BINARIES'] }),
  });
  (globalThis as { holdfastCluster?: Cluster }).holdfastCluster = cluster;
  await applyMigrations(cluster.url('owner'));
  const urls: ClusterUrls = {
    superuser: cluster.url('superuser'),
    owner: cluster.url('owner'),
    app: cluster.url('app'),
    reader: cluster.url('reader'),
    version: cluster.version,
  };
  process.env['HOLDFAST_TEST_CLUSTER'] = JSON.stringify(urls);
}
