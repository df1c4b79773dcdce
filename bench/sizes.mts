// Whether the service stays as fast when its tables grow: the same load on a database with 1,000 rows of everything and on one with 1,000,000,
// and the first and the last pages of a list over all of them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Cluster } from '../src/embedded/cluster.ts';
import { showId } from '../src/kernel/ids.ts';
import { fill } from '../tools/fill/fill.mts';
import { filledId } from '../tools/fill/rows.mts';
import type { CaseName } from './cases.mts';
import { median } from './figures.mts';
import type { Options } from './options.mts';
import { BenchError, type Started, stop } from './processes.mts';
import { query } from './query.mts';
import type { World } from './requests.mts';
import { type Grown, grownCases, type PagesMeasured } from './results.mts';
import { databaseSettings, readyOf, startHoldfast } from './service.mts';
import { loadOnce } from './measure.mts';
import { emptyDatabase, tokenOf } from './world.mts';

export const sizes = { small: 1000, large: 1_000_000 } as const;
type Size = keyof typeof sizes;
const sizeNames = Object.keys(sizes) as Size[];

interface Sized {
  readonly process: Started;
  readonly url: string;
  readonly worldFile: string;
  readonly token: string;
}

/** As many accounts with a deposit, products with a SKU, and paid orders as `rows` says, all of one person. */
async function fillWith(rows: number, url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    // The rows are right by themselves: the rules would only ask each of them.
    await client.query('SET session_replication_role = replica');
    const volume = { users: 1, accounts: rows, products: rows, skus: rows, orders: rows, transfers: 0 };
    await fill(client, { volume, passwordHash: 'none' });
  } finally {
    await client.end();
  }
  return filledId('user', 1);
}

export async function measureSizes(
  cluster: Cluster,
  options: Options,
  secret: string,
  home: string,
): Promise<{ grown: Grown; pages: PagesMeasured }> {
  const started: Record<string, Sized> = {};
  for (const size of sizeNames) started[size] = await startSized(cluster, size, secret, home);
  const grown: Record<string, Record<string, number[]>> = {};
  for (let round = 0; round < options.rounds; round++)
    for (const name of grownCases)
      for (const size of round % 2 === 0 ? sizeNames : sizeNames.toReversed())
        ((grown[name] ??= {})[size] ??= []).push(await slowest(started[size], name, options));
  const { url = '', token = '' } = started['large'] ?? {};
  const pages = await walk(url, token);
  for (const { process } of Object.values(started)) await stop(process, 30_000);
  return { grown: grown as unknown as Grown, pages };
}

async function startSized(cluster: Cluster, size: Size, secret: string, home: string): Promise<Sized> {
  const [database, rows] = [`size_${size}`, sizes[size]];
  say(`filling ${rows} accounts, products and orders`);
  await query(cluster.url('superuser', 'postgres'), `CREATE DATABASE ${database} TEMPLATE ${emptyDatabase}`);
  const url = cluster.url('superuser', database);
  const person = await fillWith(rows, url);
  await query(
    url,
    `INSERT INTO session (id, user_id, expires_at) VALUES ($1, $1, statement_timestamp() + interval '1 day')`,
    [person],
  );
  await query(url, 'VACUUM ANALYZE');
  // The seal of so many transfers at once would be measured with the rest.
  const process = startHoldfast({
    ...databaseSettings(cluster, database),
    AUTH_SECRET: secret,
    LEDGER_SEAL_INTERVAL_MS: '0',
  });
  const ready = await readyOf(process);
  const token = await tokenOf(person, 'customer', secret);
  const numbers = Array.from({ length: rows }, (_, n) => n + 1);
  const world: World = {
    token,
    accounts: numbers.map((n) => showId('acct', filledId('account', n))),
    skus: numbers.map((n) => showId('sku', filledId('sku', n))),
  };
  const worldFile = join(home, `${database}.json`);
  writeFileSync(worldFile, JSON.stringify(world));
  return { process, url: ready.url, worldFile, token };
}

/** The time in which 99 of 100 requests are answered, in milliseconds. */
async function slowest(sized: Sized | undefined, name: CaseName, options: Options): Promise<number> {
  if (sized === undefined) throw new BenchError('A size was not started.');
  const { loaded } = await loadOnce({ service: 'holdfast', name, url: sized.url, worldFile: sized.worldFile, options });
  // Where nothing was answered in time, the first answer took longer than that.
  return loaded.succeeded === 0 ? options.seconds * 1000 : loaded.p99;
}

const pageSize = 100;
const pagesTimed = 100;

/** Reads the list of all accounts to its end, page by page: how long the first hundred pages take, and the last hundred. */
async function walk(url: string, token: string): Promise<PagesMeasured> {
  say('reading a list from its first page to its last');
  const times: number[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const since = performance.now();
    const response = await fetch(`${url}/v1/accounts?limit=${pageSize}${cursor === '' ? '' : `&cursor=${cursor}`}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(30_000),
    });
    if (response.status !== 200)
      throw new BenchError(`Page ${times.length + 1} of the accounts was answered ${response.status}.`);
    const page = (await response.json()) as { nextCursor: string | null };
    times.push(performance.now() - since);
    cursor = page.nextCursor;
  }
  const [first, last] = [times.slice(1, pagesTimed + 1), times.slice(-pagesTimed - 1, -1)];
  return { pages: times.length, firstMs: median(first), lastMs: median(last) };
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
