import pg from 'pg';
import { newId } from '../src/kernel/ids.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { casesOf, type World } from './support/cases.ts';
import { crowd } from './support/crowd.ts';
import { makers, uuidOf } from './support/make.ts';
import { makeWorld, wanted } from './support/requests.ts';

type Sql = readonly string[];
interface Rule {
  /** Statements that break the rule, as holdfast_app, in one transaction. */
  readonly broken: () => Sql;
  /** When PostgreSQL is to refuse: at the statement, or only at COMMIT. Default: at the statement. */
  readonly at?: 'COMMIT';
  /** The name in the error, where it is not that of the rule. */
  readonly raises?: string;
}

let service: TestApp;
let made: Promise<World> | undefined;
const world = (): Promise<World> => (made ??= makeWorld(service));
let app: pg.Client;
// What the statements below work on: two people with money, a product, a placed order and a cancelled one.
let alice: string;
let account: string;
let bobsAccount: string;
let yen: string;
let empty: string;
let waiting: string;
let cash: string;
let sales: string;
let product: string;
let sku: string;
let order: string;
let payment: string;
let cancelled: string;

beforeAll(async () => {
  service = await startApp();
  const make = makers(service);
  const [a, b] = await crowd(service, 2, { balance: 10_000 });
  const [y] = await crowd(service, 1, { balance: 10_000, currency: 'JPY' });
  const [e] = await crowd(service, 1);
  const goods = await make.product({ onHand: [10], price: 100 });
  const placed = await a!.api.post('/v1/orders', make.orderOf(a!, [goods.skus[0]!.id])).expect(201);
  const other = await a!.api.post('/v1/orders', make.orderOf(a!, [goods.skus[0]!.id])).expect(201);
  await a!.api.post(`/v1/orders/${other.body.id}/cancel`).expect(200);
  const pending = { type: 'pending', fromAccountId: a!.accountId, toAccountId: b!.accountId };
  const left = await a!.api.post('/v1/transfers', { ...pending, amount: { amount: 100, currency: 'EUR' } }).expect(201);
  waiting = uuidOf(left.body.id);
  alice = uuidOf(a!.id);
  account = uuidOf(a!.accountId);
  bobsAccount = uuidOf(b!.accountId);
  yen = uuidOf(y!.accountId);
  empty = uuidOf(e!.accountId);
  product = uuidOf(goods.id);
  sku = uuidOf(goods.skus[0]!.id);
  order = uuidOf(placed.body.id);
  payment = uuidOf(placed.body.payment.id);
  cancelled = uuidOf(other.body.id);
  [cash = '', sales = ''] = (
    await service.database.query<{ id: string }>(
      `SELECT id FROM account WHERE currency = 'EUR' AND house IS NOT NULL ORDER BY house`,
    )
  ).map(({ id }) => id);
  app = new pg.Client({ connectionString: service.database.urls.app });
  await app.connect();
});
afterEach(async () => expect(await findMistakes(service.database)).toEqual([]));
afterAll(async () => {
  await app.end();
  await service.close();
});

interface Refusal {
  readonly constraint: string | undefined;
  readonly sqlState: string | undefined;
  readonly at: string;
}

/** Runs it as holdfast_app; gives the refusal, null when it was stored. */
async function run(statements: Sql): Promise<Refusal | null> {
  await app.query('BEGIN');
  let at = '';
  try {
    for (const sql of statements) await app.query((at = sql));
    await app.query((at = 'COMMIT'));
    return null;
  } catch (error) {
    const { constraint, code } = error as pg.DatabaseError;
    return { constraint, sqlState: code, at };
  } finally {
    await app.query('ROLLBACK');
  }
}

// Statements by hand ------------------------------------------------------------------------------------------------------

const transferRow = (id: string, from: string, to: string, amount: number, kind = 'transfer', currency = 'EUR') =>
  `INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
   VALUES ('${id}', '${kind}', '${from}', '${to}', ${amount}, '${currency}', '${alice}')`;
/** Both entries of a transfer, each as it continues its account, as the account rows say. */
const entryRows = (id: string, from: string, to: string, amount: number, drift = 0) =>
  `INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
   SELECT id, entry_count, '${id}', CASE id WHEN '${from}' THEN -${amount} ELSE ${amount + drift} END, balance
   FROM account WHERE id IN ('${from}', '${to}')`;
const moveBalances = (from: string, to: string, amount: number, drift = 0): Sql => [
  `UPDATE account SET balance = balance - ${amount}, entry_count = entry_count + 1 WHERE id = '${from}'`,
  `UPDATE account SET balance = balance + ${amount + drift}, entry_count = entry_count + 1 WHERE id = '${to}'`,
];
/** A whole transfer, as the service makes it. */
const move = (from: string, to: string, amount: number, kind = 'transfer', id = newId(), currency = 'EUR'): Sql => [
  ...moveBalances(from, to, amount),
  transferRow(id, from, to, amount, kind, currency),
  entryRows(id, from, to, amount),
];
/** The same by one statement, as the ledger writes it. */
const together = (id: string, { drift = 0, kind = 'transfer', to = bobsAccount, more = '' } = {}) => `
  WITH changed AS (
    UPDATE account SET balance = balance + CASE id WHEN '${account}' THEN -5 ELSE ${5 + drift} END, entry_count = entry_count + 1
    WHERE id IN ('${account}', '${to}') RETURNING id, balance, entry_count),
  made AS (
    INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
    VALUES ('${id}', '${kind}', '${account}', '${to}', 5, 'EUR', '${alice}')${more} RETURNING id)
  INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
  SELECT id, entry_count, '${id}', CASE id WHEN '${account}' THEN -5 ELSE 5 END, balance - CASE id WHEN '${account}' THEN 0 ELSE ${drift} END
  FROM changed`;
