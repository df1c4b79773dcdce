import { AsyncLocalStorage } from 'node:async_hooks';
import type { WireTerms } from './wire-terms.ts';
import type { Connections } from './connection.ts';
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
  settings: () => '',
  endsAt: Infinity,
  hasOwnTime: false,
  lockTimeoutMs: null,
  asksPosition: false,
  measuresIdle: false,
  wire: null,
  underWay: 0,
  hasFailed: false,
});

/** A place in the nesting of transactions. */
export interface Context {
  readonly beginning: Beginning;
  readonly outer: Context | null;
}
const contexts = new AsyncLocalStorage<Context>();

/** Runs the work of this transaction. */
export const beginningWith = <T>(beginning: Beginning, work: () => Promise<T>): Promise<T> =>
  contexts.run({ beginning, outer: contextNow() }, work);

/** Where in the nesting of transactions this is; null outside all of them. */
export const contextNow = (): Context | null => contexts.getStore() ?? null;

/** The transactions around this place that keep a connection, the innermost first. */
export function transactionsAround(place = contextNow()): WireTransaction[] {
  const around: WireTransaction[] = [];
  for (let context = place; context !== null; context = context.outer) {
    const { wire } = context.beginning;
    if (wire?.isConnected) around.push(wire);
  }
  return around;
}

/** Those of them that keep one of this pool while another one is asked for. */
export const heldAround = (connections: Connections, place = contextNow()): WireTransaction[] =>
  transactionsAround(place).filter((wire) => wire.isFrom(connections));
