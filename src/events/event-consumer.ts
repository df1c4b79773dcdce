import { backoffMs } from '../queues/backoff.ts';
import { QueueWorker, type QueueTools, type QueueWork } from '../queues/queue-worker.ts';
import { deliveryEnded, type DeliveryEnded } from './channels.ts';
import type { DeliveriesRepository, LeasedDelivery } from './deliveries.repository.ts';
import { callConsumer, type ConsumingMethod } from './on-event.ts';

const defaultConcurrency = 4;

/** What a consumer in the hands of the service needs. */
export interface ConsumerTools extends QueueTools {
  readonly deliveries: DeliveriesRepository;
  readonly mostAttempts: number;
}

/** A consuming method, and whose it is. */
interface PlacedConsumer {
  readonly method: ConsumingMethod;
  readonly provider: object;
  /** Whether it is `@Phased()`. */
  readonly isPhased: boolean;
}

/** A method that acts on events, at work on this instance. */
export class EventConsumer {
  readonly name: string;
  readonly types: readonly string[];
  /** Those of the types that somebody wants by now; null: all. */
  readonly wants: ((types: readonly string[]) => Promise<readonly string[]>) | null;
  private readonly worker: QueueWorker<LeasedDelivery>;

  constructor(consumer: PlacedConsumer, tools: ConsumerTools) {
    const { method, provider } = consumer;
    this.name = method.name;
    this.types = method.types();
    const wants = method.options.wants;
    this.wants = wants === undefined ? null : (types) => wants(provider as never, types);
    this.worker = new QueueWorker(tools.deliveries.of(this.name), workOf(consumer, tools.mostAttempts), tools);
  }

  start(): void {
    this.worker.start();
  }

  wake(): void {
    this.worker.wake();
  }

  /** Ends with the deliveries in hand; what was taken on besides is given back. */
  stop(): Promise<void> {
    return this.worker.stop();
  }
}

function workOf({ method, provider, isPhased }: PlacedConsumer, mostAttempts: number): QueueWork<LeasedDelivery> {
  const { name, options } = method;
  return {
    name,
    noun: 'an event',
    concurrency: options.concurrency ?? defaultConcurrency,
    batch: options.batch ?? 1,
    isPhased,
    boundary: options.boundary ?? {},
    act: ({ event }) => callConsumer(provider, method, event),
    againInMs: ({ attempts }) => (attempts >= (options.attempts ?? mostAttempts) ? null : backoffMs(attempts)),
    labels: ({ event: { id, type } }) => ({ event: id, type }),
    ended: (delivery, outcome) => tell(name, delivery, outcome),
  };
}

function tell(consumer: string, delivery: LeasedDelivery, outcome: DeliveryEnded['outcome']): void {
  if (!deliveryEnded.hasSubscribers) return;
  const { attempts, waitedMs, takenAt } = delivery;
  const ageMs = waitedMs + performance.now() - takenAt;
  deliveryEnded.publish({ consumer, outcome, attempts, ageMs } satisfies DeliveryEnded);
}
