import type { AnyOptions } from './boundary.ts';
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
  /** The last run of the work. */
  latest: RunningBoundary | null;
  attempts: number;
}

// The time that an outer one asked for is this one's as well.
export const hasOwnTime = (running: RunningBoundary | null, { timeout }: AnyOptions): boolean =>
  timeout !== undefined || running?.transaction.beginning.hasOwnTime === true;
