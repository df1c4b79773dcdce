import { spawn } from 'node:child_process';
import { join } from 'node:path';
import pg from 'pg';
import { newId } from '../src/kernel/ids.ts';
import { allChecks } from '../src/reconciliation/check.ts';
import { type Reconciliation, reconcile, reconcileIn } from '../src/reconciliation/reconcile.ts';
import { describeReconciliation } from '../src/reconciliation/report.ts';
import { inSnapshot } from '../src/reconciliation/snapshot.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { crowd, eventually } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { ask } from './support/own-cluster.ts';
import { buildService, leastEnvironment } from './support/process.ts';
import { testSecret } from './support/secret.ts';

let service: TestApp;
let superuser: pg.Client;
// Two people with euros, a placed order and a cancelled one.
let account: string;
let bobs: string;
// Two with dollars: Carol has used some of her overdraft, Dan has an upper limit, and some transfers between them were pending.
let dollars: string;
let dans: string;
let pending: string;
let posted: string;
let voided: string;
let reversal: string;
let deposit: string;
let transfer: string;
let sku: string;
let placed: string;
let cancelled: string;
let payment: string;
let refund: string;
// Alice has booked two seats of the showing and holds one; Bob has cancelled a booking. The other showing is at the same time elsewhere.
let showing: string;
let otherShowing: string;
let hold: string;
let booked: string;
let returned: string;
let booker: string;

beforeAll(async () => {
  service = await startApp();
  const make = makers(service);
  const [alice, bob] = await crowd(service, 2, { balance: 10_000 });
  const [carol, dan] = await crowd(service, 2, { balance: 10_000, currency: 'USD' });
  const moved = {
    fromAccountId: alice!.accountId,
    toAccountId: bob!.accountId,
    amount: { amount: 7, currency: 'EUR' },
  };
  transfer = uuidOf((await alice!.api.post('/v1/transfers', moved).expect(201)).body.id);
  const goods = await make.product({ onHand: [10], price: 100 });
  const order = make.orderOf(alice!, [goods.skus[0]!.id]);
  placed = uuidOf((await alice!.api.post('/v1/orders', order).expect(201)).body.id);
  const other = await alice!.api.post('/v1/orders', order).expect(201);
  await alice!.api.post(`/v1/orders/${other.body.id}/cancel`).expect(200);
  cancelled = uuidOf(other.body.id);
  account = uuidOf(alice!.accountId);
  bobs = uuidOf(bob!.accountId);
  sku = uuidOf(goods.skus[0]!.id);
  superuser = new pg.Client({ connectionString: service.database.urls.superuser });
  await superuser.connect();
  payment = await one(`SELECT id FROM payment WHERE order_id = '${placed}'`);
  refund = await one(
    `SELECT r.id FROM refund r JOIN payment p ON p.id = r.payment_id WHERE p.order_id = '${cancelled}'`,
  );
  await moveDollars(carol!, dan!);
  await book(alice!, bob!);
  deposit = await one(`SELECT id FROM transfer WHERE kind = 'deposit' AND to_account_id = '${account}'`);
});
afterAll(async () => {
  await superuser.end();
  await service.close();
});

async function moveDollars(carol: Person, dan: Person): Promise<void> {
  [dollars, dans] = [uuidOf(carol.accountId), uuidOf(dan.accountId)];
  const usd = (amount: number) => ({ amount, currency: 'USD' });
  const { api: operator } = await makers(service).operator();
  const edit = (person: Person, patch: object) =>
    operator.patch(`/v1/accounts/${person.accountId}`, patch).set('if-match', '*').expect(200);
  await edit(carol, { overdraftLimit: usd(200) });
  await edit(dan, { maxBalance: usd(30_000) });
  const send = async (amount: number, more: object): Promise<string> => {
    const sent = { fromAccountId: carol.accountId, toAccountId: dan.accountId, amount: usd(amount), ...more };
    return (await carol.api.post('/v1/transfers', sent).expect(201)).body.id;
  };
  await send(10_030, {});
  const ids = [];
  for (const amount of [30, 40, 20]) ids.push(await send(amount, { type: 'pending' }));
  await carol.api.post(`/v1/transfers/${ids[1]}/post`, { amount: usd(30) }).expect(200);
  await carol.api.post(`/v1/transfers/${ids[2]}/void`).expect(200);
  const back = await dan.api.post(`/v1/transfers/${ids[1]}/reversals`, { amount: usd(10) }).expect(201);
  [pending, posted, voided, reversal] = [...ids, back.body.id as string].map(uuidOf) as [
    string,
    string,
    string,
    string,
  ];
}

