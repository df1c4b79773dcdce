import { z } from 'zod';
import { idOut, instant, MoneyOut } from '../../http/schemas.ts';
import { defineMail } from '../mails/mail-kind.ts';

export const orderConfirmation = defineMail({
  kind: 'order-confirmation',
  data: z.object({
    orderId: idOut('ord'),
    items: z.array(z.object({ name: z.string(), quantity: z.int(), lineTotal: MoneyOut })),
    total: MoneyOut,
    createdAt: instant,
  }),
  content: ({ orderId, items, total, createdAt }, words) => ({
    subject: `Your order ${orderId}`,
    parts: [
      'Thank you for your order. It is placed and paid.',
      `Order ${orderId}, ${words.moment(createdAt)}`,
      {
        rows: [
          ...items.map(({ name, quantity, lineTotal }) => [
            `${words.number(quantity)} ×`,
            name,
            words.money(lineTotal),
          ]),
          ['', 'Total', words.money(total)],
        ],
      },
    ],
  }),
});
