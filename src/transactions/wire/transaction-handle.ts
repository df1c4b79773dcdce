import type { FinalPart } from './final-statement.ts';
import type { WireTransaction } from './transaction.ts';
import type { WireTerms } from './wire-terms.ts';

/** What a transaction is told before it begins, and the transaction once it has. */
export interface TransactionHandle extends WireTerms {
  /** The transaction, once it has begun. */
  wire: WireTransaction | null;
  /** What leaves with COMMIT. */
  readonly final: FinalPart[];
  /** Calls of the client, and nested boundaries, that have begun and not ended. */
  underWay: number;
  /** A call of the client has failed: Prisma may still be at work on other parts of it. */
  hasFailed: boolean;
}

/** Of whatever begins without a boundary: the writes of one Prisma call, which Prisma puts into a transaction of its own. */
export const defaultTerms = (): TransactionHandle => ({
  readOnly: false,
  opening: () => ['BEGIN'],
  first: null,
  endsAt: Infinity,
  hasOwnTime: false,
  lockTimeoutMs: null,
  asksPosition: false,
  wire: null,
  final: [],
  underWay: 0,
  hasFailed: false,
});
