import type { Beginning } from '../database/beginning.ts';
import { DatabaseError } from '../database/errors.ts';
import type { Isolation } from './boundary.ts';
import type { CallSite } from './call-site.ts';
import {
  DetachedTransactionError,
  type ExternalWorkInTransactionError,
  ParallelNestingError,
  type SeparateWritesError,
  TransactionJoinError,
  UnexpectedRollbackError,
} from './errors.ts';
import { noteOrigin } from './error-origins.ts';
import { HookList } from './hook-list.ts';
import { lockOrder } from './lock-order.ts';
import { isConflict } from './retry.ts';
import type { SeparateWrite } from './unit-of-work.ts';

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
  /** What it stores by itself, where somebody minds. */
  readonly separate: SeparateWrite | null;
}

/** What is going on between the beginning of the transaction or savepoint and its end. */
class Level {
  readonly hooks = new HookList();
  readonly underWay: string[] = [];
  nested: string | null = null;
  private hasEnded = false;

  constructor(private readonly outer: Level | null) {}

  get isOver(): boolean {
    return this.hasEnded || (this.outer?.isOver ?? false);
  }

  end(): void {
    this.hasEnded = true;
  }
}

/** A statement of the work, as its caller names it. */
interface Statement {
  /** `order.create` */
  readonly what: string;
  readonly writes: boolean;
  readonly site: CallSite;
}

interface Failed {
  readonly error: unknown;
  /** How many rows the transaction had changed before. */
  readonly changedRows: number;
  readonly calledAt: string;
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
    transaction: Pick<RunningTransaction, 'owner' | 'beginning' | 'attempt' | 'separate'>,
  ): RunningBoundary {
    const fresh = { ...transaction, calledAt: null, swallowedIn: null, externalWork: null };
    return new RunningBoundary(terms, fresh, new Level(null), false);
  }

  /**
   * A savepoint in this boundary. Throws ParallelNestingError beside another one, or beside a statement, and UnexpectedRollbackError
   * when a statement had failed before: going back to it would not mend that.
   */
  nest(terms: Terms): RunningBoundary {
    this.refuseBroken();
    const beside = this.level.nested ?? this.level.underWay[0];
    if (beside !== undefined) throw new ParallelNestingError(terms.name, beside);
    this.level.nested = terms.name;
    return new RunningBoundary(terms, this.transaction, new Level(this.level), true);
  }

  /** The savepoint was released. */
  keep(nested: RunningBoundary): void {
    this.level.nested = null;
    this.hooks.keep(nested.hooks);
    lockOrder()?.kept(nested, this);
  }

  /** The savepoint was rolled back, and what had failed in it with it. */
  undo(nested: RunningBoundary, error: unknown): void {
    this.level.nested = null;
    this.hooks.undo(nested.hooks, error);
    lockOrder()?.undone(nested);
    this.transaction.calledAt = null;
    this.transaction.swallowedIn = null;
  }

  /** This boundary as one that joined it sees it, which may ask for less. */
  as(terms: Terms): RunningBoundary {
    return new RunningBoundary(terms, this.transaction, this.level, this.isNested);
  }

  /** It only reads, inside a transaction that may write. */
  get onlyReadsByJoining(): boolean {
    return this.readOnly && !this.transaction.beginning.readOnly;
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
  async statement<T>({ what, writes, site }: Statement, send: () => Promise<T>): Promise<T> {
    if (writes && this.readOnly)
      throw new TransactionJoinError(`${what} writes, and ${this.name} is a boundary that only reads.`);
    const { nested, underWay } = this.level;
    if (nested !== null) throw new ParallelNestingError(what, nested);
    underWay.push(what);
    this.transaction.beginning.underWay++;
    const changedRows = this.wire?.changedRows ?? 0;
    try {
      return await send();
    } catch (error) {
      this.transaction.beginning.hasFailed = true;
      const calledAt = site.framesWith(new Error());
      this.noteFailure(what, { error, changedRows, calledAt });
      const { attempt } = this.transaction;
      const told = this.isOver ? this.detached(what, error) : (this.ownFailure ?? error);
      throw noteOrigin(told, { boundary: this.name, attempt, call: what, calledAt });
    } finally {
      underWay.splice(underWay.lastIndexOf(what), 1);
      this.transaction.beginning.underWay--;
    }
  }

  private noteFailure(what: string, { error, changedRows, calledAt }: Failed): void {
    // Prisma itself has refused it, halfway: a part of a nested write is done, and nobody would take it back.
    if (this.wire !== null && this.wire.changedRows > changedRows) this.wire.failure ??= { statement: what, error };
    if (this.failure !== null) this.transaction.calledAt ??= calledAt;
  }

  /** A boundary that joined this one has returned. When a statement had failed by then, that is where its error was lost. */
  joinedReturned(name: string): void {
    if (this.failure !== null) this.transaction.swallowedIn ??= name;
  }

  /** The work has returned. Throws what forbids to store it. */
  finish(): void {
    const { nested, underWay } = this.level;
    this.abandon();
    this.refuseBroken();
    if (nested !== null || underWay.length > 0)
      throw new DetachedTransactionError(
        `${this.name} ended while ${nested ?? underWay.join(', ')} was under way. Await it inside.`,
      );
    if (this.refusal !== null) throw this.refusal;
  }

  /** The work has come to an end. */
  abandon(): void {
    this.level.end();
  }

  private refuseBroken(): void {
    const { swallowedIn, calledAt } = this.transaction;
    if (this.failure !== null) throw new UnexpectedRollbackError(this.failure, swallowedIn ?? this.name, calledAt);
  }

  /** Why it must not be stored, whatever its work makes of that; null when it may. */
  get refusal(): ExternalWorkInTransactionError | SeparateWritesError | null {
    const { externalWork, separate } = this.transaction;
    return externalWork ?? separate?.refusal ?? null;
  }

  /** The conflict that has broken it; null when it was something else, or nothing. */
  get conflict(): unknown {
    const error = this.failure?.error;
    return isConflict(error) ? error : null;
  }

  private get wire() {
    return this.transaction.beginning.wire;
  }

  private get failure() {
    return this.wire?.failure ?? null;
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
