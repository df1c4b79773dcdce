import { LoggableError } from '../../kernel/loggable-error.ts';

/** What this room itself has to say, as opposed to PostgreSQL. */
export abstract class DatabaseError extends LoggableError {}

/** What PostgreSQL has said, by the name that its meaning has here: `cause` is how it said it. */
export abstract class NamedAnswerError extends LoggableError {}

/** COMMIT was answered ROLLBACK: a statement had failed before, its error was swallowed, and nothing is stored. */
export class TransactionRolledBackError extends DatabaseError {
  override readonly name = 'TransactionRolledBackError';
  constructor() {
    super('PostgreSQL answered ROLLBACK to COMMIT: a statement of the transaction had failed. Nothing is stored.');
  }
}

/** The time of a boundary ran out while it was at work. Nothing is stored. */
export class TransactionExpiredError extends DatabaseError {
  override readonly name = 'TransactionExpiredError';
}

/** A statement reached a transaction that had ended. It was not sent. */
export class TransactionEndedError extends DatabaseError {
  override readonly name = 'TransactionEndedError';
  constructor() {
    super('The transaction has ended; the statement was not sent.');
  }
}

/** A raw statement that is not the work's to send: COMMIT and its like are the boundary's, and the session belongs to all who use it. */
export class TransactionControlError extends DatabaseError {
  override readonly name = 'TransactionControlError';
  constructor() {
    super(
      'A raw statement must not begin, end or divide a transaction, or change its level or access: boundaries do. Nor may it change the ' +
        'session: use SET LOCAL.',
    );
  }
}

/** No connection became free within `DATABASE_POOL_WAIT_MS`. Nothing was sent. */
export class PoolTimeoutError extends DatabaseError {
  override readonly name = 'PoolTimeoutError';
  constructor(waitMs: number) {
    super(`No connection became free within ${waitMs} ms.`);
  }
}

/** So many commands wait in a lane that one more would wait in vain. Nothing was begun. */
export class LaneFullError extends DatabaseError {
  override readonly name = 'LaneFullError';
  constructor(lane: string) {
    super(`Too many commands wait in the lane ${lane}.`);
  }
}

/**
 * A boundary that holds a connection asked for another one (`requires-new`, or plain statements while it is set aside), and every
 * connection of the pool is held by boundaries that wait for another one. Refused, as otherwise all of them would wait for ever.
 */
export class PoolStarvedError extends DatabaseError {
  override readonly name = 'PoolStarvedError';
  constructor(
    size: number,
    /** Whether it may work once others have given their connections back. */
    readonly isTransient: boolean,
  ) {
    super(
      isTransient
        ? `All ${size} connections are held by boundaries that wait for another one.`
        : `The boundary and those it runs in hold all ${size} connections, and ask for one more.`,
    );
  }
}

/** A statement came when the pool was being closed. It was not sent. */
export class PoolEndedError extends DatabaseError {
  override readonly name = 'PoolEndedError';
  constructor() {
    super('The service is stopping: its connections to the database are being closed.');
  }
}

/** No connection to the database could be made: whatever the reason, nothing was sent. `cause` is the reason. */
export class ConnectError extends DatabaseError {
  override readonly name = 'ConnectError';
  constructor(cause: unknown) {
    super(`No connection could be made: ${sayOf(cause)}`, { cause });
  }
}

/** The server that a connection leads to is not the one that it should: a standby in place of the primary, or none in place of a standby. */
export class WrongServerError extends DatabaseError {
  override readonly name = 'WrongServerError';
}

/**
 * A statement was refused for what its session is, not for what it says: it was prepared before its tables changed, or the session leads to
 * a standby. It was not done. Its connection is thrown away with all that were made before; on a fresh one the same may succeed.
 */
export class StaleSessionError extends DatabaseError {
  override readonly name = 'StaleSessionError';
  constructor(cause: unknown) {
    super('The session could not serve the statement, which was not done.', { cause });
  }
}

function sayOf(cause: unknown): string {
  const { message, code } = (cause ?? {}) as { message?: string; code?: string };
  // An AggregateError of Node, of a name with several addresses, has a code and no message.
  return message || code || 'unknown';
}
