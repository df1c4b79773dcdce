/** A boundary was asked for that the running one cannot give: a write inside a read-only one, a stricter level, more time than is left. */
export class TransactionJoinError extends Error {
  override readonly name = 'TransactionJoinError';
}

/** `mandatory` or `lockRows` without a boundary, or `never` inside one. */
export class TransactionRequiredError extends Error {
  override readonly name = 'TransactionRequiredError';
}

/** The connection was lost while COMMIT was under way: the work is either stored or not, and it is not known which. */
export class CommitOutcomeUnknownError extends Error {
  override readonly name = 'CommitOutcomeUnknownError';
  constructor(boundary: string, cause: unknown) {
    super(`The connection was lost during the COMMIT of ${boundary}.`, { cause });
  }
}
