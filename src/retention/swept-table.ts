import { Logger } from '@nestjs/common';
import { isExpiry } from '../transactions/boundary/expiry.ts';
import type { Sql } from '../transactions/tables.ts';
import type { Transactions } from '../transactions/transactions.ts';
import { unitOfWork } from '../transactions/unit-of-work.ts';
import { isUnreachable, kindOf } from '../transactions/wire/postgres-errors.ts';
import { type ExpiredLeft, expiredLeft, expiredRemoved } from './events.ts';
import { countExpired, estimateExpired, type ExpiringTable, type Removal } from './expired-rows.ts';
import type { Remove } from './expiring.ts';

/** Rows that one statement removes at most: some milliseconds, during which it holds their locks. */
export const batchSize = 1000;

/** Up to so many rows the gauge counts; of more it gives the planner's estimate. */
export const countedAtMost = 10_000;
const countingMs = 250;

// How often what ended before the last round is looked at as well: a row may be stored after others of its time were removed.
const wholeEveryMs = 60_000;

// Each is one failed statement a round.
const passedOverAtMost = 100;

/** What a table in the hands of the sweeper needs. */
export interface SweptTools {
  readonly db: Sql;
  readonly transactions: Transactions;
}

/**
 * A table that is swept: how far its removal has come, which is kept from batch to batch and from round to round, whatever fails. A round begins
 * at the oldest row that the round before has left, and looks only once a minute at what is over for longer.
 */
export class SweptTable {
  /** Rows, by this instance, since it started. */
  removed = 0;
  readonly table: string;
  readonly end: string;
  private readonly logger = new Logger('Sweeper');
  private from: Date | null = null;
  private begunFrom: Date | null = null;
  private wholeAt = 0;
  private most = batchSize;
  private passedOver = 0;
  private failures = 0;
  private isTold = false;

  constructor(
    private readonly expiring: ExpiringTable,
    private readonly remove: Remove,
    private readonly tools: SweptTools,
  ) {
    this.table = expiring.table;
    this.end = expiring.end;
  }

  /** Removes a batch. Gives whether there is more to remove. Never rejects. */
  async batch(): Promise<boolean> {
    const begunAt = performance.now();
    const { most, from } = this;
    try {
      const removal = await unitOfWork(`Sweeper of ${this.table}`, () => this.remove({ most, from }));
      this.note(removal, performance.now() - begunAt);
      return removal.removed >= most;
    } catch (error) {
      return this.failed(error);
    }
  }

  /** Begins a round where the one before has ended, or with the oldest row. */
  beginRound(isWhole: boolean): void {
    if (isWhole || performance.now() >= this.wholeAt) {
      this.from = null;
      this.wholeAt = performance.now() + wholeEveryMs;
    }
    this.begunFrom = this.from;
  }

  /** Ends a round: tells what is over and still there, and has the next round begin at the oldest of it. Never rejects. */
  async endRound(): Promise<void> {
    if (this.failures === 0) this.isTold = false;
    [this.failures, this.passedOver] = [0, 0];
    try {
      const { oldest, ...left } = await this.countLeft();
      if (oldest !== undefined) this.from = oldest ?? this.from;
      expiredLeft.publish({ table: this.table, ...left });
    } catch (error) {
      this.tell(error, 'expired rows could not be counted');
    }
  }

  private note({ removed, through }: Removal, durationMs: number): void {
    this.removed += removed;
    this.from = through ?? this.from;
    this.most = Math.min(batchSize, this.most * 2);
    if (removed > 0) expiredRemoved.publish({ table: this.table, removed, durationMs });
  }

  /**
   * Tries fewer rows where it may be one of them that is refused, down to that one, which is passed over for this round. Gives whether to go on
   * in this round.
   */
  private async failed(error: unknown): Promise<boolean> {
    this.failures++;
    this.tell(error, 'expired rows could not be removed');
    const isOfRows = ['constraint', 'statement'].includes(kindOf(error) ?? 'none');
    if (!isOfRows && !isExpiry(error)) return false;
    if (this.most > 1) {
      this.most = Math.ceil(this.most / 4);
      return isOfRows;
    }
    return isOfRows && this.passedOver++ < passedOverAtMost && this.passOver();
  }

  private async passOver(): Promise<boolean> {
    try {
      const { oldest } = await countExpired(this.tools.db, this.expiring, { most: 1, from: this.from });
      if (oldest !== null) this.from = new Date(oldest.getTime() + 1);
      return oldest !== null;
    } catch {
      return false;
    }
  }

  private tell(error: unknown, what: string): void {
    if (!this.isTold) this.logger.warn({ err: error, table: this.table }, what);
    this.isTold = true;
  }

  /** `oldest` is undefined where it could not be found in time. */
  private async countLeft(): Promise<Omit<ExpiredLeft, 'table'> & { oldest?: Date | null }> {
    const { db, transactions } = this.tools;
    try {
      const most = countedAtMost + 1;
      const { count, oldest, oldestMs } = await transactions.run(
        { name: `Sweeper.count ${this.table}`, timeout: `${countingMs}ms`, retry: 0 },
        () => countExpired(db, this.expiring, { most, from: this.begunFrom }),
      );
      if (count < most) return { count, oldest, oldestMs, isEstimate: false };
      return { count: Math.max(count, await estimateExpired(db, this.expiring)), oldest, oldestMs, isEstimate: true };
    } catch (error) {
      if (isUnreachable(error) || !isExpiry(error)) throw error;
      return { count: await estimateExpired(db, this.expiring), oldestMs: null, isEstimate: true };
    }
  }
}
