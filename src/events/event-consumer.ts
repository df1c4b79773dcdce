import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { LoggableError } from '../kernel/loggable-error.ts';
import { ProblemError } from '../kernel/problem.ts';
import type { Transactions } from '../transactions/transactions.ts';
import { allowSeparateWrites, unitOfWork } from '../transactions/unit-of-work.ts';
import { type DeliveryEnded, deliveryEnded } from './channels.ts';
import type { DeliveriesRepository, LeasedDelivery } from './deliveries.repository.ts';
import { DeliveryParticipant, DeliveryTakenError } from './delivery-participant.ts';
import { callConsumer, type ConsumingMethod } from './on-event.ts';
import { pauseAfter } from './pauses.ts';
import { WakeableLoop } from './wakeable-loop.ts';

/** Deliveries that are taken on at once, for each that may be at work. */
const takenForEach = 8;
const defaultConcurrency = 4;

/** What a consumer in the hands of the service needs. */
export interface ConsumerTools {
  readonly transactions: Transactions;
  readonly deliveries: DeliveriesRepository;
  readonly leaseMs: number;
  readonly mostAttempts: number;
  readonly pollIntervalMs: number;
}

/** A consuming method, and whose it is. */
interface PlacedConsumer {
  readonly method: ConsumingMethod;
  readonly provider: object;
  /** Whether it is `@Phased()`. */
  readonly isPhased: boolean;
}

/** A delivery that was taken on, and until when it may be begun, as `performance.now()` counts. */
interface Waiting {
  readonly delivery: LeasedDelivery;
  readonly beginsBy: number;
}

/** A consumer has not come to an end in time. What it stores later is refused. */
class ConsumerTimeoutError extends LoggableError {
  override readonly name = 'ConsumerTimeoutError';
  constructor(consumer: string, limitMs: number) {
    super(`${consumer} was not done with an event after ${limitMs} ms, and is no longer waited for.`);
  }
}

/** A method that acts on events, at work on this instance: takes on what is due and calls the method for it. */
export class EventConsumer {
  readonly name: string;
  readonly types: readonly string[];
  /** Those of the types that somebody wants by now; null: all. */
  readonly wants: ((types: readonly string[]) => Promise<readonly string[]>) | null;
  private readonly logger: Logger;
  private readonly loop: WakeableLoop;
  private readonly concurrency: number;
  private readonly waiting: Waiting[] = [];
  private readonly active = new Set<Promise<void>>();

  constructor(
    private readonly consumer: PlacedConsumer,
    private readonly tools: ConsumerTools,
  ) {
    const { method } = consumer;
    this.name = method.name;
    this.types = method.types();
    const wants = method.options.wants;
    this.wants = wants === undefined ? null : (types) => wants(consumer.provider as never, types);
    this.concurrency = method.options.concurrency ?? defaultConcurrency;
    this.logger = new Logger(`Events ${this.name}`);
    this.loop = new WakeableLoop(() => this.work(), tools.pollIntervalMs);
  }

  start(): void {
    this.loop.start();
  }

  wake(): void {
    this.loop.wake();
  }

  /** Ends with the deliveries in hand; what was taken on besides is given back. */
  async stop(): Promise<void> {
    await this.loop.stop();
    await allowSeparateWrites('each is given back by itself', () =>
      Promise.all(this.waiting.splice(0).map(({ delivery }) => this.release(delivery))),
    );
    await Promise.all(this.active);
  }

  private async work(): Promise<number | null> {
    // Whoever is done calls for more.
    if (this.waiting.length >= this.concurrency) return null;
    try {
      const { deliveries, leaseMs } = this.tools;
      const most = this.concurrency * takenForEach;
      const taken = await this.alone('take', () => deliveries.take(this.name, most, leaseMs));
      // A boundary that begins later might outlive the lease.
      const beginsBy = performance.now() + leaseMs / 2;
      this.waiting.push(...taken.map((delivery) => ({ delivery, beginsBy })));
      this.fill();
      return taken.length === most && this.waiting.length < this.concurrency ? 0 : null;
    } catch (error) {
      this.logger.warn({ err: error }, 'deliveries could not be taken on');
      return null;
    }
  }

