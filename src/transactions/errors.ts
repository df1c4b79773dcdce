import { LoggableError } from '../kernel/loggable-error.ts';
import { NamedAnswerError } from './wire/errors.ts';
import { databaseFailure } from './wire/postgres-errors.ts';
import type { StatementFailure } from './wire/wire-state.ts';

/** The boundary cannot give what was asked of it: a write where it only reads, a stricter level, more time than is left. */
export class TransactionJoinError extends LoggableError {
  override readonly name = 'TransactionJoinError';
}

/** Options that there are not, or that contradict each other: what stops the start, at the call. Nothing was begun. */
export class TransactionOptionsError extends LoggableError {
  override readonly name = 'TransactionOptionsError';
  constructor(
    subject: string,
    /** Each says what is wrong and what to do. */
    readonly mistakes: readonly string[],
  ) {
    super(mistakes.map((mistake) => `${subject} ${mistake}`).join('\n'));
  }
}

/** `mandatory` or `lockRows` without a boundary, or `never` inside one. */
export class TransactionRequiredError extends LoggableError {
  override readonly name = 'TransactionRequiredError';
}

/** What came after a statement had failed in a boundary. */
export interface LaterCall {
  /** `order.create` */
  readonly what: string;
  /** What it was refused with. */
  readonly error: unknown;
  /** It was under way when the statement failed, and not called afterwards. */
  readonly wasUnderWay: boolean;
}

/**
 * A statement failed, its error was caught, and the work went on as if nothing had happened. Nothing is stored. `cause` is what was refused
 * afterwards, which tells no more than that something had failed; where nothing was, it is the failure itself.
 */
export class UnexpectedRollbackError extends LoggableError {
  override readonly name = 'UnexpectedRollbackError';
  /** Verb and table of the statement that failed. */
  readonly statement: string;
  /** What the statement failed with. */
  readonly firstError: unknown;
  /** What was refused had been called before the statement failed: nobody could have known. */
  readonly wasUnderWay: boolean;

  constructor(
    failure: StatementFailure,
    /** The boundary, also a joined one, that returned although the statement had failed. */
    readonly swallowedIn: string,
    /** Where the statement was called. */
    readonly calledAt: string | null,
    /** What was called although the statement had failed; null where the boundary has returned. */
    later: LaterCall | null = null,
  ) {
    super(
      `${failure.statement} failed${sqlStateOf(later, failure)}, and ${swallowedIn} ${goingOn(later)}. The transaction is broken since then: ` +
        `let the error pass, or put the attempt into a nested boundary.${calledAt === null ? '' : `\n${calledAt}`}`,
      { cause: later === null ? failure.error : later.error },
    );
    this.statement = failure.statement;
    this.firstError = failure.error;
    this.wasUnderWay = later?.wasUnderWay === true;
  }
}

// Where the failure is the cause, it says so itself.
function sqlStateOf(later: LaterCall | null, { error }: StatementFailure): string {
  const { sqlState } = (later === null ? null : databaseFailure(error)) ?? {};
  return sqlState === undefined ? '' : ` with ${sqlState}`;
}

function goingOn(later: LaterCall | null): string {
  if (later === null) return 'returned as if it had not';
  return later.wasUnderWay ? `had ${later.what} under way beside it` : `went on with ${later.what} as if it had not`;
}

/** Two nested boundaries at the same moment, or a statement beside a nested one: which of them a rollback would take is left to chance. */
export class ParallelNestingError extends LoggableError {
  override readonly name = 'ParallelNestingError';
  constructor(what: string, running: string) {
    super(`${what} was started while ${running} was running beside it. Await one before the other.`);
  }
}

/** Work that was started in a boundary and not awaited. What it had not done when the boundary ended is refused: it would be done outside. */
export class DetachedTransactionError extends LoggableError {
  override readonly name = 'DetachedTransactionError';
}

/** The connection was lost before COMMIT was sent. Nothing is stored; the same call may succeed now. */
export class ConnectionLostError extends LoggableError {
  override readonly name = 'ConnectionLostError';
  constructor(boundary: string, cause: unknown) {
    super(`The connection of ${boundary} was lost. Nothing is stored.`, { cause });
  }
}

/** The connection was lost while COMMIT was under way, and the database did not tell in time whether the work is stored. */
export class CommitOutcomeUnknownError extends LoggableError {
  override readonly name = 'CommitOutcomeUnknownError';
  constructor(boundary: string, cause: unknown) {
    super(`The connection was lost during the COMMIT of ${boundary}, and its outcome could not be asked for in time.`, {
      cause,
    });
  }
}