async function book(alice: Person, bob: Person): Promise<void> {
  const { api: operator } = await makers(service).operator();
  const open = async (hall: string): Promise<string> => {
    const [startsAt, endsAt] = ['2090-05-01T20:00:00Z', '2090-05-01T22:00:00Z'];
    const made = {
      title: 'The Tempest',
      hall,
      startsAt,
      endsAt,
      price: { amount: 100, currency: 'EUR' },
      seatsPerCustomer: 3,
    };
    return (await operator.post('/v1/showings', { ...made, rows: [{ row: 'A', seats: 6 }] }).expect(201)).body.id;
  };
  const [shown, elsewhere] = [await open('Hall of books'), await open('Another hall')];
  const holdBy = async ({ api }: Person, count: number): Promise<string> =>
    (await api.post(`/v1/showings/${shown}/best-available-holds`, { count }).expect(201)).body.id;
  const bookBy = async (person: Person, count: number): Promise<string> => {
    const paid = { holdId: await holdBy(person, count), payment: { accountId: person.accountId } };
    return (await person.api.post('/v1/bookings', paid).expect(201)).body.id;
  };
  booked = uuidOf(await bookBy(alice, 2));
  hold = uuidOf(await holdBy(alice, 1));
  const back = await bookBy(bob, 1);
  await bob.api.post(`/v1/bookings/${back}/cancel`).expect(200);
  [showing, otherShowing, returned, booker] = [shown, elsewhere, back, alice.id].map(uuidOf) as [
    string,
    string,
    string,
    string,
  ];
}

const one = async (sql: string): Promise<string> => (await superuser.query<{ id: string }>(sql)).rows[0]?.id ?? '';

/** What is found, by name, while the statements hold; they are undone afterwards. */
async function findingsOf(statements: readonly string[]): Promise<Record<string, readonly string[]>> {
  await superuser.query('BEGIN; SET LOCAL session_replication_role = replica');
  try {
    for (const sql of statements) await superuser.query(sql);
    return found(await reconcileIn(async (sql) => (await superuser.query(sql)).rows as never));
  } finally {
    await superuser.query('ROLLBACK');
  }
}
const found = ({ checks }: Reconciliation): Record<string, readonly string[]> =>
  Object.fromEntries(checks.filter((check) => check.found > 0).map(({ mistake, first }) => [mistake, first]));

const sorted = (...ids: string[]): string[] => ids.sort();
const without = (table: string, constraint: string): string => `ALTER TABLE ${table} DROP CONSTRAINT "${constraint}"`;

/** Settings that somebody has set, by all that is recorded. */
const settingsOf = (id: string, column: string, value: number | string): string[] => [
  `UPDATE account SET ${column} = ${value} WHERE id = '${id}'`,
  `UPDATE account_change c SET ${column} = a.${column} FROM account a WHERE a.id = '${id}' AND c.account_id = a.id`,
];

interface Plant {
  readonly sql: () => readonly string[];
  /** What must be found, and nothing else: this mistake at these ids, and those that cannot but come with it. */
  readonly finds: () => Record<string, unknown>;
}

