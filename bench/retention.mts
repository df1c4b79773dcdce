// npm run bench:retention [-- <title> …]: rows that are over, removed a second by the sweeper of one instance, beside rows written a second.
// On a durable cluster of the bench's own, with all rules and indexes. For each table with an end: 10,000 rows a second are written for 20 s (in
// statements of 100 ms each; fewer where the machine does not write as many), and swept meanwhile every second. Then as many are written at
// once and removed with nobody beside. Printed: rows written and removed a second in the same seconds and their ratio, the most that was over
// and still there meanwhile (ten times more of it would be a sweep that falls behind), and rows removed a second alone beside the 10,000.
import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type * as Apps from '../src/app.ts';
import type * as Configs from '../src/config/config.ts';
import type * as Environments from '../src/config/environment.ts';
import { startCluster } from '../src/embedded/cluster.ts';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import { newId } from '../src/kernel/ids.ts';
import { query } from './query.mts';

const perSecond = 10_000;
const each = perSecond / 10;
const seconds = 20;
const user = newId();
let turn = 0;
const accounts = Array.from({ length: 100 }, newId);

/** Writes $1 rows that are over at once, or within a second; $a and $b are two accounts. */
interface Written {
  readonly table: string;
  readonly end: string;
  readonly write: string;
}
const works: Record<string, Written> = {
  'answers to keys': {
    table: 'idempotency_record',
    end: 'expires_at',
    write: `INSERT INTO idempotency_record (principal_id, route, key, fingerprint, status, headers, body, created_at, expires_at)
      SELECT '${user}', 'POST /v1/transfers', gen_random_uuid(), sha256('x'), 201, '{"etag": "\\"1\\""}', repeat('x', 600),
        statement_timestamp() - interval '1 day', statement_timestamp() FROM generate_series(1, $1)`,
  },
  'sessions, with a token': {
    table: 'session',
    end: 'LEAST(expires_at, ended_at)',
    write: `WITH made AS (
        INSERT INTO session (id, user_id, created_at, refreshed_at, expires_at)
        SELECT gen_random_uuid(), '${user}', statement_timestamp() - interval '1 day', statement_timestamp() - interval '1 day', statement_timestamp()
        FROM generate_series(1, $1) RETURNING id)
      INSERT INTO refresh_token (hash, session_id) SELECT sha256(id::text::bytea), id FROM made`,
  },
  'tokens, 100 of a session': {
    table: 'refresh_token',
    end: '(SELECT expires_at FROM session WHERE id = session_id)',
    write: `WITH made AS (
        INSERT INTO session (id, user_id, created_at, refreshed_at, expires_at)
        SELECT gen_random_uuid(), '${user}', statement_timestamp() - interval '1 day', statement_timestamp() - interval '1 day', statement_timestamp()
        FROM generate_series(1, $1 / 100) RETURNING id)
      INSERT INTO refresh_token (hash, session_id, used_at) SELECT sha256((id::text || n)::bytea), id, statement_timestamp() FROM made, generate_series(1, 100) n`,
  },
  'mailed links': {
    table: 'password_reset',
    end: 'expires_at',
    write: `INSERT INTO password_reset (hash, user_id, created_by_id, created_at, expires_at)
      SELECT sha256(gen_random_uuid()::text::bytea), '${user}', '${user}', statement_timestamp() - interval '1 hour', statement_timestamp()
      FROM generate_series(1, $1)`,
  },
  'phased runs': {
    table: 'phased_run',
    end: 'expires_at',
    write: `INSERT INTO phased_run (id, method, arguments, phases, leased_until, outcome, created_at, expires_at)
      SELECT gen_random_uuid(), 'Bench.run', NULL, '{}', statement_timestamp(), repeat('x', 300)::bytea,
        statement_timestamp() - interval '7 days', statement_timestamp() FROM generate_series(1, $1)`,
  },
  // Two rows for each transfer; what is removed is written down as a settlement.
  'pending transfers': {
    table: 'reservation',
    end: 'expires_at',
    write: `SELECT FROM account WHERE id IN ('$a', '$b') ORDER BY id FOR NO KEY UPDATE;
      UPDATE account SET pending_out = pending_out + $1 / 2 WHERE id = '$a';
      UPDATE account SET pending_in = pending_in + $1 / 2 WHERE id = '$b';
      WITH made AS (
        INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id, expires_at)
        SELECT gen_random_uuid(), 'transfer', '$a', '$b', 1, 'EUR', '${user}', statement_timestamp() + interval '1 second' FROM generate_series(1, $1 / 2)
        RETURNING id, expires_at)
      INSERT INTO reservation (transfer_id, account_id, side, amount, expires_at, sender_id)
      SELECT made.id, account, side::reservation_side, 1, made.expires_at, '${user}'
      FROM made, (VALUES ('$a'::uuid, 'out'), ('$b', 'in')) AS of (account, side)`,
  },
};

/** One instance that sweeps every second. */
async function serve(url: string, readUrl: string): Promise<void> {
  // Files of the build: Nest's decorators are not in a language that Node runs.
  const built = async (path: string): Promise<unknown> =>
    import(new URL(`../dist/src/${path}.js`, import.meta.url).href) as Promise<unknown>;
  const { createApp } = (await built('app')) as typeof Apps;
  const { makeConfig } = (await built('config/config')) as typeof Configs;
  const { readEnvironment } = (await built('config/environment')) as typeof Environments;
  const environment = readEnvironment({
    NODE_ENV: 'production',
    DATABASE_WRITE_URL: url,
    DATABASE_READ_URL: readUrl,
    RETENTION_SWEEP_INTERVAL_MS: '1000',
    AUTH_SECRET: createHash('sha512').update('bench').digest('base64'),
    LOG_LEVEL: 'warn',
  });
  const app = await createApp(makeConfig(environment as Parameters<typeof makeConfig>[0]));
  await app.listen({ host: '127.0.0.1', port: 0 });
  process.send?.('ready');
  await once(process, 'disconnect');
  await app.close();
  process.exit(0);
}

