import type { Cases, World } from '../support/cases.ts';

const place = ({ alice, make, skus }: World, items: number) =>
  alice.api.post(
    '/v1/orders',
    make.orderOf(
      alice,
      skus.slice(0, items).map(({ id }) => id),
    ),
  );

export const cases: Cases = {
  tables: { order: 'stays', order_line: 'stays', payment: 'stays', refund: 'stays', cancellation: 'stays' },
  rights: {
    order: 'INSERT, UPDATE',
    order_line: 'INSERT',
    payment: 'INSERT',
    refund: 'INSERT',
    cancellation: 'INSERT',
  },
  refusals: { placeOrder: ['insufficient-funds'], cancelOrder: ['insufficient-funds'] },
  things: {
    ord: async (world) => (await place(world, 1).expect(201)).body.id,
  },
  rows: { 'GET /v1/orders': async (world) => void (await place(world, 2).expect(201)) },
  routes: {
    'POST /v1/orders': ({ alice, skus }) => {
      const goods = { items: [{ skuId: skus[0]!.id, quantity: 1 }], payment: { accountId: alice.accountId } };
      const body = { ...goods, expectedTotal: { amount: 10, currency: 'EUR' }, note: 'Please ring twice' };
      return Promise.resolve({ caller: alice, body });
    },
    'POST /v1/orders/{id}/cancel': async (world) => {
      const { id } = (await place(world, 1).expect(201)).body;
      return { caller: world.alice, id, body: { reason: 'Changed my mind' } };
    },
  },
  measured: {
    'POST /v1/orders, one item': async (world) => () => place(world, 1),
    'POST /v1/orders, five items': async (world) => () => place(world, 5),
    'GET /v1/orders, with SKUs, transfer and its accounts':
      async ({ alice }) =>
      () =>
        alice.api.get('/v1/orders?expand=items.sku,payment.transfer.fromAccount,payment.transfer.toAccount'),
    'POST /v1/orders/:id/cancel': async (world) => {
      const { id } = (await place(world, 2).expect(201)).body;
      return () => world.alice.api.post(`/v1/orders/${id}/cancel`);
    },
  },
};
