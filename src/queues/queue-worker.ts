import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { LoggableError } from '../kernel/loggable-error.ts';
import { ProblemError } from '../kernel/problem.ts';
import type { AnyOptions } from '../transactions/boundary/options.ts';
import type { Transactions } from '../transactions/transactions.ts';
import { allowSeparateWrites, unitOfWork } from '../transactions/unit-of-work.ts';
import { LeaseLostError, LeaseParticipant } from './lease-participant.ts';
import type { Leased, LeasedQueue } from './leased-queue.ts';
import { WakeableLoop } from './wakeable-loop.ts';

/** Groups that are taken on at once, for each that may be at work. */
const takenForEach = 8;
/** While items end one after the other it is looked no sooner for what is due behind them, milliseconds. */
const lookEveryMs = 5;

/** How the items of a queue are done. */
export interface QueueWork<Item extends Leased> {
  /** Of the worker: of its boundaries and log lines. */
  readonly name: string;
  /** One item, with an article, as log lines call it. */
  readonly noun: string;
  /** Groups at work at a time. */
  readonly concurrency: number;
  /** Items that one boundary does at most. */
  readonly batch: number;
  /** Whether the work has no boundary around it: a `@Phased()` method. */
  readonly isPhased: boolean;
  /** Of the boundary around it. */
  readonly boundary: Pick<AnyOptions, 'isolation' | 'timeout' | 'retry'>;
  /** Does one. */
  act(item: Item): Promise<unknown>;
  /** After how many milliseconds one that has failed is tried again; null: not again. */
  againInMs(item: Item): number | null;
  /** What log lines say of one. */
  labels(item: Item): object;
  /** Called for each that was done, or has failed. */
  ended(item: Item, outcome: 'done' | 'failed' | 'dead'): void;
}

/** What a worker needs of the service. */
export interface QueueTools {
  readonly transactions: Transactions;
  readonly leaseMs: number;
  readonly pollIntervalMs: number;
}

interface Waiting<Item> {
  readonly item: Item;
  /** Until when it may be begun, as `performance.now()` counts. */
  readonly beginsBy: number;
}

/** A boundary that begins now might outlive the lease. */
const isLate = ({ beginsBy }: Waiting<unknown>): boolean => performance.now() > beginsBy;

/** Work has not come to an end in time. What it stores later is refused. */
class WorkTimeoutError extends LoggableError {
  override readonly name = 'WorkTimeoutError';
  constructor(worker: string, limitMs: number) {
    super(`${worker} was not done after ${limitMs} ms, and is no longer waited for.`);
  }
}

/** Takes on what is due in a queue and does it, on this instance. Others may work on the same queue. */
export class QueueWorker<Item extends Leased> {
  private readonly logger: Logger;
  private readonly loop: WakeableLoop;
  private readonly waiting: Waiting<Item>[] = [];
  private readonly active = new Set<Promise<void>>();

  constructor(
    private readonly queue: LeasedQueue<Item>,
    private readonly work: QueueWork<Item>,
    private readonly tools: QueueTools,
  ) {
    this.logger = new Logger(work.name);
    this.loop = new WakeableLoop(() => this.look(), tools.pollIntervalMs, lookEveryMs);
  }

  start(): void {
    this.loop.start();
  }

  wake(): void {
    this.loop.wake();
  }

  /** Ends with what is in hand; what was taken on besides is given back. */
  async stop(): Promise<void> {
    await this.loop.stop();
    await allowSeparateWrites('each is given back by itself', () =>
      Promise.all(this.waiting.splice(0).map(({ item }) => this.release(item))),
    );
    await Promise.all(this.active);
  }

  private async look(): Promise<number | null> {
    const atWork = this.work.concurrency * this.work.batch;
    // Whoever is done calls for more.
    if (this.waiting.length >= atWork) return null;
    try {
      const { leaseMs } = this.tools;
      const most = this.work.concurrency * Math.max(takenForEach, this.work.batch);
      const taken = await this.alone('take', () => this.queue.take(most, leaseMs));
      const beginsBy = performance.now() + leaseMs / 2;
      this.waiting.push(...taken.map((item) => ({ item, beginsBy })));
      this.fill();
      return taken.length === most && this.waiting.length < atWork ? 0 : null;
    } catch (error) {
      this.logger.warn({ err: error }, `no ${this.work.noun} could be taken on`);
      return null;
    }
  }

