import pg from 'pg';
import type { Isolation } from './options.ts';

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

// READ COMMITTED is what the connection has.
const levels = {
  'read-committed': '',
  'repeatable-read': ' ISOLATION LEVEL REPEATABLE READ',
  serializable: ' ISOLATION LEVEL SERIALIZABLE',
} as const satisfies Record<Isolation, string>;

/**
 * The statements that open a transaction. No option is text in them: levels are constants, times are numbers, and a name, which is
 * printable ASCII by the time it comes here, is quoted. `transaction_timeout` came with PostgreSQL 17; before, the time between
 * statements is limited by itself.
 */
export function openingOf(terms: ServerTerms, serverVersion: number): string[] {
  const opening = [`BEGIN${levels[terms.isolation]}${terms.readOnly ? ' READ ONLY' : ''}`];
  // So that pg_stat_activity tells who holds a lock and who waits for it.
  const name = pg.escapeLiteral(`holdfast ${terms.name}`);
  // A transaction that has had a query cannot be told any more to write, or to be on another level, however that is spelt.
  opening.push(
    terms.readOnly ? `SELECT set_config('application_name', ${name}, true)` : `SET LOCAL application_name = ${name}`,
  );
  if (terms.hasOwnTime) {
    const left = Math.max(1, Math.ceil(terms.endsAt - performance.now())) + graceMs;
    const wall = serverVersion >= 170_000 ? 'transaction_timeout' : 'idle_in_transaction_session_timeout';
    opening.push(`SET LOCAL ${wall} = ${left}`);
  }
  return opening;
}
