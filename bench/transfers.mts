// npm run bench:transfers: transfers a second over HTTP, beside two that do the same by hand on Fastify and pg: one guarded statement, and
// the rows locked, read and written one after the other. On the same tables with the same rules, on a durable cluster of the bench's own.
// Works: single transfers between 200 accounts, single transfers into one account, and batches of 500 that are done whole or not at all
// by two callers (by hand: all accounts locked first, then one after the other in one transaction). Ours does more for each: the token, the Idempotency-Key and its record, conditions,
// limits, the position in the log. Load and servers share the machine's cores: a rate is worth little, the ratio is what counts.
// Each peer has a process of its own and 16 callers; they take turns, round by round. A figure is the median of the rounds, a ratio the median
// of the ratios within each round. In the end the books are counted: what was acknowledged is there, and nothing else.
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { query } from './query.mts';
import { median } from './figures.mts';
import { startCluster } from '../src/database/embedded/cluster.ts';
import { runPrisma } from '../src/database/embedded/prisma-cli.ts';
import { newId, showId } from '../src/kernel/ids.ts';
import { type PeerName, peerNames, secret, type Transfer } from './transfers-peer.mts';

const [rounds, secondsEach, callers] = [5, 2, 16];
const [accountCount, batchSize] = [200, 500];
const works = ['spread', 'hot', 'batch'] as const;
type WorkName = (typeof works)[number];
const titles: Record<WorkName, string> = {
  spread: 'single, 200 accounts',
  hot: 'single, into one account',
  batch: 'batches of 500',
};

interface Peer {
  readonly name: PeerName;
  readonly url: string;
  readonly process: ChildProcess;
}

const home = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
chmodSync(home, 0o755); // as root, PostgreSQL's own user must be able to enter it
const cluster = await startCluster({ home, durable: true });
const agent = new Agent({ keepAlive: true, maxSockets: callers });
let acknowledged = 0;
try {
  await runPrisma(['migrate', 'deploy'], { databaseUrl: cluster.url('owner'), quiet: true });
  const { userId, accounts } = await fill();
  const token = await tokenOf(userId);
  const peers = await Promise.all(peerNames.map(start));
  const before = await count();
  for (const work of works) {
    for (const peer of peers) await load(peer, work, accounts, token);
    const measured: Map<PeerName, number>[] = [];
    for (let round = 0; round < rounds; round++) {
      const rates = new Map<PeerName, number>();
      const inTurn = [...peers.slice(round % peers.length), ...peers.slice(0, round % peers.length)];
      for (const peer of inTurn) rates.set(peer.name, await load(peer, work, accounts, token));
      measured.push(rates);
    }
    show(work, measured);
  }
  for (const peer of peers) peer.process.disconnect();
  const stored = (await count()) - before;
  if (stored !== acknowledged) throw new Error(`${acknowledged} transfers were acknowledged, ${stored} are stored`);
} finally {
  await cluster.stop();
  rmSync(home, { recursive: true, force: true });
}

/** Transfers a second. */
async function load(peer: Peer, work: WorkName, accounts: readonly string[], token: string): Promise<number> {
  const until = performance.now() + secondsEach * 1000;
  let done = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < until) {
      const transfers = Array.from({ length: work === 'batch' ? batchSize : 1 }, () => pick(work, accounts));
      await send(peer, transfers, token);
      done += transfers.length;
    }
  };
  const since = performance.now();
  await Promise.all(Array.from({ length: work === 'batch' ? 2 : callers }, caller));
  acknowledged += done;
  return (done / (performance.now() - since)) * 1000;
}

function pick(work: WorkName, accounts: readonly string[]): Transfer {
  const from = 1 + Math.floor(Math.random() * (accounts.length - 1));
  const to = work === 'hot' ? 0 : (from + 1 + Math.floor(Math.random() * (accounts.length - 1))) % accounts.length;
  return { from: accounts[from] ?? '', to: accounts[to] ?? '', amount: 1 };
}

