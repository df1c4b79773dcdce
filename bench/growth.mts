// npm run bench:growth: what a write costs beside 10, 1,000 and 100,000 rows of the same account, SKU or order: the rules of the database (triggers of
// prisma/migrations) must not look at more than what changes. Median of some transactions each, as holdfast_app, on a cluster of its own.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startCluster } from '../src/embedded/cluster.ts';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import { newId } from '../src/kernel/ids.ts';
import { query } from './query.mts';

const sizes = [10, 1000, 100_000];
const times = 21;
const user = newId();

/** What there is before the writes, and the transaction that is measured: `n` counts its repetitions. */
interface Measured {
  readonly fill: (rows: number) => string;
  readonly write: (n: number) => string;
}
const [a, b, sku, product] = Array.from({ length: 4 }, newId) as [string, string, string, string];
const later = `'2100-01-01T00:00:00Z'`;

const transfer = (id: string, expires = 'NULL'): string =>
  `INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id, expires_at)
   VALUES ('${id}', 'transfer', '${a}', '${b}', 1, 'EUR', '${user}', ${expires});`;
const move = (id: string): string => `
  UPDATE account SET balance = balance - 1, entry_count = entry_count + 1 WHERE id = '${a}';
  UPDATE account SET balance = balance + 1, entry_count = entry_count + 1 WHERE id = '${b}';
  ${transfer(id)}
  INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
  SELECT id, entry_count, '${id}', CASE id WHEN '${a}' THEN -1 ELSE 1 END, balance FROM account WHERE id IN ('${a}', '${b}');`;
const reserve = (id: string): string => `
  UPDATE account SET pending_out = pending_out + 1 WHERE id = '${a}';
  UPDATE account SET pending_in = pending_in + 1 WHERE id = '${b}';
  ${transfer(id, later)}
  INSERT INTO reservation (transfer_id, account_id, side, amount, expires_at)
  VALUES ('${id}', '${a}', 'out', 1, ${later}), ('${id}', '${b}', 'in', 1, ${later});`;
const giveBack = (id: string): string => `
  UPDATE account SET pending_out = pending_out - 1 WHERE id = '${a}';
  UPDATE account SET pending_in = pending_in - 1 WHERE id = '${b}';
  DELETE FROM reservation WHERE transfer_id = '${id}';
  INSERT INTO settlement (transfer_id, outcome, created_by_id) VALUES ('${id}', 'voided', '${user}');`;

const reservations = (rows: number, expires: string): string => `
  CREATE TEMPORARY TABLE made AS SELECT gen_random_uuid() AS id, ${expires}::timestamptz AS expires_at FROM generate_series(1, ${rows}) AS n;
  INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id, expires_at)
    SELECT id, 'transfer', '${a}', '${b}', 1, 'EUR', '${user}', expires_at FROM made;
  INSERT INTO reservation (transfer_id, account_id, side, amount, expires_at)
    SELECT id, account, side, 1, expires_at FROM made, (VALUES ('${a}'::uuid, 'out'::reservation_side), ('${b}', 'in')) AS of (account, side);
  DROP TABLE made;
  UPDATE account SET pending_out = ${rows} WHERE id = '${a}';
  UPDATE account SET pending_in = ${rows} WHERE id = '${b}';
  INSERT INTO reservation_total VALUES ('${a}', ${rows}, 0, ${rows}, 0, 'epoch'), ('${b}', 0, ${rows}, 0, ${rows}, 'epoch');`;

