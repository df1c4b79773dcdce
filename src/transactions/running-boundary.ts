import type { Beginning } from '../database/beginning.ts';
import { DatabaseError } from '../database/errors.ts';
import type { Isolation } from './boundary.ts';
import {
  DetachedTransactionError,
  type ExternalWorkInTransactionError,
  ParallelNestingError,
  TransactionJoinError,
  UnexpectedRollbackError,
} from './errors.ts';
import { HookList } from './hook-list.ts';

/** What is settled when a boundary begins. */
export interface Terms {
  readonly name: string;
  readonly readOnly: boolean;
  readonly isolation: Isolation;
  /** When its time is over, as `performance.now()` counts. */
  readonly endsAt: number;
}

/** What all boundaries in one transaction share. */
export interface RunningTransaction {
  /** The application that it belongs to: another one in this process must not join it. */
  readonly owner: object;
  readonly beginning: Beginning;
  /** Which run of the work this is, from 1. */
  readonly attempt: number;
  /** Where the statement that broke it was called. */
  calledAt: string | null;
  /** The boundary that returned although a statement in it had failed. */
  swallowedIn: string | null;
  /** Outside work that was found in it. */
  externalWork: ExternalWorkInTransactionError | null;
}

/** What is going on between the beginning of the transaction or savepoint and its end. */
class Level {
  readonly hooks = new HookList();
  readonly underWay: string[] = [];
  nested: string | null = null;
  isOver = false;
}

/** A boundary that is running: what the asynchronous context of its work holds of it. */
export class RunningBoundary implements Terms {
  readonly name: string;
  readonly readOnly: boolean;
  readonly isolation: Isolation;
  readonly endsAt: number;

  private constructor(
    terms: Terms,
    readonly transaction: RunningTransaction,
    private readonly level: Level,
    readonly isNested: boolean,
  ) {
    this.name = terms.name;
    this.readOnly = terms.readOnly;
    this.isolation = terms.isolation;
    this.endsAt = terms.endsAt;
  }

  static begin(
    terms: Terms,
    transaction: Pick<RunningTransaction, 'owner' | 'beginning' | 'attempt'>,
  ): RunningBoundary {
    const fresh = { ...transaction, calledAt: null, swallowedIn: null, externalWork: null };
    return new RunningBoundary(terms, fresh, new Level(), false);
  }

  /** A savepoint in this boundary. Throws ParallelNestingError beside another one, or beside a statement. */
  nest(terms: Terms): RunningBoundary {
    const beside = this.level.nested ?? this.level.underWay[0];
    if (beside !== undefined) throw new ParallelNestingError(terms.name, beside);
    this.level.nested = terms.name;
    return new RunningBoundary(terms, this.transaction, new Level(), true);
  }

  /** The savepoint was released. */
  keep(nested: RunningBoundary): void {
    this.level.nested = null;
    this.hooks.keep(nested.hooks);
  }

  /** The savepoint was rolled back, and what had failed in it with it. */
  undo(nested: RunningBoundary, error: unknown): void {
    this.level.nested = null;
    this.hooks.undo(nested.hooks, error);
    this.transaction.calledAt = null;
    this.transaction.swallowedIn = null;
  }

  /** This boundary as one that joined it sees it, which may ask for less. */
  as(terms: Terms): RunningBoundary {
    return new RunningBoundary(terms, this.transaction, this.level, this.isNested);
  }

  get hooks(): HookList {
    return this.level.hooks;
  }

  get isOver(): boolean {
    return this.level.isOver;
  }

  /** Throws DetachedTransactionError when it is over: whoever still asks has outlived it. */
  refuseDetached(): void {
    if (this.isOver)
      throw new DetachedTransactionError(
        `${this.name} is over, and work that it did not wait for asks for the database. Await it inside, or start it after.`,
      );
  }

  /** Runs one statement of the work; `what` is `order.create`. */
  async statement<T>(what: string, writes: boolean, send: () => Promise<T>): Promise<T> {
    if (writes && this.readOnly)
      throw new TransactionJoinError(`${what} writes, and ${this.name} is a boundary that only reads.`);
    const { nested, underWay } = this.level;
    if (nested !== null) throw new ParallelNestingError(what, nested);
    underWay.push(what);
    try {
      return await send();
    } catch (error) {
      // Here those who wait for the statement are still on the stack.
      this.transaction.calledAt ??= framesOf(new Error());
      throw this.isOver ? this.detached(what, error) : (this.ownFailure ?? error);
    } finally {
      underWay.splice(underWay.lastIndexOf(what), 1);
    }
  }

  /** A boundary that joined this one has returned. When a statement had failed by then, that is where its error was lost. */
  joinedReturned(name: string): void {
    if (this.failure !== null) this.transaction.swallowedIn ??= name;
  }

  /** The work has returned. Throws what forbids to store it. */
  finish(): void {
    const { nested, underWay } = this.level;
    this.abandon();
    if (nested !== null || underWay.length > 0)
      throw new DetachedTransactionError(
        `${this.name} ended while ${nested ?? underWay.join(', ')} was under way. Await it inside.`,
      );
    const { swallowedIn, calledAt, externalWork } = this.transaction;
    if (this.failure !== null) throw new UnexpectedRollbackError(this.failure, swallowedIn ?? this.name, calledAt);
    if (externalWork !== null) throw externalWork;
  }

  /** The work has come to an end. */
  abandon(): void {
    this.level.isOver = true;
  }

  private get failure() {
    return this.transaction.beginning.wire?.failure ?? null;
  }

  // Prisma wraps what it is told; what we have told it ourselves has a name of its own.
  private get ownFailure(): unknown {
    const error = this.failure?.error;
    return error instanceof DatabaseError ? error : null;
  }

  private detached(what: string, cause: unknown): DetachedTransactionError {
    return new DetachedTransactionError(`${what} was under way when ${this.name} ended. Await it inside.`, { cause });
  }
}

// Our own frames and those of the packages say nothing to whoever looks for a mistake.
const framesOf = (error: Error): string =>
  (error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !/node:internal|node_modules|src\/transactions/.test(line))
    .join('\n');
