/**
 * An error of ours whose message is made of names and numbers of the program alone, never of a value of a row, a body or a header: it is
 * logged wherever the service runs. What comes from outside belongs into the cause.
 */
export abstract class LoggableError extends Error {}

/** What the rest of the program relies on is not so: a mistake of ours, or of whoever changed the rows by hand. */
export class InvariantError extends LoggableError {
  override readonly name = 'InvariantError';
}

/** A call that the program must not make. Its message names what was called and what to write instead, as that of a {@link LoggableError}. */
export class MisuseError extends TypeError {
  override readonly name = 'MisuseError';
}

/** Whether the message may be logged wherever the service runs. */
export const isLoggable = (error: unknown): error is Error =>
  error instanceof LoggableError || error instanceof MisuseError;
