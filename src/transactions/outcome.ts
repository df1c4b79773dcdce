import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '../database/pool.ts';

/** `stored` · `not stored` · `unknown`: nobody could tell in time. */
export type CommitOutcome = 'stored' | 'not stored' | 'unknown';

// However short the boundary's time was, the question is asked a few times.
const leastPatienceMs = 500;
const firstPauseMs = 5;
const longestPauseMs = 200;

/**
 * Asks the database on another connection what became of a transaction whose COMMIT was not answered, until it is known or `endsAt`
 * (`performance.now()`) has passed. Source: PostgreSQL 18, 9.28.8, pg_xact_status.
 */
export async function askOutcome(pool: Pool, transactionId: string, endsAt: number): Promise<CommitOutcome> {
  const deadline = Math.max(endsAt, performance.now() + leastPatienceMs);
  for (let pause = firstPauseMs; performance.now() < deadline; pause = Math.min(2 * pause, longestPauseMs)) {
    const status = await ask(pool, transactionId);
    if (status === 'committed') return 'stored';
    if (status === 'aborted') return 'not stored';
    // Too old to be known: the server has forgotten it.
    if (status === null) return 'unknown';
    await sleep(pause);
  }
  return 'unknown';
}

// `in progress` also stands for a server that does not answer yet: it may be on its way back.
async function ask(pool: Pool, transactionId: string): Promise<string | null> {
  try {
    const question = 'SELECT pg_xact_status($1::xid8) AS status';
    const { rows } = await pool.query<{ status: string | null }>(question, [transactionId]);
    return rows[0]?.status ?? null;
  } catch {
    return 'in progress';
  }
}
