// What there is before the first request: the tables, one person with 10,000 accounts, a shop of 1,000 SKUs, and the databases of the peers.
import { readFileSync } from 'node:fs';
import { SignJWT } from 'jose';
import type { Cluster } from '../src/embedded/cluster.ts';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import { newId, showId } from '../src/kernel/ids.ts';
import { type PeerName, peerNames } from './cases.mts';
import { allEnd, BenchError, ownFile } from './processes.mts';
import { query } from './query.mts';
import type { World } from './requests.mts';

const [accountCount, productCount, skusEach] = [10_000, 20, 50];
const accountsAtOnce = 5000;
const given = 1_000_000_000;
const units = 100_000_000;

export const limitDatabase = 'limit_by_hand';
/** The tables without rows, to be copied. */
export const emptyDatabase = 'without_rows';
export const databaseOf = (peer: PeerName): string => peer.replaceAll('-', '_');

export interface People {
  readonly accounts: readonly string[];
  readonly customerToken: string;
  readonly operatorToken: string;
}

/** Before the service starts: migrates, fills the accounts, and copies the database for what is written by hand. */
export async function prepareDatabases(cluster: Cluster, secret: string): Promise<People> {
  const { code, output } = await runPrisma(['migrate', 'deploy'], {
    databaseUrl: cluster.url('owner'),
    quiet: true,
    signal: allEnd,
  });
  if (code !== 0) throw new BenchError(`The database could not be migrated: ${output.trim()}`);
  await copyDatabase(cluster, emptyDatabase);
  const [customer, operator] = [newId(), newId()];
  await addPerson(cluster, customer, 'customer');
  await addPerson(cluster, operator, 'operator');
  const accounts = Array.from({ length: accountCount }, newId);
  for (let n = 0; n < accountCount; n += accountsAtOnce)
    await openAccounts(cluster, customer, accounts.slice(n, n + accountsAtOnce));
  await query(cluster.url('owner'), 'ANALYZE');
  await copyDatabase(cluster, limitDatabase);
  const schema = readFileSync(ownFile('peers', 'schema.sql'), 'utf8');
  const { username } = new URL(cluster.url('owner'));
  for (const peer of peerNames) {
    const database = databaseOf(peer);
    await query(cluster.url('superuser', 'postgres'), `CREATE DATABASE ${database} OWNER ${username}`);
    await query(cluster.url('owner', database), schema);
    // Only of tables that have rows: by the statistics of an empty table a foreign key is checked row by row.
    await query(cluster.url('owner', database), 'ANALYZE account, sku');
  }
  return {
    accounts,
    customerToken: await tokenOf(customer, 'customer', secret),
    operatorToken: await tokenOf(operator, 'operator', secret),
  };
}

async function copyDatabase(cluster: Cluster, name: string): Promise<void> {
  await query(cluster.url('superuser', 'postgres'), `CREATE DATABASE ${name} TEMPLATE holdfast`);
}

async function addPerson(cluster: Cluster, id: string, role: string): Promise<void> {
  const url = cluster.url('owner');
  const email = `${role}@example.com`;
  await query(url, `INSERT INTO "user" (id, email, password_hash, role) VALUES ($1, $2, 'none', $3::role)`, [
    id,
    email,
    role,
  ]);
  const expires = `statement_timestamp() + interval '1 day'`;
  await query(url, `INSERT INTO session (id, user_id, expires_at) VALUES ($1, $1, ${expires})`, [id]);
}

/** Each with a deposit that is more than is ever taken. */
async function openAccounts(cluster: Cluster, owner: string, accounts: readonly string[]): Promise<void> {
  const url = cluster.url('owner');
  await query(url, `INSERT INTO account (id, user_id, currency) SELECT id, $1, 'EUR' FROM unnest($2::uuid[]) AS id`, [
    owner,
    accounts,
  ]);
  await query(
    url,
    `WITH cash AS (SELECT id, balance, entry_count FROM account WHERE house = 'cash' AND currency = 'EUR'),
     made AS (
       INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
       SELECT gen_random_uuid(), 'deposit', cash.id, one.id, $3::bigint, 'EUR', $1 FROM cash, unnest($2::uuid[]) AS one (id)
       RETURNING id, to_account_id),
     numbered AS (SELECT *, row_number() OVER (ORDER BY id) AS n FROM made),
     entered AS (
       INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
       SELECT to_account_id, 1, id, $3::bigint, $3::bigint FROM numbered
       UNION ALL SELECT cash.id, cash.entry_count + n, numbered.id, -$3::bigint, cash.balance - n * $3::bigint FROM numbered, cash),
     given AS (UPDATE account SET balance = $3::bigint, entry_count = 1, balance_version = 1 WHERE id = ANY($2))
     UPDATE account SET balance = account.balance - $3::bigint * cardinality($2::uuid[]),
       entry_count = account.entry_count + cardinality($2::uuid[]) FROM cash WHERE account.id = cash.id`,
    [owner, accounts, given],
  );
}

/** As the service signs them, of the session that has the id of its person. */
export function tokenOf(person: string, role: string, secret: string): Promise<string> {
  return new SignJWT({ sid: showId('ses', person), role })
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
    .setIssuer('holdfast')
    .setSubject(showId('usr', person))
    .setIssuedAt()
    .setExpirationTime('1 day')
    .sign(new TextEncoder().encode(secret));
}

/** The shop, over HTTP. */
export async function fillShop(url: string, { accounts, customerToken, operatorToken }: People): Promise<World> {
  const skus: string[] = [];
  for (let n = 0; n < productCount; n++) {
    const product = {
      slug: `bench-${n}`,
      name: `Bench ${n}`,
      skus: Array.from({ length: skusEach }, (_, i) => ({
        code: `BENCH-${n}-${i}`,
        name: `Variant ${i}`,
        price: { amount: 100 + i, currency: 'EUR' },
        onHand: units,
      })),
    };
    const headers = { authorization: `Bearer ${operatorToken}`, 'content-type': 'application/json' };
    const response = await fetch(`${url}/v1/products`, {
      method: 'POST',
      headers: { ...headers, 'idempotency-key': `bench-${n}` },
      body: JSON.stringify(product),
      signal: AbortSignal.timeout(30_000),
    });
    if (response.status !== 201) throw new BenchError(`A product was not stored: ${await response.text()}`);
    const stored = (await response.json()) as { skus: { id: string }[] };
    skus.push(...stored.skus.map(({ id }) => id));
  }
  return { token: customerToken, accounts: accounts.map((id) => showId('acct', id)), skus };
}
