import { Module } from '@nestjs/common';
import { OperationsModule } from '../../operations/operations.module.ts';
import { EventWaiters } from './event-waiters.ts';
import { EventsController } from './events.controller.ts';
import { FeedRepository } from './feed.repository.ts';
import { FeedService } from './feed.service.ts';
import { GivenUpRepository } from './given-up.repository.ts';
import { RedeliveriesService } from './redeliveries.service.ts';

/** What the world reads of events. What records and delivers them is `src/events`. */
@Module({
  imports: [OperationsModule],
  controllers: [EventsController],
  providers: [FeedService, FeedRepository, EventWaiters, RedeliveriesService, GivenUpRepository],
})
export class EventFeedModule {}
