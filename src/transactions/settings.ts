import pg from 'pg';
import type { Isolation } from './boundary.ts';

/** What the server is told about a transaction. Times in milliseconds. */
export interface ServerTerms {
  readonly name: string;
  readonly isolation: Isolation;
  readonly readOnly: boolean;
  /** When its time is over, as `performance.now()` counts. */
  readonly endsAt: number;
  /** It asked for this time: the server is to end the session of one that goes beyond it. */
  readonly hasOwnTime: boolean;
}

// A statement that is cancelled leaves a connection that can be used, so that comes first; these end the session.
const graceMs = 50;

/**
 * What is sent with BEGIN, in the same message. Nothing in it comes from outside: names and levels stand in the code, times are numbers.
 * `transaction_timeout` came with PostgreSQL 17; before, the time between statements is limited by itself.
 */
export function settingsOf(terms: ServerTerms, serverVersion: number): string {
  const settings: string[] = [];
  if (terms.isolation !== 'read-committed')
    settings.push(`SET TRANSACTION ISOLATION LEVEL ${terms.isolation.replace('-', ' ')}`);
  if (terms.readOnly) settings.push('SET TRANSACTION READ ONLY');
  // So that pg_stat_activity tells who holds a lock and who waits for it.
  settings.push(`SET LOCAL application_name = ${pg.escapeLiteral(`holdfast ${terms.name}`)}`);
  if (terms.hasOwnTime) {
    const left = Math.max(1, Math.ceil(terms.endsAt - performance.now())) + graceMs;
    const wall = serverVersion >= 170_000 ? 'transaction_timeout' : 'idle_in_transaction_session_timeout';
    settings.push(`SET LOCAL ${wall} = ${left}`);
  }
  return settings.join('; ');
}