const ids = Array.from({ length: times + 1 }, newId);
const measured: Record<string, Measured> = {
  'a transfer, by entries of its accounts': {
    fill: (rows) => `
      CREATE TEMPORARY TABLE made AS SELECT gen_random_uuid() AS id, n FROM generate_series(1, ${rows}) AS n;
      INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
        SELECT id, 'transfer', '${a}', '${b}', 1, 'EUR', '${user}' FROM made;
      INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
        SELECT '${a}'::uuid, n + 1, id, -1, 1000000 - n FROM made UNION ALL SELECT '${b}', n, id, 1, n FROM made;
      DROP TABLE made;
      UPDATE account SET balance = 1000000 - ${rows}, entry_count = ${rows} + 1 WHERE id = '${a}';
      UPDATE account SET balance = ${rows}, entry_count = ${rows} WHERE id = '${b}';`,
    write: (n) => move(ids[n] ?? ''),
  },
  'a pending transfer, by what is pending': {
    fill: (rows) => reservations(rows, later),
    write: (n) => reserve(ids[n] ?? ''),
  },
  'a pending transfer and its voiding, by what is pending': {
    fill: (rows) => reservations(rows, later),
    write: (n) => reserve(ids[n] ?? '') + giveBack(ids[n] ?? ''),
  },
  'a pending transfer, by what has expired and counts no more': {
    fill: (rows) => `${reservations(rows, `'2020-01-01T00:00:00Z'::timestamptz`)}
      UPDATE account SET pending_out = 0, pending_in = 0, expired_through = '2021-01-01' WHERE id IN ('${a}', '${b}');
      UPDATE reservation_total SET outgoing = 0, incoming = 0, outgoing_count = 0, incoming_count = 0, expired_through = '2021-01-01';`,
    write: (n) => reserve(ids[n] ?? ''),
  },
  'a change of stock, by movements of its SKU': {
    fill: (rows) => `
      INSERT INTO stock_movement (sku_id, seq, quantity, on_hand_after, reason, created_by_id)
        SELECT '${sku}', n, 1, n, 'received', '${user}' FROM generate_series(1, ${rows}) AS n;
      UPDATE stock SET on_hand = ${rows}, movement_count = ${rows} WHERE sku_id = '${sku}';`,
    write: () => `
      UPDATE stock SET on_hand = on_hand + 1, movement_count = movement_count + 1 WHERE sku_id = '${sku}';
      INSERT INTO stock_movement (sku_id, seq, quantity, on_hand_after, reason, created_by_id)
        SELECT sku_id, movement_count, 1, on_hand, 'received', '${user}' FROM stock WHERE sku_id = '${sku}';`,
  },
  'a change of settings, by those before': {
    fill: (rows) => `
      INSERT INTO account_change (account_id, version, name, overdraft_limit, is_frozen, is_closed, created_by_id)
        SELECT '${a}', n + 1, 'Main', 0, false, false, '${user}' FROM generate_series(1, ${rows}) AS n;
      UPDATE account SET version = ${rows} + 1 WHERE id = '${a}';`,
    write: () => `
      UPDATE account SET name = name || '.', version = version + 1 WHERE id = '${a}';
      INSERT INTO account_change (account_id, version, name, overdraft_limit, is_frozen, is_closed, created_by_id)
        SELECT id, version, name, 0, false, false, '${user}' FROM account WHERE id = '${a}';`,
  },
};

const world = `
  INSERT INTO "user" (id, email, password_hash) VALUES ('${user}', 'bench@example.com', 'x');
  INSERT INTO account (id, user_id, currency, balance, entry_count) VALUES ('${a}', '${user}', 'EUR', 1000000, 1), ('${b}', '${user}', 'EUR', 0, 0);
  INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after) VALUES ('${a}', 1, '${newId()}', 1000000, 1000000);
  INSERT INTO product (id, slug, name) VALUES ('${product}', 'p', 'P');
  INSERT INTO sku (id, product_id, code, name, price, currency) VALUES ('${sku}', '${product}', 'S', 'S', 5, 'EUR');
  INSERT INTO stock (sku_id, on_hand, movement_count) VALUES ('${sku}', 0, 0);`;
const empty =
  'TRUNCATE "user", account, entry, transfer, settlement, reservation, reservation_total, product, sku, stock, stock_movement, account_change CASCADE;';

async function medianOf({ fill, write }: Measured, rows: number): Promise<number> {
  await query(cluster.url('superuser'), `SET session_replication_role = replica; ${empty} ${world} ${fill(rows)}`);
  await query(cluster.url('superuser'), 'VACUUM ANALYZE');
  const app = new pg.Client({ connectionString: cluster.url('app') });
  await app.connect();
  const took: number[] = [];
  for (let n = 0; n <= times; n++) {
    const begunAt = performance.now();
    await app.query(`BEGIN; ${write(n)} COMMIT`);
    took.push(performance.now() - begunAt);
  }
  await app.end();
  // The first one plans.
  return took.slice(1).sort((x, y) => x - y)[Math.floor(times / 2)] ?? NaN;
}

const home = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
chmodSync(home, 0o755); // as root, PostgreSQL's own user must be able to enter it
const cluster = await startCluster({ home, durable: false });
try {
  await runPrisma(['migrate', 'deploy'], { databaseUrl: cluster.url('owner'), quiet: true });
  process.stdout.write(`milliseconds beside ${sizes.join(', ')} rows\n`);
  for (const [name, one] of Object.entries(measured)) {
    const figures: string[] = [];
    for (const rows of sizes) figures.push((await medianOf(one, rows)).toFixed(2).padStart(8));
    process.stdout.write(`${figures.join('')}  ${name}\n`);
  }
} finally {
  await cluster.stop();
  rmSync(home, { recursive: true, force: true });
}
