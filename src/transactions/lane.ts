import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '../config/config.ts';
import { DatabaseConfig } from '../config/slices.ts';
import { CallSite } from './boundary/call-site.ts';
import { SeparateWrites } from './boundary/separate-writes.ts';
import { CommitOutcomeUnknownError } from './errors.ts';
import { Batches, type InBoundary, type Together } from './lanes/batch.ts';
import { Batcher } from './lanes/batcher.ts';
import type { LaneOutcome } from './lanes/command.ts';
import { participantOf, type TransactionParticipant } from './participant.ts';
import { Consistency } from './reads/consistency.ts';
import { ReadRouter } from './reads/router.ts';
import { Transactions } from './transactions.ts';
import { undoing, unitOfWork } from './unit-of-work.ts';

export { type LaneOutcome, valueOf } from './lanes/command.ts';
export type { Rows } from './lanes/batch.ts';

/** What goes through a lane, and how. */
export interface LaneDefinition<C, T> {
  /** That of the boundary: `Class.method`. */
  readonly name: string;
  /** Whose command it is. Callers take turns. */
  callerOf(command: C): string;
  /** The rows that it locks. While one of them is held by somebody outside the lane, its commands go alone. */
  rowsOf(command: C): readonly string[];
  /** What all commands lock that have it, such as an account of the house: two batches with one wait for each other here, and not for the lock. */
  sharedRowOf?(command: C): string;
  /**
   * Does commands in the running boundary, one after the other, each seeing what those before it leave. What it throws rolls all of them back;
   * what it gives as a refusal refuses that command alone. With `skip` it locks no row that somebody else holds, and leaves its commands alone
   * as `held`; as `unfit` it leaves those that need what a batch must not do, and nothing of one that is refused may stay.
   */
  readonly together: Together<C, T>;
  /** Does one command in a boundary of its own. */
  readonly alone: (command: C) => Promise<T>;
}

// Commands of a batch. Above that the statements of a batch gain little, and its callers wait longer.
const perBatch = 64;
// Each waits for its turn with its request, whose number HTTP_MAX_IN_FLIGHT bounds as well.
const waiting = 2048;
// One at the database, one whose callers are answered, or whose commands are decided.
const batches = 2;
// How long a batch waits for rows that somebody outside the lane has locked: a batch of another instance takes less, mostly.
const lockMs = 100;

/**
 * Opens lanes. A lane does commands of many callers in one boundary: what waits while a batch commits is the next batch, so that what a
 * boundary costs is shared. Each command keeps its own answer, its own refusal and its own participant; a command that fails never fails its
 * neighbours. Where nothing waits a command is a batch of one.
 */
@Injectable()
export class Lanes {
  constructor(
    private readonly transactions: Transactions,
    private readonly separateWrites: SeparateWrites,
    private readonly consistency: Consistency,
    private readonly reads: ReadRouter,
    @Inject(DatabaseConfig.KEY) private readonly config: Config['database'],
  ) {}

  /** To be called once, by the service that has the commands. */
  open<C, T>(definition: LaneDefinition<C, T>): Lane<C, T> {
    const { transactions, separateWrites, reads, config } = this;
    const { run } = new Batches(definition.together, this.boundary(definition.name));
    const batcher = new Batcher(definition.name, { perBatch, waiting, batches }, run);
    return new Lane(definition, batcher, { transactions, separateWrites, reads, config });
  }

  // Its reads and writes are nobody's in particular: what a caller must see of them, `Lane` says.
  private boundary(name: string): InBoundary {
    const options = Object.freeze({ name, lockTimeout: Math.min(lockMs, this.config.lockTimeoutMs) });
    const follower = this.consistency.follower(() => `lane ${name}`, null);
    return (work) =>
      unitOfWork(name, () =>
        this.consistency.follow(follower, async () => {
          let beginning: { readonly wire: Wire } | undefined;
          const value = await this.transactions.run(options, () => {
            beginning = this.transactions.running()?.transaction.beginning;
            return work();
          });
          return { value, wire: beginning?.wire ?? null };
        }),
      );
  }
}