async function send({ name, url }: Peer, transfers: readonly Transfer[], token: string): Promise<void> {
  const isOurs = name === 'holdfast';
  const bodies = isOurs ? transfers.map(inOurWords) : transfers;
  const [one] = bodies;
  const body = JSON.stringify(bodies.length === 1 ? one : { ...(isOurs && { mode: 'atomic' }), transfers: bodies });
  const path = `${isOurs ? '/v1/transfers' : bodies.length === 1 ? '/transfers' : ''}${bodies.length === 1 ? '' : '/batch'}`;
  const status = await post(`${url}${path}`, body, {
    ...(isOurs && { authorization: `Bearer ${token}`, 'idempotency-key': randomUUID() }),
  });
  if (status !== 201) throw new Error(`${name} answered ${status} to ${path}`);
}

function inOurWords({ from, to, amount }: Transfer) {
  return {
    fromAccountId: showId('acct', from),
    toAccountId: showId('acct', to),
    amount: { amount, currency: 'EUR' },
  };
}

async function post(url: string, body: string, headers: Record<string, string>): Promise<number> {
  const sent = request(url, {
    method: 'POST',
    agent,
    headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
  });
  sent.end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  return answer.statusCode ?? 0;
}

function show(work: WorkName, measured: readonly Map<PeerName, number>[]): void {
  process.stdout.write(`\n${titles[work].padEnd(28)}${'per second'.padStart(12)}${'ours / its'.padStart(14)}\n`);
  for (const name of peerNames) {
    const rate = median(measured.map((round) => round.get(name) ?? NaN));
    const ratio = median(measured.map((round) => (round.get('holdfast') ?? NaN) / (round.get(name) ?? NaN)));
    process.stdout.write(`${name.padEnd(28)}${rate.toFixed(0).padStart(12)}${ratio.toFixed(2).padStart(14)}\n`);
  }
}

/** One person with all the accounts, each with more than is ever taken. */
async function fill(): Promise<{ userId: string; accounts: string[] }> {
  const userId = newId();
  const accounts = Array.from({ length: accountCount }, newId);
  await query(
    cluster.url('owner'),
    `INSERT INTO "user" (id, email, password_hash, role) VALUES ($1, 'bench@example.com', 'none', 'customer')`,
    [userId],
  );
  await query(
    cluster.url('owner'),
    `INSERT INTO session (id, user_id, expires_at) VALUES ($1, $1, now() + interval '1 day')`,
    [userId],
  );
  await query(
    cluster.url('owner'),
    `INSERT INTO account (id, user_id, currency) SELECT id, $1, 'EUR' FROM unnest($2::uuid[]) AS id`,
    [userId, accounts],
  );
  const [cash] = await query<{ id: string }>(
    cluster.url('owner'),
    `SELECT id FROM account WHERE house = 'cash' AND currency = 'EUR'`,
    [],
  );
  await query(
    cluster.url('owner'),
    `WITH made AS (
       INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
       SELECT gen_random_uuid(), 'deposit', $1, id, 1000000000, 'EUR', $3 FROM unnest($2::uuid[]) AS id RETURNING id, to_account_id),
     numbered AS (SELECT *, row_number() OVER (ORDER BY id) AS n FROM made),
     entered AS (
       INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
       SELECT to_account_id, 1, id, 1000000000, 1000000000 FROM numbered
       UNION ALL SELECT $1, n, id, -1000000000, n * -1000000000 FROM numbered),
     given AS (UPDATE account SET balance = 1000000000, entry_count = 1, balance_version = 1 WHERE id = ANY($2))
     UPDATE account SET balance = -1000000000::bigint * cardinality($2::uuid[]), entry_count = cardinality($2::uuid[]) WHERE id = $1`,
    [cash?.id, accounts, userId],
  );
  return { userId, accounts };
}

// As access-tokens.ts signs them, of the session that was filled in under the same id.
function tokenOf(userId: string): Promise<string> {
  return new SignJWT({ sid: showId('ses', userId), role: 'customer' })
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
    .setIssuer('holdfast')
    .setSubject(showId('usr', userId))
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret));
}

async function count(): Promise<number> {
  const [row] = await query<{ n: string }>(
    cluster.url('owner'),
    `SELECT count(*) AS n FROM transfer WHERE kind = 'transfer'`,
    [],
  );
  return Number(row?.n);
}

async function start(name: PeerName): Promise<Peer> {
  const child = fork(
    join(import.meta.dirname, 'transfers-peer.mts'),
    [name, cluster.url('app'), cluster.url('reader')],
    { execArgv: ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON'] },
  );
  const [{ url }] = (await once(child, 'message')) as [{ url: string }];
  return { name, url, process: child };
}
