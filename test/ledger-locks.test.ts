/** @servers any */
import pg from 'pg';
import { newId, showId } from '../src/kernel/ids.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { crowd } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { between, eur, send, sentId } from './support/transfers.ts';

// What each write locks of the things that a request names, also when it is refused: asked of the database, by another session that holds
// them meanwhile. Who must have a row that is held waits for it; who answers has left it alone.

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
let holder: pg.Client;
beforeAll(async () => {
  service = await startApp({ DATABASE_LOCK_TIMEOUT_MS: '400' });
  make = makers(service);
  operator = await make.operator();
  holder = new pg.Client({ connectionString: service.database.urls.owner });
  await holder.connect();
});
afterAll(async () => {
  await holder.end();
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

interface World {
  readonly ada: Person;
  readonly bob: Person;
  readonly sales: string;
  readonly cash: string;
  /** Of Ada to Bob. */
  readonly waiting: string;
  readonly made: string;
  readonly deposit: string;
  readonly order: string;
  readonly sku: string;
  readonly payment: string;
}

async function makeWorld(): Promise<World> {
  const [ada, bob] = (await crowd(service, 2, { balance: 1000 })) as [Person, Person];
  const sku = await make.sku(5, 100);
  const { body: order } = await ada.api.post('/v1/orders', make.orderOf(ada, [sku])).expect(201);
  const house = await service.database.query<{ id: string; house: string }>(
    `SELECT id, house::text FROM account WHERE house IS NOT NULL AND currency = 'EUR'`,
  );
  const [deposit] = await service.database.query<{ id: string }>(
    `SELECT id FROM transfer WHERE kind = 'deposit' AND to_account_id = $1`,
    [uuidOf(ada.accountId)],
  );
  return {
    ada,
    bob,
    cash: house.find((one) => one.house === 'cash')!.id,
    sales: house.find((one) => one.house === 'sales')!.id,
    waiting: await sentId(ada, bob, 5, { type: 'pending' }),
    made: await sentId(ada, bob, 5),
    deposit: showId('tr', deposit!.id),
    order: order.id,
    sku,
    payment: order.payment.transferId,
  };
}

type Request = (world: World) => PromiseLike<{ status: number; body: { code?: string } }>;
const to = (toAccountId: string) => ({ toAccountId });
const batch = (who: Person, transfers: object[]) => who.api.post('/v1/transfers/batch', { mode: 'partial', transfers });
const edit = (who: Person, id: string, patch: object) =>
  who.api.patch(`/v1/accounts/${id}`, patch).set('if-match', '*');
const close = (who: Person, id: string) => who.api.post(`/v1/accounts/${id}/close`).set('if-match', '*');

const account = ({ accountId }: Person): string => `account:${uuidOf(accountId)}`;
/** By what is named: whose it is, and the table with the key. */
const things: Record<string, (world: World) => string> = {
  'the own account': ({ ada }) => account(ada),
  'the account of a stranger': ({ bob }) => account(bob),
  'the sales of the house': ({ sales }) => `account:${sales}`,
  'the cash of the house': ({ cash }) => `account:${cash}`,
  'an order': ({ order }) => `order:${uuidOf(order)}`,
  'a stock': ({ sku }) => `stock:${uuidOf(sku)}`,
};
const [own, strangers, sales, cash, order, stock] = Object.keys(things) as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const keys: Record<string, string> = { account: 'id', order: 'id', stock: 'sku_id' };

/** What each request may lock, and nothing else of the things. Ada asks, unless another one is named. */
const requests: Record<string, [Request, string[]]> = {
  'a transfer to a stranger': [({ ada, bob }) => send(ada, bob, 1), [own, strangers]],
  'a transfer to the house': [({ ada, bob, sales: id }) => send(ada, bob, 1, to(showId('acct', id))), [own]],
  'a transfer to nobody': [({ ada, bob }) => send(ada, bob, 1, to(showId('acct', newId()))), [own]],
  'a transfer from a stranger': [({ ada, bob }) => ada.api.post('/v1/transfers', between(bob, ada, 1)), []],
  'a transfer from the house': [
    ({ ada, bob, cash: id }) =>
      ada.api.post('/v1/transfers', { ...between(bob, ada, 1), fromAccountId: showId('acct', id) }),
    [],
  ],
  'a preview': [({ ada, bob }) => ada.api.post('/v1/transfers/preview', between(ada, bob, 1)), []],
  'a batch that names strangers, the house and nobody': [
    ({ ada, bob, sales: s, cash: c }) =>
      batch(ada, [
        between(bob, ada, 1),
        between(ada, bob, 1, to(showId('acct', s))),
        between(ada, bob, 1, to(showId('acct', c))),
        between(ada, bob, 1, to(showId('acct', newId()))),
      ]),
    [own],
  ],
  'a transfer in another currency': [
    ({ ada, bob }) => send(ada, bob, 1, { amount: { amount: 1, currency: 'USD' } }),
    [],
  ],
  'a condition on a stranger’s account': [
    ({ ada, bob }) => send(ada, bob, 1, { conditions: { to: { ifVersion: 1 } } }),
    [],
  ],
  'posting what is not pending': [({ ada, made }) => ada.api.post(`/v1/transfers/${made}/post`), []],
  'posting a payment': [({ ada, payment }) => ada.api.post(`/v1/transfers/${payment}/post`), []],
  'voiding a payment': [({ ada, payment }) => ada.api.post(`/v1/transfers/${payment}/void`), []],
  'voiding a list of what is not pending': [
    ({ ada, payment, made }) => ada.api.post('/v1/transfers/void', { transferIds: [payment, made] }),
    [],
  ],
  'posting as the receiver': [({ bob, waiting }) => bob.api.post(`/v1/transfers/${waiting}/post`), []],
  'voiding what is pending': [({ ada, waiting }) => ada.api.post(`/v1/transfers/${waiting}/void`), [own, strangers]],
  'voiding it by list': [
    ({ ada, waiting }) => ada.api.post('/v1/transfers/void', { transferIds: [waiting] }),
    [own, strangers],
  ],
  'reversing a deposit as a customer': [({ ada, deposit }) => ada.api.post(`/v1/transfers/${deposit}/reversals`), []],
  'reversing a payment as an operator': [({ payment }) => operator.api.post(`/v1/transfers/${payment}/reversals`), []],
  'reversing a deposit as an operator': [
    ({ deposit }) => operator.api.post(`/v1/transfers/${deposit}/reversals`),
    [own, cash],
  ],
  'reversing as the sender': [({ ada, made }) => ada.api.post(`/v1/transfers/${made}/reversals`), []],
  'a deposit': [
    ({ ada }) => operator.api.post('/v1/deposits', { accountId: ada.accountId, amount: eur(1) }),
    [own, cash],
  ],
  'a deposit to the house': [
    ({ sales: id }) => operator.api.post('/v1/deposits', { accountId: showId('acct', id), amount: eur(1) }),
    [cash],
  ],
  'the settings of the own account': [({ ada }) => edit(ada, ada.accountId, { name: 'Mine' }), [own]],
  'the settings of a stranger’s account': [({ ada, bob }) => edit(ada, bob.accountId, { name: 'Mine' }), []],
  'the settings of the house, by an operator': [
    ({ cash: id }) => edit(operator, showId('acct', id), { name: 'Mine' }),
    [],
  ],
  'closing a stranger’s account': [({ ada, bob }) => close(ada, bob.accountId), []],
  'an order from a stranger’s account': [
    ({ ada, bob, sku }) =>
      ada.api.post('/v1/orders', { ...make.orderOf(ada, [sku]), payment: { accountId: bob.accountId } }),
    [],
  ],
  'an order from the own account': [
    ({ ada, sku }) => ada.api.post('/v1/orders', make.orderOf(ada, [sku])),
    [own, stock, sales],
  ],
  'cancelling a stranger’s order': [({ bob, order: id }) => bob.api.post(`/v1/orders/${id}/cancel`), []],
  'cancelling the own order': [
    ({ ada, order: id }) => ada.api.post(`/v1/orders/${id}/cancel`),
    [own, order, stock, sales],
  ],
};

/** Whether the request is answered while the thing is held, and at no moment waits for it: a batch of a lane waits for a moment only. */
async function isAnsweredBeside(world: World, thing: string, request: Request): Promise<boolean> {
  const [table = '', id] = thing.split(':');
  await holder.query('BEGIN');
  try {
    const { rows } = await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await holder.query(`SELECT FROM "${table}" WHERE ${keys[table]} = $1 FOR NO KEY UPDATE`, [id]);
    let isOver = false;
    const answered = request(world).then(({ status }) => {
      isOver = true;
      return status;
    });
    let hasWaited = false;
    while (!isOver && !hasWaited) hasWaited = await isWaitedFor(rows[0]!.pid);
    return (await answered) !== 503 && !hasWaited;
  } finally {
    await holder.query('ROLLBACK');
  }
}

async function isWaitedFor(pid: number): Promise<boolean> {
  const waiting = 'SELECT FROM pg_stat_activity WHERE datname = current_database() AND $1 = ANY(pg_blocking_pids(pid))';
  return (await service.database.query(waiting, [pid])).length > 0;
}

describe('beside somebody who holds what is named', () => {
  it.each(Object.keys(requests))('%s waits for what it may change, and for nothing else', async (name) => {
    const [request, mayLock] = requests[name]!;
    const waited: string[] = [];
    let world = await makeWorld();
    for (const [thing, keyOf] of Object.entries(things)) {
      const isFree = await isAnsweredBeside(world, keyOf(world), request);
      if (!isFree) waited.push(thing);
      // It was done now, and may be done once only.
      if (isFree && mayLock.length > 0) world = await makeWorld();
    }
    expect(waited.sort()).toEqual([...mayLock].sort());
  });
});

it('while somebody sends batches that name the house and what they cannot pay, others buy as they did', async () => {
  const [attacker, buyer, victim] = (await crowd(service, 3, { balance: 100_000 })) as [Person, Person, Person];
  const world = await makeWorld();
  await sentId(attacker, victim, 1, { type: 'pending' });
  const sku = await make.sku(10_000, 1);
  const transfers = [
    ...Array.from({ length: 999 }, () => between(attacker, victim, 500_000)),
    between(attacker, victim, 1, to(showId('acct', world.sales))),
  ];
  const orders = async (times: number): Promise<number> => {
    const begunAt = performance.now();
    for (let n = 0; n < times; n++) await buyer.api.post('/v1/orders', make.orderOf(buyer, [sku])).expect(201);
    return (performance.now() - begunAt) / times;
  };
  await orders(5);
  const alone = await orders(20);
  let isOver = false;
  const attack = (async () => {
    while (!isOver) expect((await batch(attacker, transfers)).status).toBe(207);
  })();
  try {
    // Seventy times slower before, as each batch held the account of the house. Both now share two processors with it.
    expect(await orders(20)).toBeLessThan(alone * 15 + 200);
  } finally {
    isOver = true;
    await attack;
  }
});
