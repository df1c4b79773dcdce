// The rows of a fill as statements, each of which writes a range of numbers with all that belongs to them. Pure.
import { given, type Kind, units, type Volume } from './volume.mts';

// Rows are known by their numbers: the id of number n is the same in every database, so what is there already is seen by the newest id. They are
// UUIDs of version 7, of June 2024: whatever is added in any other way is newer.
const digits = {
  account: 1,
  product: 2,
  sku: 3,
  order: 4,
  deposit: 5,
  sale: 6,
  payment: 7,
  user: 8,
  transfer: 9,
} as const;
type Filled = keyof typeof digits;

const prefixOf = (of: Filled): string => `0190000${digits[of]}-0000-7000-8000-`;

/** The id of number `n`. */
export const filledId = (of: Filled, n: number): string => `${prefixOf(of)}${n.toString(16).padStart(12, '0')}`;

/** The same in SQL, of an expression. */
const idOf = (of: Filled, n = 'n'): string => `('${prefixOf(of)}' || lpad(to_hex(${n}), 12, '0'))::uuid`;

/** Nobody was signed in. */
const nobody = `'00000000-0000-0000-0000-000000000000'::uuid`;
const currency = `'EUR'`;

/** A range of numbers that is written by one transaction. */
export interface Range {
  readonly from: number;
  readonly to: number;
  readonly volume: Volume;
  /** A hash, as a literal of SQL. */
  readonly passwordHash: string;
}

interface Rows {
  /** The number of the newest one, or none. */
  readonly newest: string;
  readonly write: (range: Range) => readonly string[];
}

const newest = (of: Filled, table: string): string =>
  `SELECT ('x' || right(id::text, 12))::bit(48)::bigint::int AS n FROM "${table}"
   WHERE id BETWEEN '${filledId(of, 0)}' AND '${prefixOf(of)}ffffffffffff' ORDER BY id DESC LIMIT 1`;

const numbers = ({ from, to }: Range): string => `generate_series(${from}, ${to}) AS n`;
/** Goes round: number n of something belongs to this one of so many. */
const one = (of: number, n = 'n'): string => `((${n} - 1) % ${of} + 1)`;

const house = (name: 'cash' | 'sales'): string =>
  `SELECT id FROM account WHERE house = '${name}' AND currency = ${currency}`;

/** Goods before money, and each in the order of ids, as the service does. */
const locking = (table: 'stock' | 'account', key: string, those: string): string =>
  `SELECT FROM ${table} WHERE ${key} IN (${those}) ORDER BY ${key} FOR NO KEY UPDATE`;

/**
 * Posts what `movement` (n, id, kind, from_id, to_id, amount, by_id) holds: the transfers, two entries of each, and the balances that they leave,
 * in the order of n. The accounts must be locked.
 */
const posting = `
  side AS (
    SELECT n, id, from_id AS account_id, -amount AS amount FROM movement UNION ALL SELECT n, id, to_id, amount FROM movement),
  posted AS (
    SELECT s.id, s.account_id, s.amount, (a.balance + sum(s.amount) OVER before)::bigint AS balance,
      (a.entry_count + row_number() OVER before)::int AS seq
    FROM side s JOIN account a ON a.id = s.account_id WINDOW before AS (PARTITION BY s.account_id ORDER BY s.n)),
  transferred AS (
    INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id, created_at)
    SELECT id, kind::transfer_kind, from_id, to_id, amount, ${currency}, by_id, statement_timestamp() FROM movement ORDER BY n),
  entered AS (
    INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after, created_at)
    SELECT account_id, seq, id, amount, balance, statement_timestamp() FROM posted ORDER BY account_id, seq),
  counted AS (
    UPDATE account AS a SET balance = p.balance, entry_count = p.seq, balance_version = a.balance_version + 1
    FROM (SELECT DISTINCT ON (account_id) account_id, balance, seq FROM posted ORDER BY account_id, seq DESC) AS p WHERE a.id = p.account_id)`;

function users(range: Range): string[] {
  return [
    `WITH added AS (
       INSERT INTO "user" (id, email, password_hash)
       SELECT ${idOf('user')}, 'customer-' || n || '@example.com', ${range.passwordHash} FROM ${numbers(range)})
     INSERT INTO profile (user_id, display_name) SELECT ${idOf('user')}, 'Customer ' || n FROM ${numbers(range)}`,
  ];
}

/** Each with a deposit. */
function accounts(range: Range): string[] {
  return [
    `INSERT INTO account (id, user_id, name, currency)
     SELECT ${idOf('account')}, ${idOf('user', one(range.volume.users))}, CASE WHEN n <= ${range.volume.users} THEN 'Main' ELSE 'Account ' || n END, ${currency}
     FROM ${numbers(range)}`,
    locking('account', 'id', `${house('cash')} UNION ALL SELECT ${idOf('account')} FROM ${numbers(range)}`),
    `WITH movement AS (
       SELECT n, ${idOf('deposit')} AS id, 'deposit' AS kind, cash.id AS from_id, ${idOf('account')} AS to_id, ${given}::bigint AS amount, ${nobody} AS by_id
       FROM ${numbers(range)}, (${house('cash')}) AS cash),
     ${posting}
     SELECT`,
  ];
}

