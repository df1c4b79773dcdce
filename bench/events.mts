// npm run bench:events: what an event costs its writer, and how long its consumer waits, beside pg-boss doing the same.
// Works on a durable cluster of the bench's own. 16 callers write one row of the table product for each boundary: alone; with one event that no
// consumer is told of; with one job of pg-boss sent in the boundary (fromPrisma), to a queue without a worker. They take turns, three rounds of 4 s; a ratio is the median of those within each round.
// Then 1,000 events a second for 10 s, ten by one boundary, as a batch of a lane has, whose consumer writes a row for each (`batch: 50`): from the
// commit, as its caller sees it, to the end of the consumer. The same for pg-boss, whose worker does as much and polls as often as it may.
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { z } from 'zod';
import type * as Apps from '../src/app.ts';
import type * as Configs from '../src/config/config.ts';
import type * as Environments from '../src/config/environment.ts';
import type * as EventTypes from '../src/events/event-type.ts';
import type * as EventsService from '../src/events/events.ts';
import type * as OnEvents from '../src/events/on-event.ts';
import type * as TablesModule from '../src/transactions/tables.ts';
import type * as TransactionsService from '../src/transactions/transactions.ts';
import { startCluster } from '../src/embedded/cluster.ts';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import { newId } from '../src/kernel/ids.ts';
import { median } from './figures.mts';

const rounds = 3;
const secondsEach = 4;
const callers = 16;
const perSecond = 1000;
const pacedSeconds = 10;
const eventsOfOne = 10;

/** A file of the build: Nest's decorators are not in a language that Node runs. */
const built = async <T,>(path: string): Promise<T> => (await import(`../dist/src/${path}.js`)) as T;
const { createApp } = await built<typeof Apps>('app');
const { makeConfig } = await built<typeof Configs>('config/config');
const { readEnvironment } = await built<typeof Environments>('config/environment');
const { defineEvent } = await built<typeof EventTypes>('events/event-type');
const { Events } = await built<typeof EventsService>('events/events');
const { OnEvent } = await built<typeof OnEvents>('events/on-event');
const { DATABASE } = await built<typeof TablesModule>('transactions/tables');
const { Transactions } = await built<typeof TransactionsService>('transactions/transactions');
type Sql = TablesModule.Sql;

const happened = defineEvent({
  type: 'bench.happened',
  meaning: 'A row was written.',
  subject: 'ord',
  data: z.object({ mark: z.string() }),
});

const ignored = defineEvent({ ...happened, type: 'bench.ignored' });

let write: (mark: string) => Promise<unknown> = () => Promise.resolve();
const committed = new Map<string, number>();
const done = new Map<string, number>();
/** When each was done last: an attempt that is rolled back is not the one that counts. */
const ended = (mark: string): void => void done.set(mark, performance.now());
const marksOf = (group: string): string[] => Array.from({ length: eventsOfOne }, (_, n) => `${group}-${n}`);

class BenchConsumer {
  async act(event: EventTypes.EventOf<typeof happened>): Promise<void> {
    await write(`done-${newId()}`);
    ended(event.data.mark);
  }
}
const descriptor = Object.getOwnPropertyDescriptor(BenchConsumer.prototype, 'act') as TypedPropertyDescriptor<
  BenchConsumer['act']
>;
OnEvent(happened, { concurrency: 4, batch: 50 })(BenchConsumer.prototype, 'act', descriptor);
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- a module of Nest is a class
class BenchModule {}
Module({ providers: [BenchConsumer] })(BenchModule);

