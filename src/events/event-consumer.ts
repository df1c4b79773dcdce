import { Logger } from '@nestjs/common';
import { ProblemError } from '../kernel/problem.ts';
import type { Transactions } from '../transactions/transactions.ts';
import { unitOfWork } from '../transactions/unit-of-work.ts';
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

/** A method that acts on events, at work on this instance: takes on what is due and calls the method for it. */
export class EventConsumer {
  readonly name: string;
  readonly types: readonly string[];
  private readonly logger: Logger;
  private readonly loop: WakeableLoop;
  private readonly concurrency: number;

  constructor(
    private readonly consumer: PlacedConsumer,
    private readonly tools: ConsumerTools,
  ) {
    const { method } = consumer;
    this.name = method.name;
    this.types = method.types;
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
  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async work(): Promise<number | null> {
    try {
      const { deliveries, leaseMs } = this.tools;
      const most = this.concurrency * takenForEach;
      const taken = await this.alone('take', () => deliveries.take(this.name, most, leaseMs));
      await this.doAll(taken);
      // What stood behind those is due by now.
      return taken.length > 0 ? 0 : null;
    } catch (error) {
      this.logger.warn({ err: error }, 'deliveries could not be taken on');
      return null;
    }
  }

  private async doAll(taken: readonly LeasedDelivery[]): Promise<void> {
    // A boundary that begins later might outlive the lease.
    const endsAt = performance.now() + this.tools.leaseMs / 2;
    const waiting = [...taken];
    const doNext = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
        await (this.loop.isStopped || performance.now() > endsAt ? this.release(next) : this.do(next));
    };
    await Promise.all(Array.from({ length: Math.min(this.concurrency, taken.length) }, doNext));
  }

  private async do(delivery: LeasedDelivery): Promise<void> {
    const participant = new DeliveryParticipant(delivery, this.tools.deliveries);
    try {
      await unitOfWork(this.name, () => this.tools.transactions.with(participant, () => this.call(delivery)));
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
