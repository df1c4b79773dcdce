// npm run bench:rules: what the rules of the database (triggers of prisma/migrations/*_rules) cost a transfer in its fastest shape, one
// statement, spread over 10,000 accounts. With them and without, in turns, on a cluster of its own. Needs pgbench on the PATH (Debian: postgresql-contrib).
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster } from '../src/database/embedded/cluster.ts';
import { runPrisma } from '../src/database/embedded/prisma-cli.ts';
import { query } from './query.mts';

const rounds = 3;
const secondsEach = 8;
const clients = 16;
const user = '00000000-0000-7000-8000-000000000001';
const account = (n: string): string => `('00000000-0000-7000-8000-' || lpad(to_hex((${n})::int), 12, '0'))::uuid`;

const transfer = `\\set a random(1, 10000)
\\set b random(1, 9999)
WITH ids AS (SELECT ${account(':a')} AS a, ${account('CASE WHEN (:b)::int >= (:a)::int THEN (:b)::int + 1 ELSE (:b)::int END')} AS b),
locked AS MATERIALIZED (SELECT id FROM account WHERE id IN (SELECT a FROM ids UNION ALL SELECT b FROM ids) ORDER BY id FOR NO KEY UPDATE),
taken AS (UPDATE account SET balance = balance - 1, entry_count = entry_count + 1 FROM ids
  WHERE id = a AND balance >= 1 AND (SELECT count(*) FROM locked) = 2 RETURNING id, balance, entry_count),
given AS (UPDATE account SET balance = balance + 1, entry_count = entry_count + 1 FROM ids
  WHERE id = b AND EXISTS (SELECT FROM taken) RETURNING id, balance, entry_count),
moved AS (INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
  SELECT gen_random_uuid(), 'transfer', taken.id, given.id, 1, 'EUR', '${user}' FROM taken, given RETURNING id)
INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
SELECT taken.id, taken.entry_count, moved.id, -1, taken.balance FROM taken, moved
UNION ALL SELECT given.id, given.entry_count, moved.id, 1, given.balance FROM given, moved;
`;

const fill = `
  INSERT INTO "user" (id, email, password_hash) VALUES ('${user}', 'bench@example.com', 'x');
  SET session_replication_role = replica;
  INSERT INTO account (id, user_id, currency, balance, entry_count)
    SELECT ${account('n')}, '${user}', 'EUR', 1000000, 1 FROM generate_series(1, 10000) AS n;
  INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
    SELECT gen_random_uuid(), 'deposit', (SELECT id FROM account WHERE house = 'cash' AND currency = 'EUR'), id, 1000000, 'EUR', user_id
    FROM account WHERE house IS NULL;
  INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after) SELECT to_account_id, 1, id, 1000000, 1000000 FROM transfer;`;

const home = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
chmodSync(home, 0o755); // as root, PostgreSQL's own user must be able to enter it
const cluster = await startCluster({ home, durable: true });
try {
  await runPrisma(['migrate', 'deploy'], { databaseUrl: cluster.url('owner'), quiet: true });
  await query(cluster.url('superuser'), fill);
  await query(cluster.url('superuser'), 'VACUUM ANALYZE');
  const script = join(home, 'transfer.sql');
  writeFileSync(script, transfer);
  for (let round = 1; round <= rounds; round++) {
    const [withRules, without] = [await measure('ENABLE', script), await measure('DISABLE', script)];
    const ratio = (withRules / without).toFixed(2);
    process.stdout.write(`with ${withRules.toFixed(0)}/s, without ${without.toFixed(0)}/s, ratio ${ratio}\n`);
  }
} finally {
  await cluster.stop();
  rmSync(home, { recursive: true, force: true });
}

async function measure(rules: 'ENABLE' | 'DISABLE', script: string): Promise<number> {
  for (const table of ['account', 'entry', 'transfer'])
    await query(cluster.url('superuser'), `ALTER TABLE ${table} ${rules} TRIGGER USER`);
  const load = ['-n', '-M', 'prepared', '-c', `${clients}`, '-j', '2', '-T', `${secondsEach}`, '-f', script];
  const { stdout, stderr, error } = spawnSync('pgbench', [...load, cluster.url('superuser')], { encoding: 'utf8' });
  const [, perSecond] = /tps = ([\d.]+)/.exec(stdout ?? '') ?? [];
  if (perSecond === undefined) throw new Error(`pgbench did not measure: ${error?.message ?? stderr}`);
  return Number(perSecond);
}