const home = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
chmodSync(home, 0o755); // as root, PostgreSQL's own user must be able to enter it
const cluster = await startCluster({ home, durable: true });
try {
  await runPrisma(['migrate', 'deploy'], { databaseUrl: cluster.url('owner'), quiet: true });
  const environment = readEnvironment({
    DATABASE_WRITE_URL: cluster.url('app'),
    AUTH_SECRET: randomBytes(48).toString('base64'),
    DATABASE_POOL_SIZE: '24',
    DATABASE_POOL_WAIT_MS: '60000',
    DATABASE_TRANSACTION_TIMEOUT_MS: '60000',
    LOG_LEVEL: 'warn',
    LEDGER_SEAL_INTERVAL_MS: '0',
    RETENTION_SWEEP_INTERVAL_MS: '0',
  });
  const app = await createApp(makeConfig(environment as never), [BenchModule]);
  await app.init();
  const db = app.get<Sql>(DATABASE);
  const transactions = app.get(Transactions);
  const events = app.get(Events);
  write = (mark) => db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${mark}, ${mark})`;
  const boss = await startBoss(cluster.url('owner'), db);
  const boundary = (work: (mark: string) => unknown) => (mark: string) =>
    transactions.run({ name: 'bench' }, async () => {
      await write(mark);
      await work(mark);
    });
  // It reads its queues once in a while, by connections of its own.
  for (const queue of ['bench', 'ignored']) await boss?.send(queue, 'row-warm-up', false);
  const works: Record<string, (mark: string) => Promise<unknown>> = {
    alone: boundary(() => undefined),
    'with an event': boundary((mark) => events.record(ignored({ subject: newId(), data: { mark } }))),
    ...(boss !== null && { 'with a job of pg-boss': boundary((mark) => boss.send('ignored', mark)) }),
  };
  const rates: Record<string, number[]> = {};
  for (const work of Object.values(works)) await rateOf(work, 1);
  for (let round = 0; round < rounds; round++)
    for (const [name, work] of Object.entries(works)) (rates[name] ??= []).push(await rateOf(work, secondsEach));
  for (const [name, of] of Object.entries(rates)) {
    const ratio = median(of.map((rate, n) => rate / (rates['alone']?.[n] ?? NaN)));
    console.log(
      `${name.padEnd(24)} ${median(of).toFixed(0).padStart(6)} boundaries a second, ${ratio.toFixed(2)} of alone`,
    );
  }
  await sleep(2000);
  await paced(
    'an event to its consumer',
    boundary((group) => {
      for (const mark of marksOf(group)) events.record(happened({ subject: newId(), data: { mark } }));
    }),
  );
  if (boss !== null)
    await paced(
      'a job of pg-boss to its worker',
      boundary(async (group) => {
        for (const mark of marksOf(group)) await boss.send('bench', mark);
      }),
    );
  await boss?.stop();
  await app.close();
} finally {
  await cluster.stop();
  rmSync(home, { recursive: true, force: true });
}

async function rateOf(work: (mark: string) => Promise<unknown>, seconds: number): Promise<number> {
  const begunAt = performance.now();
  const endsAt = begunAt + seconds * 1000;
  let count = 0;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (performance.now() < endsAt) {
        await work(`row-${newId()}`);
        count++;
      }
    }),
  );
  return (count * 1000) / (performance.now() - begunAt);
}

async function paced(what: string, work: (mark: string) => Promise<unknown>): Promise<void> {
  committed.clear();
  done.clear();
  const begunAt = performance.now();
  const total = perSecond * pacedSeconds;
  const begun: Promise<unknown>[] = [];
  for (let n = 0; n < total; n += eventsOfOne) {
    const dueAt = begunAt + (n * 1000) / perSecond;
    if (dueAt > performance.now()) await sleep(dueAt - performance.now());
    const group = `paced-${newId()}`;
    begun.push(
      work(group).then(() => {
        for (const mark of marksOf(group)) committed.set(mark, performance.now());
      }),
    );
  }
  await Promise.all(begun);
  const lastAt = performance.now();
  for (const endsAt = lastAt + 60_000; done.size < total && performance.now() < endsAt;) await sleep(50);
  // The caller may hear of its commit after the consumer is done.
  const waits = [...done].map(([mark, at]) => Math.max(0, at - (committed.get(mark) ?? at)));
  const sorted = waits.sort((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN).toFixed(0);
  const written = (total / ((lastAt - begunAt) / 1000)).toFixed(0);
  console.log(
    `${what}: ${written} a second written; p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, of ${sorted.length}; the last ${(performance.now() - lastAt).toFixed(0)} ms behind the last commit`,
  );
}

interface Boss {
  on(event: 'error', listener: (error: unknown) => void): void;
  start(): Promise<unknown>;
  stop(options: object): Promise<unknown>;
  createQueue(name: string): Promise<unknown>;
  work(
    queue: string,
    options: object,
    work: (jobs: readonly { data: { mark: string } }[]) => Promise<void>,
  ): Promise<unknown>;
  send(queue: string, data: object, options: object): Promise<unknown>;
}
/** What is used of pg-boss: no package of ours. `PG_BOSS` says where its main file is. */
interface PgBossPackage {
  readonly PgBoss: new (options: object) => Boss;
  readonly fromPrisma: (client: {
    // eslint-disable-next-line no-restricted-syntax -- what pg-boss asks for
    $queryRawUnsafe: (text: string, ...values: unknown[]) => Promise<unknown>;
  }) => unknown;
}

/** pg-boss on the same database; null where PG_BOSS does not say where it is. */
async function startBoss(
  url: string,
  db: Sql,
): Promise<{
  send(queue: string, mark: string, isInBoundary?: boolean): Promise<unknown>;
  stop(): Promise<unknown>;
} | null> {
  const path = process.env['PG_BOSS'];
  if (path === undefined) return null;
  const found = (await import(path).catch(() => null)) as PgBossPackage | null;
  if (found === null) return null;
  const { PgBoss, fromPrisma } = found;
  const boss = new PgBoss({ connectionString: url, max: 10 });
  boss.on('error', (error: unknown) => console.error(error));
  await boss.start();
  for (const queue of ['bench', 'ignored']) await boss.createQueue(queue);
  await boss.work(
    'bench',
    { batchSize: 64, pollingIntervalSeconds: 0.5 },
    async (jobs: readonly { data: { mark: string } }[]) => {
      for (const { data } of jobs) {
        await write(`done-${newId()}`);
        ended(data.mark);
      }
    },
  );
  await sleep(100);
  // The owner has made its tables.
  const client = new (await import('pg')).default.Client({ connectionString: url });
  await client.connect();
  await client.query(
    'GRANT USAGE ON SCHEMA pgboss TO holdfast_app; GRANT ALL ON ALL TABLES IN SCHEMA pgboss TO holdfast_app; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgboss TO holdfast_app',
  );
  await client.end();
  // The client of a repository takes templates alone.
  const inBoundary = fromPrisma({
    // eslint-disable-next-line no-restricted-syntax -- what pg-boss asks for
    $queryRawUnsafe: (text: string, ...values: unknown[]) =>
      db.$queryRaw(
        text.split(/\$\d+/) as never,
        ...[...text.matchAll(/\$(\d+)/g)].map(([, n]) => values[Number(n) - 1]),
      ),
  });
  return {
    send: (queue, mark, isInBoundary = true) => boss.send(queue, { mark }, isInBoundary ? { db: inBoundary } : {}),
    stop: () => boss.stop({ graceful: false }),
  };
}
