import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { DeliveriesRepository } from './deliveries.repository.ts';
import { EventConsumers } from './event-consumers.ts';
import { EventRelay } from './event-relay.ts';
import { EventRetention } from './event-retention.ts';
import { Events } from './events.ts';
import './events.checks.ts';
import { EventsRepository } from './events.repository.ts';

/** Gives every service {@link Events}, and calls the methods with `@OnEvent()`. */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [Events, EventsRepository, DeliveriesRepository, EventRelay, EventConsumers, EventRetention],
  exports: [Events, EventRelay, EventConsumers, DeliveriesRepository],
})
export class EventsModule {}
