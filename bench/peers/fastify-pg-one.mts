// Fastify and pg by hand, as few statements as possible: a transfer is one, an order two in a transaction. The constraints are the guards.
import { randomUUID } from 'node:crypto';
import { type Asked, house, type NewOrder, type NewTransfer, openPool, Refusal, serve, transaction } from './peer.mts';

const pool = await openPool();

const refusals: Record<string, readonly [number, string]> = {
  idempotency_pkey: [409, 'The key was used already'],
  sku_stock_check: [409, 'The stock is short'],
  order_line_sku_id_fkey: [404, 'No such SKU'],
  account_balance_check: [422, 'Insufficient funds'],
  transfer_from_id_fkey: [404, 'No such account'],
  transfer_to_id_fkey: [404, 'No such account'],
  order_account_id_fkey: [404, 'No such account'],
};

const statements = {
  // principal, key, transfer, from, to, amount, payload, response
  transfer: `
    WITH claimed AS (INSERT INTO idempotency (principal, key, status, response) VALUES ($1, $2, 201, $8)),
    locked AS MATERIALIZED (SELECT id FROM account WHERE id IN ($4::uuid, $5::uuid) ORDER BY id FOR NO KEY UPDATE),
    moved AS (
      UPDATE account AS a
         SET balance = a.balance + CASE WHEN a.id = $4::uuid THEN -$6::bigint ELSE $6::bigint END, version = a.version + 1
        FROM locked WHERE a.id = locked.id RETURNING a.id, a.balance),
    made AS (INSERT INTO transfer (id, from_id, to_id, amount) VALUES ($3, $4::uuid, $5::uuid, $6::bigint)),
    entered AS (
      INSERT INTO entry (transfer_id, account_id, amount, balance_after)
      SELECT $3, id, CASE WHEN id = $4::uuid THEN -$6::bigint ELSE $6::bigint END, balance FROM moved)
    INSERT INTO event (topic, payload) VALUES ('transfer.made', $7)`,
  // principal, key, response, SKUs, quantities
  stock: `
    WITH claimed AS (INSERT INTO idempotency (principal, key, status, response) VALUES ($1, $2, 201, $3)),
    locked AS MATERIALIZED (SELECT id FROM sku WHERE id = ANY($4::uuid[]) ORDER BY id FOR NO KEY UPDATE)
    UPDATE sku AS s SET stock = s.stock - l.quantity, version = s.version + 1
      FROM locked JOIN unnest($4::uuid[], $5::int[]) AS l (sku_id, quantity) ON l.sku_id = locked.id
     WHERE s.id = locked.id RETURNING s.id, s.price`,
  // order, account, house, total, transfer, payment, payload, numbers of the lines, SKUs, quantities, prices
  order: `
    WITH locked AS MATERIALIZED (SELECT id FROM account WHERE id IN ($2::uuid, $3::uuid) ORDER BY id FOR NO KEY UPDATE),
    placed AS (INSERT INTO "order" (id, account_id, total, status) VALUES ($1, $2::uuid, $4::bigint, 'placed')),
    listed AS (
      INSERT INTO order_line (order_id, line_no, sku_id, quantity, unit_price)
      SELECT $1, * FROM unnest($8::int[], $9::uuid[], $10::int[], $11::bigint[])),
    moved AS (
      UPDATE account AS a
         SET balance = a.balance + CASE WHEN a.id = $2::uuid THEN -$4::bigint ELSE $4::bigint END, version = a.version + 1
        FROM locked WHERE a.id = locked.id RETURNING a.id, a.balance),
    made AS (INSERT INTO transfer (id, from_id, to_id, amount) VALUES ($5, $2::uuid, $3::uuid, $4::bigint)),
    entered AS (
      INSERT INTO entry (transfer_id, account_id, amount, balance_after)
      SELECT $5, id, CASE WHEN id = $2::uuid THEN -$4::bigint ELSE $4::bigint END, balance FROM moved),
    paid AS (INSERT INTO payment (id, order_id, transfer_id, amount) VALUES ($6, $1, $5, $4::bigint))
    INSERT INTO event (topic, payload) VALUES ('order.placed', $7)`,
};

const statement = (name: keyof typeof statements, values: unknown[]) => ({ name, text: statements[name], values });

function refused(error: unknown): never {
  const [status, message] = refusals[(error as { constraint?: string }).constraint ?? ''] ?? [];
  if (status === undefined || message === undefined) throw error;
  throw new Refusal(status, message);
}

async function transfer({ principal, key, id }: Asked, { from, to, amount }: NewTransfer): Promise<void> {
  const payload = { id, from, to, amount };
  await pool.query(statement('transfer', [principal, key, id, from, to, amount, payload, { id }])).catch(refused);
}

async function order({ principal, key, id }: Asked, { accountId, lines }: NewOrder): Promise<void> {
  const skus = lines.map(({ skuId }) => skuId);
  const quantities = lines.map(({ quantity }) => quantity);
  await transaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string; price: number }>(
      statement('stock', [principal, key, { id }, skus, quantities]),
    );
    if (rows.length !== lines.length) throw new Refusal(404, 'No such SKU');
    const priceOf = new Map(rows.map((row) => [row.id, row.price]));
    const prices = skus.map((sku) => priceOf.get(sku) ?? 0);
    const total = lines.reduce((sum, { quantity }, n) => sum + quantity * (prices[n] ?? 0), 0);
    const numbers = lines.map((_, n) => n + 1);
    const ids = [id, accountId, house, total, randomUUID(), randomUUID()];
    await client.query(statement('order', [...ids, { id, accountId, total }, ...[numbers, skus, quantities, prices]]));
  }).catch(refused);
}

await serve({ transfer, order });
