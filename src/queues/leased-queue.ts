import type { FinalStatement } from '../transactions/participant.ts';

/** What somebody has taken on: nobody else does before the lease is over. */
export interface Leased {
  /** How often it was taken on. */
  readonly attempts: number;
  /** By what it is known who holds it. */
  readonly lease: string;
  /** How long it had been due when it was taken on, milliseconds. */
  readonly waitedMs: number;
  /** When it was taken on, as `performance.now()` counts. */
  readonly takenAt: number;
}

/** How an attempt has failed. */
export interface Failure {
  /** By what name. */
  readonly error: string;
  /** When it is tried again, from now; null: not again. */
  readonly againInMs: number | null;
}

/** Rows that each are to be done once, held by leases while they are. */
export interface LeasedQueue<Item extends Leased> {
  /** Takes on at most so many that are due. */
  take(most: number, leaseMs: number): Promise<Item[]>;
  /** What leaves with the COMMIT of their work, and notes that they are done. Missing is the place 0 where one is not held by its lease any more. */
  done(items: readonly Item[]): FinalStatement;
  fail(item: Item, failure: Failure): Promise<unknown>;
  /** Lets others take it on at once. */
  release(item: Item): Promise<void>;
}
