// One peer of bench/transfers.mts, in a process of its own: `<name> <url of the primary> <url of the replica>`. Says by message where it listens.
import { createHash } from 'node:crypto';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import Fastify, { type FastifyInstance } from 'fastify';
import pg from 'pg';
import type * as Apps from '../src/app.ts';
import type * as Configs from '../src/config/config.ts';
import type * as Environments from '../src/config/environment.ts';

export const peerNames = ['holdfast', 'one statement', 'for update'] as const;
export type PeerName = (typeof peerNames)[number];

/** As the peers by hand take it: ids as they are in the table. */
export interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}

// The same in each process of the bench.
export const secret = createHash('sha512').update('bench').digest('base64');
const poolSize = 16;
const [name, url = '', readUrl = ''] = process.argv.slice(2) as [PeerName, string?, string?];

/** A file of the build: Nest's decorators are not in a language that Node runs. */
const built = async (path: string): Promise<unknown> =>
  import(new URL(`../dist/src/${path}.js`, import.meta.url).href) as Promise<unknown>;

async function holdfast(): Promise<string> {
  const { createApp } = (await built('app')) as typeof Apps;
  const { makeConfig } = (await built('config/config')) as typeof Configs;
  const { readEnvironment } = (await built('config/environment')) as typeof Environments;
  const environment = readEnvironment({
    NODE_ENV: 'production',
    DATABASE_WRITE_URL: url,
    DATABASE_READ_URL: readUrl,
    DATABASE_POOL_SIZE: String(poolSize),
    AUTH_SECRET: secret,
    LOG_LEVEL: 'silent',
    ...limitsOff,
  });
  const app = await createApp(makeConfig(environment as Parameters<typeof makeConfig>[0]));
  await app.listen({ host: '127.0.0.1', port: 0 });
  return app.getUrl();
}

// One caller sends as much as it can here.
const limitsOff = Object.fromEntries(
  ['RATE_LIMIT_PER_PRINCIPAL', 'RATE_LIMIT_PER_ADDRESS'].map((variable) => [variable, '10000000']),
);

/** An account as pg gives it: amounts as text. */
interface Account {
  readonly id: string;
  readonly user_id: string;
  readonly currency: string;
  readonly balance: string;
  readonly pending_out: string;
  readonly entry_count: number;
}
type Query = (text: string, values: unknown[]) => Promise<pg.QueryResult<Account>>;
type Work = (query: Query, transfer: Transfer) => Promise<boolean>;

const entries = `INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)`;
const newTransfer = `INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)`;
const moves = (sign: '+' | '-') =>
  `UPDATE account SET balance = balance ${sign} $3, entry_count = entry_count + 1, balance_version = balance_version + 1`;

/** The debit with its guard, the credit, the transfer and both entries in one. */
const oneStatement: Work = async (query, { from, to, amount }) => {
  const { rowCount } = await query(
    `WITH debit AS (${moves('-')} WHERE id = $1 AND balance - pending_out >= $3 AND frozen_at IS NULL AND closed_at IS NULL
        RETURNING id, user_id, currency, balance, entry_count),
      credit AS (${moves('+')} WHERE id = $2 AND frozen_at IS NULL AND closed_at IS NULL AND EXISTS (SELECT FROM debit)
        RETURNING id, balance, entry_count),
      made AS (${newTransfer} SELECT $4::uuid, 'transfer', debit.id, credit.id, $3, debit.currency, debit.user_id FROM debit, credit RETURNING id)
     ${entries} SELECT s.id, s.entry_count, made.id, s.amount, s.balance FROM made,
       (SELECT id, entry_count, -$3::bigint AS amount, balance FROM debit UNION ALL SELECT id, entry_count, $3, balance FROM credit) AS s`,
    [from, to, amount, randomUUID()],
  );
  return rowCount === 2;
};

/** Both accounts locked and read, then changed one after the other. */
const forUpdate: Work = async (query, { from, to, amount }) => {
  const { rows } = await query('SELECT * FROM account WHERE id = ANY($1) ORDER BY id FOR UPDATE', [[from, to]]);
  const [payer, payee] = [rows.find(({ id }) => id === from), rows.find(({ id }) => id === to)];
  if (payer === undefined || payee === undefined || BigInt(payer.balance) - BigInt(payer.pending_out) < BigInt(amount))
    return false;
  const id = randomUUID();
  const after = async (account: string, sign: '+' | '-') =>
    (
      await query(`${moves(sign).replaceAll('$3', '$2')} WHERE id = $1 RETURNING balance, entry_count`, [
        account,
        amount,
      ])
    ).rows[0];
  const [paid, got] = [await after(from, '-'), await after(to, '+')];
  await query(`${newTransfer} VALUES ($1, 'transfer', $2, $3, $4, $5, $6)`, [
    ...[id, from, to, amount],
    ...[payer.currency, payer.user_id],
  ]);
  await query(`${entries} VALUES ($1, $2, $3, $4, $5), ($6, $7, $3, $8, $9)`, [
    ...[from, paid?.entry_count, id, -amount, paid?.balance],
    ...[to, got?.entry_count, amount, got?.balance],
  ]);
  return true;
};

const schema = {
  type: 'object',
  required: ['from', 'to', 'amount'],
  properties: { from: { type: 'string' }, to: { type: 'string' }, amount: { type: 'integer', minimum: 1 } },
} as const;

async function byHand(work: Work, needsTransaction: boolean): Promise<string> {
  const pool = new pg.Pool({ connectionString: url, max: poolSize });
  const app: FastifyInstance = Fastify({ bodyLimit: 1_048_576 });
  const alone: Query = (text, values) => pool.query(text, values);
  app.post<{ Body: Transfer }>('/transfers', { schema: { body: schema } }, async ({ body }, reply) => {
    const isDone = needsTransaction
      ? await transaction(pool, (query) => work(query, body))
      : await again(() => work(alone, body));
    return reply.code(isDone ? 201 : 422).send(body);
  });
  const many = { type: 'object', required: ['transfers'], properties: { transfers: { type: 'array', items: schema } } };
  app.post<{ Body: { transfers: Transfer[] } }>('/batch', { schema: { body: many } }, async ({ body }, reply) => {
    const isDone = await transaction(pool, async (query) => {
      // Without this, batches wait for each other in circles until they give up.
      const accounts = body.transfers.flatMap(({ from, to }) => [from, to]);
      await query('SELECT id FROM account WHERE id = ANY($1) ORDER BY id FOR UPDATE', [accounts]);
      for (const transfer of body.transfers) if (!(await work(query, transfer))) return false;
      return true;
    });
    return reply.code(isDone ? 201 : 422).send(body);
  });
  return app.listen({ host: '127.0.0.1', port: 0 });
}

/** All or nothing, again after a deadlock. */
async function transaction(pool: pg.Pool, work: (query: Query) => Promise<boolean>): Promise<boolean> {
  return again(async () => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const isDone = await work((text, values) => client.query(text, values));
      await client.query(isDone ? 'COMMIT' : 'ROLLBACK');
      return isDone;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  });
}

async function again(work: () => Promise<boolean>): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 10 || (error as { code?: string }).code !== '40P01') throw error;
    }
  }
}

const peers: Record<PeerName, () => Promise<string>> = {
  holdfast,
  'one statement': () => byHand(oneStatement, false),
  'for update': () => byHand(forUpdate, true),
};

if (import.meta.main) {
  process.send?.({ url: await peers[name]() });
  await once(process, 'disconnect');
  process.exit(0);
}