const products = (range: Range): string[] => [
  `INSERT INTO product (id, slug, name, description)
   SELECT ${idOf('product')}, 'filled-' || n, 'Product ' || n, 'One of many.' FROM ${numbers(range)}`,
];

/** Each with units that came. */
function skus(range: Range): string[] {
  return [
    `WITH added AS (
       INSERT INTO sku (id, product_id, code, name, price, currency)
       SELECT ${idOf('sku')}, ${idOf('product', one(range.volume.products))}, 'FILLED-' || n, 'Variant ' || n, 500 + n % 20 * 100, ${currency} FROM ${numbers(range)}),
     stocked AS (INSERT INTO stock (sku_id, on_hand, movement_count) SELECT ${idOf('sku')}, ${units}, 1 FROM ${numbers(range)})
     INSERT INTO stock_movement (sku_id, seq, quantity, on_hand_after, reason, created_by_id)
     SELECT ${idOf('sku')}, 1, ${units}, ${units}, 'received', ${nobody} FROM ${numbers(range)}`,
  ];
}

/** Of one to three lines, paid, and out of stock. */
function orders(range: Range): string[] {
  const { volume } = range;
  const buyer = idOf('account', one(volume.accounts));
  // Rows whose number the planner can tell: by a guess that is too high it reads whole tables for each batch.
  const lines = `${numbers(range)} JOIN (VALUES (0), (1), (2)) AS of_order (i) ON i <= n % 3 AND i < ${volume.skus}`;
  const sku = idOf('sku', one(volume.skus, '(n + i)'));
  return [
    locking('stock', 'sku_id', `SELECT ${sku} FROM ${lines}`),
    locking('account', 'id', `${house('sales')} UNION ALL SELECT ${buyer} FROM ${numbers(range)}`),
    `WITH line AS (
       SELECT n, i, s.id AS sku_id, s.name, s.price FROM ${lines} JOIN sku s ON s.id = ${sku}),
     movement AS (
       SELECT n, ${idOf('sale')} AS id, 'payment' AS kind, a.id AS from_id, sales.id AS to_id, total AS amount, a.user_id AS by_id
       FROM (SELECT n, sum(price)::bigint AS total FROM line GROUP BY n) AS bought JOIN account a ON a.id = ${buyer}, (${house('sales')}) AS sales),
     ${posting},
     ordered AS (
       INSERT INTO "order" (id, user_id, currency, total) SELECT ${idOf('order')}, by_id, ${currency}, amount FROM movement ORDER BY n),
     listed AS (
       INSERT INTO order_line (order_id, position, sku_id, name, quantity, unit_price)
       SELECT ${idOf('order')}, i + 1, sku_id, name, 1, price FROM line ORDER BY n, i),
     paid AS (
       INSERT INTO payment (id, order_id, account_id, transfer_id, amount)
       SELECT ${idOf('payment')}, ${idOf('order')}, from_id, id, amount FROM movement ORDER BY n),
     sold AS (
       SELECT l.n, l.sku_id, (s.on_hand - row_number() OVER before)::int AS on_hand, (s.movement_count + row_number() OVER before)::int AS seq
       FROM line l JOIN stock s ON s.sku_id = l.sku_id WINDOW before AS (PARTITION BY l.sku_id ORDER BY l.n)),
     moved AS (
       INSERT INTO stock_movement (sku_id, seq, quantity, on_hand_after, reason, order_id, created_by_id)
       SELECT sku_id, seq, -1, on_hand, 'sold', ${idOf('order')}, by_id FROM sold JOIN movement USING (n) ORDER BY sku_id, seq)
     UPDATE stock AS s SET on_hand = o.on_hand, movement_count = o.seq
     FROM (SELECT DISTINCT ON (sku_id) sku_id, on_hand, seq FROM sold ORDER BY sku_id, seq DESC) AS o WHERE s.sku_id = o.sku_id`,
  ];
}

/** From each account to the next one, round and round. */
function transfers(range: Range): string[] {
  const many = range.volume.accounts;
  const [from, to] = [idOf('account', one(many)), idOf('account', one(many, '(n + 1)'))];
  return [
    locking('account', 'id', `SELECT ${from} FROM ${numbers(range)} UNION ALL SELECT ${to} FROM ${numbers(range)}`),
    `WITH movement AS (
       SELECT n, ${idOf('transfer')} AS id, 'transfer' AS kind, a.id AS from_id, ${to} AS to_id, (1 + n % 100)::bigint AS amount, a.user_id AS by_id
       FROM ${numbers(range)} JOIN account a ON a.id = ${from}),
     ${posting}
     SELECT`,
  ];
}

export const rows: Readonly<Record<Kind, Rows>> = {
  users: { newest: newest('user', 'user'), write: users },
  accounts: { newest: newest('account', 'account'), write: accounts },
  products: { newest: newest('product', 'product'), write: products },
  skus: { newest: newest('sku', 'sku'), write: skus },
  orders: { newest: newest('order', 'order'), write: orders },
  transfers: { newest: newest('transfer', 'transfer'), write: transfers },
};
