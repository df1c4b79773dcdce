import { AsyncLocalStorage } from 'node:async_hooks';
import type { WireTerms } from './wire-terms.ts';
import type { Connections, WireTransaction } from './wire-transaction.ts';

/** What a transaction is told before it begins, and the transaction once it has. */
export interface Beginning extends WireTerms {
  /** The transaction, once it has begun. */
  wire: WireTransaction | null;
}

interface Context {
  readonly beginning: Beginning;
  readonly outer: Context | undefined;
}
const contexts = new AsyncLocalStorage<Context>();

/** Runs the work; the first transaction that it begins is the one described. */
export const beginningWith = <T>(beginning: Beginning, work: () => Promise<T>): Promise<T> =>
  contexts.run({ beginning, outer: contexts.getStore() }, work);

/** The description that is waiting for its transaction in this context. */
export function nextBeginning(): Beginning | null {
  const beginning = contexts.getStore()?.beginning;
  return beginning?.wire === null ? beginning : null;
}

/** The transactions around this context that keep a connection of this pool while another one is asked for. */
export function heldAround(connections: Connections): WireTransaction[] {
  const held: WireTransaction[] = [];
  for (let context = contexts.getStore(); context !== undefined; context = context.outer) {
    const { wire } = context.beginning;
    if (wire?.isConnected && wire.isFrom(connections)) held.push(wire);
  }
  return held;
}