  private fill(): void {
    while (this.active.size < this.work.concurrency && !this.loop.isStopped && this.waiting.length > 0) {
      const doing = this.doGroup(this.nextGroup()).then(() => {
        this.active.delete(doing);
        this.fill();
        // What stood behind it is due by now.
        this.loop.wake();
      });
      this.active.add(doing);
    }
  }

  /** As many as keep all that may be at work busy. One that has failed before is done by itself: it might fail with others again. */
  private nextGroup(): Waiting<Item>[] {
    const free = this.work.concurrency - this.active.size;
    const most = Math.min(this.work.batch, Math.ceil(this.waiting.length / free));
    const retried = this.waiting.findIndex(({ item }) => item.attempts > 1);
    return this.waiting.splice(0, Math.max(1, retried === -1 ? most : Math.min(most, retried)));
  }

  private async doGroup(group: readonly Waiting<Item>[]): Promise<void> {
    if (group.some(isLate)) return void (await Promise.all(group.map(({ item }) => this.release(item))));
    if (group.length > 1 && (await this.isDoneTogether(group))) return;
    // What is late by now is left to its lease, and this attempt counts: it may be what held up the group, and is done by itself next time.
    for (const one of group) if (!isLate(one)) await this.doAlone(one.item);
  }

  /** False where one of them has failed, or being together: each is done by itself then, and what is wrong is told there. */
  private async isDoneTogether(group: readonly Waiting<Item>[]): Promise<boolean> {
    const items = group.map(({ item }) => item);
    try {
      await this.inBoundary(items);
    } catch (error) {
      this.logger.debug({ err: error, count: items.length }, 'a group could not be done in one boundary');
      return false;
    }
    for (const item of items) this.work.ended(item, 'done');
    return true;
  }

  private async doAlone(item: Item): Promise<void> {
    const participant = new LeaseParticipant(this.work.name, [item], this.queue);
    try {
      await this.inBoundary([item], participant);
      this.work.ended(item, 'done');
    } catch (error) {
      if (error instanceof LeaseLostError) return;
      // The run of a phased method goes on by itself.
      if (participant.isDone)
        this.logger.error(
          { err: error, ...this.work.labels(item) },
          `${this.work.noun} was taken on, and its work has failed`,
        );
      else await this.fail(item, error).catch((cause: unknown) => this.notNoted(cause));
    }
  }

  private inBoundary(
    items: readonly Item[],
    participant = new LeaseParticipant(this.work.name, items, this.queue),
  ): Promise<void> {
    const { name, isPhased, boundary } = this.work;
    const work = async () => {
      for (const item of items) await this.work.act(item);
    };
    const run = () => (isPhased ? work() : this.tools.transactions.run({ name, ...boundary }, work));
    return this.inTime(unitOfWork(name, () => this.tools.transactions.with(participant, run)));
  }

  /** Work that never ends must not keep its place for ever. */
  private async inTime(work: Promise<void>): Promise<void> {
    const { leaseMs } = this.tools;
    const done = new AbortController();
    // Its own end is of no interest when it is late.
    work.catch(() => undefined);
    const late = sleep(leaseMs, null, { ref: false, signal: done.signal }).then(
      () => Promise.reject(new WorkTimeoutError(this.work.name, leaseMs)),
      () => undefined,
    );
    try {
      await Promise.race([work, late]);
    } finally {
      done.abort();
    }
  }

  private async fail(item: Item, error: unknown): Promise<void> {
    const againInMs = this.work.againInMs(item);
    const log = { err: error, ...this.work.labels(item), attempts: item.attempts };
    if (againInMs === null) this.logger.error(log, `${this.work.noun} was given up`);
    else this.logger.warn(log, `${this.work.noun} could not be done, and is tried again`);
    await this.alone('fail', () => this.queue.fail(item, { error: nameOf(error), againInMs }));
    this.work.ended(item, againInMs === null ? 'dead' : 'failed');
  }

  // It is taken on again when its lease is over.
  private notNoted(error: unknown): void {
    this.logger.warn({ err: error }, `the failure of ${this.work.noun} could not be noted`);
  }

  private release(item: Item): Promise<void> {
    return this.alone('release', () => this.queue.release(item)).catch((error: unknown) => this.notNoted(error));
  }

  private alone<T>(what: string, work: () => Promise<T>): Promise<T> {
    const name = `QueueWorker.${what}`;
    return unitOfWork(name, () => this.tools.transactions.run({ name }, work));
  }
}

/** By what an error is told where it is kept: no message, which may hold data. */
const nameOf = (error: unknown): string =>
  (error instanceof ProblemError ? error.code : error instanceof Error ? error.name : 'unknown').slice(0, 200);
