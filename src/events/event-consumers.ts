import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { Config } from '../config/config.ts';
import { EventsConfig } from '../config/slices.ts';
import { MisuseError } from '../kernel/loggable-error.ts';
import { phasedMethodsOf } from '../phased/phased.ts';
import { Transactions } from '../transactions/transactions.ts';
import { unitOfWork } from '../transactions/unit-of-work.ts';
import { DeliveriesRepository } from './deliveries.repository.ts';
import { EventConsumer } from './event-consumer.ts';
import { EventRelay } from './event-relay.ts';
import { type ConsumingMethod, consumingMethodsOf } from './on-event.ts';

/** Finds the methods that act on events, and has them called while the service runs. Every instance does. */
@Injectable()
export class EventConsumers implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly consumers = new Map<string, EventConsumer>();

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly relay: EventRelay,
    private readonly deliveries: DeliveriesRepository,
    private readonly transactions: Transactions,
    @Inject(EventsConfig.KEY) private readonly config: Config['events'],
  ) {}

  /** Their names. */
  get names(): readonly string[] {
    return [...this.consumers.keys()].sort();
  }

  /** Whether there is a consumer of this name that is told of events of this type. */
  isTold(name: string, type: string): boolean {
    return this.consumers.get(name)?.types.includes(type) === true;
  }

  /** Throws where two consumers have one name: a delivery could not be given to the right one. */
  onModuleInit(): void {
    const providers = new Set(this.discovery.getProviders().map(({ instance }) => instance as unknown));
    for (const provider of providers)
      for (const method of consumingMethodsOf(provider)) this.add(method, provider as object);
  }

  async onApplicationBootstrap(): Promise<void> {
    if (this.config.pollIntervalMs === 0) return;
    const consumers = [...this.consumers.values()];
    this.relay.onTurn(({ consumers: names }) => {
      for (const name of names) this.consumers.get(name)?.wake();
    });
    await unitOfWork('the start of the consumers', () =>
      this.relay.start(consumers.map(({ name, types, wants }) => ({ name, types, wants }))),
    );
    for (const consumer of consumers) consumer.start();
  }

  /** Waits for the deliveries in hand; what was not begun is done elsewhere, or after the next start. */
  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([...this.consumers.values()].map((consumer) => consumer.stop()));
  }

  private add(method: ConsumingMethod, provider: object): void {
    if (this.consumers.has(method.name))
      throw new MisuseError(`Two consumers are called ${method.name}. Give one of them a name of its own.`);
    const isPhased = phasedMethodsOf(provider).some(({ property }) => property === method.property);
    const tools = { transactions: this.transactions, deliveries: this.deliveries, ...this.config };
    this.consumers.set(method.name, new EventConsumer({ method, provider, isPhased }, tools));
  }
}
