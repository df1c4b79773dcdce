import type { TransactionParticipant } from '../participant.ts';
import type { SeparateWrite } from '../unit-of-work.ts';
import type { Patience, RowPlaces } from './crowding.ts';
import { type AnyOptions, milliseconds } from './options.ts';
import { nameOf } from './propagation.ts';
import type { RetryPolicy } from './retry.ts';
import type { RunningBoundary } from './running-boundary.ts';
import type { Terms } from './running-transaction.ts';

/** A boundary that is about to begin a transaction. */
export interface BoundaryCall {
  readonly terms: Terms;
  readonly options: AnyOptions;
  readonly hasOwnTime: boolean;
  readonly work: () => Promise<unknown>;
  readonly participant: TransactionParticipant | null;
  /** The separate write that it is, if its unit of work counts them. */
  readonly separate: SeparateWrite | null;
  readonly places: RowPlaces;
  /** The last run of the work. */
  latest: RunningBoundary | null;
  attempts: number;
}

/** How long a statement may wait for a lock, milliseconds; null where that is not said. */
export const lockTimeoutOf = ({ lockTimeout }: AnyOptions): number | null =>
  lockTimeout === undefined ? null : milliseconds(lockTimeout);

// A timeout that an outer boundary set holds for this one as well.
export const hasOwnTime = (running: RunningBoundary | null, { timeout }: AnyOptions): boolean =>
  timeout !== undefined || running?.transaction.beginning.hasOwnTime === true;

/** What a boundary that begins now is on; `latest` is when it ends unless it says otherwise. */
export function termsOf(running: RunningBoundary | null, options: AnyOptions, latest: number): Terms {
  const { timeout } = options;
  const end = timeout === undefined ? latest : performance.now() + milliseconds(timeout);
  return {
    name: nameOf(options),
    readOnly: options.readOnly ?? false,
    isolation: options.isolation ?? 'read-committed',
    endsAt: Math.min(end, running?.endsAt ?? Infinity),
  };
}

/** How it waits for rows that many boundaries want. */
export const patienceOf = ({ retries, ...terms }: RetryPolicy & Terms, options: AnyOptions): Patience => ({
  ...terms,
  lockWaitMs: lockTimeoutOf(options),
  givesWay: retries > 0,
});
