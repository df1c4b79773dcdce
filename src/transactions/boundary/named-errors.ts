import { isLoggable } from '../../kernel/loggable-error.ts';
import {
  ConnectionLostError,
  LockUnavailableError,
  TransactionConflictError,
  UnexpectedRollbackError,
} from '../errors.ts';
import { databaseFailure, isBreak, kindOf } from '../wire/postgres-errors.ts';
import type { StatementFailure, WireState } from '../wire/wire-state.ts';
import { originOf } from './error-origins.ts';
import { expired } from './expiry.ts';

// PostgreSQL 18, appendix A: what NOWAIT and lock_timeout end with, also at COMMIT in a deferred trigger.
const lockNotAvailable = '55P03';
// in_failed_sql_transaction, no_active_sql_transaction: what is said of the transaction, and not of the statement.
const followed = /^25P0[12]$/;

/** By SQLSTATE, never by Prisma's code: the same conflict is P2034 from a model query, P2010 from a raw one, and has none at COMMIT. */
export const isConflict = (error: unknown): boolean => kindOf(error) === 'conflict';

// Conflicts of boundaries inside others, which the outermost one may still answer with another attempt.
const unanswered = new WeakSet<Error>();

/** A conflict of this boundary, inside another one. */
export function conflictInside(boundary: string, attempts: number, cause: unknown): TransactionConflictError {
  const conflict = new TransactionConflictError(boundary, attempts, cause);
  unanswered.add(conflict);
  return conflict;
}

/** Whether another attempt may answer it: a conflict, or that of a boundary inside, also as one of several errors. */
export const isUnansweredConflict = (error: unknown): boolean =>
  gathered(error).some(isUnansweredConflict) ||
  isConflict(error) ||
  (error instanceof TransactionConflictError && unanswered.has(error));

// By its members: one that Node itself has made may be of another class of the same name.
function gathered(error: unknown): readonly unknown[] {
  const { name, errors } = (error ?? {}) as { name?: unknown; errors?: unknown };
  return name === 'AggregateError' && Array.isArray(errors) ? errors : [];
}

/** A row or a table was not free in time. */
export const isLockRefusal = (error: unknown): boolean => databaseFailure(error)?.sqlState === lockNotAvailable;

/** The error of a statement, or of COMMIT, by the name that its meaning has in every boundary; else as it is. */
export function namedError(error: unknown, statement: string, terms: { name: string; endsAt: number }): unknown {
  if (isLoggable(error) || !isLockRefusal(error)) return expired(error, terms);
  return new LockUnavailableError(/ (.*)/.exec(statement)?.[1] ?? null, error);
}

/** The error with which a boundary inside another one ends, by the name that it would have were it the outermost one. */
export function namedInside(
  error: unknown,
  { name, attempt, state }: { name: string; attempt: number; state: WireState | undefined },
): unknown {
  if (isConflict(error)) return conflictInside(name, attempt, error);
  return state === 'lost' && kindOf(error) !== null && isBreak(error) ? new ConnectionLostError(name, error) : error;
}

/** What the error of a boundary inside has been given its name for; any other error as it is. */
export const reasonOf = (error: unknown): unknown =>
  (error instanceof TransactionConflictError && unanswered.has(error)) ||
  error instanceof ConnectionLostError ||
  error instanceof LockUnavailableError
    ? (error.cause ?? error)
    : error;

/** Whether a statement was refused only because the transaction had failed, or ended, before. `wasBroken`: when it was called. */
export function isConsequence(
  failure: StatementFailure,
  error: unknown,
  { wasBroken, state }: { wasBroken: boolean; state: WireState | undefined },
): boolean {
  if (wasBroken && state !== undefined && state !== 'unsent' && state !== 'open') return true;
  return isOfTransaction(error) && !isOfTransaction(failure.error);
}

const isOfTransaction = (error: unknown): boolean => followed.test(databaseFailure(error)?.sqlState ?? '');

/** Of an AggregateError that holds nothing but errors of calls of the client the first one; any other error as it is. */
export function firstOfCalls(error: unknown): unknown {
  const errors = gathered(error);
  if (errors.length === 0 || !errors.every((one) => originOf(one).call !== undefined)) return error;
  return errors.find((one) => !(one instanceof UnexpectedRollbackError)) ?? errors[0];
}
