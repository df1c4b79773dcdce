import { AsyncLocalStorage } from 'node:async_hooks';
import { type LaneBatch, laneBatch } from '../boundary/channels.ts';
import { LaneFullError, TransactionExpiredError } from '../wire/errors.ts';
import type { BatchRun } from './batch.ts';
import type { LaneCommand } from './command.ts';
import { FairQueue } from './queue.ts';

/** The bounds of a batcher. */
export interface BatcherBounds {
  /** Commands of one batch. */
  readonly perBatch: number;
  /** Commands that wait. */
  readonly waiting: number;
  /** Batches at work at a time: while one is at the database, the next one is gathered and answered. */
  readonly batches: number;
}

// A batch of so many costs little more than one of half of them.
const fewCommands = 16;

/**
 * Gathers the commands of a lane: what waits while a batch is at work is the next batch. Nothing waits where nothing is at work. Runs outside the context
 * of whoever submits: a batch belongs to many.
 */
export class Batcher<C, T> {
  private readonly queue: FairQueue<LaneCommand<C, T>>;
  private readonly outside = AsyncLocalStorage.snapshot();
  // Of the batches at work: commands with the same rows wait for their end here, and not for a lock.
  private readonly busyRows = new Set<string>();
  private working = 0;
  private isCalled = false;
  private clock: NodeJS.Timeout | null = null;

  constructor(
    private readonly name: string,
    private readonly bounds: BatcherBounds,
    private readonly run: BatchRun<C, T>,
  ) {
    this.queue = new FairQueue(bounds.waiting);
  }

  /** Throws LaneFullError. */
  enter(command: LaneCommand<C, T>): void {
    if (!this.queue.push(command)) throw new LaneFullError(this.name);
    this.watch();
    this.call();
  }

  // Behind all that has arrived with it: those are one batch.
  private call(): void {
    if (this.isCalled || this.working >= this.bounds.batches) return;
    this.isCalled = true;
    this.outside(() => setImmediate(() => void this.work()));
  }

  private async work(): Promise<void> {
    this.isCalled = false;
    this.working++;
    try {
      for (let batch = this.next(); batch.length > 0; batch = this.next()) await this.batch(batch);
    } finally {
      this.working--;
    }
  }

  // What waits is shared among the batches that may be at work, but for what is few.
  private next(): LaneCommand<C, T>[] {
    const share = Math.max(fewCommands, Math.ceil(this.queue.length / this.bounds.batches));
    const batch = this.queue.take(Math.min(this.bounds.perBatch, share), (one) => !this.isBusy(one));
    if (this.queue.length > 0) this.call();
    return batch;
  }

  private async batch(batch: readonly LaneCommand<C, T>[]): Promise<void> {
    const begunAt = performance.now();
    const rows = batch.flatMap((one) => one.rows);
    for (const row of rows) this.busyRows.add(row);
    await this.run(batch).catch((error: unknown) => batch.forEach((one) => one.fail(error)));
    for (const row of rows) this.busyRows.delete(row);
    if (laneBatch.hasSubscribers) laneBatch.publish(this.described(batch.length, begunAt));
  }

  private isBusy({ rows }: LaneCommand<C, T>): boolean {
    return rows.some((row) => this.busyRows.has(row));
  }

  private described(size: number, begunAt: number): LaneBatch {
    return { lane: this.name, size, waiting: this.queue.length, durationMs: performance.now() - begunAt };
  }

  private watch(): void {
    const first = this.queue.firstEnd;
    if (this.clock !== null || first === null) return;
    this.clock = this.outside(() => setTimeout(() => this.expire(), Math.max(1, first - performance.now())));
    this.clock.unref();
  }

  private expire(): void {
    this.clock = null;
    for (const one of this.queue.takeExpired(performance.now()))
      one.fail(new TransactionExpiredError(`The time of ${this.name} is over: its turn did not come.`));
    this.watch();
  }
}
