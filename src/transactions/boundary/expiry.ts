import { TransactionExpiredError } from '../wire/errors.ts';
import { databaseFailure } from '../wire/postgres-errors.ts';

// query_canceled, idle_in_transaction_session_timeout, transaction_timeout (PostgreSQL 18, appendix A).
const expiries = new Set(['57014', '25P03', '25P04']);

/** Whether the error is what the end of a boundary's time looks like; P2028 is Prisma's own clock. */
export const isExpiry = (error: unknown): boolean =>
  error instanceof TransactionExpiredError ||
  expiries.has(databaseFailure(error)?.sqlState ?? '') ||
  (error as { code?: string } | null)?.code === 'P2028';

/** The error by its own name when the time is over, which is a moment of `performance.now()`; else as it is. */
export const expired = (error: unknown, { name, endsAt }: { name: string; endsAt: number }): unknown =>
  performance.now() >= endsAt - clockErrorMs && isExpiry(error) && !(error instanceof TransactionExpiredError)
    ? new TransactionExpiredError(`The time of ${name} is over.`, { cause: error })
    : error;

// The server counts whole milliseconds, from the moment when it reads the statement.
const clockErrorMs = 5;
