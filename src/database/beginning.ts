import { AsyncLocalStorage } from 'node:async_hooks';
import type { Fault, Moment } from './faults.ts';
import type { Connections, WireTransaction } from './wire-transaction.ts';

/** What a transaction is told before it begins. */
export interface Beginning {
  /** It only reads: it has no id, no outcome to ask for, no position. */
  readonly readOnly: boolean;
  /** SQL that travels with BEGIN. Called when the first statement is sent. */
  readonly settings: () => string;
  /** When its time is over, as `performance.now()` counts. */
  readonly endsAt: number;
  /** It asked for this time, so that a statement may last longer than the connection is set to. */
  readonly hasOwnTime: boolean;
  /** How long a statement may wait for a lock, milliseconds; null for what the connection is set to. */
  readonly lockTimeoutMs: number | null;
  /** Ask for the position in the WAL behind COMMIT. */
  readonly asksPosition: boolean;
  /** For tests: a fault to plant at this moment. */
  readonly fault?: (moment: Moment, text: string) => Fault | null;
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
