import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionLostError, TransactionConflictError } from '../errors.ts';
import { PoolStarvedError } from '../wire/errors.ts';
import { attemptFailed } from './channels.ts';
import { conflictInside, isUnansweredConflict } from './named-errors.ts';

const firstPauseMs = 10;
const longestPauseMs = 250;

export interface RetryPolicy {
  /** What the boundary is called. */
  readonly name: string;
  /** How many times the work may run again. */
  readonly retries: number;
  /** It runs inside another boundary, which retries its conflicts. */
  readonly isInside: boolean;
  /** The deadline of the boundary, on the clock of `performance.now()`: no attempt begins after it. */
  readonly endsAt: number;
}

/**
 * Runs the attempt with its number, and repeats it while it fails with an error that stored nothing and may not recur.
 * Throws TransactionConflictError after a conflict if attempts or time are used up, also after a single attempt.
 */
export async function retrying<T>(policy: RetryPolicy, attempt: (number: number) => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt(attempts);
    } catch (error) {
      await sleep(pauseAfter(error, attempts, policy));
      publishRetry(policy.name, attempts, error);
    }
  }
}

function publishRetry(name: string, attempt: number, error: unknown): void {
  if (attemptFailed.hasSubscribers) attemptFailed.publish({ name, attempt, error });
}

/** Milliseconds until the next attempt. Throws if there is none. */
function pauseAfter(error: unknown, attempts: number, { name, retries, endsAt, isInside }: RetryPolicy): number {
  const metConflict = isUnansweredConflict(error);
  if (!(metConflict || mayPass(error))) throw error;
  const pause = pauseMs(attempts);
  if (attempts <= retries && performance.now() + pause < endsAt) return pause;
  if (!metConflict) throw error;
  throw isInside ? conflictInside(name, attempts, error) : new TransactionConflictError(name, attempts, error);
}

const mayPass = (error: unknown): boolean =>
  error instanceof ConnectionLostError || (error instanceof PoolStarvedError && error.isTransient);

// Full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015): two callers in conflict do not retry at the same moment again.
const pauseMs = (attempts: number): number => Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** attempts);
