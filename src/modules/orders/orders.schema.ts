import { z } from 'zod';
import { expandable } from '../../http/expansion/expandable.ts';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import { alwaysPresent, idIn, idOut, instant, MoneyIn, MoneyOut, prose } from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';

export const orderIds = defineIdKinds({ ord: 'order', pay: 'payment', rfd: 'refund' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof orderIds> {}
}

export const OrderId = idIn('ord');

const fields = {
  note: prose(500)
    .nullish()
    .meta({ description: 'For people; not interpreted', examples: ['Please ring twice'] }),
};
const Status = z.enum(['placed', 'cancelled']);

const Item = z.strictObject({
  skuId: idIn('sku'),
  quantity: z
    .int()
    .min(1)
    .max(10_000)
    .meta({ description: 'Units', examples: [2] }),
});

export const NewOrder = z
  .strictObject({
    items: z.array(Item).min(1).max(100).meta({ description: 'Items of one SKU are merged' }),
    payment: z.strictObject({ accountId: idIn('acct') }).meta({ description: 'The own account that pays' }),
    expectedTotal: MoneyIn.optional().meta({
      description: 'Refuses the order (price-changed) when it would cost anything else',
    }),
    ...fields,
  })
  .meta({ id: 'NewOrder' });
export type NewOrder = z.infer<typeof NewOrder>;

type Details = { readonly [Field in keyof typeof fields]: Exclude<z.output<(typeof fields)[Field]>, undefined> };
/** What the buyer says with the order; null where they say nothing. */
export const detailsOf = (order: NewOrder): Details =>
  Object.fromEntries(Object.keys(fields).map((field) => [field, order[field as keyof Details] ?? null])) as Details;

export const NewCancellation = z
  .strictObject({
    reason: prose(500)
      .nullish()
      .meta({ description: 'Kept with the order', examples: ['Ordered twice'] }),
  })
  .meta({ id: 'NewCancellation' });
export type NewCancellation = z.infer<typeof NewCancellation>;

export const OrderView = z
  .object({
    object: z.literal('order').default('order'),
    id: idOut('ord'),
    userId: idOut('usr'),
    status: Status.meta({ description: 'Whether it still holds' }),
    paymentState: z.enum(['paid', 'refunded']).meta({ description: 'Whether the money has come back' }),
    ...alwaysPresent(fields),
    items: z
      .array(
        z.object({
          skuId: idOut('sku'),
          name: z
            .string()
            .meta({ description: 'Of product and variant, when it was bought', examples: ['Travel mug, Blue'] }),
          quantity: z.int().meta({ description: 'Units', examples: [2] }),
          unitPrice: MoneyOut.meta({ description: 'Of one unit, when it was bought' }),
          lineTotal: MoneyOut.meta({ description: 'Of all units' }),
        }),
      )
      .meta({ description: 'What was bought, one item for each SKU' }),
    total: MoneyOut.meta({ description: 'Of all items' }),
    payment: z
      .object({
        id: idOut('pay'),
        accountId: idOut('acct'),
        transferId: idOut('tr'),
        amount: MoneyOut,
        createdAt: instant,
      })
      .meta({ description: 'How it was paid' }),
    refund: z
      .object({ id: idOut('rfd'), transferId: idOut('tr'), amount: MoneyOut, createdAt: instant })
      .nullable()
      .meta({ description: 'How the money came back; null while it has not', examples: [null] }),
    cancellation: z
      .object({
        cancelledById: idOut('usr'),
        reason: z
          .string()
          .nullable()
          .meta({ description: 'As it was given', examples: ['Ordered twice'] }),
        createdAt: instant,
      })
      .nullable()
      .meta({ description: 'Who cancelled it, and why; null while nobody has', examples: [null] }),
    version: z.int().meta({ description: 'Counts the changes: the ETag', examples: [1] }),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'Order', description: 'Goods bought together and paid from an account' });
expandable(OrderView, { user: 'usr', 'items.sku': 'sku', 'payment.account': 'acct', 'payment.transfer': 'tr' });

export const OrderQuery = z.strictObject({ ...pageQuery, status: Status.optional() });
export type OrderQuery = z.infer<typeof OrderQuery>;
export const OrderPage = pageOf(OrderView).meta({ id: 'OrderPage', description: 'Orders, newest first' });
