// Whether the service stays as fast when its tables grow: the same load on a database with 1,000 rows of everything and on one with 1,000,000,
// and the first and the last pages of a list over all of them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../src/embedded/cluster.ts';
import { newId, showId } from '../src/kernel/ids.ts';
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

const kinds = { account: 1, product: 2, sku: 3, order: 4, deposit: 5, sale: 6, payment: 7 } as const;
const prefixOf = (kind: keyof typeof kinds): string => `0190000${kinds[kind]}-0000-7000-8000-`;
/** The id of row `n`, in SQL. */
const idOf = (kind: keyof typeof kinds): string => `('${prefixOf(kind)}' || lpad(to_hex(n), 12, '0'))::uuid`;
const uuidOf = (kind: keyof typeof kinds, n: number): string => `${prefixOf(kind)}${n.toString(16).padStart(12, '0')}`;

const [given, price, units] = [1_000_000_000, 100, 100_000_000];

/** As many accounts with a deposit, products with a SKU, and orders of one line, paid, as `rows` says: the rows that the service would have written. */
const fillOf = (rows: number, person: string): string => `
  SET session_replication_role = replica;
  CREATE TEMPORARY TABLE r AS SELECT n::int FROM generate_series(1, ${rows}) AS n;
  CREATE TEMPORARY TABLE house_account AS SELECT house, id FROM account WHERE house IS NOT NULL AND currency = 'EUR';
  INSERT INTO account (id, user_id, currency, balance, entry_count, balance_version)
    SELECT ${idOf('account')}, '${person}', 'EUR', ${given - price}, 2, 2 FROM r;
  INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
    SELECT ${idOf('deposit')}, 'deposit'::transfer_kind, h.id, ${idOf('account')}, ${given}, 'EUR', '${person}'::uuid FROM r, house_account AS h WHERE house = 'cash'
    UNION ALL
    SELECT ${idOf('sale')}, 'payment', ${idOf('account')}, h.id, ${price}, 'EUR', '${person}'::uuid FROM r, house_account AS h WHERE house = 'sales';
  INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
    SELECT ${idOf('account')}, 1, ${idOf('deposit')}, ${given}, ${given} FROM r
    UNION ALL SELECT ${idOf('account')}, 2, ${idOf('sale')}, ${-price}, ${given - price} FROM r
    UNION ALL SELECT h.id, n, ${idOf('deposit')}, ${-given}, n * ${-given}::bigint FROM r, house_account AS h WHERE house = 'cash'
    UNION ALL SELECT h.id, n, ${idOf('sale')}, ${price}, n * ${price}::bigint FROM r, house_account AS h WHERE house = 'sales';
  UPDATE account AS a SET entry_count = ${rows}, balance_version = ${rows},
      balance = CASE a.house WHEN 'cash' THEN ${rows} * ${-given}::bigint ELSE ${rows} * ${price}::bigint END
    FROM house_account AS h WHERE h.id = a.id;
  INSERT INTO product (id, slug, name) SELECT ${idOf('product')}, 'bench-' || n, 'Bench ' || n FROM r;
  INSERT INTO sku (id, product_id, code, name, price, currency)
    SELECT ${idOf('sku')}, ${idOf('product')}, 'BENCH-' || n, 'Bench', ${price}, 'EUR' FROM r;
  INSERT INTO stock (sku_id, on_hand, movement_count) SELECT ${idOf('sku')}, ${units - 1}, 2 FROM r;
  INSERT INTO stock_movement (sku_id, seq, quantity, on_hand_after, reason, order_id, created_by_id)
    SELECT ${idOf('sku')}, 1, ${units}, ${units}, 'received'::movement_reason, NULL::uuid, '${person}'::uuid FROM r
    UNION ALL SELECT ${idOf('sku')}, 2, -1, ${units - 1}, 'sold', ${idOf('order')}, '${person}'::uuid FROM r;
  INSERT INTO "order" (id, user_id, currency, total) SELECT ${idOf('order')}, '${person}', 'EUR', ${price} FROM r;
  INSERT INTO order_line (order_id, position, sku_id, name, quantity, unit_price)
    SELECT ${idOf('order')}, 1, ${idOf('sku')}, 'Bench', 1, ${price} FROM r;
  INSERT INTO payment (id, order_id, account_id, transfer_id, amount)
    SELECT ${idOf('payment')}, ${idOf('order')}, ${idOf('account')}, ${idOf('sale')}, ${price} FROM r;`;

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
  const [database, rows, person] = [`size_${size}`, sizes[size], newId()];
  say(`filling ${rows} accounts, products and orders`);
  await query(cluster.url('superuser', 'postgres'), `CREATE DATABASE ${database} TEMPLATE ${emptyDatabase}`);
  const url = cluster.url('superuser', database);
  await query(url, `INSERT INTO "user" (id, email, password_hash) VALUES ($1, 'customer@example.com', 'none')`, [
    person,
  ]);
  await query(
    url,
    `INSERT INTO session (id, user_id, expires_at) VALUES ($1, $1, statement_timestamp() + interval '1 day')`,
    [person],
  );
  await query(url, fillOf(rows, person));
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
    accounts: numbers.map((n) => showId('acct', uuidOf('account', n))),
    skus: numbers.map((n) => showId('sku', uuidOf('sku', n))),
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
