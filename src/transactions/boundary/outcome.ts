import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { waitForStandby } from '../wire/durability.ts';
import type { Pool } from '../wire/pool.ts';
import { databaseFailure } from '../wire/postgres-errors.ts';

/** `stored` · `not stored` · `unknown`: the database did not answer in time. */
export type CommitOutcome = 'stored' | 'not stored' | 'unknown';

// Beyond the time of the boundary: however short that was, the question is asked a few times, and the server has had the time to end a
// session without a client. Nothing else of a boundary lasts longer than its time.
export const outcomeGraceMs = 500;
// After this time a connection that does not respond is replaced.
const longestAnswerMs = 1000;
const firstPauseMs = 5;
const longestPauseMs = 50;

/**
 * Asks the database on another connection what became of a transaction whose COMMIT was not answered, until it is known or `endsAt`
 * (`performance.now()`) and {@link outcomeGraceMs} have passed. What is said to be stored is as durable as after an answered COMMIT: where
 * the server waits for a synchronous standby, so does this. Source: PostgreSQL 18, 9.28.8, pg_xact_status.
 */
export async function askOutcome(pool: Pool, transactionId: string, endsAt: number): Promise<CommitOutcome> {
  const deadline = Math.max(endsAt, performance.now()) + outcomeGraceMs;
  for (let pause = firstPauseMs; performance.now() < deadline; pause = Math.min(2 * pause, longestPauseMs)) {
    const status = await within(deadline, answered(pool, transactionId));
    if (status === 'committed')
      return (await within(deadline, replicated(pool, deadline))) === 'replicated' ? 'stored' : 'unknown';
    if (status === 'aborted') return 'not stored';
    if (status === null) return 'unknown';
    await sleep(pause);
  }
  return 'unknown';
}

/** Null when the server cannot tell. `in progress` also stands for one that does not answer yet: it may be on its way back. */
async function answered(pool: Pool, transactionId: string): Promise<string | null> {
  const [id = '', start = ''] = transactionId.split('@');
  try {
    const { status, restarted } = await ask<Answer>(pool, statusQuestion, [id, start]);
    if (status !== 'committed' || !restarted) return status;
    return (await ask<Pick<Answer, 'status'>>(pool, idQuestion, [id])).status;
  } catch (error) {
    // An id that the server has not assigned yet: a crash lost it, with everything that was not on the disk.
    return databaseFailure(error)?.sqlState === '22023' ? 'aborted' : 'in progress';
  }
}

// One query for the whole remaining time: each abandoned query keeps a session waiting on the server.
async function replicated(pool: Pool, deadline: number): Promise<string> {
  while (performance.now() < deadline) {
    const query_timeout = Math.max(1, Math.ceil(deadline - performance.now()));
    const isThere = await pool.query({ text: `SELECT ${waitForStandby}`, query_timeout } as pg.QueryConfig).then(
      () => true,
      () => false,
    );
    if (isThere) return 'replicated';
    await sleep(longestPauseMs);
  }
  return 'in progress';
}

interface Answer {
  /** Null if the id is too old for the server to know it. */
  readonly status: string | null;
  readonly restarted: boolean;
}
// A standby may not know the outcome yet.
const statusQuestion = `
  SELECT CASE WHEN pg_is_in_recovery() THEN 'in progress' ELSE pg_xact_status($1::xid8) END AS status,
    extract(epoch FROM pg_postmaster_start_time()) <> $2::numeric AS restarted`;

/**
 * Whether an id still means the same transaction after a restart of the server: an id that it assigned since then was assigned a second time. Its recovery
 * ends with a checkpoint, which tells the next id, and is of the kind that lies where its redo begins; once another kind has followed,
 * ids before that one may be of either time (PostgreSQL 18, CreateCheckPoint in xlog.c).
 */
const idQuestion = `
  SELECT CASE WHEN timeline_id <> ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int THEN NULL
    WHEN $1::numeric >= split_part(next_xid, ':', 1)::numeric * 4294967296 + split_part(next_xid, ':', 2)::numeric THEN 'aborted'
    WHEN checkpoint_lsn = redo_lsn THEN 'committed' END AS status
  FROM pg_control_checkpoint()`;

async function ask<Row extends object>(pool: Pool, text: string, values: string[]): Promise<Row> {
  const { rows } = await pool.query<Row>({ text, values, query_timeout: longestAnswerMs } as pg.QueryConfig);
  return rows[0] as Row;
}

/** The answer, or `in progress` when it does not come in time. */
function within(deadline: number, answer: Promise<string | null>): Promise<string | null> {
  const over = new AbortController();
  const late = sleep(Math.max(0, deadline - performance.now()), 'in progress', { signal: over.signal }).catch(
    () => 'in progress',
  );
  return Promise.race([answer, late]).finally(() => over.abort());
}
