/** A boundary was asked for that the running one cannot give: a write inside a read-only one, a stricter level, more time than is left. */
export class TransactionJoinError extends Error {
  override readonly name = 'TransactionJoinError';
}

/** `mandatory` or `lockRows` without a boundary, or `never` inside one. */
export class TransactionRequiredError extends Error {
  override readonly name = 'TransactionRequiredError';
}

/** Work that was started in a boundary and not awaited asks for the database after its end. It is refused: it would write outside. */
export class DetachedTransactionError extends Error {
  override readonly name = 'DetachedTransactionError';
  constructor(boundary: string) {
    super(
      `${boundary} is over, and work that it did not wait for asks for the database. Await it inside, or start it after.`,
    );
  }
}

/** The connection was lost while COMMIT was under way: the work is either stored or not, and it is not known which. */
export class CommitOutcomeUnknownError extends Error {
  override readonly name = 'CommitOutcomeUnknownError';
  constructor(boundary: string, cause: unknown) {
    super(`The connection was lost during the COMMIT of ${boundary}.`, { cause });
  }
}

/** The boundary met a conflict at every attempt, or had no time for another. Nothing is stored; the same call may succeed later. */
export class TransactionConflictError extends Error {
  override readonly name = 'TransactionConflictError';
  constructor(
    boundary: string,
    /** How often the work was run. */
    readonly attempts: number,
    cause: unknown,
  ) {
    super(`${boundary} met a conflict at each of ${attempts} attempts.`, { cause });
  }
}