/** Somebody else keeps what a statement has to lock, a row or a table: at once with `wait: false` or NOWAIT, else after `lockTimeout`. */
export class LockUnavailableError extends NamedAnswerError {
  override readonly name: string = 'LockUnavailableError';
  constructor(
    /** The table, by its name in the database; null where the statement names none. */
    readonly table: string | null,
    cause: unknown,
  ) {
    super(`${table === null ? 'What the statement needs is' : `Rows of ${table} are`} locked by somebody else.`, {
      cause,
    });
  }
}

/** So many wait for a row, or for rows at all, that one more would take connections from others; it did not become better in time. */
export class RowBusyError extends LockUnavailableError {
  override readonly name = 'RowBusyError';
  constructor(
    table: string,
    /** Table and key of the row; null where it is any. */
    readonly row: string | null,
  ) {
    super(table, null);
  }
}

/** Boundaries that contradict themselves, or the place where they stand. All of them at once; the service does not start. */
export class BoundaryTableError extends LoggableError {
  override readonly name = 'BoundaryTableError';
  /** Each says what, where and what to do. */
  constructor(readonly contradictions: readonly string[]) {
    const count =
      contradictions.length === 1 ? 'One boundary contradicts' : `${contradictions.length} boundaries contradict`;
    super(`${count} what was said elsewhere:\n${contradictions.map((line) => `  ${line}`).join('\n')}`);
  }
}

/**
 * The boundary met a conflict at every attempt, had no time for another, or was to have one only. Nothing is stored; the same call may
 * succeed later. Of a boundary inside another one, whose outermost runs all of it again unless it is caught.
 */
export class TransactionConflictError extends NamedAnswerError {
  override readonly name = 'TransactionConflictError';
  constructor(
    boundary: string,
    /** How often the work was run. */
    readonly attempts: number,
    cause: unknown,
  ) {
    super(`${boundary} met a conflict${attempts === 1 ? '' : ` at each of ${attempts} attempts`}.`, { cause });
  }
}

/** A hook failed after the work was stored. It is logged and counted, and never thrown at the caller, whose work is stored. */
export class AfterCommitError extends LoggableError {
  override readonly name = 'AfterCommitError';
  readonly committed = true;
  constructor(boundary: string, cause: unknown) {
    super(`A hook after the commit of ${boundary} failed. The work is stored.`, { cause });
  }
}

/** A hook failed after the work was rolled back. Logged and counted, never thrown at the caller, who has the error of the work. */
export class AfterRollbackError extends LoggableError {
  override readonly name = 'AfterRollbackError';
  readonly committed = false;
  constructor(boundary: string, cause: unknown) {
    super(`A hook after the rollback of ${boundary} failed. Nothing is stored.`, { cause });
  }
}

/** What is started outside the database. `fetch` is also a WebSocket, `http` is also https, `socket` is also TLS. */
export type ExternalWorkKind = 'fetch' | 'http' | 'http2' | 'socket' | 'udp' | 'process' | 'worker';

/** A request, a socket, a process or a thread was started inside a boundary, which keeps its locks meanwhile. Nothing is stored. */
export class ExternalWorkInTransactionError extends LoggableError {
  override readonly name = 'ExternalWorkInTransactionError';
  constructor(
    readonly boundary: string,
    readonly kind: ExternalWorkKind,
    /** Whom it was for, without path, query and user: `example.com:8080`; null when that is not known. */
    readonly host: string | null,
    /** The frames of the call, without those of Node and of packages. */
    readonly startedAt: string,
  ) {
    super(
      `${kind}${host === null ? '' : ` to ${host}`} was started inside ${boundary}, which keeps its locks until it is over. ` +
        'Do it before or in afterCommit, or say why it must be in allowExternalWork.',
    );
    // Where it was found says nothing; where it was started does.
    this.stack = `${this.name}: ${this.message}\n${startedAt}`;
  }
}

/** A write and the frames of its call, without those of Node, of packages and of the core. */
export interface WritePlace {
  readonly what: string;
  readonly calledAt: string;
}

/**
 * A request, hook, job or command has stored one write by itself and was about to store another one: if that fails, the first one stays.
 * The second one was not sent.
 */
export class SeparateWritesError extends LoggableError {
  override readonly name = 'SeparateWritesError';
  constructor(
    /** The request, hook, job or command. */
    readonly unit: string,
    readonly first: WritePlace,
    readonly second: WritePlace,
  ) {
    super(
      `${second.what} was about to be stored by itself in ${unit}, which has stored ${first.what} already: if the second fails, the ` +
        'first stays. Draw one boundary around both, or say in allowSeparateWrites why they are separate.\n' +
        `first:\n${first.calledAt}\nsecond:\n${second.calledAt}`,
    );
  }
}
