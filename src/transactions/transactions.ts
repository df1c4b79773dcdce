import { Inject, Injectable } from '@nestjs/common';
import { Propagation as HostPropagation, TransactionHost } from '@nestjs-cls/transactional';
import { ClsService } from 'nestjs-cls';
import { type Config, DatabaseConfig } from '../config/config.ts';
import type { Beginning } from '../database/beginning.ts';
import { Databases } from '../database/databases.ts';
import { TransactionExpiredError } from '../database/errors.ts';
import type { Fault, Moment } from '../database/faults.ts';
import type { Adapter, BeginOptions } from './adapter.ts';
import { type AnyOptions, type ClientOf, milliseconds, type TransactionOptions } from './boundary.ts';
import { type Call, changesRows, routingClient } from './client.ts';
import { type Beginner, hasOwnTime, patienceOf, termsOf } from './beginner.ts';
import { boundaryOfContext, openBoundary, RUNNING, SET_ASIDE } from './current.ts';
import { Crowding } from './crowding.ts';
import { CommitOutcomeUnknownError } from './errors.ts';
import { noteOrigin } from './error-origins.ts';
import { boundaryEnded, type Outcome } from './events.ts';
import { expired } from './expiry.ts';
import { finishing } from './finishing.ts';
import { fire } from './hooks.ts';
import { enlisted, inTurn, participantOf, participating, type TransactionParticipant } from './participant.ts';
import { nameOf, planBoundary, termsIn } from './propagation.ts';
import { ReadRouter } from './read-router.ts';
import { type RetryPolicy, retrying } from './retry.ts';
import { RunningBoundary, type Terms } from './running-boundary.ts';
import { SeparateWrites } from './separate-writes.ts';
import { openingOf } from './settings.ts';
import { undoing } from './unit-of-work.ts';

export const defaultRetries = 5;

/** For tests: which fault a boundary meets in its n-th attempt. */
export type FaultPlan = (boundary: string, attempt: number, moment: Moment, statement: string) => Fault | null;

/** Draws boundaries where the decorator does not fit, and knows the one that is running. */
@Injectable()
export class Transactions {
  /** What repositories and `run` are given: inside a boundary its transaction, outside reads are routed and all else goes to the primary. */
  readonly client = routingClient({
    running: () => this.running(),
    transaction: () => this.host.tx,
    fields: (model) => this.databases.write.prisma[model as 'user'].fields,
    plain: (call, again) => this.plain(call, again),
  });
  @Inject(SeparateWrites)
  private readonly separateWrites!: SeparateWrites;
  @Inject(Crowding)
  private readonly crowding!: Crowding;
  /** Set by the test kit only. */
  faults: FaultPlan | null = null;

  constructor(
    private readonly host: TransactionHost<Adapter>,
    private readonly cls: ClsService,
    private readonly databases: Databases,
    private readonly reads: ReadRouter,
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
  ) {}

  /**
   * Runs the work in a boundary: all of it is stored, or, when it throws, nothing. The work is given the client of the boundary.
   * Throws whatever the work throws, and the errors of docs/transactions.md.
   */
  async run<T, ReadOnly extends boolean = false>(
    options: TransactionOptions & { readonly readOnly?: ReadOnly },
    work: (db: ClientOf<ReadOnly>) => Promise<T>,
  ): Promise<T> {
    const running = this.running();
    const begun = async (): Promise<T> => work(this.client);
    switch (planBoundary(running, options)) {
      case 'join':
        return this.join(running as RunningBoundary, options, begun);
      case 'nest':
        return this.nest(running as RunningBoundary, options, begun);
      case 'suspend':
        return this.outside(begun);
      case 'begin':
        return this.begin(running, options, begun);
    }
  }

  /**
   * The running boundary; null outside. That of another application in this process is not ours to join.
   * Throws DetachedTransactionError in work that has outlived its boundary: it would write outside it.
   */
  running(): RunningBoundary | null {
    const running = boundaryOfContext();
    if (running?.transaction.owner !== this) return null;
    running.refuseDetached();
    return running;
  }

  /** Runs the work; the participant takes part in its boundaries, see {@link TransactionParticipant}. Null ends that for this work. */
  with<T>(participant: TransactionParticipant | null, work: () => Promise<T>): Promise<T> {
    return enlisted(this, participant, work);
  }

  // A write that stands alone is a boundary of its own where somebody takes part: what is recorded is stored with it or not at all.
  private async plain(call: Call, again: () => Promise<unknown>): Promise<unknown> {
    const writes = changesRows(call);
    if (writes && participantOf(this) !== null) return this.run({ name: call.name }, again);
    const separate = writes ? this.separateWrites.open() : null;
    separate?.begin(`${call.name}, outside any boundary,`, call.site);
    return undoing(separate, () => this.reads.plain(call));
  }

  private async join<T>(running: RunningBoundary, options: AnyOptions, work: () => Promise<T>): Promise<T> {
    const asksLess = options.timeout !== undefined || options.lockTimeout !== undefined || options.readOnly === true;
    const value = asksLess ? await this.inside(running.as(termsIn(running, options)), options, work) : await work();
    running.joinedReturned(nameOf(options));
    return value;
  }

  private async nest<T>(running: RunningBoundary, options: AnyOptions, work: () => Promise<T>): Promise<T> {
    const nested = running.nest(termsIn(running, options));
    const { beginning } = running.transaction;
    beginning.underWay++;
    try {
      const value = await this.host.withTransaction(HostPropagation.Nested, () =>
        this.inside(nested, options, () => finishing(nested, work)),
      );
      running.keep(nested);
      return value;
    } catch (error) {
      running.undo(nested, error);
      throw error;
    } finally {
      beginning.underWay--;
    }
  }

