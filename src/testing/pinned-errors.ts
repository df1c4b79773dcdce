import { DatabaseError } from '../transactions/wire/errors.ts';

// As Prisma's adapter tells a SQLSTATE. Without one an error passes for a broken connection, and the work is done again.
const withState = (originalCode: string) => ({ cause: { originalCode } });

/** On the one connection of a test boundaries run one after the other, and this one did not get its turn in time: lock_not_available. */
export class PinnedConnectionBusyError extends DatabaseError {
  override readonly name = 'PinnedConnectionBusyError';
  constructor(waitMs: number) {
    super(
      `For ${waitMs} ms the one connection of this test was kept by a boundary or a statement that did not end. Boundaries run one ` +
        `at a time here: those that wait for each other need a database of their own, without rollback.`,
      withState('55P03'),
    );
  }
}

/** Asked for when the test was over and its transaction rolled back, and not sent: no_active_sql_transaction. */
export class PinnedConnectionOverError extends DatabaseError {
  override readonly name = 'PinnedConnectionOverError';
  constructor() {
    super('The test is over and its transaction rolled back; the statement was not sent.', withState('25P01'));
  }
}

/** A statement ended the transaction that a test was to be rolled back with: what was written before is stored. */
export class PinnedTransactionLostError extends DatabaseError {
  override readonly name = 'PinnedTransactionLostError';
  constructor() {
    super('A statement has ended the transaction of the test. What it had written may be stored.');
  }
}
