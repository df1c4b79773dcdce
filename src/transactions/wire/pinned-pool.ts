import type pg from 'pg';
import type { TransactionHandle } from './transaction-handle.ts';
import type { WireTransaction } from './transaction.ts';

/** How pg.Pool borrows a connection for one statement. */
export type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: unknown) => void,
) => void;

/** The one connection of a test, to which everything goes that is asked of a pool. The test kit (src/testing) implements it. */
export interface PinnedPool {
  lend(taken: ConnectCallback): void;
  transaction(handle: TransactionHandle): WireTransaction;
}
