import { type AnyOptions, milliseconds } from './boundary.ts';
import type { Patience, RowPlaces } from './crowding.ts';
import { nameOf } from './propagation.ts';
import type { RetryPolicy } from './retry.ts';
import type { RunningBoundary, Terms } from './running-boundary.ts';
import type { SeparateWrite } from './unit-of-work.ts';

/** A boundary that is about to begin a transaction. */
export interface Beginner {
  readonly terms: Terms;
  readonly options: AnyOptions;
  readonly hasOwnTime: boolean;
  readonly work: () => Promise<unknown>;
  /** What it stores by itself, where somebody minds. */
  readonly separate: SeparateWrite | null;
  readonly places: RowPlaces;
  /** The last run of the work. */
  latest: RunningBoundary | null;
  attempts: number;
}

// The time that an outer one asked for is this one's as well.
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

/** How it waits where many want the same. */
export const patienceOf = ({ retries, ...terms }: RetryPolicy & Terms, { lockTimeout }: AnyOptions): Patience => ({
  ...terms,
  lockWaitMs: lockTimeout === undefined ? null : milliseconds(lockTimeout),
  givesWay: retries > 0,
});
