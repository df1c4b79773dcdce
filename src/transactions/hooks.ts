import { Logger } from '@nestjs/common';
import { runningBoundary } from './current.ts';
import { AfterCommitError, AfterRollbackError } from './errors.ts';
import { hookFailed, hooksRun } from './events.ts';
import { type CommitHook, runHooks, type RollbackHook } from './hook-list.ts';
import { unitOfWork } from './unit-of-work.ts';

/**
 * Registers what is to be done once the work of the running boundary is stored: after the commit of the outermost one, once, in the
 * order of registration, outside any transaction. It is dropped when the boundary, the savepoint in which it was registered, or this
 * attempt is rolled back. It is awaited for at most 10 s. When it fails, AfterCommitError is logged and counted: the work is stored,
 * and its caller has the result. Outside any boundary every statement is stored by itself, so the hook runs at once.
 */
export function afterCommit(hook: CommitHook): void {
  const running = runningBoundary();
  if (running === null) void fire([hook], 'a statement outside any boundary');
  else running.hooks.afterCommit(hook);
}

/**
 * Registers what is to be done when the work of the running boundary was rolled back for good: after the last attempt, outside the
 * transaction, with the error. One of a savepoint that was rolled back runs when the transaction has ended, however that ended. It does
 * not run when the outcome is unknown. Outside any boundary it is ignored: nothing could be rolled back.
 */
export function afterRollback(hook: RollbackHook): void {
  runningBoundary()?.hooks.afterRollback(hook);
}

const logger = new Logger('Transactions');

/** Runs hooks whose time has come, each once. What fails is told to the log and to whoever listens, never to the caller. */
export async function fire(hooks: readonly CommitHook[], boundary: string, isStored = true): Promise<void> {
  const Failed = isStored ? AfterCommitError : AfterRollbackError;
  const begunAt = performance.now();
  const units = hooks.map((hook) => () => unitOfWork(`a hook of ${boundary}`, hook));
  await runHooks(units, (cause) => report(new Failed(boundary, cause), boundary));
  if (hooksRun.hasSubscribers)
    hooksRun.publish({ boundary, count: hooks.length, durationMs: performance.now() - begunAt });
}

function report(error: AfterCommitError | AfterRollbackError, boundary: string): void {
  logger.error({ err: error, boundary }, 'a hook of a boundary failed');
  if (hookFailed.hasSubscribers) hookFailed.publish({ boundary, error });
}
