import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import pg from 'pg';
import type { ExpiredLeft, ExpiredRemoved } from '../src/retention/events.ts';
import { removeExpired } from '../src/retention/expired-rows.ts';
import { Sweeper } from '../src/retention/sweeper.ts';
import { batchSize, countedAtMost, SweptTable } from '../src/retention/swept-table.ts';
import { DATABASE, type Sql } from '../src/transactions/tables.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { serve, startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { atOnce, eventually } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';

let service: TestApp;
let sweeper: Sweeper;
let ada: Person;
let superuser: pg.Client;
beforeAll(async () => {
  service = await startApp();
  sweeper = service.app.get(Sweeper);
  ada = await makers(service).user();
  superuser = new pg.Client({ connectionString: service.database.urls.superuser });
  await superuser.connect();
});
beforeEach(() => service.database.query('TRUNCATE idempotency_record'));
afterEach(() => superuser.query('ROLLBACK'));
afterAll(async () => {
  await superuser.end();
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

/** Stores as many answers to keys; they ended so many seconds ago, each a moment after the one before. */
const keep = (label: string, many: number, endedSecondsAgo: number) =>
  service.database.query(
    `INSERT INTO idempotency_record (principal_id, route, key, fingerprint, status, headers, body, created_at, expires_at)
     SELECT '00000000-0000-7000-8000-000000000000', 'POST /', $1 || n, sha256('x'), 201, '{}', '', now() - interval '10 days',
       now() - make_interval(secs => $3) + n * interval '1 ms' FROM generate_series(1, $2) n`,
    [label, many, endedSecondsAgo],
  );
const keysLeft = async (): Promise<string[]> =>
  (await service.database.query<{ key: string }>('SELECT key FROM idempotency_record ORDER BY expires_at')).map(
    ({ key }) => key,
  );

/** What a channel tells while the work runs. */
async function toldBy<Message>(channel: string, work: () => Promise<unknown>): Promise<Message[]> {
  const told: Message[] = [];
  const listener = (message: unknown) => told.push(message as Message);
  subscribe(channel, listener);
  await work().finally(() => unsubscribe(channel, listener));
  return told;
}
const batchesOf = (work: () => Promise<unknown>) => toldBy<ExpiredRemoved>('holdfast:expired-removed', work);
/** What a round tells of the keys that are left. */
async function leftBy(work: () => Promise<unknown>): Promise<ExpiredLeft> {
  const told = await toldBy<ExpiredLeft>('holdfast:expired-left', work);
  expect(told.map(({ table }) => table).sort()).toEqual(sweeper.tables.map(({ table }) => table).sort());
  return told.find(({ table }) => table === 'idempotency_record') as ExpiredLeft;
}

describe('the sweeper', () => {
  it('goes on while it removes full batches, and leaves what is not over', async () => {
    const many = 3 * batchSize + 7;
    await keep('over-', many, 3600);
    await keep('not-yet-', 3, -3600);
    const batches = await batchesOf(() => sweeper.sweep());
    expect(await keysLeft()).toEqual(['not-yet-1', 'not-yet-2', 'not-yet-3']);
    expect(batches.map(({ table, removed }) => [table, removed])).toEqual([
      ['idempotency_record', batchSize],
      ['idempotency_record', batchSize],
      ['idempotency_record', batchSize],
      ['idempotency_record', 7],
    ]);
  });

  it('removes the oldest first, and keeps what a batch has done when the next one fails, which is tried with fewer', async () => {
    await keep('over-', batchSize + 5, 3600);
    // The last of them, and with it the second batch, cannot be removed.
    await superuser.query(
      `CREATE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
       CREATE TRIGGER refuse_removal BEFORE DELETE ON idempotency_record FOR EACH ROW WHEN (OLD.key = 'over-${batchSize + 5}')
       EXECUTE FUNCTION refuse_removal()`,
    );
    const batches = await batchesOf(() => sweeper.sweep());
    const left = await keysLeft();
    await superuser.query('DROP FUNCTION refuse_removal CASCADE');
    expect(left).toEqual([`over-${batchSize + 5}`]);
    expect(batches[0]?.removed).toBe(batchSize);
    await sweeper.sweep();
    expect(await keysLeft()).toEqual([]);
  });

  it('passes over rows that somebody holds, and waits for none', async () => {
    await keep('over-', 5, 3600);
    await superuser.query(`BEGIN; SELECT FROM idempotency_record WHERE key = 'over-2' FOR UPDATE`);
    await sweeper.sweep();
    expect(await keysLeft()).toEqual(['over-2']);
    await superuser.query('COMMIT');
    await sweeper.sweep();
    expect(await keysLeft()).toEqual([]);
  });

  it('is the work of several instances at once: each row is removed once', async () => {
    const many = 20 * batchSize;
    await keep('over-', many, 3600);
    const others = await atOnce(3, () => serve(service.database));
    const batches = await batchesOf(() =>
      Promise.all([sweeper, ...others.map(({ app }) => app.get(Sweeper))].map((one) => one.sweep())),
    );
    await Promise.all(others.map(({ app }) => app.close()));
    // What one of them held when another one looked is left to the next round.
    await sweeper.sweep();
    expect(await keysLeft()).toEqual([]);
    expect(batches.reduce((sum, { removed }) => sum + removed, 0)).toBeLessThanOrEqual(many);
    expect(Math.max(...batches.map(({ removed }) => removed))).toBe(batchSize);
  });

  it('leaves nothing half done when its connection dies in the middle of a batch', async () => {
    await keep('over-', 10, 3600);
    await superuser.query('BEGIN; LOCK TABLE idempotency_record IN SHARE MODE');
    const round = sweeper.sweep();
    const waiting = `SELECT pid FROM pg_locks WHERE relation = 'idempotency_record'::regclass AND NOT granted`;
    const [found] = await eventually(
      async () => (await superuser.query<{ pid: number }>(waiting)).rows,
      ({ length }) => length === 1,
    );
    await superuser.query('SELECT pg_terminate_backend($1)', [found?.pid]);
    await round;
    await superuser.query('COMMIT');
    expect(await keysLeft()).toHaveLength(10);
    await sweeper.sweep();
    expect(await keysLeft()).toEqual([]);
  });

  it('works in the background, and stops with its instance: it ends the batch in hand and begins none', async () => {
    await keep('over-', 5, 3600);
    await superuser.query('BEGIN; LOCK TABLE idempotency_record IN SHARE MODE');
    const { app } = await serve(service.database, { RETENTION_SWEEP_INTERVAL_MS: '1' });
    await eventually(
      () => superuser.query(`SELECT FROM pg_locks WHERE relation = 'idempotency_record'::regclass AND NOT granted`),
      ({ rowCount }) => rowCount === 1,
    );
    const closing = app.close();
    await superuser.query('COMMIT');
    await closing;
    await keep('later-', 1, 3600);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await keysLeft()).toEqual(['later-1']);
  });

  it('tells after each round what is over and still there, and since when', async () => {
    const none = { table: 'idempotency_record', count: 0, isEstimate: false, oldestMs: 0 };
    await keep('not-yet-', 2, -3600);
    expect(await leftBy(() => sweeper.sweep())).toEqual(none);
    await keep('over-', 5, 3600);
    await superuser.query(`BEGIN; SELECT FROM idempotency_record WHERE key IN ('over-2', 'over-4') FOR UPDATE`);
    const left = await leftBy(() => sweeper.sweep());
    expect(left).toEqual({ ...none, count: 2, oldestMs: expect.any(Number) });
    expect(left.oldestMs).toBeGreaterThan(3590_000);
    expect(left.oldestMs).toBeLessThan(4200_000);
    await superuser.query('COMMIT');
    expect(await leftBy(() => sweeper.sweep())).toEqual(none);
  });

  it('counts what is left up to a bound, and gives an estimate of more', async () => {
    const many = 3 * countedAtMost;
    await keep('over-', many, 3600);
    await superuser.query('ANALYZE idempotency_record; BEGIN; LOCK TABLE idempotency_record IN SHARE MODE');
    const left = await leftBy(() => sweeper.sweep());
    expect([left.isEstimate, left.oldestMs !== null]).toEqual([true, true]);
    expect(left.count).toBeGreaterThan(countedAtMost);
    expect(left.count).toBeLessThan(2 * many);
    // One who holds the table up altogether is not waited for: the statistics are read without it.
    await superuser.query('ROLLBACK');
  });

  it('goes on where it was, from batch to batch, after a failure and in the next round', async () => {
    const expiring = { table: 'idempotency_record', end: 'expires_at' };
    const tools = { db: service.app.get<Sql>(DATABASE), transactions: service.app.get(Transactions) };
    const asked: (number | null)[] = [];
    let failing = false;
    const table = new SweptTable(
      expiring,
      async (batch) => {
        asked.push(batch.from?.getTime() ?? null);
        if (failing) throw new Error('somehow');
        return tools.transactions.run({}, () => removeExpired(tools.db, expiring, batch));
      },
      tools,
    );
    const round = async (isWhole: boolean): Promise<void> => {
      table.beginRound(isWhole);
      while (await table.batch());
      await table.endRound();
    };
    await keep('over-', batchSize + 1, 3600);
    const ends = await service.database.query<{ end: Date }>(
      'SELECT expires_at AS "end" FROM idempotency_record ORDER BY expires_at',
    );
    const [firstBatch, last] = [batchSize - 1, batchSize].map((n) => ends[n]?.end.getTime());
    await round(false);
    expect(asked.splice(0)).toEqual([null, firstBatch]);
    failing = true;
    await round(false);
    failing = false;
    await round(false);
    expect(asked.splice(0)).toEqual([last, last]);
    // What is left behind is where the next round begins.
    await keep('earlier-', 2, 7200);
    await superuser.query(`BEGIN; SELECT FROM idempotency_record WHERE key = 'earlier-2' FOR UPDATE`);
    await round(true);
    await superuser.query('COMMIT');
    const [left] = await service.database.query<{ end: Date }>('SELECT expires_at AS "end" FROM idempotency_record');
    await round(false);
    expect(asked).toEqual([null, left?.end.getTime()]);
    expect(await keysLeft()).toEqual([]);
  });

  it('removes all that can be around rows that are refused', async () => {
    await keep('over-', 2 * batchSize, 3600);
    await superuser.query(
      `CREATE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
       CREATE TRIGGER refuse_removal BEFORE DELETE ON idempotency_record FOR EACH ROW WHEN (OLD.key IN ('over-1', 'over-2', 'over-700'))
       EXECUTE FUNCTION refuse_removal()`,
    );
    await sweeper.sweep();
    const left = await keysLeft();
    await superuser.query('DROP FUNCTION refuse_removal CASCADE');
    expect(left).toEqual(['over-1', 'over-2', 'over-700']);
    await sweeper.sweep();
    expect(await keysLeft()).toEqual([]);
  });

  it('makes no reader wait for its replica', async () => {
    await keep('over-', 5, 3600);
    const { headers } = await ada.api.get('/v1/users/me').expect(200);
    await sweeper.sweep();
    expect((await ada.api.get('/v1/users/me').expect(200)).headers['consistency-token']).toBe(
      headers['consistency-token'],
    );
  });
});

describe('sessions', () => {
  const counts = async () => {
    const [row] = await service.database.query(
      `SELECT (SELECT count(*)::int FROM session) AS sessions, (SELECT count(*)::int FROM refresh_token) AS tokens`,
    );
    return row;
  };

  it('are removed when they have expired or were ended, with all their tokens, however many', async () => {
    const person = await makers(service).user();
    const { refreshToken } = person;
    const before = await counts();
    const { sessions, tokens } = before as { sessions: number; tokens: number };
    // One that was refreshed more often than a batch has rows, and others.
    await service.database.query(
      `WITH made AS (
         INSERT INTO session (id, user_id, created_at, expires_at, ended_at, end_reason)
         SELECT gen_random_uuid(), (SELECT user_id FROM session LIMIT 1), now() - interval '2 days',
           now() + CASE n % 2 WHEN 0 THEN interval '-1 day' ELSE interval '1 day' END,
           CASE n % 2 WHEN 0 THEN NULL ELSE now() - interval '1 day' END, CASE n % 2 WHEN 0 THEN NULL ELSE 'logged_out'::session_ending END
         FROM generate_series(1, 10) n RETURNING id, ended_at)
       INSERT INTO refresh_token (hash, session_id, created_at, used_at)
       SELECT sha256((made.id::text || n)::bytea), made.id, now() - interval '1 hour', now() FROM made, generate_series(1, $1) n`,
      [batchSize + 1],
    );
    expect(await counts()).toEqual({ sessions: sessions + 10, tokens: tokens + 10 * (batchSize + 1) });
    const batches = await batchesOf(() => sweeper.sweep());
    expect(await counts()).toEqual(before);
    expect(Math.max(...batches.map(({ removed }) => removed))).toBeLessThanOrEqual(batchSize);
    await service.as().post('/v1/sessions/refresh', { refreshToken }).expect(201);
  });
});
