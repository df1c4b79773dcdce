import { Controller, Get, Post } from '@nestjs/common';
import {
  Body,
  Caller,
  Idempotent,
  MayWait,
  OperatorsOnly,
  Param,
  type Patience,
  Query,
  Refuses,
  Returns,
  SignedIn,
  Waiting,
} from '../../http/route.ts';
import { CloudEventView } from '../../events/event-view.ts';
import type { Principal } from '../../kernel/principal.ts';
import { eventProblems } from './events.problems.ts';
import {
  EventDeliveriesView,
  EventId,
  FeedQuery,
  FeedView,
  GivenUpPage,
  GivenUpQuery,
  NewRedelivery,
  RedeliveryView,
} from './events.schema.ts';
import { FeedService } from './feed.service.ts';
import { RedeliveriesService } from './redeliveries.service.ts';

@Controller('v1')
export class EventsController {
  constructor(
    private readonly feed: FeedService,
    private readonly redeliveries: RedeliveriesService,
  ) {}

  @Get('events')
  @SignedIn()
  @MayWait()
  @Returns(200, FeedView)
  followEvents(@Caller() caller: Principal, @Query(FeedQuery) query: FeedQuery, @Waiting() patience: Patience) {
    return this.feed.follow(caller, query, patience);
  }

  @Get('events/:id')
  @SignedIn()
  @Returns(200, CloudEventView)
  @Refuses(eventProblems.notFound)
  getEvent(@Caller() caller: Principal, @Param('id', EventId) id: string) {
    return this.feed.get(caller, id);
  }

  @Get('events/:id/deliveries')
  @OperatorsOnly()
  @Returns(200, EventDeliveriesView)
  @Refuses(eventProblems.notFound)
  getEventDeliveries(@Param('id', EventId) id: string) {
    return this.redeliveries.getDeliveries(id);
  }

  @Post('events/:id/redeliver')
  @OperatorsOnly()
  @Idempotent('required')
  @Returns(202, RedeliveryView)
  @Refuses(eventProblems.notFound, eventProblems.consumerNotFound, eventProblems.nothingToRedeliver)
  redeliverEvent(@Param('id', EventId) id: string, @Body(NewRedelivery) { consumer }: NewRedelivery) {
    return this.redeliveries.redeliver(id, consumer ?? null);
  }

  @Get('event-deliveries')
  @OperatorsOnly()
  @Returns(200, GivenUpPage)
  listEventDeliveries(@Caller() caller: Principal, @Query(GivenUpQuery) query: GivenUpQuery) {
    return this.redeliveries.listGivenUp(caller, query);
  }
}
