import { Propagation as HostPropagation, TransactionHost } from '@nestjs-cls/transactional';
import { Inject, Injectable } from '@nestjs/common';
import { ClsService } from 'nestjs-cls';
import type { Config } from '../config/config.ts';
import { DatabaseConfig } from '../config/slices.ts';
import { DatabaseClients } from '../database/database-clients.ts';
import type { Fault, Moment } from './wire/planned-fault.ts';
import type { Adapter, BeginOptions } from './boundary/adapter.ts';
import { type BoundaryCall, hasOwnTime, lockTimeoutOf, patienceOf, termsOf } from './boundary/boundary-call.ts';
import { boundaryEnded, type Outcome } from './boundary/channels.ts';
import { Crowding } from './boundary/crowding.ts';
import { noteOrigin } from './boundary/error-origins.ts';
import { expired } from './boundary/expiry.ts';
import { runToEnd } from './boundary/finishing.ts';
import { OptionChecks } from './boundary/option-checks.ts';
import { type AnyOptions, type ClientOf, type TransactionOptions } from './boundary/options.ts';
import { nameOf, planBoundary, termsIn } from './boundary/propagation.ts';
import { type RetryPolicy, retrying } from './boundary/retry.ts';
import { RunningBoundary } from './boundary/running-boundary.ts';
import { SeparateWrites } from './boundary/separate-writes.ts';
import { openingOf } from './boundary/settings.ts';
import { type Call, changesRows, routingClient } from './client/routing-client.ts';
import { boundaryOfContext, openBoundary, RUNNING, SET_ASIDE } from './current.ts';
import { CommitOutcomeUnknownError } from './errors.ts';
import { fire } from './hooks.ts';
import {
  attempting,
  enlisted,
  inTurn,
  participantOf,
  participating,
  type TransactionParticipant,
} from './participant.ts';
import { ReadRouter } from './reads/router.ts';
import { undoing } from './unit-of-work.ts';
import { TransactionExpiredError } from './wire/errors.ts';
import { defaultTerms, type TransactionHandle } from './wire/transaction-handle.ts';

export const defaultRetries = 5;

/** For tests: which fault a boundary meets in its n-th attempt. */
export type FaultPlan = (boundary: string, attempt: number, moment: Moment, statement: string) => Fault | null;

/** Runs functions in boundaries where the decorator does not fit, and returns the boundary that is running. */
@Injectable()
export class Transactions {
  /** The client of repositories and of `run`: inside a boundary its transaction; outside, reads are routed and everything else goes to the primary. */
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
  private readonly optionChecks: OptionChecks;

  constructor(
    private readonly host: TransactionHost<Adapter>,
    private readonly cls: ClsService,
    private readonly databases: DatabaseClients,
    private readonly reads: ReadRouter,
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
  ) {
    this.optionChecks = new OptionChecks(config);
  }

