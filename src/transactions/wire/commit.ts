import type pg from 'pg';
import type { Carrier } from './connection.ts';
import { TransactionRolledBackError } from './errors.ts';
import { leavesCommitOpen } from './failure-table.ts';
import { Flight, type Question } from './flight.ts';
import type { Moment } from './planned-fault.ts';
import { databaseFailure } from './postgres-errors.ts';
import type { WireTerms } from './wire-terms.ts';

const position: Question = {
  name: 'position_behind_commit',
  text: 'SELECT pg_current_wal_flush_lsn()::text AS answer',
};

// COMMIT, and with it the question where the WAL stands behind it.
const commitFlight = (asksPosition: boolean, patienceMs: number): Flight =>
  new Flight([], { text: 'COMMIT', query_timeout: patienceMs } as pg.QueryConfig, asksPosition ? position : null);

/**
 * Sends COMMIT and gives the position behind it; null when it was not asked for, or the question has failed behind a COMMIT that had not.
 * Throws TransactionRolledBackError when COMMIT was answered ROLLBACK.
 */
export async function sendCommit(
  client: Carrier,
  { asksPosition, fault }: WireTerms,
  { hasWritten, patienceMs }: { readonly hasWritten: boolean; readonly patienceMs: number },
): Promise<string | null> {
  const planted = (moment: Moment): Promise<pg.QueryResult> | undefined =>
    fault?.(moment, 'COMMIT')?.happen(moment, client);
  const flight = commitFlight(asksPosition && hasWritten, patienceMs);
  const position = await readCommit(flight, planted('commit') ?? client.fly(flight));
  await planted('answer');
  return position;
}

async function readCommit(flight: Flight, landing: Promise<unknown>): Promise<string | null> {
  await landing.catch((error: unknown) => {
    if (flight.command === null) throw error;
  });
  if (flight.command !== 'COMMIT') throw new TransactionRolledBackError();
  return flight.answer;
}

/** Whether the error leaves open what became of COMMIT. Without a SQLSTATE it was not answered. */
export const leavesOpen = (error: unknown): boolean =>
  !(error instanceof TransactionRolledBackError) && leavesCommitOpen(databaseFailure(error)?.sqlState ?? '08000');
