// The service as it ships, in a process of its own.
import type { Cluster } from '../src/embedded/cluster.ts';
import { ownFile, start, type Started, wait } from './processes.mts';

/** Connections to the database, of the service and of each peer. */
export const poolSize = 16;
/** What differs from the defaults: one caller sends as much as it can, and all have as many connections. */
export const settings = {
  DATABASE_POOL_SIZE: String(poolSize),
  RATE_LIMIT_PER_PRINCIPAL: '100000000',
  RATE_LIMIT_PER_ADDRESS: '100000000',
};
export const readyWithinMs = 60_000;

export const startHoldfast = (env: NodeJS.ProcessEnv, name = 'holdfast'): Started =>
  start(name, ownFile('..', 'dist', 'src', 'main.js'), [], {
    HOST: '127.0.0.1',
    PORT: '0',
    ...settings,
    ...env,
  });

export const databaseSettings = (cluster: Cluster, database?: string) => ({
  DATABASE_WRITE_URL: cluster.url('app', database),
  DATABASE_READ_URL: cluster.url('reader', database),
});

/** What the service says when it is ready: where, and after how many seconds. */
export function readyOf(holdfast: Started): Promise<{ url: string; seconds: number }> {
  return wait(holdfast, 'it was ready', readyWithinMs, (resolve) => {
    holdfast.child.stderr?.on('data', () => {
      const [, url, seconds] = /is ready at (\S+) after ([\d.]+) s/.exec(holdfast.said()) ?? [];
      if (url !== undefined) resolve({ url, seconds: Number(seconds) });
    });
  });
}
