import type { Cases, World } from '../support/cases.ts';

const eur = (amount: number) => ({ amount, currency: 'EUR' });
const toBob = ({ alice, bob }: World) => ({
  fromAccountId: alice.accountId,
  toAccountId: bob.accountId,
  amount: eur(5),
});
export const sent = async (world: World, more: object = {}): Promise<string> =>
  (await world.alice.api.post('/v1/transfers', { ...toBob(world), ...more }).expect(201)).body.id;
const batchOf = (world: World, size: number) =>
  world.alice.api.post('/v1/transfers/batch', {
    mode: 'atomic',
    transfers: Array.from({ length: size }, () => toBob(world)),
  });

export const cases: Cases = {
  refusals: {
    transfer: ['insufficient-funds'],
    previewTransfer: ['insufficient-funds'],
    transferAll: ['insufficient-funds'],
    reverseTransfer: ['insufficient-funds'],
  },
  things: {
    tr: (world) => sent(world),
  },
  rows: {
    'GET /v1/transfers': async (world) => void (await sent(world)),
  },
  routes: {
    'POST /v1/transfers': (world) => {
      const pending = { type: 'pending', expiresInSeconds: 60, conditions: { from: { ifAvailableAtLeast: eur(1) } } };
      return Promise.resolve({ caller: world.alice, body: { ...toBob(world), note: 'Lunch', ...pending } });
    },
    'POST /v1/transfers/preview': (world) =>
      Promise.resolve({ caller: world.alice, body: { ...toBob(world), note: 'Lunch' } }),
    'POST /v1/transfers/batch': (world) => {
      const transfers = [{ ...toBob(world), note: 'Lunch' }];
      return Promise.resolve({ caller: world.alice, body: { mode: 'partial', transfers } });
    },
    'POST /v1/transfers/void': async (world) => {
      const transferIds = [await sent(world, { type: 'pending' })];
      return { caller: world.alice, body: { transferIds } };
    },
    'POST /v1/transfers/{id}/post': async (world) => {
      const id = await sent(world, { type: 'pending' });
      return { caller: world.alice, id, body: { amount: eur(1) } };
    },
    'POST /v1/transfers/{id}/void': async (world) => {
      const id = await sent(world, { type: 'pending' });
      return { caller: world.alice, id };
    },
    'POST /v1/transfers/{id}/reversals': async (world) => {
      const id = await sent(world);
      return { caller: world.bob, id, body: { amount: eur(1), note: 'Back' } };
    },
  },
  measured: {
    'POST /v1/deposits':
      async ({ alice, operator }) =>
      () =>
        operator.api.post('/v1/deposits', { accountId: alice.accountId, amount: eur(5) }),
    'POST /v1/transfers': async (world) => () => world.alice.api.post('/v1/transfers', toBob(world)),
    'POST /v1/transfers, pending': async (world) => () =>
      world.alice.api.post('/v1/transfers', { ...toBob(world), type: 'pending' }),
    'POST /v1/transfers/batch, one': async (world) => () => batchOf(world, 1),
    'POST /v1/transfers/batch, fifty': async (world) => () => batchOf(world, 50),
    'POST /v1/transfers/preview': async (world) => () => world.alice.api.post('/v1/transfers/preview', toBob(world)),
    // Whether it is over is asked before its accounts are locked, and again when they are.
    'POST /v1/transfers/:id/post': async (world) => {
      const id = await sent(world, { type: 'pending' });
      return () => world.alice.api.post(`/v1/transfers/${id}/post`);
    },
    'POST /v1/transfers/:id/void': async (world) => {
      const id = await sent(world, { type: 'pending' });
      return () => world.alice.api.post(`/v1/transfers/${id}/void`);
    },
    'POST /v1/transfers/void': async (world) => {
      const id = await sent(world, { type: 'pending' });
      return () => world.alice.api.post('/v1/transfers/void', { transferIds: [id] });
    },
    'POST /v1/transfers/:id/reversals': async (world) => {
      const id = await sent(world);
      return () => world.bob.api.post(`/v1/transfers/${id}/reversals`);
    },
    'GET /v1/transfers, with both accounts':
      async ({ alice }) =>
      () =>
        alice.api.get('/v1/transfers?expand=fromAccount,toAccount'),
    'GET /v1/transfers, with both accounts and their owners':
      async ({ alice }) =>
      () =>
        alice.api.get('/v1/transfers?expand=fromAccount.user,toAccount.user'),
    'GET /v1/transfers/:id, pending': async (world) => {
      const id = await sent(world, { type: 'pending' });
      return () => world.alice.api.get(`/v1/transfers/${id}`);
    },
  },
};