  private fill(): void {
    while (this.active.size < this.concurrency && !this.loop.isStopped) {
      const next = this.waiting.shift();
      if (next === undefined) return;
      const isLate = performance.now() > next.beginsBy;
      const doing = (isLate ? this.release(next.delivery) : this.do(next.delivery)).then(() => {
        this.active.delete(doing);
        this.fill();
        // What stood behind it is due by now.
        this.loop.wake();
      });
      this.active.add(doing);
    }
  }

  private async do(delivery: LeasedDelivery): Promise<void> {
    const participant = new DeliveryParticipant(delivery, this.tools.deliveries);
    try {
      await this.inTime(
        unitOfWork(this.name, () => this.tools.transactions.with(participant, () => this.call(delivery))),
      );
      this.tell(delivery, 'done');
    } catch (error) {
      if (error instanceof DeliveryTakenError) return;
      // The run of a phased method goes on by itself.
      if (participant.isDone)
        this.logger.error({ err: error, event: delivery.event.id }, 'an event was taken on, and its work has failed');
      else await this.fail(delivery, error).catch((cause: unknown) => this.notNoted(cause));
    }
  }

  private call({ event }: LeasedDelivery): Promise<unknown> {
    const { method, provider, isPhased } = this.consumer;
    const work = () => callConsumer(provider, method, event);
    return isPhased ? work() : this.tools.transactions.run({ name: this.name, ...method.options.boundary }, work);
  }

  /** A method that never ends must not keep its place for ever. */
  private async inTime(work: Promise<unknown>): Promise<void> {
    const { leaseMs } = this.tools;
    const done = new AbortController();
    // Its own end is of no interest when it is late.
    work.catch(() => undefined);
    const late = sleep(leaseMs, null, { ref: false, signal: done.signal }).then(
      () => Promise.reject(new ConsumerTimeoutError(this.name, leaseMs)),
      () => undefined,
    );
    try {
      await Promise.race([work, late]);
    } finally {
      done.abort();
    }
  }

  private async fail(delivery: LeasedDelivery, error: unknown): Promise<void> {
    const most = this.consumer.method.options.attempts ?? this.tools.mostAttempts;
    const isDead = delivery.attempts >= most;
    const log = { err: error, event: delivery.event.id, type: delivery.event.type, attempts: delivery.attempts };
    if (isDead) this.logger.error(log, 'an event was given up');
    else this.logger.warn(log, 'an event could not be done, and is tried again');
    const failure = { error: nameOf(error), againInMs: isDead ? null : pauseAfter(delivery.attempts) };
    await this.alone('fail', () => this.tools.deliveries.fail(delivery, failure));
    this.tell(delivery, isDead ? 'dead' : 'failed');
  }

  // It is taken on again when its lease is over.
  private notNoted(error: unknown): void {
    this.logger.warn({ err: error }, 'the failure of an event could not be noted');
  }

  private release(delivery: LeasedDelivery): Promise<void> {
    return this.alone('release', () => this.tools.deliveries.release(delivery)).catch((error: unknown) =>
      this.notNoted(error),
    );
  }

  private alone<T>(what: string, work: () => Promise<T>): Promise<T> {
    const name = `EventConsumer.${what}`;
    return unitOfWork(name, () => this.tools.transactions.run({ name }, work));
  }

  private tell({ attempts, waitedMs, takenAt }: LeasedDelivery, outcome: DeliveryEnded['outcome']): void {
    if (!deliveryEnded.hasSubscribers) return;
    const ageMs = waitedMs + performance.now() - takenAt;
    deliveryEnded.publish({ consumer: this.name, outcome, attempts, ageMs } satisfies DeliveryEnded);
  }
}

/** By what an error is told where it is kept: no message, which may hold data. */
const nameOf = (error: unknown): string =>
  (error instanceof ProblemError ? error.code : error instanceof Error ? error.name : 'unknown').slice(0, 200);
