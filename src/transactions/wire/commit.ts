import type pg from 'pg';
import { TransactionRolledBackError } from './errors.ts';
import { leavesCommitOpen } from './failure-table.ts';
import { Flight, type Question } from './flight.ts';
import { databaseFailure } from './postgres-errors.ts';

const position: Question = {
  name: 'position_behind_commit',
  text: 'SELECT pg_current_wal_flush_lsn()::text AS answer',
};

/** COMMIT, and with it the question where the WAL stands behind it. */
export const commitFlight = (asksPosition: boolean, patienceMs: number): Flight =>
  new Flight([], { text: 'COMMIT', query_timeout: patienceMs } as pg.QueryConfig, asksPosition ? position : null);

/**
 * The position; null when it was not asked for, or the question has failed behind a COMMIT that had not.
 * Throws TransactionRolledBackError when COMMIT was answered ROLLBACK.
 */
export async function readCommit(flight: Flight, landing: Promise<unknown>): Promise<string | null> {
  await landing.catch((error: unknown) => {
    if (flight.command === null) throw error;
  });
  if (flight.command !== 'COMMIT') throw new TransactionRolledBackError();
  return flight.answer;
}

/** Whether the error leaves open what became of COMMIT. Without a SQLSTATE it was not answered. */
export const leavesOpen = (error: unknown): boolean =>
  !(error instanceof TransactionRolledBackError) && leavesCommitOpen(databaseFailure(error)?.sqlState ?? '08000');