/** A pending transfer with both of its reservations, as the service makes it. */
const pend = (id = newId(), amount = 100): Sql => [
  ...reserve(amount),
  `INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id, expires_at)
   VALUES ('${id}', 'transfer', '${account}', '${bobsAccount}', ${amount}, 'EUR', '${alice}', '${later}')`,
  reservationRow(id, account, 'out', amount),
  reservationRow(id, bobsAccount, 'in', amount),
];
const later = '2100-01-01T00:00:00Z';
const reserve = (amount: number): Sql => [
  `UPDATE account SET pending_out = pending_out + ${amount} WHERE id = '${account}'`,
  `UPDATE account SET pending_in = pending_in + ${amount} WHERE id = '${bobsAccount}'`,
];
const reservationRow = (id: string, of: string, side: string, amount: number) =>
  `INSERT INTO reservation (transfer_id, account_id, side, amount, expires_at) VALUES ('${id}', '${of}', '${side}', ${amount}, '${later}')`;
const settlementRow = (id: string, outcome: string, amount: number | null, by: string | null = alice) =>
  `INSERT INTO settlement (transfer_id, outcome, amount, created_by_id)
   VALUES ('${id}', '${outcome}', ${amount ?? 'NULL'}, ${by === null ? 'NULL' : `'${by}'`})`;
/** What is pending is over, as the service writes it: posted with its entries, or not. */
const resolve = (id: string, outcome: string, amount: number | null, pending = 100): Sql => [
  ...reserve(-pending),
  `DELETE FROM reservation WHERE transfer_id = '${id}'`,
  settlementRow(id, outcome, amount, outcome === 'expired' ? null : alice),
  ...(amount === null
    ? []
    : [...moveBalances(account, bobsAccount, amount), entryRows(id, account, bobsAccount, amount)]),
];
/** A reversal of all of a transfer that is made before, as the service makes it. */
function reverse(amount: number, { seq = 1, total = amount, made = 100, back = true } = {}): Sql {
  const [id, reversal] = [newId(), newId()];
  const [from, to] = back ? [bobsAccount, account] : [account, bobsAccount];
  return [
    ...move(account, bobsAccount, made, 'transfer', id),
    ...moveBalances(from, to, amount),
    `INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id, reverses_id, reversal_seq, reversed_total)
     VALUES ('${reversal}', 'reversal', '${from}', '${to}', ${amount}, 'EUR', '${alice}', '${id}', ${seq}, ${total})`,
    entryRows(reversal, from, to, amount),
  ];
}
/** A change of the settings, as the service makes it. */
const change = (set: string, recorded = `'Main', 0, NULL, false, false`, of = account): Sql => [
  `UPDATE account SET ${set}, version = version + 1 WHERE id = '${of}'`,
  `INSERT INTO account_change (account_id, version, name, overdraft_limit, max_balance, is_frozen, is_closed, created_by_id)
   SELECT id, version, ${recorded}, '${alice}' FROM account WHERE id = '${of}'`,
];
const movementRow = (
  seq: string,
  quantity: number,
  after: string,
  reason = 'adjusted',
  orderId: string | null = null,
) =>
  `INSERT INTO stock_movement (sku_id, seq, quantity, on_hand_after, reason, order_id, created_by_id)
   SELECT sku_id, ${seq}, ${quantity}, ${after}, '${reason}', ${orderId === null ? 'NULL' : `'${orderId}'`}, '${alice}'
   FROM stock WHERE sku_id = '${sku}'`;
/** A whole change of the stock, as the service makes it. */
const changeStock = (quantity: number, reason?: string, orderId?: string): Sql => [
  `UPDATE stock SET on_hand = on_hand + ${quantity}, movement_count = movement_count + 1 WHERE sku_id = '${sku}'`,
  movementRow('movement_count', quantity, 'on_hand', reason, orderId),
];
const orderRow = (id: string, total = 100) =>
  `INSERT INTO "order" (id, user_id, currency, total) VALUES ('${id}', '${alice}', 'EUR', ${total})`;
const lineRow = (id: string, { position = 0, quantity = 1, price = 100, item = sku } = {}) =>
  `INSERT INTO order_line (order_id, position, sku_id, name, quantity, unit_price)
   VALUES ('${id}', ${position}, '${item}', 'Goods', ${quantity}, ${price})`;
const paymentRow = (orderId: string, transfer: string, amount = 100, from = account) =>
  `INSERT INTO payment (id, order_id, account_id, transfer_id, amount)
   VALUES ('${newId()}', '${orderId}', '${from}', '${transfer}', ${amount})`;
const refundRow = (paymentId: string, transfer: string, amount = 100) =>
  `INSERT INTO refund (id, payment_id, transfer_id, amount) VALUES ('${newId()}', '${paymentId}', '${transfer}', ${amount})`;
const cancellationRow = (id: string) =>
  `INSERT INTO cancellation (order_id, cancelled_by_id) VALUES ('${id}', '${alice}')`;
/** A whole order, as the service makes it. */
function place(id = newId(), transfer = newId()): Sql {
  return [
    orderRow(id),
    lineRow(id),
    ...changeStock(-1, 'sold', id),
    ...move(account, sales, 100, 'payment', transfer),
    paymentRow(id, transfer),
  ];
}
/** The order without the statements that match. */
const placeWithout = (...patterns: RegExp[]): Sql =>
  place().filter((sql) => !patterns.some((pattern) => pattern.test(sql)));
/** A whole cancellation, as the service makes it. */
function cancel(transfer = newId()): Sql {
  return [
    `UPDATE "order" SET status = 'cancelled', version = version + 1 WHERE id = '${order}'`,
    cancellationRow(order),
    ...changeStock(1, 'restocked', order),
    ...move(sales, account, 100, 'refund', transfer),
    refundRow(payment, transfer),
  ];
}
const cancelWithout = (...patterns: RegExp[]): Sql =>
  cancel().filter((sql) => !patterns.some((pattern) => pattern.test(sql)));
