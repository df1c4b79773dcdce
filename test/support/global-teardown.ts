import { rmSync } from 'node:fs';
import type { Cluster } from '../../src/database/embedded/cluster.ts';

export default async function tearDown(): Promise<void> {
  const { holdfastCluster: cluster } = globalThis as { holdfastCluster?: Cluster };
  if (cluster === undefined) return;
  await cluster.stop();
  rmSync(cluster.home, { recursive: true, force: true });
}