  /**
   * Runs the work in a boundary: everything it writes is committed, or nothing if it throws. The work receives the client of the boundary.
   * Throws whatever the work throws, and the errors of docs/transactions.md.
   */
  async run<T, ReadOnly extends boolean = false>(
    given: TransactionOptions & { readonly readOnly?: ReadOnly },
    work: (db: ClientOf<ReadOnly>) => Promise<T>,
  ): Promise<T> {
    const options = this.optionChecks.of(given, work);
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
   * The running boundary; null outside. A boundary of another application in this process does not count.
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

  // With a participant, a single write becomes a boundary: the record of the participant then commits with the write.
  private async plain(call: Call, again: () => Promise<unknown>): Promise<unknown> {
    const writes = changesRows(call);
    if (writes && participantOf(this) !== null) return this.run({ name: call.name }, again);
    const separate = writes ? this.separateWrites.open() : null;
    separate?.begin(`${call.name}, outside any boundary,`, call.site);
    return undoing(separate, () => this.reads.plain(call));
  }

  private async join<T>(running: RunningBoundary, options: AnyOptions, work: () => Promise<T>): Promise<T> {
    const asksLess = options.timeout !== undefined || options.lockTimeout !== undefined || options.readOnly === true;
    const joined = () => (asksLess ? this.inside(running.as(termsIn(running, options)), options, work) : work());
    const value = await running.named(nameOf(options), joined);
    running.joinedReturned(nameOf(options));
    return value;
  }

  private async nest<T>(running: RunningBoundary, options: AnyOptions, work: () => Promise<T>): Promise<T> {
    const nested = running.nest(termsIn(running, options));
    const { beginning } = running.transaction;
    beginning.underWay++;
    try {
      const value = await nested.named(nested.name, () =>
        this.host.withTransaction(HostPropagation.Nested, () =>
          this.inside(nested, options, () => runToEnd(nested, work)),
        ),
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
    return this.cls.run({ ifNested: 'inherit' }, async () => {
      this.cls.set(RUNNING, boundary);
      const lift = boundary.transaction.beginning.wire?.limit(boundary.endsAt, lockTimeoutOf(options));
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
    const separate = running === null ? this.separateWrites.open() : null;
    // Inside another boundary only the outer one may retry a conflict, because it holds locks that a retry here would wait for.
    const retries = running === null ? (options.retry ?? defaultRetries) : 0;
    const policy = { ...terms, retries, isInside: running !== null };
    const places = this.crowding.places(running?.transaction.beginning ?? null, patienceOf(policy, options));
    const fresh = { work: participating(participant, work), participant, separate, places, latest: null, attempts: 0 };
    const beginner = { terms, options, hasOwnTime: hasOwnTime(running, options), ...fresh };
    const all = () => this.allAttempts(beginner, policy, begunAt).finally(() => places.leave());
    return (await (participant === null ? all() : inTurn(participant, all))) as T;
  }

  private async allAttempts(beginner: BoundaryCall, policy: RetryPolicy, begunAt: number): Promise<unknown> {
    try {
      const once = (attempt: number) =>
        beginner.places.run(() => attempting(beginner, () => this.attempt(beginner, attempt)));
      const value = await retrying(policy, once);
      await this.ended(beginner, begunAt, 'committed', null);
      return value;
    } catch (error) {
      const outcome = error instanceof CommitOutcomeUnknownError ? 'unknown' : 'rolled-back';
      await this.ended(beginner, begunAt, outcome, error);
      throw noteOrigin(error, { boundary: policy.name, attempt: beginner.attempts });
    }
  }

  private attempt(beginner: BoundaryCall, attempt: number): Promise<unknown> {
    const { terms, separate, work } = beginner;
    const beginning = this.beginningOf(beginner, attempt);
    beginner.attempts = attempt;
    beginner.places.belongTo(beginning);
    // The host would join for `Required`; planBoundary has already decided not to join.
    const begun = () => {
      const running = RunningBoundary.begin(terms, { owner: this, beginning, attempt, separate });
      beginner.latest = running;
      this.cls.set(RUNNING, running);
      return runToEnd(running, work);
    };
    // A standby has no SERIALIZABLE.
    const mayUseReplica = terms.readOnly && terms.isolation !== 'serializable';
    const options: BeginOptions = { name: terms.name, beginning, mayUseReplica };
    return undoing(separate, () => this.host.withTransaction(HostPropagation.RequiresNew, options, begun));
  }

  private beginningOf({ terms, options, hasOwnTime }: BoundaryCall, attempt: number): TransactionHandle {
    return {
      ...defaultTerms(),
      readOnly: terms.readOnly,
      opening: () => openingOf({ ...terms, hasOwnTime }, this.databases.serverVersion),
      endsAt: terms.endsAt,
      hasOwnTime,
      lockTimeoutMs: lockTimeoutOf(options),
      asksPosition: !terms.readOnly && this.databases.hasPositions,
      ...(this.faults !== null && {
        fault: (moment, statement) => this.faults?.(terms.name, attempt, moment, statement) ?? null,
      }),
    };
  }

  private async ended({ terms, latest, attempts }: BoundaryCall, begunAt: number, outcome: Outcome, error: unknown) {
    const { name, readOnly } = terms;
    if (boundaryEnded.hasSubscribers) {
      const idleMs = latest?.transaction.beginning.wire?.idleMs ?? 0;
      const durationMs = performance.now() - begunAt;
      boundaryEnded.publish({ name, readOnly, outcome, attempts, durationMs, idleMs, error });
    }
    if (latest === null || outcome === 'unknown') return;
    const hooks = outcome === 'committed' ? latest.hooks.ofCommit() : latest.hooks.ofRollback(error);
    // The writes of a hook do not belong to the request whose boundary has ended.
    if (hooks.length > 0) await this.outside(() => this.with(null, () => fire(hooks, name, outcome === 'committed')));
  }
}
