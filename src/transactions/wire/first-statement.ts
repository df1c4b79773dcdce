import { DatabaseError } from './errors.ts';
import type { Flight } from './flight.ts';
import { missingIn, type OwnStatement, ownStatement } from './own-statement.ts';

/**
 * A statement that leaves with the first one of the work, in front of it, at no round trip of its own. Nobody reads what it gives: where the work
 * must not be done, it calls `refuse_missing()`, and the server carries out nothing of what stands behind it.
 */
export type FirstStatement = OwnStatement;

/** `firstStatement('claim_key')` followed by the text of the statement as a template. */
export const firstStatement = ownStatement;

/** The first statement has refused the work. Nothing is stored. */
export class FirstStatementRefusedError extends DatabaseError {
  override readonly name = 'FirstStatementRefusedError';
  constructor(cause: unknown) {
    super('The statement that leaves with the first one of the work has refused the work. Nothing is stored.', {
      cause,
    });
  }
}

/** What the flight has failed with: the error, or FirstStatementRefusedError where the first statement in it has refused the work. */
export const refusalIn = ({ ahead }: Flight, error: unknown): unknown =>
  ahead.some((one) => typeof one !== 'string') && missingIn(error) !== null
    ? new FirstStatementRefusedError(error)
    : error;
