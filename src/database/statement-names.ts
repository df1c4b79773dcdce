import type pg from 'pg';
import { LoggableError } from '../kernel/loggable-error.ts';

/** What stands between us and the server hands out sessions without the statements that were prepared in them. A sentence for a person. */
export class StatementNamesError extends LoggableError {
  override readonly name = 'StatementNamesError';
}

// A name that somebody else has taken, or that nobody knows.
const lost = new Set(['42P05', '26000']);
// A pooler that gives out its sessions in turn gives another one each time.
const times = 4;

/**
 * Throws {@link StatementNamesError} where statements that are prepared by name would collide or be gone, as behind a pooler that lends a
 * session for a transaction: a start would succeed, and most requests at once fail. Rejects with what else the way to the database says.
 */
export async function demandStatementNames(open: () => pg.Client): Promise<void> {
  const [one, other] = [open(), open()];
  for (const client of [one, other]) client.on('error', () => undefined);
  try {
    await Promise.all([one.connect(), other.connect()]);
    await ask(one, 'holdfast_start');
    // Keeps the session that the first one had, if it is lent: the name is taken there, and unknown in the one that is lent next.
    await other.query('BEGIN');
    await ask(other, 'holdfast_start');
    for (let n = 0; n < times; n++) await ask(one, 'holdfast_start');
    await other.query('ROLLBACK');
    // Where two sessions are given out in turn, both know that name by now: this one is known in none but the first.
    for (let n = 0; n < times; n++) await ask(one, 'holdfast_start_again');
  } catch (error) {
    const { code: state = '' } = error as { code?: string };
    throw lost.has(state) ? new StatementNamesError(sentence(state), { cause: error }) : error;
  } finally {
    await other.query('ROLLBACK').catch(() => undefined);
    await Promise.all([one, other].map((client) => client.end().catch(() => undefined)));
  }
}

// Parsed at the first call of a client, and only named by it after that.
const ask = (client: pg.Client, name: string): Promise<unknown> => client.query({ name, text: 'SELECT 1' });

const sentence = (state: string): string =>
  `The database cannot be used: a pooler before it lends sessions without their prepared statements (SQLSTATE ${state}). ` +
  'Set DATABASE_STATEMENT_NAMES=off, or have the pooler keep them (PgBouncer 1.21 or later with max_prepared_statements), or lend a session for as long as the connection lasts.';
