// Fastify and pg by hand, statement by statement: lock the rows, decide in JavaScript, write them, as a careful engineer does.
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { type Asked, house, type NewOrder, type NewTransfer, openPool, Refusal, serve, transaction } from './peer.mts';

const pool = await openPool();

const statements = {
  claim: 'INSERT INTO idempotency (principal, key) VALUES ($1, $2)',
  answer: 'UPDATE idempotency SET status = $3, response = $4 WHERE principal = $1 AND key = $2',
  lock: 'SELECT id, balance FROM account WHERE id IN ($1, $2) ORDER BY id FOR NO KEY UPDATE',
  add: 'UPDATE account SET balance = balance + $2, version = version + 1 WHERE id = $1',
  transfer: 'INSERT INTO transfer (id, from_id, to_id, amount) VALUES ($1, $2, $3, $4)',
  entries:
    'INSERT INTO entry (transfer_id, account_id, amount, balance_after) VALUES ($1, $2, $3, $4), ($1, $5, $6, $7)',
  event: 'INSERT INTO event (topic, payload) VALUES ($1, $2)',
  take: 'UPDATE sku SET stock = stock - $2, version = version + 1 WHERE id = $1 AND stock >= $2 RETURNING price',
  order: `INSERT INTO "order" (id, account_id, total, status) VALUES ($1, $2, $3, 'placed')`,
  lines: `INSERT INTO order_line (order_id, line_no, sku_id, quantity, unit_price)
    SELECT $1, * FROM unnest($2::int[], $3::uuid[], $4::int[], $5::bigint[])`,
  pay: 'INSERT INTO payment (id, order_id, transfer_id, amount) VALUES ($1, $2, $3, $4)',
};

const run = <Row extends pg.QueryResultRow>(
  client: pg.PoolClient,
  name: keyof typeof statements,
  ...values: unknown[]
) => client.query<Row>({ name, text: statements[name], values });

async function claim(client: pg.PoolClient, { principal, key }: Asked): Promise<void> {
  await run(client, 'claim', principal, key).catch((error: unknown) => {
    if ((error as { code?: string }).code === '23505') throw new Refusal(409, 'The key was used already');
    throw error;
  });
}

async function move(client: pg.PoolClient, id: string, { from, to, amount }: NewTransfer): Promise<void> {
  const { rows } = await run<{ id: string; balance: number }>(client, 'lock', from, to);
  const [payer, payee] = [rows.find((row) => row.id === from), rows.find((row) => row.id === to)];
  if (payer === undefined || payee === undefined) throw new Refusal(404, 'No such account');
  if (payer.balance < amount) throw new Refusal(422, 'Insufficient funds');
  await run(client, 'add', from, -amount);
  await run(client, 'add', to, amount);
  await run(client, 'transfer', id, from, to, amount);
  await run(client, 'entries', id, from, -amount, payer.balance - amount, to, amount, payee.balance + amount);
}

async function transfer(asked: Asked, { from, to, amount }: NewTransfer): Promise<void> {
  const { principal, key, id } = asked;
  await transaction(pool, async (client) => {
    await claim(client, asked);
    await move(client, id, { from, to, amount });
    await run(client, 'event', 'transfer.made', { id, from, to, amount });
    await run(client, 'answer', principal, key, 201, { id });
  });
}

async function order(asked: Asked, { accountId, lines }: NewOrder): Promise<void> {
  const { principal, key, id } = asked;
  await transaction(pool, async (client) => {
    await claim(client, asked);
    const prices: number[] = [];
    for (const { skuId, quantity } of lines) {
      const { rows } = await run<{ price: number }>(client, 'take', skuId, quantity);
      if (rows[0] === undefined) throw new Refusal(409, 'The stock is short');
      prices.push(rows[0].price);
    }
    const total = lines.reduce((sum, { quantity }, n) => sum + quantity * (prices[n] ?? 0), 0);
    await run(client, 'order', id, accountId, total);
    const [numbers, skus] = [lines.map((_, n) => n + 1), lines.map(({ skuId }) => skuId)];
    const quantities = lines.map(({ quantity }) => quantity);
    await run(client, 'lines', id, numbers, skus, quantities, prices);
    const transferId = randomUUID();
    await move(client, transferId, { from: accountId, to: house, amount: total });
    await run(client, 'pay', randomUUID(), id, transferId, total);
    await run(client, 'event', 'order.placed', { id, accountId, total });
    await run(client, 'answer', principal, key, 201, { id });
  });
}

await serve({ transfer, order });
