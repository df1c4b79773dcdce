import { ClsServiceManager } from 'nestjs-cls';
import type { RunningBoundary } from './boundary/running-boundary.ts';
import type { Terms } from './boundary/running-transaction.ts';

/** Under this key the context holds its boundary; null where one is set aside. */
export const RUNNING = Symbol('running boundary');

/** Under this key the context holds the boundary that is set aside in it. */
export const SET_ASIDE = Symbol('boundary set aside');

/** The boundary of this context, whichever application it belongs to, also when it is over; null outside. */
export function boundaryOfContext(): RunningBoundary | null {
  const cls = ClsServiceManager.getClsService();
  return cls.isActive() ? (cls.get<RunningBoundary | null | undefined>(RUNNING) ?? null) : null;
}

/** The boundary whose transaction is open around this context, also where it is set aside; null when there is none. */
export function openBoundary(): RunningBoundary | null {
  const cls = ClsServiceManager.getClsService();
  if (!cls.isActive()) return null;
  const boundary =
    cls.get<RunningBoundary | null | undefined>(RUNNING) ?? cls.get<RunningBoundary | null | undefined>(SET_ASIDE);
  return boundary === undefined || boundary === null || boundary.isOver ? null : boundary;
}

/** The boundary of this context; null outside. Throws DetachedTransactionError in work that has outlived its boundary. */
export function runningBoundary(): RunningBoundary | null {
  const running = boundaryOfContext();
  running?.refuseDetached();
  return running;
}

/** What the running boundary says of itself. */
export interface CurrentTransaction extends Terms {
  /** Which run of the work this is, from 1. */
  readonly attempt: number;
  /** Whether it is a savepoint in another one. */
  readonly isNested: boolean;
  /** Milliseconds until its time is over. */
  readonly timeLeftMs: number;
}

/** The boundary in which this is called; null outside. Throws DetachedTransactionError in work that has outlived its boundary. */
export function currentTransaction(): CurrentTransaction | null {
  const running = runningBoundary();
  if (running === null) return null;
  const { name, readOnly, isolation, endsAt, isNested, transaction } = running;
  const timeLeftMs = Math.max(0, endsAt - performance.now());
  return { name, readOnly, isolation, endsAt, isNested, attempt: transaction.attempt, timeLeftMs };
}
