import { Prisma } from '../../database/generated/client.ts';

/** A statement that a boundary sends for what takes part in it, beside those of its work. */
export interface OwnStatement {
  /** By which it is prepared on each connection. */
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

/** The statement of this name whose text is given as a template. */
export const ownStatement =
  (name: string) =>
  (strings: TemplateStringsArray, ...given: readonly unknown[]): OwnStatement => {
    const { text, values } = Prisma.sql(strings, ...given);
    return { name, text, values };
  };

/** The places that `refuse_missing()` was called with; null where the error says something else. */
export function missingIn(error: unknown): number[] | null {
  const { constraint, detail = '' } = (error ?? {}) as { constraint?: string; detail?: string };
  return constraint === 'final_statement' ? detail.split(',').map(Number) : null;
}
