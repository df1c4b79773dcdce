import { setTimeout as sleep } from 'node:timers/promises';
import { databaseFailure } from '../database/failures.ts';
import { TransactionConflictError } from './errors.ts';

// serialization_failure and deadlock_detected (PostgreSQL 18, appendix A): nothing is stored, and the same work may succeed now.
const conflicts = new Set(['40001', '40P01']);
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

/** Runs the attempt again as long as it meets a conflict. Throws TransactionConflictError when attempts or time are used up. */
export async function retrying<T>(policy: RetryPolicy, attempt: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt();
    } catch (error) {
      await sleep(pauseAfter(error, attempts, policy));
    }
  }
}

/** Milliseconds until the next attempt. Throws when there is to be none. */
function pauseAfter(error: unknown, attempts: number, { name, retries, endsAt }: RetryPolicy): number {
  if (!isConflict(error) || retries === 0) throw error;
  const pause = pauseMs(attempts);
  if (attempts > retries || performance.now() + pause >= endsAt)
    throw new TransactionConflictError(name, attempts, error);
  return pause;
}

// By SQLSTATE, never by Prisma's code: the same conflict is P2034 from a model query, P2010 from a raw one, and has none at COMMIT.
const isConflict = (error: unknown): boolean => conflicts.has(databaseFailure(error)?.sqlState ?? '');

// Full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015): racers that met once do not meet again in step.
const pauseMs = (attempts: number): number => Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** attempts);
