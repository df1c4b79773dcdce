import { z } from 'zod';
import { defineEvent } from '../../events/event-type.ts';
import { idOut, MoneyOut } from '../../http/schemas.ts';
import { money } from '../../kernel/money.ts';

const OrderData = z.object({
  orderId: idOut('ord'),
  userId: idOut('usr'),
  total: MoneyOut,
});

export const orderPlaced = defineEvent({
  type: 'order.placed',
  meaning: 'An order was placed and paid.',
  subject: 'ord',
  data: OrderData,
});

export const orderCancelled = defineEvent({
  type: 'order.cancelled',
  meaning: 'An order was cancelled, and its money has gone back.',
  subject: 'ord',
  data: OrderData,
});

interface Order {
  readonly id: string;
  readonly userId: string;
  readonly total: bigint;
  readonly currency: string;
}

/** What happened to an order. */
export const orderEvent = (type: typeof orderPlaced, { id, userId, total, currency }: Order) =>
  type({ subject: id, owner: userId, data: { orderId: id, userId, total: money(total, currency) } });
