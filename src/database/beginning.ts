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

interface Context {
  readonly beginning: Beginning;
  readonly outer: Context | undefined;
}
const contexts = new AsyncLocalStorage<Context>();

/** Runs the work of this transaction. */
export const beginningWith = <T>(beginning: Beginning, work: () => Promise<T>): Promise<T> =>
  contexts.run({ beginning, outer: contexts.getStore() }, work);

/** The transactions around this context that keep a connection, the innermost first. */
export function transactionsAround(): WireTransaction[] {
  const around: WireTransaction[] = [];
  for (let context = contexts.getStore(); context !== undefined; context = context.outer) {
    const { wire } = context.beginning;
    if (wire?.isConnected) around.push(wire);
  }
  return around;
}

/** Those of them that keep one of this pool while another one is asked for. */
export const heldAround = (connections: Connections): WireTransaction[] =>
  transactionsAround().filter((wire) => wire.isFrom(connections));