const accountRow = (columns: string, values: string) =>
  `INSERT INTO account (id, ${columns}) VALUES ('${newId()}', ${values})`;
const userRow = (email: string) => `INSERT INTO "user" (id, email, password_hash) VALUES ('${newId()}', ${email}, '')`;
/** A link by which a new password is set. */
const reset = (expiresAt: string) =>
  `INSERT INTO password_reset (hash, user_id, created_by_id, expires_at) VALUES (sha256(''), '${alice}', '${alice}', ${expiresAt})`;
const skuRow = (columns: string, values: string) =>
  `INSERT INTO sku (id, product_id, name, ${columns}) VALUES ('${newId()}', '${product}', 'Other', ${values})`;

// The rules ---------------------------------------------------------------------------------------------------------------

const rules: Record<string, Rule | Rule[]> = {
  'insufficient-funds': { broken: () => move(account, bobsAccount, 1_000_000) },
  'balance-too-large': [
    { broken: () => move(cash, account, Number.MAX_SAFE_INTEGER, 'deposit') },
    { broken: () => change('max_balance = 5', `'Main', 0, 5, false, false`) },
    // At once, or of what was pending.
    {
      broken: () => [
        ...change('max_balance = 10050', `'Main', 0, 10050, false, false`, bobsAccount),
        ...move(account, bobsAccount, 100),
      ],
    },
    {
      broken: () => {
        const id = newId();
        const limit = change('max_balance = 10050', `'Main', 0, 10050, false, false`, bobsAccount);
        return [...limit, ...pend(id), ...resolve(id, 'posted', 100)];
      },
    },
    // More than can be counted, once all that is pending is posted.
    { broken: () => [`UPDATE account SET pending_in = ${Number.MAX_SAFE_INTEGER} WHERE id = '${bobsAccount}'`] },
  ],
  'balance-not-zero': { broken: () => change('closed_at = now()', `'Main', 0, NULL, false, true`) },
  'pending-transfers': {
    broken: () => {
      const id = newId();
      const pending = pend(id).map((sql) => sql.replaceAll(bobsAccount, empty));
      return [...pending, ...change('closed_at = now()', `'Main', 0, NULL, false, true`, empty)];
    },
  },
  account_limits_are_amounts: [
    { broken: () => change('overdraft_limit = -1', `'Main', -1, NULL, false, false`) },
    { broken: () => change('max_balance = -1', `'Main', 0, -1, false, false`, empty) },
  ],
  account_counts_are_counts: [
    { broken: () => [`UPDATE account SET pending_out = -1 WHERE id = '${account}'`] },
    { broken: () => [`UPDATE account SET pending_in = -1 WHERE id = '${account}'`] },
    { broken: () => [`UPDATE account SET balance_version = -1 WHERE id = '${account}'`] },
    { broken: () => [`UPDATE account SET version = 0 WHERE id = '${account}'`] },
  ],
  house_account_has_no_settings: [
    { broken: () => change('overdraft_limit = 5', `'Sales', 5, NULL, false, false`, sales) },
    { broken: () => change('frozen_at = now()', `'Cash', 0, NULL, true, false`, cash) },
  ],
  account_change_is_recorded: [
    { broken: () => [`UPDATE account SET name = 'Other' WHERE id = '${account}'`], at: 'COMMIT' },
    {
      broken: () => [`UPDATE account SET overdraft_limit = 5, version = version + 1 WHERE id = '${account}'`],
      at: 'COMMIT',
    },
    { broken: () => change('overdraft_limit = 5'), at: 'COMMIT' },
    { broken: () => [`UPDATE account SET version = version + 2 WHERE id = '${account}'`], at: 'COMMIT' },
  ],
  account_stays_closed: {
    broken: () => [
      ...change('closed_at = now()', `'Main', 0, NULL, false, true`, empty),
      ...change('closed_at = NULL', `'Main', 0, NULL, false, false`, empty),
    ],
  },
  entries_are_in_open_accounts: [
    {
      broken: () => [...change('frozen_at = now()', `'Main', 0, NULL, true, false`), ...move(account, bobsAccount, 5)],
    },
    {
      broken: () => [
        ...change('closed_at = now()', `'Main', 0, NULL, false, true`, empty),
        // There and back: the balance is nothing at every moment that the account itself is asked.
        `UPDATE account SET entry_count = entry_count + 1 WHERE id = '${empty}'`,
        `UPDATE account SET balance = balance - 5, entry_count = entry_count + 1 WHERE id = '${account}'`,
        transferRow('01a1fe7e-aaab-7000-a64c-cfba811c31df', account, empty, 5),
        entryRows('01a1fe7e-aaab-7000-a64c-cfba811c31df', account, empty, 5).replace(
          ', balance\n',
          `, balance + CASE id WHEN '${empty}' THEN 5 ELSE 0 END\n`,
        ),
      ],
    },
  ],
  pending_transfer_is_reserved: [
    { broken: () => pend().filter((sql) => sql.includes('INTO transfer')), at: 'COMMIT' },
    // On one side only.
    { broken: () => pend().filter((sql) => !/pending_in|'in'/.test(sql)), at: 'COMMIT' },
  ],
  account_is_its_reservations: [
    { broken: () => [`UPDATE account SET pending_out = pending_out + 1 WHERE id = '${account}'`], at: 'COMMIT' },
    { broken: () => pend().slice(1), at: 'COMMIT' },
  ],
  largest_balance_leaves_room: {
    broken: () => change('max_balance = 9000', `'Main', 0, 9000, false, false`),
    raises: 'balance-too-large',
  },
  reservation_begins_before_it_ends: {
    broken: () => [
      `UPDATE account SET expired_through = '2099-12-31T00:00:00Z' WHERE id IN ('${account}', '${empty}')`,
      ...pend().map((sql) => sql.replaceAll(later, '2099-01-01T00:00:00Z')),
    ],
  },
  what_expired_stays_expired: [
    {
      broken: () => [
        `UPDATE account SET expired_through = now() WHERE id = '${empty}'`,
        `UPDATE account SET expired_through = now() - interval '1 day' WHERE id = '${empty}'`,
      ],
    },
    // What has expired counts no more: not in the total, so not on the account either.
    {
      broken: () => [`UPDATE account SET expired_through = '2200-01-01T00:00:00Z' WHERE id = '${account}'`],
      raises: 'account_is_its_reservations',
      at: 'COMMIT',
    },
  ],
  reservations_are_added: {
    broken: () => pend().slice(2),
    at: 'COMMIT',
    raises: 'account_is_its_reservations',
  },
  reservations_are_taken_away: {
    broken: () => resolve(waiting, 'voided', null).slice(2),
    at: 'COMMIT',
    raises: 'account_is_its_reservations',
  },
  account_begins_without_reservations: {
    broken: () => [accountRow('currency, user_id, pending_in', `'EUR', '${alice}', 5`)],
    at: 'COMMIT',
    raises: 'account_is_its_reservations',
  },
  reservation_is_in_its_account: { broken: () => pend().slice(2), at: 'COMMIT', raises: 'account_is_its_reservations' },
  reservation_is_of_its_transfer: [
    // Of another amount, on the other side, for longer, and one that is taken away although nothing became of the transfer.
    {
      broken: () => pend().map((sql) => (sql.includes('INTO transfer') ? sql.replace(', 100,', ', 101,') : sql)),
      at: 'COMMIT',
    },
    {
      broken: () =>
        pend().map((sql) => (sql.includes('INTO transfer') ? sql.replace(later, '2101-01-01T00:00:00Z') : sql)),
      at: 'COMMIT',
    },
    { broken: () => [...reserve(-100), `DELETE FROM reservation WHERE transfer_id = '${waiting}'`], at: 'COMMIT' },
  ],
  reservation_amount_is_positive: { broken: () => [reservationRow(newId(), account, 'out', 0)] },
  settlement_is_whole: [
    // Of a direct transfer, of more than was pending, without its entries, and with what is still reserved.
    {
      broken: () => {
        const id = newId();
        return [...move(account, bobsAccount, 5, 'transfer', id), settlementRow(id, 'voided', null)];
      },
      at: 'COMMIT',
    },
    {
      broken: () => {
        const id = newId();
        return [...pend(id), ...resolve(id, 'posted', 101)];
      },
      at: 'COMMIT',
    },
    { broken: () => [settlementRow(waiting, 'voided', null)], at: 'COMMIT' },
    {
      broken: () => resolve(waiting, 'posted', 50).filter((sql) => !/INTO entry|balance [-+]/.test(sql)),
      at: 'COMMIT',
    },
  ],
  settlement_amount_is_what_was_posted: [
    { broken: () => [settlementRow(newId(), 'posted', null)] },
    { broken: () => [settlementRow(newId(), 'posted', 0)] },
    { broken: () => [settlementRow(newId(), 'voided', 5)] },
  ],
  settlement_is_by_somebody: [
    { broken: () => [settlementRow(newId(), 'voided', null, null)] },
    { broken: () => [settlementRow(newId(), 'expired', null)] },
  ],
  transfer_of_people_may_be_pending: {
    broken: () => pend().map((sql) => sql.replace(`'transfer',`, `'deposit',`)),
  },
  transfer_that_reverses_says_what: [
    { broken: () => move(bobsAccount, account, 5, 'reversal') },
    { broken: () => reverse(100).map((sql) => sql.replace(`'reversal'`, `'transfer'`)) },
    { broken: () => reverse(100, { seq: 0 }) },
  ],
  reversal_continues: [
    { broken: () => reverse(40, { total: 50 }) },
    { broken: () => reverse(40, { seq: 2 }) },
    { broken: () => reverse(40, { back: false }) },
  ],
  'exceeds-remaining': { broken: () => reverse(101) },
  reversal_exists: {
    broken: () => {
      const [first, second] = [reverse(40), reverse(40)];
      const id = /'([0-9a-f-]{36})', 'transfer'/.exec(first.join())![1]!;
      const other = /'([0-9a-f-]{36})', 'transfer'/.exec(second.join())![1]!;
      return [...first, ...second.map((sql) => (sql.includes('reverses_id') ? sql.replace(other, id) : sql))];
    },
  },
  account_has_one_owner: [
    { broken: () => [accountRow('currency', `'EUR'`)] },
    { broken: () => [accountRow('currency, user_id, house', `'EUR', '${alice}', 'cash'`)] },
  ],
  account_currency_is_a_code: { broken: () => [accountRow('currency, user_id', `'eur', '${alice}'`)] },
  account_entry_count_is_a_count: {
    broken: () => [`UPDATE account SET entry_count = -1 WHERE id = '${account}'`],
  },
  idempotency_key_is_printable: [
    { broken: () => [record({ key: `''` })] },
    { broken: () => [record({ key: `repeat('k', 256)` })] },
    { broken: () => [record({ key: `U&'caf\\00e9'` })] },
  ],
  idempotency_fingerprint_is_a_sha256: { broken: () => [record({ fingerprint: `'\\x00'` })] },
  idempotency_status_is_final: [
    { broken: () => [record({ status: '500' })] },
    { broken: () => [record({ status: '103' })] },
  ],
  idempotency_answer_is_whole: [
    { broken: () => [record({ status: 'NULL' })] },
    { broken: () => [record({ headers: 'NULL' })] },
    { broken: () => [record({ body: 'NULL' })] },
  ],
  idempotency_result_until_answered: { broken: () => [record({ result: `'\\x00'` })] },
  product_is_updated_after_it_was_made: {
    broken: () => [
      `INSERT INTO product (id, slug, name, updated_at) VALUES ('${newId()}', 'before', 'Before', now() - interval '1 s')`,
    ],
  },
  sku_is_updated_after_it_was_made: {
    broken: () => [
      `INSERT INTO sku (id, product_id, code, name, price, currency, updated_at)
       VALUES ('${newId()}', '${product}', 'BEFORE', 'Before', 1, 'EUR', now() - interval '1 s')`,
    ],
  },
  order_is_updated_after_it_was_made: {
    broken: () => [
      `INSERT INTO "order" (id, user_id, currency, total, updated_at) VALUES ('${newId()}', '${alice}', 'EUR', 1, now() - interval '1 s')`,
    ],
  },
  user_is_updated_after_it_was_made: {
    broken: () => [
      `INSERT INTO "user" (id, email, password_hash, updated_at) VALUES ('${newId()}', 'before@example.com', '', now() - interval '1 s')`,
    ],
  },
  session_expires_after_it_began: {
    broken: () => [
      `INSERT INTO session (id, user_id, expires_at) VALUES ('${newId()}', '${alice}', now() - interval '1 s')`,
    ],
  },
  session_ends_after_it_began: [
    { broken: () => [`UPDATE session SET ended_at = created_at - interval '1 s', end_reason = 'logged_out'`] },
  ],
  session_is_refreshed_after_it_began: {
    broken: () => [`UPDATE session SET refreshed_at = created_at - interval '1 s'`],
  },
  password_reset_expires_after_it_was_made: { broken: () => [reset(`now() - interval '1 s'`)] },
  password_reset_is_used_after_it_was_made: {
    broken: () => [
      reset(`now() + interval '1 day'`),
      `UPDATE password_reset SET used_at = created_at - interval '1 s'`,
    ],
  },
  user_email_is_folded: [
    { broken: () => [userRow(`'Capital@example.com'`)] },
    { broken: () => [userRow(`'two words@example.com'`)] },
    { broken: () => [userRow(`'nobody.example.com'`)] },
    { broken: () => [userRow(`'@example.com'`)] },
    { broken: () => [userRow(`repeat('a', 243) || '@example.com'`)] },
    { broken: () => [`UPDATE "user" SET email = upper(email) WHERE id = '${alice}'`] },
  ],
  refresh_token_is_used_after_it_was_made: {
    broken: () => [`UPDATE refresh_token SET used_at = created_at - interval '1 s'`],
  },
  idempotency_record_expires_later: { broken: () => [record({ expires_at: 'now()' })] },
  phased_run_method_is_named: { broken: () => [phasedRun({ method: `'with a blank'` })] },
  phased_run_phases_are_bounded: { broken: () => [phasedRun({ phases: `array_fill('\\x00'::bytea, ARRAY[101])` })] },
  phased_run_attempts_count_from_one: { broken: () => [phasedRun({ attempts: '0' })] },
  phased_run_is_done_or_not: [
    { broken: () => [phasedRun({ arguments: 'NULL' })] },
    { broken: () => [phasedRun({ outcome: `'\\x00'` })] },
    { broken: () => [phasedRun({ expires_at: `now() + interval '1 day'` })] },
    {
      broken: () => [
        phasedRun({
          arguments: 'NULL',
          outcome: `'\\x00'`,
          expires_at: `now() + interval '1 day'`,
          phases: `ARRAY['\\x00'::bytea]`,
        }),
      ],
    },
  ],
  phased_run_expires_later: {
    broken: () => [phasedRun({ arguments: 'NULL', outcome: `'\\x00'`, expires_at: 'now()' })],
  },
  chain_link_seq_counts_from_one: { broken: () => [link('0', `sha256('')`)] },
  chain_link_hash_is_sha256: { broken: () => [link('1000001', `'\\x00'`)] },
  chain_item_is_sealed_once: {
    broken: () => [link('1000002', `sha256('')`), link('1000003', `sha256('')`)],
  },
  transfer_amount_is_positive: [
    { broken: () => [transferRow(newId(), account, bobsAccount, 0)] },
    { broken: () => [transferRow(newId(), account, bobsAccount, -5)] },
  ],
  'same-account': { broken: () => [transferRow(newId(), account, account, 5)] },
  entry_amount_is_not_zero: {
    broken: () => {
      const id = newId();
      return [transferRow(id, account, bobsAccount, 5), entryRows(id, account, bobsAccount, 0)];
    },
  },
  entry_seq_counts_from_one: {
    broken: () => {
      const id = newId();
      return [
        transferRow(id, account, bobsAccount, 5),
        `INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after) VALUES ('${account}', 0, '${id}', -5, -5)`,
      ];
    },
  },
  entries_are_balanced: [
    {
      // The one side gets more than the other gives.
      broken: () => {
        const id = newId();
        return [
          ...moveBalances(account, bobsAccount, 5, 3),
          transferRow(id, account, bobsAccount, 5),
          entryRows(id, account, bobsAccount, 5, 3),
        ];
      },
    },
    {
      // One side only.
      broken: () => {
        const id = newId();
        return [
          ...moveBalances(account, bobsAccount, 5),
          transferRow(id, account, bobsAccount, 5),
          `${entryRows(id, account, bobsAccount, 5)} AND id = '${account}'`,
        ];
      },
    },
    // Between two currencies.
    { broken: () => move(account, yen, 5) },
    // In a currency of neither.
    { broken: () => move(account, bobsAccount, 5, 'transfer', newId(), 'USD') },
  ],
  entries_continue: [
    {
      // Each side is off by the same, so that the transfer itself is balanced.
      broken: () => {
        const id = newId();
        return [
          ...moveBalances(account, bobsAccount, 5),
          transferRow(id, account, bobsAccount, 5),
          entryRows(id, account, bobsAccount, 5).replace(', balance\n', ', balance + 1\n'),
        ];
      },
    },
    {
      // A number is left out.
      broken: () => {
        const id = newId();
        return [
          ...moveBalances(account, bobsAccount, 5),
          transferRow(id, account, bobsAccount, 5),
          entryRows(id, account, bobsAccount, 5).replace('entry_count', 'entry_count + 1'),
        ];
      },
    },
  ],
  transfer_has_entries: { broken: () => [transferRow(newId(), account, bobsAccount, 5)], at: 'COMMIT' },
  transfer_is_of_its_kind: [
    { broken: () => move(account, bobsAccount, 5, 'deposit'), at: 'COMMIT' },
    { broken: () => move(cash, account, 5), at: 'COMMIT' },
    { broken: () => move(account, sales, 5), at: 'COMMIT' },
    // Of no order.
    { broken: () => move(account, sales, 5, 'payment'), at: 'COMMIT' },
    { broken: () => move(sales, account, 5, 'refund'), at: 'COMMIT' },
    { broken: () => move(account, bobsAccount, 5, 'payment'), at: 'COMMIT' },
  ],
  account_is_its_entries: [
    { broken: () => [`UPDATE account SET balance = balance + 1 WHERE id = '${account}'`], at: 'COMMIT' },
    { broken: () => [`UPDATE account SET entry_count = entry_count + 1 WHERE id = '${account}'`], at: 'COMMIT' },
    { broken: () => [accountRow('currency, user_id, balance', `'EUR', '${alice}', 5`)], at: 'COMMIT' },
    {
      // Entries that continue the chain, of accounts that do not know of them.
      broken: () => {
        const id = newId();
        const unknown = entryRows(id, account, bobsAccount, 5)
          .replace('entry_count', 'entry_count + 1')
          .replace(', balance\n', `, balance + CASE id WHEN '${account}' THEN -5 ELSE 5 END\n`);
        return [transferRow(id, account, bobsAccount, 5), unknown];
      },
      at: 'COMMIT',
    },
  ],
  accounts_are_their_entries: {
    // By one statement with everything else that is a transfer.
    broken: () => [together(newId(), { drift: 1 })],
    raises: 'account_is_its_entries',
    at: 'COMMIT',
  },
  transfers_are_whole: [
    { broken: () => [together(newId(), { kind: 'deposit' })], raises: 'transfer_is_of_its_kind', at: 'COMMIT' },
    {
      broken: () => [together(newId(), { kind: 'payment', to: sales })],
      raises: 'transfer_is_of_its_kind',
      at: 'COMMIT',
    },
    {
      // A second one beside it that has no entries.
      broken: () => [
        together(newId(), {
          more: `, ('${newId()}', 'transfer', '${account}', '${bobsAccount}', 5, 'EUR', '${alice}')`,
        }),
      ],
      raises: 'transfer_has_entries',
      at: 'COMMIT',
    },
  ],
  account_keeps_owner_and_currency: [
    { broken: () => [`UPDATE account SET currency = 'USD' WHERE id = '${account}'`] },
    { broken: () => [`UPDATE account SET user_id = NULL, house = 'sales' WHERE id = '${account}'`] },
  ],
  house_has_one_account_per_currency: { broken: () => [accountRow('currency, house', `'EUR', 'cash'`)] },
  transfer_enters_account_once: {
    broken: () => [
      `INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
       SELECT account_id, seq + 1000, transfer_id, amount, balance_after FROM entry WHERE account_id = '${account}' LIMIT 1`,
    ],
  },

  sku_price_is_positive: [
    { broken: () => [skuRow('code, price, currency', `'FREE', 0, 'EUR'`)] },
    { broken: () => [`UPDATE sku SET price = -1 WHERE id = '${sku}'`] },
    { broken: () => [`UPDATE sku SET price = 9007199254740992 WHERE id = '${sku}'`] },
  ],
  sku_currency_is_a_code: { broken: () => [`UPDATE sku SET currency = 'eur' WHERE id = '${sku}'`] },
  'sku-code-taken': {
    broken: () => [skuRow('code, price, currency', `(SELECT code FROM sku WHERE id = '${sku}'), 1, 'EUR'`)],
  },
  'slug-taken': {
    broken: () => [`INSERT INTO product (id, slug, name) SELECT '${newId()}', slug, name FROM product LIMIT 1`],
  },
  image_has_its_own_position: {
    broken: () =>
      [1, 2].map(() => `INSERT INTO image (id, product_id, url, position) VALUES ('${newId()}', '${product}', 'u', 7)`),
  },
  'out-of-stock': { broken: () => changeStock(-1_000_000) },
  'too-much-stock': { broken: () => changeStock(1_000_000_000) },
  stock_movement_count_is_a_count: {
    broken: () => [`UPDATE stock SET movement_count = -1 WHERE sku_id = '${sku}'`],
  },
  movement_quantity_is_not_zero: { broken: () => changeStock(0) },
  movement_seq_counts_from_one: { broken: () => [movementRow('0', 1, '1')] },
  movement_of_an_order_names_it: [
    { broken: () => changeStock(-1, 'sold') },
    { broken: () => changeStock(1, 'adjusted', order) },
  ],
  movement_has_the_sign_of_its_reason: [
    { broken: () => changeStock(1, 'sold', order) },
    { broken: () => changeStock(-1, 'restocked', order) },
    { broken: () => changeStock(-1, 'received') },
  ],
  movements_continue: [
    { broken: () => [movementRow('movement_count + 1', 1, 'on_hand + 2')] },
    { broken: () => [movementRow('movement_count + 5', 1, 'on_hand + 1')] },
  ],
  stock_is_its_movements: [
    { broken: () => [`UPDATE stock SET on_hand = on_hand + 1 WHERE sku_id = '${sku}'`], at: 'COMMIT' },
    {
      broken: () => {
        const id = newId();
        return [
          `INSERT INTO sku (id, product_id, code, name, price, currency) VALUES ('${id}', '${product}', 'FROM-NOTHING', 'New', 1, 'EUR')`,
          `INSERT INTO stock (sku_id, on_hand) VALUES ('${id}', 5)`,
        ];
      },
      at: 'COMMIT',
    },
  ],
  stocks_are_their_movements: [
    {
      broken: () => [movementRow('movement_count + 1', 1, 'on_hand + 1')],
      at: 'COMMIT',
      raises: 'stock_is_its_movements',
    },
    {
      // With its movement, by one statement.
      broken: () => [
        `WITH changed AS (UPDATE stock SET on_hand = on_hand + 2, movement_count = movement_count + 1 WHERE sku_id = '${sku}')
        ${movementRow('movement_count + 1', 1, 'on_hand + 1')}`,
      ],
      at: 'COMMIT',
      raises: 'stock_is_its_movements',
    },
  ],

  order_total_is_positive: { broken: () => [orderRow(newId(), 0)] },
  order_currency_is_a_code: { broken: () => [orderRow(newId()).replace(`'EUR'`, `'eur'`)] },
  order_line_quantity_is_positive: { broken: () => [lineRow(order, { position: 1, quantity: 0 })] },
  order_line_price_is_positive: { broken: () => [lineRow(order, { position: 1, price: 0 })] },
  payment_amount_is_positive: { broken: () => [paymentRow(order, newId(), 0)] },
  refund_amount_is_positive: { broken: () => [refundRow(payment, newId(), 0)] },
  order_has_sku_once: { broken: () => [lineRow(order, { position: 1 })] },
  order_is_paid_once: {
    broken: () => {
      const transfer = newId();
      return [...move(account, sales, 100, 'payment', transfer), paymentRow(order, transfer)];
    },
  },
  transfer_pays_once: {
    broken: () => {
      const id = newId();
      const used = `(SELECT transfer_id FROM payment WHERE order_id = '${order}')`;
      return [orderRow(id), lineRow(id), paymentRow(id, newId()).replace(/(?<=', )'[^']+'(?=, 100\))/, used)];
    },
  },
  payment_is_refunded_once: {
    broken: () => {
      const transfer = newId();
      const refunded = `(SELECT id FROM payment WHERE order_id = '${cancelled}')`;
      return [
        ...move(sales, account, 100, 'refund', transfer),
        refundRow('paid', transfer).replace(`'paid'`, refunded),
      ];
    },
  },
  transfer_refunds_once: {
    broken: () => {
      const used = `(SELECT r.transfer_id FROM refund r JOIN payment p ON p.id = r.payment_id WHERE p.order_id = '${cancelled}')`;
      return [refundRow(payment, 'used').replace(`'used'`, used)];
    },
  },
  order_is_whole: [
    // Costs something else than its lines.
    {
      broken: () => place().map((sql) => (sql.includes('INTO order_line') ? sql.replace(/100\)$/, '99)') : sql)),
      at: 'COMMIT',
    },
    { broken: () => placeWithout(/INTO order_line/), at: 'COMMIT' },
    // Is not paid, or not from the account it names, or not as much.
    { broken: () => placeWithout(/payment/, /UPDATE account/, /INTO entry/), at: 'COMMIT' },
    {
      broken: () => place().map((sql) => (sql.includes('INTO payment') ? sql.replace(account, bobsAccount) : sql)),
      at: 'COMMIT',
    },
    {
      broken: () => place().map((sql) => (sql.includes('INTO payment') ? sql.replace(/100\)$/, '99)') : sql)),
      at: 'COMMIT',
    },
    // Does not hold its stock.
    { broken: () => placeWithout(/stock/), at: 'COMMIT' },
    // Is cancelled, but its money, its stock or its canceller is missing.
    { broken: () => cancelWithout(/refund/, /UPDATE account/, /INTO entry/), at: 'COMMIT' },
    { broken: () => cancelWithout(/stock/), at: 'COMMIT' },
    { broken: () => cancelWithout(/INTO cancellation/), at: 'COMMIT' },
    { broken: () => [`UPDATE "order" SET status = 'cancelled' WHERE id = '${order}'`], at: 'COMMIT' },
    { broken: () => [`UPDATE "order" SET status = 'placed' WHERE id = '${cancelled}'`], at: 'COMMIT' },
  ],
  order_keeps_buyer_and_price: [
    {
      broken: () => [
        `UPDATE "order" SET user_id = (SELECT user_id FROM account WHERE id = '${bobsAccount}') WHERE id = '${order}'`,
      ],
    },
    { broken: () => [`UPDATE "order" SET total = total + 1 WHERE id = '${order}'`] },
  ],
  orders_stay_whole: [
    {
      broken: () => {
        const other = newId();
        return [
          `INSERT INTO sku (id, product_id, code, name, price, currency) VALUES ('${other}', '${product}', 'LATER', 'Later', 1, 'EUR')`,
          lineRow(order, { position: 1, item: other }),
        ];
      },
      at: 'COMMIT',
      raises: 'order_is_whole',
    },
    {
      broken: () => {
        const transfer = newId();
        return [...move(sales, account, 100, 'refund', transfer), refundRow(payment, transfer)];
      },
      at: 'COMMIT',
      raises: 'order_is_whole',
    },
    { broken: () => [cancellationRow(order)], at: 'COMMIT', raises: 'order_is_whole' },
    {
      broken: () => changeStock(1, 'restocked', order),
      at: 'COMMIT',
      raises: 'order_is_whole',
    },
  ],
  transfer_has_its_order: [
    {
      broken: () => [together(newId(), { kind: 'payment', to: sales })],
      raises: 'transfer_is_of_its_kind',
      at: 'COMMIT',
    },
    { broken: () => move(sales, account, 5, 'refund'), raises: 'transfer_is_of_its_kind', at: 'COMMIT' },
  ],
  final_statement: { broken: () => ['SELECT refuse_missing(ARRAY[0])'] },
  'email-taken': {
    broken: () => [`INSERT INTO "user" (id, email, password_hash) SELECT '${newId()}', email, 'x' FROM "user" LIMIT 1`],
  },
};

