import { AsyncLocalStorage } from 'node:async_hooks';

/** A transaction, as far as whoever asks for a connection must know it. */
export interface OuterTransaction {
  /** Whether it keeps a connection, or is about to. */
  readonly isConnected: boolean;
  isFrom(connections: object): boolean;
}

/** A place in the nesting of transactions. */
export interface Context {
  readonly beginning: { readonly wire: OuterTransaction | null };
  readonly outer: Context | null;
}
const contexts = new AsyncLocalStorage<Context>();

/** Runs the work of this transaction. */
export const enter = <T>(beginning: Context['beginning'], work: () => Promise<T>): Promise<T> =>
  contexts.run({ beginning, outer: contextNow() }, work);

/** Where in the nesting of transactions this is; null outside all of them. */
export const contextNow = (): Context | null => contexts.getStore() ?? null;

/** The transactions around this place that keep a connection, the innermost first. */
export function transactionsAround(place = contextNow()): OuterTransaction[] {
  const around: OuterTransaction[] = [];
  for (let context = place; context !== null; context = context.outer) {
    const { wire } = context.beginning;
    if (wire?.isConnected) around.push(wire);
  }
  return around;
}

/** Those of them that keep a connection of this pool while another one is asked for. */
export const connectionsHeldOutside = (connections: object, place = contextNow()): OuterTransaction[] =>
  transactionsAround(place).filter((wire) => wire.isFrom(connections));
