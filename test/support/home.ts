import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopLeftover } from '../../src/embedded/server.ts';

const prefix = 'holdfast-test-';
// Where a cluster lies whose home PostgreSQL's user may not enter (src/embedded/ground.ts).
const places = [tmpdir(), '/var/lib/holdfast'];

/** A folder for a cluster of this process, which PostgreSQL's own user may enter. The next run removes it when this one is killed. */
export function makeHome(label = 'cluster'): string {
  const home = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-${label}-`));
  chmodSync(home, 0o755);
  return home;
}

/** Stops and removes what killed runs have left behind. */
export async function clearLeftovers(): Promise<void> {
  for (const place of places.filter((folder) => existsSync(folder)))
    for (const name of readdirSync(place).filter((entry) => entry.startsWith(prefix)))
      if (!isAlive(Number(name.slice(prefix.length).split('-')[0]))) await clear(join(place, name));
}

async function clear(home: string): Promise<void> {
  for (const server of ['replica', 'primary']) await stopLeftover(join(home, server));
  rmSync(home, { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