// What a module says of its own, in test/cases.
const ofModules = casesOf('rules');
type Broken = () => Promise<{ statements: Sql; at?: 'COMMIT'; raises?: string }>;
const cases: [label: string, broken: Broken][] = [
  ...Object.entries(rules).flatMap(([name, rule]) =>
    [rule]
      .flat()
      .map(({ broken, ...rest }, n): [string, Broken] => [
        n === 0 ? name : `${name} (${n + 1})`,
        async () => ({ ...rest, statements: broken() }),
      ]),
  ),
  ...Object.entries(ofModules).map(([name, broken]): [string, Broken] => [name, async () => broken(await world())]),
];

/** What a request with a key was answered, with a column or more as a test wants it. */
function record(changed: Record<string, string>): string {
  const columns = {
    principal_id: `'${alice}'`,
    route: `'POST /v1/transfers'`,
    key: `'${newId()}'`,
    fingerprint: `sha256('')`,
    status: '201',
    headers: `'{}'`,
    body: `'{}'`,
    expires_at: `now() + interval '1 day'`,
    ...changed,
  };
  return `INSERT INTO idempotency_record (${Object.keys(columns).join(', ')}) VALUES (${Object.values(columns).join(', ')})`;
}

/** A run of a phased method that is under way, with a column or more as a test wants it. */
function phasedRun(changed: Record<string, string>): string {
  const columns = {
    id: `'${newId()}'`,
    method: `'Service.method'`,
    arguments: `'\\x00'`,
    phases: `'{}'`,
    leased_until: 'now()',
    ...changed,
  };
  return `INSERT INTO phased_run (${Object.keys(columns).join(', ')}) VALUES (${Object.values(columns).join(', ')})`;
}