/** What is asked of a table while it is measured. */
interface Measured extends Written {
  readonly writer: pg.Client;
  readonly reader: pg.Client;
}

async function measure(title: string, work: Written): Promise<void> {
  const clients = ['app', 'superuser'] as const;
  const [writer, reader] = clients.map((role) => new pg.Client(cluster.url(role))) as [pg.Client, pg.Client];
  await Promise.all([writer.connect(), reader.connect()]);
  try {
    const together = await beside({ ...work, writer, reader });
    const removedAlone = await alone({ ...work, writer, reader }, together.written);
    show(title, together, removedAlone);
  } finally {
    await Promise.all([writer.end(), reader.end()]);
  }
}

const rows = async ({ reader, table }: Measured, where = 'true'): Promise<number> =>
  Number((await reader.query<{ n: string }>(`SELECT count(*) AS n FROM ${table} WHERE ${where}`)).rows[0]?.n);

async function write({ writer, write: text }: Measured): Promise<void> {
  const [a, b] = [0, 1].map((n) => accounts[(turn + n) % accounts.length] ?? '');
  turn++;
  await writer.query(
    text
      .replaceAll('$1', String(each))
      .replaceAll('$a', a ?? '')
      .replaceAll('$b', b ?? ''),
  );
}

/** Gives the milliseconds until the table is empty. */
async function emptied(work: Measured): Promise<number> {
  const since = performance.now();
  while ((await rows(work)) > 0) await sleep(20);
  return performance.now() - since;
}

interface Together {
  readonly written: number;
  readonly writtenRate: number;
  readonly removedRate: number;
  readonly mostOver: number;
  readonly emptiedMs: number;
}

/** Writes while the service sweeps. */
async function beside(work: Measured): Promise<Together> {
  const service = await start();
  const since = performance.now();
  const passed = (): number => (performance.now() - since) / 1000;
  let [written, mostOver, watched] = [0, 0, 0];
  while (passed() < seconds) {
    if (passed() > watched) {
      mostOver = Math.max(mostOver, await rows(work, `${work.end} <= clock_timestamp()`));
      watched = passed() + 0.5;
    }
    if (written + each > passed() * perSecond) await sleep(10);
    else {
      await write(work);
      written += each;
    }
  }
  const took = passed();
  const left = await rows(work);
  const emptiedMs = await emptied(work);
  await stop(service);
  return { written, writtenRate: written / took, removedRate: (written - left) / took, mostOver, emptiedMs };
}

/** Rows a second that are removed with nobody beside. */
async function alone(work: Measured, many: number): Promise<number> {
  for (let n = 0; n < many; n += each) await write(work);
  // Until the last of them is over.
  await sleep(1500);
  await work.reader.query(`VACUUM ANALYZE ${work.table}`);
  const service = await start();
  const ms = await emptied(work);
  await stop(service);
  return (many / ms) * 1000;
}

function show(title: string, { writtenRate, removedRate, mostOver, emptiedMs }: Together, removedAlone: number): void {
  const figures = [
    writtenRate.toFixed(0),
    removedRate.toFixed(0),
    (removedRate / writtenRate).toFixed(2),
    String(mostOver),
    (emptiedMs / 1000).toFixed(1),
    removedAlone.toFixed(0),
    (removedAlone / perSecond).toFixed(2),
  ];
  process.stdout.write(`${title.padEnd(26)}${figures.map((figure) => figure.padStart(12)).join('')}\n`);
}

async function start(): Promise<ChildProcess> {
  const service = fork(import.meta.filename, ['serve', cluster.url('app'), cluster.url('reader')], {
    execArgv: ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON'],
  });
  await once(service, 'message');
  return service;
}

async function stop(service: ChildProcess): Promise<void> {
  service.disconnect();
  await once(service, 'exit');
}

const [mode, ...urls] = process.argv.slice(2);
if (mode === 'serve') await serve(urls[0] ?? '', urls[1] ?? '');
const named = mode === undefined ? Object.keys(works) : [mode, ...urls];
const home = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
chmodSync(home, 0o755); // as root, PostgreSQL's own user must be able to enter it
const cluster = await startCluster({ home, durable: true });
try {
  await runPrisma(['migrate', 'deploy'], { databaseUrl: cluster.url('owner'), quiet: true });
  await query(
    cluster.url('superuser'),
    `INSERT INTO "user" (id, email, password_hash) VALUES ('${user}', 'bench@example.com', 'x')`,
  );
  // With more than is ever reserved, and the entries that say so, past the rules.
  await query(
    cluster.url('superuser'),
    `SET session_replication_role = replica; INSERT INTO account (id, user_id, currency, balance, entry_count)
     SELECT unnest('{${accounts.join()}}'::uuid[]), '${user}', 'EUR', 1000000000, 1;
     INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
     SELECT unnest('{${accounts.join()}}'::uuid[]), 1, '${user}', 1000000000, 1000000000`,
  );
  const heads = ['written', 'removed', 'ratio', 'most over', 's to empty', 'alone', '/ 10,000'];
  process.stdout.write(`${'rows a second'.padEnd(26)}${heads.map((head) => head.padStart(12)).join('')}
`);
  for (const [title, work] of Object.entries(works)) if (named.includes(title)) await measure(title, work);
} finally {
  await cluster.stop();
  rmSync(home, { recursive: true, force: true });
}