type Wire = Parameters<ReadRouter['wrote']>[0];

interface Surroundings {
  readonly transactions: Transactions;
  readonly separateWrites: SeparateWrites;
  readonly reads: ReadRouter;
  readonly config: Config['database'];
}

/** A lane as its service sees it. */
export class Lane<C, T> {
  private readonly heldRows = new Map<string, number>();
  private readonly underWay = new Set<string>();

  constructor(
    private readonly definition: LaneDefinition<C, T>,
    private readonly batcher: Batcher<C, T>,
    private readonly around: Surroundings,
  ) {}

  /**
   * Does the command, with others or alone. Throws what refuses it, and what its boundary throws: LaneFullError, TransactionExpiredError,
   * CommitOutcomeUnknownError, …
   */
  readonly submit = async (command: C): Promise<T> => {
    const participant = participantOf(this.around.transactions);
    if (this.mustGoAlone(command, participant)) return this.definition.alone(command);
    const outcome = await (participant === null ? this.counted(command, null) : this.once(participant, command));
    if ('alone' in outcome) return outcome.alone === 'held' ? this.beside(command) : this.definition.alone(command);
    if ('refusal' in outcome) throw outcome.refusal;
    participant?.committed();
    return outcome.value;
  };

  private mustGoAlone(command: C, participant: TransactionParticipant | null): boolean {
    const { transactions, config } = this.around;
    if (config.lanes === 'off' || transactions.running() !== null) return true;
    return (participant !== null && participant.group === null) || this.isHeld(command);
  }

  /** In the order of what the participant takes part in. One that is under way is not begun a second time. */
  private once(participant: TransactionParticipant, command: C): Promise<LaneOutcome<T>> {
    return participant.inTurn(async () => {
      if (this.underWay.has(participant.name)) throw participant.inUse();
      this.underWay.add(participant.name);
      try {
        return await this.counted(command, participant);
      } finally {
        this.underWay.delete(participant.name);
      }
    });
  }

  /** As a separate write of its unit, unless nothing of it is stored. */
  private async counted(command: C, participant: TransactionParticipant | null): Promise<LaneOutcome<T>> {
    const separate = this.around.separateWrites.open();
    separate?.begin(this.definition.name, new CallSite(this.submit));
    const outcome = await undoing(separate, () => this.waited(command, participant));
    if (!('value' in outcome)) separate?.undone();
    return outcome;
  }

  private async waited(command: C, participant: TransactionParticipant | null): Promise<LaneOutcome<T>> {
    const { promise, resolve, reject: fail } = Promise.withResolvers<{ outcome: LaneOutcome<T>; wire: Wire }>();
    const shared = this.definition.sharedRowOf?.(command) ?? [];
    const [caller, rows] = [this.definition.callerOf(command), this.definition.rowsOf(command).concat(shared)];
    const endsAt = performance.now() + this.around.config.transactionTimeoutMs;
    const settle = (outcome: LaneOutcome<T>, wire: Wire): void => resolve({ outcome, wire });
    this.batcher.enter({ command, participant, caller, rows, endsAt, settle, fail });
    try {
      const { outcome, wire } = await promise;
      if ('value' in outcome) this.around.reads.wrote(wire);
      return outcome;
    } catch (error) {
      // It may have been stored.
      if (error instanceof CommitOutcomeUnknownError) this.around.reads.wrote(null);
      throw error;
    }
  }

  private isHeld(command: C): boolean {
    return this.heldRows.size > 0 && this.definition.rowsOf(command).some((row) => this.heldRows.has(row));
  }

  /** Alone, and all that need its rows meanwhile as well: the lane does not wait for them. */
  private async beside(command: C): Promise<T> {
    const rows = this.definition.rowsOf(command);
    for (const row of rows) this.countHeld(row, 1);
    try {
      return await this.definition.alone(command);
    } finally {
      for (const row of rows) this.countHeld(row, -1);
    }
  }

  private countHeld(row: string, change: 1 | -1): void {
    const count = (this.heldRows.get(row) ?? 0) + change;
    if (count > 0) this.heldRows.set(row, count);
    else this.heldRows.delete(row);
  }
}
