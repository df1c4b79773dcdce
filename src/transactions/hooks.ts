import { Logger } from '@nestjs/common';
import { MisuseError } from '../kernel/loggable-error.ts';
import { hookFailed, hooksRun } from './boundary/channels.ts';
import { type CommitHook, runHooks, type RollbackHook } from './boundary/hook-list.ts';
import { runningBoundary } from './current.ts';
import { AfterCommitError, AfterRollbackError } from './errors.ts';
import { unitOfWork } from './unit-of-work.ts';

/**
 * Registers a function that runs after the outermost boundary was committed: once, in the order of registration, outside any
 * transaction. It is dropped if the boundary, the savepoint in which it was registered, or this attempt is rolled back. It is awaited
 * for at most 10 s. If it fails, AfterCommitError is logged and published: the work stays stored, and the caller has its result.
 * Outside a boundary every statement commits separately, so the hook runs at once.
 */
export function afterCommit(hook: CommitHook): void {
  refuseOther(hook, 'afterCommit');
  const running = runningBoundary();
  if (running === null) void fire([hook], 'a statement outside any boundary');
  else running.hooks.afterCommit(hook);
}

/**
 * Registers a function that runs after the work of the running boundary was rolled back for good: after the last attempt, outside the
 * transaction, with the error. A hook of a savepoint that was rolled back runs when the transaction has ended, whether or not it
 * committed. It does not run if the outcome is unknown. Outside a boundary it is ignored, because nothing could be rolled back.
 */
export function afterRollback(hook: RollbackHook): void {
  refuseOther(hook, 'afterRollback');
  runningBoundary()?.hooks.afterRollback(hook);
}

// A promise would already be running, inside the boundary.
function refuseOther(hook: unknown, where: string): void {
  if (typeof hook !== 'function')
    throw new MisuseError(`${where} takes a function, which is called when the time has come.`);
}

const logger = new Logger('Transactions');

/** Runs hooks that are due, each once. A failure goes to the log and to subscribers of the channel, never to the caller. */
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
