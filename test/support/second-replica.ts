import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { findBinaries } from '../../src/embedded/binaries.ts';
import { copyTree } from '../../src/embedded/files.ts';
import { chooseGround } from '../../src/embedded/ground.ts';
import { PostgresServer } from '../../src/embedded/server.ts';
import type { OwnCluster } from './own-cluster.ts';

/** One more standby of a test's own cluster. */
export interface SecondReplica {
  /** The same URL, on this standby. */
  at(url: string): string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Copies the cluster's replica while it is down, and starts both. The copy follows the same primary, without a slot of its own. */
export async function startSecondReplica({ cluster }: OwnCluster): Promise<SecondReplica> {
  const { account } = chooseGround(cluster.home, null);
  const folder = join(cluster.home, 'replica-2');
  await cluster.replica.stop('fast');
  const keep = (path: string): boolean => path !== 'postmaster.pid';
  await copyTree(join(cluster.home, 'replica'), folder, { keep, owner: account, open: false });
  await cluster.replica.start();

  const following = join(folder, 'postgresql.auto.conf');
  const text = readFileSync(following, 'utf8').replace(/^primary_slot_name.*\n/m, '');
  writeFileSync(following, text);
  if (account !== null) chownSync(following, account.uid, account.gid);

  const { postgres } = await findBinaries(process.env['POSTGRES_BINARIES'], account);
  const port = await freePort();
  const server = new PostgresServer({
    name: 'second replica',
    folder,
    logFile: join(cluster.home, 'logs', 'replica-2.log'),
    port,
    program: postgres,
    account,
    startWithinMs: 60_000,
  });
  await server.start();
  return {
    at: (url) => Object.assign(new URL(url), { port: String(port) }).href,
    start: () => server.start(),
    stop: () => server.stop('immediate'),
  };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
