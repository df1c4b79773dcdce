import { rmSync } from 'node:fs';
import type { Cluster } from '../../src/embedded/cluster.ts';
import { closeLockOrders } from './lock-order.ts';

export default async function tearDown(): Promise<void> {
  // Said, not thrown: a teardown that throws would cost the results of the tests. Jest keeps this exit code when they have passed.
  for (const circle of closeLockOrders()) {
    process.stderr.write(`\n${circle}\n`);
    process.exitCode = 1;
  }
  const { holdfastCluster: cluster } = globalThis as { holdfastCluster?: Cluster };
  if (cluster === undefined) return;
  await cluster.stop();
  rmSync(cluster.home, { recursive: true, force: true });
}