// One at least for each check. Where one row's mistake is another's as well, both are named.
const plants: Record<string, Plant> = {
  'money moved between balances without entries': {
    sql: () => [
      `UPDATE account SET balance = balance - 1 WHERE id = '${account}'`,
      `UPDATE account SET balance = balance + 1 WHERE id = '${bobs}'`,
    ],
    finds: () => ({ 'an account is not the sum of its entries': sorted(account, bobs) }),
  },
  'an entry that is not counted': {
    sql: () => [`UPDATE account SET entry_count = entry_count - 1 WHERE id = '${account}'`],
    finds: () => ({ 'an account is not the sum of its entries': [account] }),
  },
  'money from nowhere': {
    sql: () => [`UPDATE account SET balance = balance + 5 WHERE id = '${account}'`],
    finds: () => ({
      'an account is not the sum of its entries': [account],
      'a currency does not sum to zero': ['EUR'],
    }),
  },
  'an account below its limit, in books that add up': {
    sql: () => {
      const id = newId();
      return [
        without('account', 'insufficient-funds'),
        `UPDATE account SET balance = balance - 20000, entry_count = entry_count + 1 WHERE id = '${account}'`,
        `UPDATE account SET balance = balance + 20000, entry_count = entry_count + 1 WHERE id = '${bobs}'`,
        `INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
         VALUES ('${id}', 'transfer', '${account}', '${bobs}', 20000, 'EUR', '${id}')`,
        `INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
         SELECT id, entry_count, '${id}', CASE id WHEN '${account}' THEN -20000 ELSE 20000 END, balance
         FROM account WHERE id IN ('${account}', '${bobs}')`,
      ];
    },
    finds: () => ({ 'an account is below its limit': [account] }),
  },
  'an account below its limit with what is pending': {
    sql: () => [without('account', 'insufficient-funds'), ...settingsOf(dollars, 'overdraft_limit', 60)],
    finds: () => ({ 'an account is below its limit': [dollars] }),
  },
  'an account that holds more than it may, and not by a refund': {
    sql: () => settingsOf(dans, 'max_balance', 'balance - 1'),
    finds: () => ({ 'an account holds more than it may': [dans] }),
  },
  'a closed account with money': {
    sql: () => [
      without('account', 'balance-not-zero'),
      without('account', 'pending-transfers'),
      `UPDATE account SET closed_at = now() WHERE id = '${dans}'`,
      `UPDATE account_change SET is_closed = true WHERE account_id = '${dans}'`,
    ],
    finds: () => ({ 'an account is closed and not empty': [dans] }),
  },
  'more pending than is reserved': {
    sql: () => [
      `UPDATE account SET pending_out = pending_out + 1 WHERE id = '${dollars}'`,
      `UPDATE account SET pending_in = pending_in + 1 WHERE id = '${dans}'`,
    ],
    finds: () => ({ 'an account does not count what is reserved': sorted(dollars, dans) }),
  },
  'a total of reservations that is none': {
    sql: () => [
      `UPDATE reservation_total SET outgoing_count = outgoing_count + 1 WHERE account_id = '${dollars}'`,
      `DELETE FROM reservation_total WHERE account_id = '${dans}'`,
    ],
    finds: () => ({ 'the reservations of an account are not their total': sorted(dollars, dans) }),
  },
  'an account that leaves out what its total counts': {
    sql: () => [`UPDATE account SET expired_through = expired_through + interval '1 day' WHERE id = '${dollars}'`],
    finds: () => ({ 'the reservations of an account are not their total': [dollars] }),
  },
  'a reservation on the wrong side': {
    sql: () => [`UPDATE reservation SET side = 'out' WHERE account_id = '${dans}'`],
    finds: () => ({
      'an account does not count what is reserved': [dans],
      'the reservations of an account are not their total': [dans],
      'a pending transfer does not reserve what it should': [pending],
    }),
  },
  'limits that nobody has set': {
    sql: () => [
      `UPDATE account SET overdraft_limit = overdraft_limit + 1 WHERE id IN ('${dollars}', '${bobs}')`,
      `UPDATE account SET max_balance = NULL WHERE id = '${dans}'`,
      `UPDATE account SET frozen_at = now() WHERE id = '${account}'`,
    ],
    finds: () => ({
      'the settings of an account are not those of its last change': sorted(dollars, bobs, dans, account),
    }),
  },
  'a change of settings that is gone': {
    sql: () => [`DELETE FROM account_change WHERE account_id = '${dollars}'`],
    finds: () => ({ 'the settings of an account are not those of its last change': [dollars] }),
  },
  'a running balance that jumps': {
    sql: () => [`UPDATE entry SET balance_after = balance_after + 1 WHERE account_id = '${account}' AND seq = 1`],
    finds: () => ({ 'an entry does not continue the one before': [`${account} 1`, `${account} 2`] }),
  },
  'a gap in the entries': {
    sql: () => [
      `UPDATE entry SET seq = seq + 1 WHERE account_id = '${account}' AND seq = (SELECT entry_count FROM account WHERE id = '${account}')`,
    ],
    finds: () => ({ 'an entry does not continue the one before': [expect.stringMatching(account)] }),
  },
  'an amount changed on one side': {
    sql: () => [`UPDATE entry SET amount = amount + 1 WHERE account_id = '${bobs}' AND transfer_id = '${transfer}'`],
    finds: () => ({
      'an account is not the sum of its entries': [bobs],
      'an entry does not continue the one before': [`${bobs} 2`],
      'a transfer does not have its two entries': [transfer],
    }),
  },
  'an amount changed in the transfer': {
    sql: () => [`UPDATE transfer SET amount = amount + 1 WHERE id = '${transfer}'`],
    finds: () => ({ 'a transfer does not have its two entries': [transfer] }),
  },
  'a transfer turned round': {
    sql: () => [
      `UPDATE transfer SET from_account_id = to_account_id, to_account_id = from_account_id WHERE id = '${transfer}'`,
    ],
    finds: () => ({ 'a transfer does not have its two entries': [transfer] }),
  },
  'an entry from before the one before': {
    sql: () => [`UPDATE entry SET created_at = created_at - interval '1 day' WHERE account_id = '${bobs}' AND seq = 2`],
    finds: () => ({ 'an entry is older than the one before it': [`${bobs} 2`] }),
  },
  'a posted transfer of which only the settlement is left': {
    sql: () => [`UPDATE entry SET transfer_id = '${voided}' WHERE transfer_id = '${posted}'`],
    finds: () => ({
      'a transfer does not have its two entries': [posted],
      'a transfer that is not posted has entries': [voided],
    }),
  },
  'a pending transfer that has entries': {
    sql: () => [
      `UPDATE entry SET transfer_id = '${pending}' WHERE transfer_id = '${posted}'`,
      `DELETE FROM settlement WHERE transfer_id = '${posted}'`,
    ],
    finds: () => ({
      'a transfer that is not posted has entries': [pending],
      'a pending transfer does not reserve what it should': [posted],
      'more was reversed of a transfer than was posted': [posted],
    }),
  },
  'a pending transfer that reserves on one side': {
    sql: () => [`DELETE FROM reservation WHERE account_id = '${dans}'`],
    finds: () => ({
      'an account does not count what is reserved': [dans],
      'the reservations of an account are not their total': [dans],
      'a pending transfer does not reserve what it should': [pending],
    }),
  },
  'a pending transfer of more than it reserves': {
    sql: () => [`UPDATE transfer SET amount = amount + 1 WHERE id = '${pending}'`],
    finds: () => ({ 'a pending transfer does not reserve what it should': [pending] }),
  },
  'a settled transfer that still reserves': {
    sql: () => [
      `INSERT INTO settlement (transfer_id, outcome, created_by_id) VALUES ('${pending}', 'voided', '${account}')`,
    ],
    finds: () => ({ 'a pending transfer does not reserve what it should': [pending] }),
  },
  'more posted than was pending': {
    sql: () => [`UPDATE transfer SET amount = 29 WHERE id = '${posted}'`],
    finds: () => ({ 'more was posted of a transfer than was pending': [posted] }),
  },
  'a settlement of what was never pending': {
    sql: () => [
      `INSERT INTO settlement (transfer_id, outcome, amount, created_by_id) VALUES ('${transfer}', 'posted', 7, '${account}')`,
    ],
    finds: () => ({ 'more was posted of a transfer than was pending': [transfer] }),
  },
  'a reversal of more than was posted': {
    sql: () => [`UPDATE settlement SET amount = 9 WHERE transfer_id = '${posted}'`],
    finds: () => ({
      'a transfer does not have its two entries': [posted],
      'more was reversed of a transfer than was posted': [posted],
    }),
  },
  'a reversal that does not count all': {
    sql: () => [`UPDATE transfer SET reversed_total = reversed_total - 1 WHERE id = '${reversal}'`],
    finds: () => ({ 'more was reversed of a transfer than was posted': [posted] }),
  },
  'a reversal that is not the first': {
    sql: () => [`UPDATE transfer SET reversal_seq = 2 WHERE id = '${reversal}'`],
    finds: () => ({ 'more was reversed of a transfer than was posted': [posted] }),
  },
  'a reversal of something between others': {
    sql: () => [`UPDATE transfer SET reverses_id = '${deposit}' WHERE id = '${reversal}'`],
    finds: () => ({ 'a transfer is not what its kind says': [reversal] }),
  },
  'a transfer of which nothing is left but its entries': {
    sql: () => [`DELETE FROM transfer WHERE id = '${transfer}'`],
    finds: () => ({
      'an entry belongs to no transfer': sorted(`${account} 2`, `${bobs} 2`),
      'an event tells of a transfer that is not there': [expect.any(String)],
    }),
  },
  'a transfer in another currency': {
    sql: () => [`UPDATE transfer SET currency = 'USD' WHERE id = '${transfer}'`],
    finds: () => ({ 'a transfer is in another currency than its accounts': [transfer] }),
  },
  'a deposit that is called a transfer': {
    sql: () => [`UPDATE transfer SET kind = 'transfer' WHERE id = '${deposit}'`],
    finds: () => ({ 'a transfer is not what its kind says': [deposit] }),
  },
  'stock from nowhere': {
    sql: () => [`UPDATE stock SET on_hand = on_hand + 1 WHERE sku_id = '${sku}'`],
    finds: () => ({ 'a stock is not the sum of its movements': [sku] }),
  },
  'stock below zero, with a movement for it': {
    sql: () => [
      without('stock', 'out-of-stock'),
      `UPDATE stock SET on_hand = on_hand - 100, movement_count = movement_count + 1 WHERE sku_id = '${sku}'`,
      `INSERT INTO stock_movement (sku_id, seq, quantity, on_hand_after, reason, created_by_id)
       SELECT sku_id, movement_count, -100, on_hand, 'adjusted', '${account}' FROM stock WHERE sku_id = '${sku}'`,
    ],
    finds: () => ({ 'a stock is below zero': [sku] }),
  },
  'a movement that leaves something else': {
    sql: () => [`UPDATE stock_movement SET on_hand_after = on_hand_after + 1 WHERE sku_id = '${sku}' AND seq = 1`],
    finds: () => ({ 'a movement does not continue the one before': [`${sku} 1`, `${sku} 2`] }),
  },
  'an order that costs less than its lines': {
    sql: () => [`UPDATE order_line SET unit_price = unit_price + 1 WHERE order_id = '${placed}'`],
    finds: () => ({ 'an order costs something else than its lines': [placed] }),
  },
  'an order that costs more than was paid': {
    sql: () => [`UPDATE "order" SET total = total + 1 WHERE id = '${placed}'`],
    finds: () => ({ 'an order costs something else than its lines': [placed], 'an order is not paid': [placed] }),
  },
  'an order without a payment': {
    sql: () => [`DELETE FROM payment WHERE id = '${payment}'`],
    finds: () => ({
      'an order is not paid': [placed],
      'a transfer for an order belongs to none': [expect.any(String)],
    }),
  },
  'a payment from another account than the one that paid': {
    sql: () => [`UPDATE payment SET account_id = '${bobs}' WHERE id = '${payment}'`],
    finds: () => ({ 'a payment is not what its transfer moved': [payment] }),
  },
  'a refund of less than was paid': {
    sql: () => [`UPDATE refund SET amount = amount - 1 WHERE id = '${refund}'`],
    finds: () => ({ 'a refund is not what its transfer moved': [refund] }),
  },
  'a cancelled order without its refund': {
    sql: () => [`DELETE FROM refund WHERE id = '${refund}'`],
    finds: () => ({
      'a cancelled order is not refunded, or a placed one is': [cancelled],
      'a transfer for an order belongs to none': [expect.any(String)],
    }),
  },
  'an order that nobody cancelled': {
    sql: () => [`DELETE FROM cancellation WHERE order_id = '${cancelled}'`],
    finds: () => ({ 'an order was cancelled by nobody, or a placed one by somebody': [cancelled] }),
  },
  'a cancelled order that is placed again': {
    sql: () => [`UPDATE "order" SET status = 'placed' WHERE id = '${cancelled}'`],
    finds: () => ({
      'a cancelled order is not refunded, or a placed one is': [cancelled],
      'an order was cancelled by nobody, or a placed one by somebody': [cancelled],
      'an order does not hold the stock it sold': [`${cancelled} ${sku}`],
      'an event tells of an order that is not there, or is not as it says': [expect.any(String)],
    }),
  },
  'an order that sold more than it holds': {
    sql: () => [
      `UPDATE order_line SET quantity = 2, unit_price = 50 WHERE order_id = '${placed}'`,
      // In lines and total alike: only the stock tells.
    ],
    finds: () => ({ 'an order does not hold the stock it sold': [`${placed} ${sku}`] }),
  },
  'a movement for an order that did not sell it': {
    sql: () => [
      `UPDATE stock_movement SET order_id = '${cancelled}' WHERE order_id = '${placed}'`,
      `DELETE FROM order_line WHERE order_id = '${cancelled}'`,
    ],
    finds: () => ({
      'an order costs something else than its lines': [cancelled],
      'an order does not hold the stock it sold': [`${placed} ${sku}`],
      'stock was moved for an order that has no such line': [`${sku} 2`, `${sku} 3`, `${sku} 4`],
    }),
  },
  'an event of a transfer that is not there': {
    sql: () => [`UPDATE event SET subject_id = gen_random_uuid() WHERE subject_id = '${transfer}'`],
    finds: () => ({ 'an event tells of a transfer that is not there': [expect.any(String)] }),
  },
  'an event of an order that is not as it says': {
    sql: () => [`UPDATE event SET type = 'order.cancelled' WHERE subject_id = '${placed}'`],
    finds: () => ({ 'an event tells of an order that is not there, or is not as it says': [expect.any(String)] }),
  },
  'a showing with a seat less': {
    sql: () => [`DELETE FROM seat WHERE showing_id = '${showing}' AND position = 5`],
    finds: () => ({ 'a showing has not the seats that it says': [showing] }),
  },
  'two showings in one hall': {
    sql: () => [without('showing', 'hall-taken'), `UPDATE showing SET hall = 'Hall of books'`],
    finds: () => ({ 'two showings are in one hall at a time': [[showing, otherShowing].sort().join(' ')] }),
  },
  'a hold of more seats than it has': {
    sql: () => [`UPDATE seat_hold SET seat_count = seat_count + 1 WHERE id = '${hold}'`],
    finds: () => ({ 'a live hold has not the seats that it says, or of another showing': [hold] }),
  },
  'a limit that somebody is above': {
    sql: () => [`UPDATE showing SET seats_per_customer = 2 WHERE id = '${showing}'`],
    finds: () => ({ 'a customer has more seats than the showing allows': [`${showing} ${booker}`] }),
  },
  'a booking that costs more than was paid': {
    sql: () => [`UPDATE booking SET amount = amount + 1 WHERE id = '${booked}'`],
    finds: () => ({ 'a booking is not what its transfer moved, or what its seats cost': [booked] }),
  },
  'a cancelled booking of another account than the one that paid': {
    sql: () => [`UPDATE booking SET account_id = '${account}' WHERE id = '${returned}'`],
    finds: () => ({
      'a booking is not what its transfer moved, or what its seats cost': [returned],
      'a cancelled booking is not refunded, or one that holds is': [returned],
    }),
  },
  'a booking that does not name a seat that it has': {
    sql: () => [
      `DELETE FROM booking_seat WHERE (booking_id, seat_id) = (SELECT booking_id, id FROM seat WHERE booking_id = '${booked}' LIMIT 1)`,
    ],
    finds: () => ({ 'a booking has not the seats that it names, or a cancelled one has some': [booked] }),
  },
  'an event of a booking that is not as it says': {
    sql: () => [`UPDATE event SET type = 'booking.cancelled' WHERE subject_id = '${booked}'`],
    finds: () => ({ 'an event tells of a booking that is not there, or is not as it says': [expect.any(String)] }),
  },
  'a delivery without its event': {
    sql: () => [
      `INSERT INTO event_delivery (consumer, position, order_key, due_at) VALUES ('nobody', 1000000, gen_random_uuid(), now())`,
    ],
    finds: () => ({ 'a delivery is of an event that is not there': ['nobody 1000000'] }),
  },
  'a consumer that has passed the horizon': {
    sql: () => [`INSERT INTO event_consumer (name, position) VALUES ('nobody', 1000000)`],
    finds: () => ({ 'a consumer is ahead of the horizon': ['nobody'] }),
  },
};

