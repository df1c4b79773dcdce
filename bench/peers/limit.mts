// What PostgreSQL takes of the ledger's rows: lock, decide, write and record the keys set by set, by hand and in one process, without HTTP.
// `<url of the owner> <seconds of warm-up> <seconds> <batch>`. Measures without the rules of the database (its triggers), then with them.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { newId } from '../../src/kernel/ids.ts';

/** Transfers a second. */
export interface Limit {
  readonly withRules: number;
  readonly withoutRules: number;
}

interface Account {
  readonly id: string;
  readonly user_id: string;
  readonly balance: string;
  readonly entry_count: number;
  readonly balance_version: number;
}
interface Move {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly amount: bigint;
}

const statements = {
  lock: `SELECT id, user_id, balance, entry_count, balance_version, version, pending_out, pending_in
    FROM account WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE`,
  write: `
    WITH changed AS (
      UPDATE account AS a SET balance = c.balance, entry_count = c.entry_count, balance_version = c.balance_version
        FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::int[], $5::int[]) AS c (id, seen, balance, entry_count, balance_version)
       WHERE a.id = c.id AND a.balance_version = c.seen RETURNING a.id),
    made AS (
      INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
      SELECT t.id, 'transfer', t.payer, t.payee, t.amount, 'EUR', $6::uuid
        FROM unnest($7::uuid[], $8::uuid[], $9::uuid[], $10::bigint[]) AS t (id, payer, payee, amount) RETURNING id, created_at),
    entered AS (
      INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after, created_at)
      SELECT e.account, e.seq, e.transfer, e.amount, e.balance, made.created_at
        FROM unnest($11::uuid[], $12::int[], $13::uuid[], $14::bigint[], $15::bigint[]) AS e (account, seq, transfer, amount, balance)
        JOIN made ON made.id = e.transfer)
    SELECT id, created_at FROM made`,
  keys: `
    INSERT INTO idempotency_record (principal_id, route, key, fingerprint, status, headers, body, expires_at)
    SELECT $1::uuid, 'POST /v1/transfers', key, fingerprint, 201, '{"location":"/v1/transfers/tr_00000000000000000000000000"}'::jsonb, $4::text,
      statement_timestamp() + interval '1 day' FROM unnest($2::text[], $3::bytea[]) AS r (key, fingerprint)`,
};

// As long as the answer to a transfer is.
const body = 'x'.repeat(550);
const fingerprint = randomBytes(32);
const below = (n: number): number => Math.floor(Math.random() * n);

const [url = '', warmUp, seconds, size] = process.argv.slice(2);
// As many batches at a time as a lane of the service has.
const width = 2;

const run = <Row extends pg.QueryResultRow>(client: pg.Client, name: keyof typeof statements, values: unknown[]) =>
  client.query<Row>({ name, text: statements[name], values });

function moveBetween(accounts: readonly string[]): Move {
  const from = below(accounts.length);
  const to = (from + 1 + below(accounts.length - 1)) % accounts.length;
  return { id: newId(), from: accounts[from] ?? '', to: accounts[to] ?? '', amount: BigInt(1 + below(100)) };
}

/** One batch, in three flights: BEGIN with the lock, the rows with COMMIT. */
async function transferBatch(client: pg.Client, accounts: readonly string[], by: string): Promise<void> {
  const moves = Array.from({ length: Number(size) }, () => moveBetween(accounts));
  const ids = [...new Set(moves.flatMap(({ from, to }) => [from, to]))].sort();
  const begun = client.query('BEGIN');
  const { rows } = await run<Account>(client, 'lock', [ids]);
  await begun;
  const states = rows.map((row) => ({ ...row, now: BigInt(row.balance), seq: row.entry_count }));
  const stateOf = new Map(states.map((state) => [state.id, state]));
  const entries = moves.flatMap(({ id, from, to, amount }) =>
    [[from, -amount] as const, [to, amount] as const].map(([account, change]) => {
      const state = stateOf.get(account);
      if (state === undefined) throw new Error('An account of the limit is gone.');
      state.now += change;
      return [account, ++state.seq, id, change, state.now] as const;
    }),
  );
  const changes = states.map((state) => {
    const version = state.balance_version + state.seq - state.entry_count;
    return [state.id, state.balance_version, state.now, state.seq, version] as const;
  });
  const transfers = moves.map(({ id, from, to, amount }) => [id, from, to, amount] as const);
  const written = [...columns(changes, 5), by, ...columns(transfers, 4), ...columns(entries, 5)];
  const keys = moves.map(({ id }) => id);
  const done = await Promise.all([
    run(client, 'write', written),
    run(client, 'keys', [by, keys, keys.map(() => fingerprint), body]),
    client.query('COMMIT'),
  ]);
  if (done[2].command !== 'COMMIT' || done[0].rowCount !== moves.length) throw new Error('A batch was not stored.');
}

/** The columns of rows; amounts as pg takes them. */
const columns = (rows: readonly (readonly (string | number | bigint)[])[], width: number): unknown[][] =>
  Array.from({ length: width }, (_, n) => rows.map((row) => (typeof row[n] === 'bigint' ? String(row[n]) : row[n])));

async function measure(forSeconds: number): Promise<number> {
  const since = performance.now();
  const until = since + forSeconds * 1000;
  let done = 0;
  const lane = async (client: pg.Client): Promise<void> => {
    while (performance.now() < until) {
      await transferBatch(client, accounts, by);
      done += Number(size);
    }
  };
  await Promise.all(clients.map(lane));
  return (done / (performance.now() - since)) * 1000;
}

async function askForRules(client: pg.Client, areAsked: boolean): Promise<void> {
  for (const table of ['account', 'transfer', 'entry'])
    await client.query(`ALTER TABLE ${table} ${areAsked ? 'ENABLE' : 'DISABLE'} TRIGGER USER`);
}

const clients = await Promise.all(
  Array.from({ length: width }, async () => {
    const client = new pg.Client({ connectionString: url, pipeline: true });
    await client.connect();
    return client;
  }),
);
const [first] = clients;
if (first === undefined) throw new Error('There is no connection.');
const { rows } = await first.query<Account>(
  `SELECT id, user_id FROM account WHERE house IS NULL AND currency = 'EUR' ORDER BY id LIMIT 10000`,
);
const [accounts, by] = [rows.map(({ id }) => id), rows[0]?.user_id ?? ''];
const measured = async (areAsked: boolean): Promise<number> => {
  await askForRules(first, areAsked);
  await measure(Number(warmUp));
  return measure(Number(seconds));
};
const withoutRules = await measured(false);
const withRules = await measured(true);
process.send?.({ withRules, withoutRules } satisfies Limit);
await Promise.all(clients.map((client) => client.end()));
process.disconnect();
