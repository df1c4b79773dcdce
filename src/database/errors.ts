import { LoggableError } from '../kernel/loggable-error.ts';

/** What this room itself has to say, as opposed to PostgreSQL. */
export abstract class DatabaseError extends LoggableError {}

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
      'A raw statement must not begin, end or divide a transaction: boundaries do. Nor may it change the session: use SET LOCAL.',
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