describe('the reconciliation', () => {
  it('finds nothing in books that are right, having looked at all rows', async () => {
    const { checks: results, server, asOf, found: mistakes } = await reconcile(service.database.urls.owner);
    expect(results.filter((check) => check.found > 0)).toEqual([]);
    expect([mistakes, server]).toEqual([0, 'primary']);
    expect(Math.abs(asOf.getTime() - Date.now())).toBeLessThan(60_000);
    const rows = Object.fromEntries(results.map((check) => [check.table, check.rows]));
    const [counted] = await service.database.query<Record<string, number>>(
      `SELECT (SELECT count(*) FROM account)::int AS account, (SELECT count(*) FROM transfer)::int AS transfer,
        (SELECT count(*) FROM entry)::int AS entry, (SELECT count(*) FROM event)::int AS event, 0 AS event_delivery, 0 AS event_consumer, 1 AS stock, 4 AS stock_movement, 2 AS order, 2 AS order_line, 2 AS payment, 1 AS refund, 2 AS settlement, 2 AS reservation_total, 2 AS booking, 1 AS seat_hold, 2 AS showing`,
    );
    expect(rows).toEqual(counted);
  });

  it.each(Object.keys(plants))('finds %s, and nothing else', async (name) => {
    const { sql, finds } = plants[name] as Plant;
    expect(await findingsOf(sql())).toEqual(finds());
  });

  it('has a planted mistake for each of its checks', () => {
    const planted = new Set(Object.values(plants).flatMap(({ finds }) => Object.keys(finds())));
    expect([...planted].sort()).toEqual(
      allChecks()
        .map(({ mistake }) => mistake)
        .sort(),
    );
  });

  it('names the first of many mistakes and counts the rest', async () => {
    await superuser.query('BEGIN; SET LOCAL session_replication_role = replica');
    try {
      await superuser.query(`
        INSERT INTO account (id, user_id, currency, balance)
        SELECT gen_random_uuid(), (SELECT user_id FROM account WHERE id = '${account}'), 'CHF', CASE WHEN n % 2 = 0 THEN 5 ELSE 7 END
        FROM generate_series(1, 500) AS n`);
      const result = await reconcileIn(async (sql) => (await superuser.query(sql)).rows as never);
      const first = result.checks.find(({ found }) => found > 1);
      expect([first!.found, first!.first.length, result.found]).toEqual([500, 20, 501]);
      const report = describeReconciliation(result);
      expect(report).toMatch(/^ {4}500 {3}520 {2}an account is not the sum of its entries$/m);
      expect(report).toContain('and 480 more');
      expect(report).toContain(`The books are wrong: 501 mistakes in 2 of ${allChecks().length} checks.`);
    } finally {
      await superuser.query('ROLLBACK');
    }
  });

  it('reads with a role that only reads, on the replica', async () => {
    await eventually(
      () => reconcile(service.database.urls.reader),
      ({ checks: results, server }) =>
        server === 'replica' && (results.find(({ table }) => table === 'refund')?.rows ?? 0) === 1,
    );
  });

  it('sees one moment: what is stored while it reads is not half there', async () => {
    const { superuser: url, owner } = service.database.urls;
    const stored = (units: number) =>
      ask(
        url,
        `SET session_replication_role = replica; UPDATE stock SET on_hand = on_hand + ${units} WHERE sku_id = '${sku}'`,
      );
    let asked = 0;
    const result = await inSnapshot(owner, 'test', (query) =>
      reconcileIn(async (sql) => {
        // The checks of money are under way, those of stock are still to come.
        if (++asked === 4) await stored(1);
        return query(sql);
      }),
    );
    expect(found(result)).toEqual({});
    expect(await findMistakes(service.database)).toEqual([`a stock is not the sum of its movements: ${sku}`]);
    await stored(-1);
  });

  it('stores nothing, whatever the role behind its URL may do', async () => {
    const write = inSnapshot(service.database.urls.superuser, 'test', (query) => query('CREATE TABLE mine (id int)'));
    await expect(write).rejects.toMatchObject({ code: '25006' });
  });
});

