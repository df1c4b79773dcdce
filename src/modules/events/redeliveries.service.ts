import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { DeliveriesRepository } from '../../events/deliveries.repository.ts';
import { EventConsumers } from '../../events/event-consumers.ts';
import { page } from '../../http/pages/page.ts';
import type { Principal } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { eventProblems } from './events.problems.ts';
import type { GivenUpQuery } from './events.schema.ts';
import { FeedRepository } from './feed.repository.ts';
import { GivenUpRepository, keyOfDelivery } from './given-up.repository.ts';

const everybody = {};

/** What operators see of what consumers have not done, and do about it. */
@Injectable()
export class RedeliveriesService {
  constructor(
    private readonly feed: FeedRepository,
    private readonly givenUp: GivenUpRepository,
    private readonly deliveries: DeliveriesRepository,
    private readonly consumers: EventConsumers,
  ) {}

  /** Who has not done the event. Throws event-not-found. */
  async getDeliveries(id: string) {
    const { position } = found(await this.feed.find(everybody, id), eventProblems.notFound);
    return { data: await this.givenUp.listOf(position) };
  }

  /** What was given up, of the newest events first. */
  listGivenUp(by: Principal, query: GivenUpQuery) {
    return page(
      'event-deliveries',
      { ...query, reader: by.userId },
      z.string().regex(/^\d{1,19} [\x21-\x7e]{1,200}$/),
      (slice) => this.givenUp.listGivenUp(slice),
      keyOfDelivery,
    );
  }

  /**
   * Has the event delivered again: to the consumer, whether or not it has done it, or to whoever has not. An attempt that is under way is not
   * stored. Throws event-not-found, consumer-not-found, nothing-to-redeliver.
   */
  @Transactional()
  async redeliver(id: string, consumer: string | null) {
    const { position, type } = found(await this.feed.find(everybody, id), eventProblems.notFound);
    if (consumer !== null && !this.consumers.isTold(consumer, type))
      throw eventProblems.consumerNotFound(`No consumer ${consumer} is told of ${type}.`, { pointer: '/consumer' });
    const consumers = await this.deliveries.redeliver(position, consumer);
    if (consumers.length === 0) throw eventProblems.nothingToRedeliver();
    return { eventId: id, consumers };
  }
}