const link = (seq: string, hash: string): string =>
  `INSERT INTO chain_link (seq, item, transfer_id, txid, hash) VALUES (${seq}, 'transfer', '${waiting}', 1, ${hash})`;

describe('a rule of the database', () => {
  it.each(cases)('%s refuses what breaks it', async (label, broken) => {
    const { statements, at, raises } = await broken();
    const refusal = await run(statements);
    expect(refusal).toMatchObject({ constraint: raises ?? label.replace(/ \(\d+\)$/, '') });
    expect(refusal?.sqlState).toMatch(/^23/);
    expect(refusal?.at === 'COMMIT').toBe(at === 'COMMIT');
  });

  it('lets pass what the service itself would write', async () => {
    expect(await run(move(account, bobsAccount, 5))).toBeNull();
    expect(await run([together(newId())])).toBeNull();
    expect(await run([together(newId()), together(newId()), ...move(account, bobsAccount, 5)])).toBeNull();
    const [posted, voided, expired] = [newId(), newId(), newId()];
    for (const id of [posted, voided, expired]) expect(await run(pend(id))).toBeNull();
    expect(await run(resolve(posted, 'posted', 40))).toBeNull();
    expect(await run(resolve(voided, 'voided', null))).toBeNull();
    expect(await run(resolve(expired, 'expired', null))).toBeNull();
    expect(await run(reverse(100))).toBeNull();
    expect(await run(change('overdraft_limit = 5', `'Main', 5, NULL, false, false`))).toBeNull();
    expect(await run(change('overdraft_limit = 0'))).toBeNull();
    expect(await run(move(cash, account, 5, 'deposit'))).toBeNull();
    expect(await run(changeStock(3, 'received'))).toBeNull();
    expect(await run(place())).toBeNull();
    expect(await run(cancel())).toBeNull();
    expect(await run([record({}), link('1000000', `sha256('')`)])).toBeNull();
    expect(await run([userRow(`repeat('a', 242) || '@example.com'`), reset(`now() + interval '1 day'`)])).toBeNull();
  });

  it('has a case here, whichever it is', async () => {
    const { query } = service.database;
    const found = await query<{ name: string }>(`
      SELECT conname AS name FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'u', 'x')
      UNION SELECT indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND NOT i.indisprimary AND c.relname <> '_prisma_migrations'
      UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgname NOT IN ('updated_at_is_now', 'event_has_a_transaction_id') -- they refuse nothing
      UNION SELECT (regexp_matches(prosrc, 'CONSTRAINT = ''([^'']+)''', 'g'))[1] FROM pg_proc WHERE pronamespace = 'public'::regnamespace`);
    const names = new Set(found.map(({ name }) => name.replaceAll('"', '')));
    const known = new Set([
      ...Object.keys(rules),
      ...Object.keys(ofModules).map((name) => name.replace(/ \(\d+\)$/, '')),
    ]);
    const missing = [...names].filter((name) => !known.has(name)).sort();
    expect(missing.map((name) => wanted('rules', name))).toEqual([]);
    expect([...known].filter((name) => !names.has(name))).toEqual([]);
  });
});