describe('npm run reconcile', () => {
  // On the embedded database: test/seed.test.ts, which is not asked of each PostgreSQL.
  beforeAll(buildService);

  interface Ended {
    readonly code: number | null;
    readonly out: string;
    readonly said: string;
  }

  function run(variables: Record<string, string>): Promise<Ended> {
    const env = { ...leastEnvironment(), ...variables };
    const child = spawn(process.execPath, [join('tools', 'reconcile.mjs')], { env });
    let [out, said] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, said })));
  }
  const external = () => ({
    DATABASE_WRITE_URL: service.database.urls.app,
    DATABASE_READ_URL: service.database.urls.reader,
    AUTH_SECRET: testSecret,
  });

  it('ends with 0 and says so when all is well: on the replica, and without one on the primary', async () => {
    const [replica, primary] = [await run(external()), await run({ ...external(), DATABASE_READ_URL: '' })];
    expect(replica).toMatchObject({
      code: 0,
      said: '',
      out: expect.stringContaining('The books on the replica, as of '),
    });
    expect(primary).toMatchObject({
      code: 0,
      said: '',
      out: expect.stringContaining('The books on the primary, as of '),
    });
    for (const { out } of [replica, primary]) {
      expect(out).toMatch(/The books are right\.\n$/);
      for (const { mistake } of allChecks()) expect(out).toMatch(new RegExp(`^      -  +\\d+  ${mistake}$`, 'm'));
    }
  });

  it('ends with 1 and names what is wrong', async () => {
    const { superuser: url } = service.database.urls;
    const plant = (sql: string) => ask(url, `SET session_replication_role = replica; ${sql}`);
    await plant(`UPDATE account SET balance = balance + 3 WHERE id = '${dollars}'`);
    try {
      const { code, out } = await run({ ...external(), DATABASE_READ_URL: '' });
      expect(code).toBe(1);
      expect(out).toMatch(new RegExp(`      1  +\\d+  an account is not the sum of its entries\\n +${dollars}\\n`));
      expect(out).toMatch(/1 +\d+ {2}a currency does not sum to zero\n +USD\n/);
      expect(out).toMatch(new RegExp(`The books are wrong: 2 mistakes in 2 of ${allChecks().length} checks\\.\n$`));
    } finally {
      await plant(`UPDATE account SET balance = balance - 3 WHERE id = '${dollars}'`);
    }
  });

  it.each([
    [
      'no database answers',
      () => ({
        ...external(),
        DATABASE_READ_URL: 'postgres://reader:hidden@127.0.0.1:1/db',
        DATABASE_WRITE_URL: 'postgres://app:hidden@127.0.0.1:1/db',
      }),
      'connect ECONNREFUSED 127.0.0.1:1',
    ],
    [
      'the configuration is wrong',
      () => ({ ...external(), AUTH_SECRET: 'short' }),
      'AUTH_SECRET must hold at least 32 bytes',
    ],
    [
      'the database is not ours',
      () => ({
        ...external(),
        DATABASE_READ_URL: Object.assign(new URL(service.database.urls.superuser), { pathname: '/postgres' }).href,
      }),
      'The database is not at the version of this service: it has no migrations',
    ],
  ])('ends with 2 and one sentence when %s', async (_, variables, sentence) => {
    const { code, out, said } = await run(variables());
    expect([code, out]).toEqual([2, '']);
    expect(said).toMatch(/^The books could not be checked: /m);
    expect(said).toContain(sentence);
    expect(said).not.toMatch(/hidden|\bat .*:\d+:\d+/);
  });

  it('asks the primary where the replica does not answer, and says so', async () => {
    const { code, out, said } = await run({
      ...external(),
      DATABASE_READ_URL: 'postgres://reader:hidden@127.0.0.1:1/db',
    });
    expect([code, said]).toEqual([
      0,
      'The replica cannot be asked (connect ECONNREFUSED 127.0.0.1:1): the primary is.\n',
    ]);
    expect(out).toContain('The books on the primary, as of ');
  });
});
