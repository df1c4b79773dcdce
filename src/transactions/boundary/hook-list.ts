import { setTimeout as sleep } from 'node:timers/promises';
import { LoggableError } from '../../kernel/loggable-error.ts';
import type { FinalGroup, FinalPart, FinalStatement } from '../wire/final-statement.ts';

export type CommitHook = () => unknown;
export type RollbackHook = (error: unknown) => unknown;

/** A hook is awaited, so it must not be able to hold its caller for ever. Milliseconds. */
export const hookLimitMs = 10_000;

/** A hook was not done in time. It may still be at work. */
class HookTimeoutError extends LoggableError {
  override readonly name = 'HookTimeoutError';
  constructor() {
    super(`It was not done after ${hookLimitMs} ms and is no longer waited for.`);
  }
}

/** What is to be done at the end of a transaction, of it or of a savepoint in it until that is released. */
export class HookList {
  private readonly committed: CommitHook[] = [];
  private readonly rolledBack: RollbackHook[] = [];
  // Of savepoints that were rolled back; they wait for the end, so that they run outside the transaction.
  private readonly undone: CommitHook[] = [];

  constructor(private readonly final: FinalPart[] = []) {}

  sendWithCommit(statement: FinalStatement): void {
    this.final.push(statement);
  }

  /** Whether it is the first of its group here. */
  gatherForCommit<T>(group: FinalGroup<T>, item: T): boolean {
    const isFirst = !this.final.some((part) => 'group' in part && part.group === (group as FinalGroup<never>));
    this.final.push({ group: group, item });
    return isFirst;
  }

  afterCommit(hook: CommitHook): void {
    this.committed.push(hook);
  }

  afterRollback(hook: RollbackHook): void {
    this.rolledBack.push(hook);
  }

  /** Takes over those of a savepoint that was released: they share the fate of these now. */
  keep(inner: HookList): void {
    this.final.push(...inner.final);
    this.committed.push(...inner.committed);
    this.rolledBack.push(...inner.rolledBack);
    this.undone.push(...inner.undone);
  }

  /** Takes over what is left of those of a savepoint that was rolled back. */
  undo(inner: HookList, error: unknown): void {
    this.undone.push(...inner.undone, ...inner.rolledBack.map((hook) => () => hook(error)));
  }

  /** What is to be run, in this order, now that the work is stored. */
  ofCommit(): readonly CommitHook[] {
    return [...this.undone, ...this.committed];
  }

  /** What is to be run, in this order, now that the work is rolled back. */
  ofRollback(error: unknown): readonly CommitHook[] {
    return [...this.undone, ...this.rolledBack.map((hook) => () => hook(error))];
  }
}

/** Runs the hooks one after the other. One that fails or does not end is reported, and the next one runs. */
export async function runHooks(hooks: readonly CommitHook[], report: (error: unknown) => void): Promise<void> {
  for (const hook of hooks) await runHook(hook).catch(report);
}

async function runHook(hook: CommitHook): Promise<void> {
  const done = new AbortController();
  try {
    await Promise.race([hook(), expiry(done.signal)]);
  } finally {
    done.abort();
  }
}

async function expiry(signal: AbortSignal): Promise<void> {
  const isOver = await sleep(hookLimitMs, true, { ref: false, signal }).catch(() => false);
  if (isOver) throw new HookTimeoutError();
}
