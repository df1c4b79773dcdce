import type { TestDatabase } from './database.ts';

/** Everything in the books that does not add up, as sentences; none when all is well. Asks the tables, not the service. */
export async function findMistakes({ query }: Pick<TestDatabase, 'query'>): Promise<string[]> {
  const checks: Record<string, string> = {
    'an account is not the sum of its entries': `
      SELECT a.id::text FROM account a LEFT JOIN entry e ON e.account_id = a.id
      GROUP BY a.id HAVING a.balance <> coalesce(sum(e.amount), 0) OR a.entry_count <> count(e.seq)`,
    'a currency does not sum to zero': `SELECT currency AS id FROM account GROUP BY currency HAVING sum(balance) <> 0`,
    'an account of a person is below zero': `SELECT id::text FROM account WHERE balance < 0 AND house IS DISTINCT FROM 'cash'`,
    'a transfer does not have two entries that cancel out': `
      SELECT t.id::text FROM transfer t LEFT JOIN entry e ON e.transfer_id = t.id
      GROUP BY t.id HAVING count(e.seq) <> 2 OR sum(e.amount) <> 0 OR max(e.amount) <> t.amount`,
    'a stock is not the sum of its movements': `
      SELECT s.sku_id::text AS id FROM stock s LEFT JOIN stock_movement m ON m.sku_id = s.sku_id
      GROUP BY s.sku_id HAVING s.on_hand <> coalesce(sum(m.quantity), 0)`,
    'a stock is below zero': `SELECT sku_id::text AS id FROM stock WHERE on_hand < 0`,
    'an order costs something else than its lines': `
      SELECT o.id::text FROM "order" o LEFT JOIN order_line l ON l.order_id = o.id
      GROUP BY o.id HAVING o.total IS DISTINCT FROM sum(l.quantity * l.unit_price)`,
    'an order is not paid': `SELECT o.id::text FROM "order" o LEFT JOIN payment p ON p.order_id = o.id WHERE p.amount IS DISTINCT FROM o.total`,
    'a payment belongs to no order, or a transfer for an order to no payment': `
      SELECT t.id::text FROM transfer t LEFT JOIN payment p ON p.transfer_id = t.id LEFT JOIN refund r ON r.transfer_id = t.id
      WHERE (t.kind = 'payment') <> (p.id IS NOT NULL) OR (t.kind = 'refund') <> (r.id IS NOT NULL)`,
    'a cancelled order is not refunded, or a placed one is': `
      SELECT o.id::text FROM "order" o LEFT JOIN payment p ON p.order_id = o.id LEFT JOIN refund r ON r.payment_id = p.id
      WHERE (o.status = 'cancelled') <> (r.id IS NOT NULL)`,
    'an order does not hold the stock it sold': `
      SELECT o.id::text FROM "order" o JOIN order_line l ON l.order_id = o.id
      LEFT JOIN stock_movement m ON m.order_id = o.id AND m.sku_id = l.sku_id
      GROUP BY o.id, o.status, l.sku_id, l.quantity
      HAVING coalesce(sum(m.quantity), 0) <> CASE o.status WHEN 'placed' THEN -l.quantity ELSE 0 END`,
  };
  const parts = Object.entries(checks).map(
    ([sentence, sql]) => `SELECT '${sentence}: ' || id AS mistake FROM (${sql}) AS mistakes`,
  );
  const rows = await query<{ mistake: string }>(parts.join(' UNION ALL '));
  return rows.map(({ mistake }) => mistake);
}

/** Every row of every table but Prisma's own, by table: equal before and after means that nothing was stored. */
export async function allRows({ query }: Pick<TestDatabase, 'query'>): Promise<Record<string, string[]>> {
  const tables = await query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations' ORDER BY 1`,
  );
  const rows: Record<string, string[]> = {};
  for (const { name } of tables)
    rows[name] = (await query<{ row: string }>(`SELECT t::text AS row FROM "${name}" t ORDER BY 1`)).map(
      ({ row }) => row,
    );
  return rows;
}
