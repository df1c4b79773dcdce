/** A statement that failed; the transaction is broken since then. */
export interface StatementFailure {
  /** Verb and table, never its text: `INSERT product`. */
  readonly statement: string;
  readonly error: unknown;
}

/**
 * `unsent` nothing has been sent · `open` · `committing` COMMIT was sent · `committed` · `rolled-back` ·
 * `lost` the connection broke before COMMIT was sent: nothing is stored · `in-doubt` it broke while COMMIT was under way.
 */
export type WireState = 'unsent' | 'open' | 'committing' | 'committed' | 'rolled-back' | 'lost' | 'in-doubt';
