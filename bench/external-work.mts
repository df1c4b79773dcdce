// npm run bench:external-work: what the guard against outside work (src/transactions/external-work.ts) costs a boundary of one statement,
// and whoever starts outside work elsewhere. One process, in which the guard listens and does not, in turns, on a cluster of its own.
// CPU is user and system time of the whole process; a figure is the median of the rounds.
import { randomBytes } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { median, quartile } from './figures.mts';
import type * as Configs from '../src/config/config.ts';
import type * as Slices from '../src/config/slices.ts';
import type * as Environments from '../src/config/environment.ts';
import { startCluster } from '../src/embedded/cluster.ts';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import type * as Guards from '../src/transactions/external-work.ts';
import type * as Transactionals from '../src/transactions/transactions.ts';
import type * as Modules from '../src/transactions/transactions.module.ts';

const rounds = 21;
const boundariesEach = 1500;
const messagesEach = 200_000;

// What has decorators is loaded as it is built.
const built = <Exports,>(path: string): Promise<Exports> => import(`../dist/src/${path}.js`) as Promise<Exports>;
const [
  { makeConfig },
  { configModule },
  { readEnvironment },
  { ExternalWorkGuard },
  { Transactions },
  { TransactionsModule },
] = await Promise.all([
  built<typeof Configs>('config/config'),
  built<typeof Slices>('config/slices'),
  built<typeof Environments>('config/environment'),
  built<typeof Guards>('transactions/external-work'),
  built<typeof Transactionals>('transactions/transactions'),
  built<typeof Modules>('transactions/transactions.module'),
]);

const home = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
chmodSync(home, 0o755); // as root, PostgreSQL's own user must be able to enter it
const cluster = await startCluster({ home, durable: true });
try {
  await runPrisma(['migrate', 'deploy'], { databaseUrl: cluster.url('owner'), quiet: true });
  await measure();
} finally {
  await cluster.stop();
  rmSync(home, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const urls = { DATABASE_WRITE_URL: cluster.url('app'), DATABASE_READ_URL: cluster.url('reader') };
  const environment = readEnvironment({
    ...urls,
    EXTERNAL_WORK: 'raise',
    AUTH_SECRET: randomBytes(32).toString('base64'),
  });
  const config = makeConfig(environment as Parameters<typeof makeConfig>[0]);
  const service = { module: TransactionsModule, imports: [configModule(config)] };
  const app = await NestFactory.createApplicationContext(service, { logger: false });
  const [transactions, guard] = [app.get(Transactions), app.get(ExternalWorkGuard)];
  const boundaries = async (): Promise<void> => {
    for (let n = 0; n < boundariesEach; n++) await transactions.run({}, (db) => db.$queryRaw`SELECT 1`);
  };
  const publish = channel('net.client.socket');
  const messages = async (): Promise<void> => {
    for (let n = 0; n < messagesEach; n++) if (publish.hasSubscribers) publish.publish({ socket: null });
  };
  guard.onApplicationShutdown();
  for (let warmUp = 0; warmUp < 3; warmUp++) await boundaries();
  const figures = {
    with: [] as number[],
    without: [] as number[],
    difference: [] as number[],
    message: [] as number[],
  };
  for (let round = 0; round < rounds; round++) {
    const guarded = async (): Promise<number> => {
      guard.onModuleInit();
      const micros = await cpuMicros(boundaries, boundariesEach);
      figures.message.push(await cpuMicros(messages, messagesEach));
      guard.onApplicationShutdown();
      return micros;
    };
    const bare = (): Promise<number> => cpuMicros(boundaries, boundariesEach);
    // Another one begins each time.
    const [first, second] = round % 2 === 0 ? [await guarded(), await bare()] : [await bare(), await guarded()];
    const [its, without] = round % 2 === 0 ? [first, second] : [second, first];
    figures.with.push(its);
    figures.without.push(without);
    figures.difference.push(its - without);
  }
  await app.close();
  const boundary = `${median(figures.with).toFixed(1)} µs with the guard, ${median(figures.without).toFixed(1)} µs without`;
  const difference = `${median(figures.difference).toFixed(1)} µs (${quartile(figures.difference, 1).toFixed(1)} to ${quartile(figures.difference, 3).toFixed(1)})`;
  process.stdout.write(`a boundary of one statement: ${boundary}; difference, and its middle half: ${difference}\n`);
  process.stdout.write(`a socket opened outside any boundary: ${median(figures.message).toFixed(2)} µs\n`);
}

/** CPU time of each of so many, in microseconds. */
async function cpuMicros(work: () => Promise<void>, times: number): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}
