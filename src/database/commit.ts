import type pg from 'pg';
import { TransactionRolledBackError } from './errors.ts';
import { databaseFailure } from './failures.ts';

type Answer = pg.QueryResult;

const position = 'SELECT pg_current_wal_flush_lsn()::text AS answer';

/** COMMIT, and with it the question where the WAL stands behind it: one message, one flight. */
export const commitQuery = (asksPosition: boolean, patienceMs: number): pg.QueryConfig =>
  ({ text: asksPosition ? `COMMIT; ${position}` : 'COMMIT', query_timeout: patienceMs }) as pg.QueryConfig;

/** The position, null when it was not asked for. Throws TransactionRolledBackError when COMMIT was answered ROLLBACK. */
export function readCommit(answer: Answer | Answer[]): string | null {
  const [committed, asked] = [answer].flat();
  if (committed?.command !== 'COMMIT') throw new TransactionRolledBackError();
  return (asked?.rows as { answer: string }[] | undefined)?.[0]?.answer ?? null;
}

// Connection lost, resources, cancelled or shut down, system, internal: the question behind COMMIT may have met it, or COMMIT after it was
// stored. All others are COMMIT's own refusals (PostgreSQL 18, appendix A).
const ambiguous = /^(08|53|55|57|58|XX)/;

/** Whether the error leaves open what became of COMMIT. */
export const leavesOpen = (error: unknown): boolean =>
  !(error instanceof TransactionRolledBackError) && ambiguous.test(databaseFailure(error)?.sqlState ?? '08');
