import { setTimeout as sleep } from 'node:timers/promises';
import { PoolStarvedError } from '../database/errors.ts';
import { kindOf } from '../database/failures.ts';
import { ConnectionLostError, TransactionConflictError } from './errors.ts';
import { attemptFailed } from './events.ts';

const firstPauseMs = 10;
const longestPauseMs = 250;

export interface RetryPolicy {
  /** What the boundary is called. */
  readonly name: string;
  /** How often the work may be run again. */
  readonly retries: number;
  /** When the time of the boundary is over, as `performance.now()` counts: no attempt begins after that. */
  readonly endsAt: number;
}

/**
 * Runs the attempt, which is told its number, again as long as it fails in a way that has stored nothing and may not happen again.
 * Throws TransactionConflictError when it has met a conflict and attempts or time are used up.
 */
export async function retrying<T>(policy: RetryPolicy, attempt: (number: number) => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt(attempts);
    } catch (error) {
      await sleep(pauseAfter(error, attempts, policy));
      told(policy.name, attempts, error);
    }
  }
}

function told(name: string, attempt: number, error: unknown): void {
  if (attemptFailed.hasSubscribers) attemptFailed.publish({ name, attempt, error });
}

/** Milliseconds until the next attempt. Throws when there is to be none. */
function pauseAfter(error: unknown, attempts: number, { name, retries, endsAt }: RetryPolicy): number {
  const metConflict = isConflict(error);
  if (retries === 0 || !(metConflict || mayPass(error))) throw error;
  const pause = pauseMs(attempts);
  if (attempts <= retries && performance.now() + pause < endsAt) return pause;
  throw metConflict ? new TransactionConflictError(name, attempts, error) : error;
}

// By SQLSTATE, never by Prisma's code: the same conflict is P2034 from a model query, P2010 from a raw one, and has none at COMMIT.
export const isConflict = (error: unknown): boolean => kindOf(error) === 'conflict';

const mayPass = (error: unknown): boolean =>
  error instanceof ConnectionLostError || (error instanceof PoolStarvedError && error.isTransient);

// Full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015): racers that met once do not meet again in step.
const pauseMs = (attempts: number): number => Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** attempts);
