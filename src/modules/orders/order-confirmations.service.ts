import { Injectable } from '@nestjs/common';
import type { EventOf } from '../../events/event-type.ts';
import { OnEvent } from '../../events/on-event.ts';
import { found } from '../../kernel/problem.ts';
import { MailsService } from '../mails/mails.service.ts';
import { showOrder } from './order.ts';
import { orderPlaced } from './orders.events.ts';
import { orderConfirmation } from './orders.mails.ts';
import { orderProblems } from './orders.problems.ts';
import { OrdersRepository } from './orders.repository.ts';

/** Writes to whoever has placed an order. */
@Injectable()
export class OrderConfirmationsService {
  constructor(
    private readonly orders: OrdersRepository,
    private readonly mails: MailsService,
  ) {}

  /** Stores the mail in the boundary with which the delivery of the event is removed. */
  @OnEvent(orderPlaced, {
    name: 'order-confirmations',
    wants: async ({ mails }: OrderConfirmationsService, types) => (mails.isOn ? types : []),
  })
  async confirm({ id: eventId, subjectId }: EventOf<typeof orderPlaced>): Promise<void> {
    const {
      id: orderId,
      userId,
      ...order
    } = showOrder(found(await this.orders.find({}, subjectId), orderProblems.notFound));
    await this.mails.enqueue(orderConfirmation({ to: userId, eventId, data: { orderId, ...order } }));
  }
}