  /** Runs the work in the context of a boundary that is part of a running one, and within its own limits. */
  private inside<T>(boundary: RunningBoundary, options: AnyOptions, work: () => Promise<T>): Promise<T> {
    const lockTimeoutMs = options.lockTimeout === undefined ? null : milliseconds(options.lockTimeout);
    return this.cls.run({ ifNested: 'inherit' }, async () => {
      this.cls.set(RUNNING, boundary);
      const lift = boundary.transaction.beginning.wire?.limit(boundary.endsAt, lockTimeoutMs);
      try {
        const value = await work();
        if (performance.now() > boundary.endsAt)
          throw new TransactionExpiredError(`The time of ${boundary.name} is over.`);
        return value;
      } catch (error) {
        throw expired(error, boundary);
      } finally {
        lift?.();
      }
    });
  }

  /** Runs the work outside any boundary. */
  private outside<T>(work: () => Promise<T>): Promise<T> {
    const aside = openBoundary();
    return this.host.withoutTransaction(() => {
      this.cls.set(SET_ASIDE, aside);
      this.cls.set(RUNNING, null);
      return work();
    });
  }

  private async begin<T>(running: RunningBoundary | null, options: AnyOptions, work: () => Promise<T>): Promise<T> {
    const begunAt = performance.now();
    const terms = termsOf(running, options, begunAt + this.config.transactionTimeoutMs);
    const participant = running === null && !terms.readOnly ? participantOf(this) : null;
    const whole = participating(participant, work);
    const separate = running === null ? this.separateWrites.open() : null;
    // Inside another boundary a conflict is that one's to answer: it holds what this one would wait for.
    const policy = { ...terms, retries: running === null ? (options.retry ?? defaultRetries) : 0 };
    const places = this.crowding.places(running?.transaction.beginning ?? null, patienceOf(policy, options));
    const fresh = { work: whole, separate, places, latest: null, attempts: 0 };
    const beginner = { terms, options, hasOwnTime: hasOwnTime(running, options), ...fresh };
    const all = () => this.allAttempts(beginner, policy, begunAt).finally(() => places.leave());
    return (await (participant === null ? all() : inTurn(participant, all))) as T;
  }

  private async allAttempts(beginner: Beginner, policy: RetryPolicy, begunAt: number): Promise<unknown> {
    try {
      const once = (attempt: number) => beginner.places.run(() => this.attempt(beginner, attempt));
      const value = await retrying(policy, once);
      await this.ended(beginner, begunAt, 'committed', null);
      return value;
    } catch (error) {
      const outcome = error instanceof CommitOutcomeUnknownError ? 'unknown' : 'rolled-back';
      await this.ended(beginner, begunAt, outcome, error);
      throw noteOrigin(error, { boundary: policy.name, attempt: beginner.attempts });
    }
  }

  private attempt(beginner: Beginner, attempt: number): Promise<unknown> {
    const { terms, separate, work } = beginner;
    const beginning = this.beginningOf(beginner, attempt);
    beginner.attempts = attempt;
    beginner.places.belongTo(beginning);
    // The host would join for `Required`; whether to join is decided by now.
    const begun = () => {
      const running = RunningBoundary.begin(terms, { owner: this, beginning, attempt, separate });
      beginner.latest = running;
      this.cls.set(RUNNING, running);
      return finishing(running, work);
    };
    const options = this.beginOptions(terms, beginning);
    return undoing(separate, () => this.host.withTransaction(HostPropagation.RequiresNew, options, begun));
  }

  // A standby has no SERIALIZABLE.
  private beginOptions({ name, readOnly, isolation }: Terms, beginning: Beginning): BeginOptions {
    return { name, beginning, mayUseReplica: readOnly && isolation !== 'serializable' };
  }

  private beginningOf({ terms, options, hasOwnTime }: Beginner, attempt: number): Beginning {
    return {
      readOnly: terms.readOnly,
      opening: () => openingOf({ ...terms, hasOwnTime }, this.databases.serverVersion),
      endsAt: terms.endsAt,
      hasOwnTime,
      lockTimeoutMs: options.lockTimeout === undefined ? null : milliseconds(options.lockTimeout),
      asksPosition: !terms.readOnly && this.databases.hasPositions,
      measuresIdle: boundaryEnded.hasSubscribers,
      ...(this.faults !== null && {
        fault: (moment, statement) => this.faults?.(terms.name, attempt, moment, statement) ?? null,
      }),
      wire: null,
      underWay: 0,
      hasFailed: false,
    };
  }

  private async ended({ terms, latest, attempts }: Beginner, begunAt: number, outcome: Outcome, error: unknown) {
    if (boundaryEnded.hasSubscribers) {
      const { name, readOnly } = terms;
      const idleMs = latest?.transaction.beginning.wire?.idleMs ?? 0;
      const durationMs = performance.now() - begunAt;
      boundaryEnded.publish({ name, readOnly, outcome, attempts, durationMs, idleMs, error });
    }
    if (latest === null || outcome === 'unknown') return;
    const hooks = outcome === 'committed' ? latest.hooks.ofCommit() : latest.hooks.ofRollback(error);
    // What a hook writes is no part of the request whose boundary has ended.
    if (hooks.length > 0)
      await this.outside(() => this.with(null, () => fire(hooks, terms.name, outcome === 'committed')));
  }
}
