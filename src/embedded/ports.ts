import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { ClusterError } from './problems.ts';
import type { Ports } from './state.ts';

// Below the range from which Linux takes the ports of outgoing connections (32768 and up): a server that is stopped
// for a while must find its port free again.
const LOWEST = 20_000;
const HIGHEST = 32_000;
const ATTEMPTS = 200;

/** Two ports that are free now: `wanted` where they are. */
export async function freePorts(wanted: Ports | null): Promise<Ports> {
  const primary = await freePort(wanted?.primary);
  const replica = await freePort(wanted?.replica, primary);
  return { primary, replica };
}

async function freePort(wanted?: number, except?: number): Promise<number> {
  if (wanted !== undefined && wanted !== except && (await isFree(wanted))) return wanted;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(LOWEST, HIGHEST);
    if (port !== except && (await isFree(port))) return port;
  }
  throw new ClusterError(`No free port between ${LOWEST} and ${HIGHEST} on 127.0.0.1 for the embedded database.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1' }, () => probe.close(() => resolve(true)));
  });
}
