import type { WireTerms } from './wire-terms.ts';
import type { WireTransaction } from './wire-transaction.ts';

/** What a transaction is told before it begins, and the transaction once it has. */
export interface Beginning extends WireTerms {
  /** The transaction, once it has begun. */
  wire: WireTransaction | null;
  /** Calls of the client, and nested boundaries, that have begun and not ended. */
  underWay: number;
  /** A call of the client has failed: Prisma may still be at work on other parts of it. */
  hasFailed: boolean;
}

/** Of whatever begins without a boundary: the writes of one Prisma call, which Prisma puts into a transaction of its own. */
export const unnamed = (): Beginning => ({
  readOnly: false,
  opening: () => ['BEGIN'],
  endsAt: Infinity,
  hasOwnTime: false,
  lockTimeoutMs: null,
  asksPosition: false,
  measuresIdle: false,
  wire: null,
  underWay: 0,
  hasFailed: false,
});
