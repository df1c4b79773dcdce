import type { SeparateWrite } from '../unit-of-work.ts';
import type { TransactionHandle } from '../wire/transaction-handle.ts';
import type { Isolation } from './options.ts';

/** The terms of a boundary, fixed when it begins. */
export interface Terms {
  readonly name: string;
  readonly readOnly: boolean;
  readonly isolation: Isolation;
  /** When its time is over, as `performance.now()` counts. */
  readonly endsAt: number;
}

/** The state that all boundaries in one transaction share. */
export interface RunningTransaction {
  /** The application that it belongs to: another one in this process must not join it. */
  readonly owner: object;
  readonly beginning: TransactionHandle;
  /** Which run of the work this is, from 1. */
  readonly attempt: number;
  /** Where the statement that broke it was called. */
  calledAt: string | null;
  /** The error that its caller received; null before that. */
  told: unknown;
  /** The boundary that called it. */
  calledIn: string | null;
  /** The boundary that returned although a statement in it had failed. */
  swallowedIn: string | null;
  /** The error of external work that was found in it. */
  externalWork: Error | null;
  /** The separate write that it is, if its unit of work counts them. */
  readonly separate: SeparateWrite | null;
}
