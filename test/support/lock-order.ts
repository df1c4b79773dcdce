import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeCycle, lockCycles, type LockEdge } from '../../src/transactions/boundary/lock-order.ts';
import { makeHome } from './home.ts';

const variable = 'HOLDFAST_TEST_LOCK_ORDER';

/** Before the run: where each test file writes in which order it has seen locks taken. */
export function openLockOrders(): void {
  process.env[variable] = makeHome('locks');
}

/** What a test file has seen. The name tells one file from another. */
export function writeLockOrder(name: string, edges: readonly LockEdge[]): void {
  const folder = process.env[variable];
  if (folder === undefined) throw new Error(`${variable} is not set: Jest was started without its global setup.`);
  if (edges.length > 0) writeFileSync(join(folder, `${name}.json`), JSON.stringify(edges));
}

/** After the run: the circles in what all files have seen together, described. */
export function closeLockOrders(): string[] {
  const folder = process.env[variable];
  if (folder === undefined) return [];
  const edges = readdirSync(folder).flatMap(
    (file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as LockEdge[],
  );
  rmSync(folder, { recursive: true, force: true });
  return lockCycles(edges).map(describeCycle);
}
