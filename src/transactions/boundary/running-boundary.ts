import {
  DetachedTransactionError,
  type ExternalWorkInTransactionError,
  type LaterCall,
  ParallelNestingError,
  TransactionJoinError,
  UnexpectedRollbackError,
} from '../errors.ts';
import { DatabaseError, TransactionExpiredError } from '../wire/errors.ts';
import type { StatementFailure } from '../wire/wire-state.ts';
import type { CallSite } from './call-site.ts';
import { noteOrigin } from './error-origins.ts';
import type { HookList } from './hook-list.ts';
import { lockOrder } from './lock-order.ts';
import { firstOfCalls, isConflict, isConsequence, namedError, namedInside } from './named-errors.ts';
import type { RunningTransaction, Terms } from './running-transaction.ts';
import { SavepointScope } from './savepoint-scope.ts';

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

// The state of a boundary in which nothing has failed.
const unbroken = { calledAt: null, told: null, calledIn: null, swallowedIn: null };

/** A boundary that is running: what the context of its work holds. */
export class RunningBoundary implements Terms {
  readonly name: string;
  readonly readOnly: boolean;
  readonly isolation: Terms['isolation'];
  readonly endsAt: number;

  private constructor(
    terms: Terms,
    readonly transaction: RunningTransaction,
    private readonly level: SavepointScope,
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
    const fresh = { ...transaction, ...unbroken, externalWork: null };
    return new RunningBoundary(terms, fresh, new SavepointScope(null, transaction.beginning.final), false);
  }

  /**
   * A savepoint in this boundary. Throws ParallelNestingError beside another one, or beside a statement, and UnexpectedRollbackError
   * if a statement has failed before: a rollback to this savepoint would not repair the transaction.
   */
  nest(terms: Terms): RunningBoundary {
    this.refuseBroken();
    const beside = this.level.nested ?? this.level.underWay[0];
    if (beside !== undefined) throw new ParallelNestingError(terms.name, beside);
    this.level.nested = terms.name;
    return new RunningBoundary(terms, this.transaction, new SavepointScope(this.level), true);
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
    Object.assign(this.transaction, unbroken);
  }

  /** This boundary as one that joined it sees it, which may ask for less. */
  as(terms: Terms): RunningBoundary {
    return new RunningBoundary(terms, this.transaction, this.level, this.isNested);
  }

  /** A read-only boundary inside a transaction that may write. */
  get onlyReadsByJoining(): boolean {
    return this.readOnly && !this.transaction.beginning.readOnly;
  }

  get hooks(): HookList {
    return this.level.hooks;
  }

  get isOver(): boolean {
    return this.level.isOver;
  }

  /** Throws DetachedTransactionError if the boundary has ended: the caller has outlived it. */
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
    const wasBroken = this.failure !== null;
    try {
      return await send();
    } catch (error) {
      this.transaction.beginning.hasFailed = true;
      const calledAt = site.framesWith(new Error());
      this.noteFailure(what, { error, changedRows, calledAt });
      const { attempt } = this.transaction;
      const told = this.isOver ? this.detached(what, error) : this.told({ what, error, wasUnderWay: !wasBroken });
      throw noteOrigin(told, { boundary: this.name, attempt, call: what, calledAt });
    } finally {
      underWay.splice(underWay.lastIndexOf(what), 1);
      this.transaction.beginning.underWay--;
    }
  }

  /** Runs work that takes part in this one, under a name of its own: what it fails with has the class that it would have alone. */
  async named<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw namedInside(error, { name, attempt: this.transaction.attempt, state: this.wire?.state });
    }
  }

  /** The error that the caller of a failed call receives. */
  private told(call: LaterCall): unknown {
    const { failure } = this;
    const before = { wasBroken: !call.wasUnderWay, state: this.wire?.state };
    if (failure !== null && isConsequence(failure, call.error, before)) return this.brokenBefore(failure, call);
    const told = this.ownFailure ?? namedError(call.error, failure?.statement ?? '', this);
    if (failure !== null) this.transaction.told ??= told;
    return told;
  }

  private brokenBefore(failure: StatementFailure, later: LaterCall): Error {
    const first = namedError(failure.error, failure.statement, this);
    if (first instanceof TransactionExpiredError) return first;
    const { swallowedIn, calledIn, calledAt } = this.transaction;
    return new UnexpectedRollbackError(failure, swallowedIn ?? calledIn ?? this.name, calledAt, later);
  }

  /** What the work has failed with; of errors of its own calls that it has gathered, the first one, which the others follow from. */
  reasonIn(error: unknown): unknown {
    if (this.failure === null) return error;
    const first = firstOfCalls(error);
    // Called before anything failed, so no error was swallowed.
    const isBeside = first instanceof UnexpectedRollbackError && first.wasUnderWay;
    return isBeside ? (this.transaction.told ?? this.failure.error) : first;
  }

  /** Outside work was found; where a statement had failed before, that is told. */
  foundExternalWork(error: ExternalWorkInTransactionError): void {
    const { failure } = this;
    const later = { what: `${error.kind} outside the database`, error, wasUnderWay: false };
    this.transaction.externalWork ??= failure === null ? error : this.brokenBefore(failure, later);
  }

  private noteFailure(what: string, { error, changedRows, calledAt }: Failed): void {
    // Prisma refused it halfway: a part of a nested write is done, and would not be rolled back.
    if (this.wire !== null && this.wire.changedRows > changedRows) this.wire.failure ??= { statement: what, error };
    if (this.failure === null) return;
    this.transaction.calledAt ??= calledAt;
    this.transaction.calledIn ??= this.name;
  }

  /** A boundary that joined this one has returned. When a statement had failed by then, that is where its error was lost. */
  joinedReturned(name: string): void {
    if (this.failure !== null) this.transaction.swallowedIn ??= name;
  }

  /** Called when the work has returned. Throws the error that forbids the commit. */
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

  /** The error that forbids the commit, whatever the work does. */
  get refusal(): Error | null {
    const { externalWork, separate } = this.transaction;
    // An earlier conflict leads to another attempt instead.
    const isAnswered = externalWork instanceof UnexpectedRollbackError && this.conflict !== null;
    return (isAnswered ? null : externalWork) ?? separate?.refusal ?? null;
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
