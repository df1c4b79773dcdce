import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectError, WrongServerError } from '../transactions/wire/errors.ts';
import { databaseFailure } from '../transactions/wire/postgres-errors.ts';
import { SchemaVersionError } from './schema-version.ts';
import { StatementNamesError } from './statement-names.ts';

const firstPauseMs = 100;
const longestPauseMs = 2000;

/** What the wait for a database is bounded by, and whom it tells. */
export interface Waiting {
  /** How long it is asked again, milliseconds; 0 asks once. */
  readonly waitMs: number;
  /** Given up when it aborts: the service is stopped before it has started. */
  readonly signal: AbortSignal;
  /** Told once, why it has to wait. */
  readonly report: (line: string) => void;
}

/**
 * Asks the database until it answers: one that is starting, restarting or moving answers soon. What cannot come right by itself (a password,
 * the name of the database, its certificate, its migrations, a pooler) ends the wait at once. Throws SchemaVersionError and StatementNamesError,
 * each a sentence for a person.
 */
export async function meetDatabase(ask: () => Promise<void>, { waitMs, signal, report }: Waiting): Promise<void> {
  const deadline = performance.now() + waitMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const error = await ask().then(
      () => null,
      (thrown: unknown) => (thrown instanceof ConnectError ? thrown.cause : thrown),
    );
    if (error === null) return;
    const left = deadline - performance.now();
    if (!comesRight(error) || left <= 0 || signal.aborted) throw cannotBeUsed(error, waitMs);
    if (pauseMs === firstPauseMs) report(`waiting for the database: ${reasonOf(error)}`);
    await sleep(Math.min(pauseMs, left), undefined, { signal }).catch(() => undefined);
  }
}

const passing = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  // A name that its network gives out when the server behind it is there.
  'ENOTFOUND',
  'EAI_AGAIN',
]);
const passingTexts =
  /Connection terminated|connection timeout|timeout exceeded when trying to connect|timeout expired|Query read timeout|not queryable|socket hang up|before secure TLS connection/;
// Starting up, shutting down, crash; too many connections; the connection itself.
const passingStates = /^(57P0[1-5]|53300|08)/;

const isSentence = (error: unknown): error is SchemaVersionError | StatementNamesError =>
  error instanceof SchemaVersionError || error instanceof StatementNamesError;

function comesRight(error: unknown): boolean {
  if (isSentence(error)) return false;
  // A primary that is being promoted is a standby for some moments.
  if (error instanceof WrongServerError) return true;
  const failure = databaseFailure(error);
  if (failure !== null) return passingStates.test(failure.sqlState);
  const { code = '', message = '' } = error as { code?: string; message?: string };
  return passing.has(code) || passingTexts.test(message) || isWaitForPlace(error);
}

const isWaitForPlace = (error: unknown): boolean => (error as Error).name === 'PoolTimeoutError';

function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return message || code || String(error);
}

function cannotBeUsed(error: unknown, waitMs: number): Error {
  if (isSentence(error)) return error;
  const waited = comesRight(error) && waitMs > 0 ? `, not after ${Math.round(waitMs / 1000)} s either` : '';
  return new SchemaVersionError(
    `The database cannot be used: ${reasonOf(error)}${waited}. See that it runs, and that DATABASE_WRITE_URL leads to it.`,
    { cause: error },
  );
}
