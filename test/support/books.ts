import type { TestDatabase } from './database.ts';

/** Everything in the books that does not add up, as sentences; none when all is well. Asks the tables, not the service. */
export async function findMistakes({ query }: Pick<TestDatabase, 'query'>): Promise<string[]> {
  const checks: Record<string, string> = {
    'an account is not the sum of its entries': `
      SELECT a.id::text FROM account a LEFT JOIN entry e ON e.account_id = a.id
      GROUP BY a.id HAVING a.balance <> coalesce(sum(e.amount), 0) OR a.entry_count <> count(e.seq)`,
    'a currency does not sum to zero': `SELECT currency AS id FROM account GROUP BY currency HAVING sum(balance) <> 0`,
    'an account is further below zero than it may be': `
      SELECT id::text FROM account WHERE balance + overdraft_limit - pending_out < 0 AND house IS DISTINCT FROM 'cash'`,
    'an account holds more than it may': `SELECT id::text FROM account WHERE balance + pending_in > max_balance`,
    'an account is closed and not empty': `
      SELECT id::text FROM account WHERE closed_at IS NOT NULL AND (balance, pending_out, pending_in) <> (0, 0, 0)`,
    'an account does not count what is reserved': `
      SELECT a.id::text FROM account a LEFT JOIN reservation r ON r.account_id = a.id GROUP BY a.id
      HAVING a.pending_out <> coalesce(sum(r.amount) FILTER (WHERE r.side = 'out'), 0)
        OR a.pending_in <> coalesce(sum(r.amount) FILTER (WHERE r.side = 'in'), 0)`,
    'the settings of an account are not those of its last change': `
      SELECT a.id::text FROM account a LEFT JOIN account_change c ON (c.account_id, c.version) = (a.id, a.version)
      WHERE CASE WHEN a.version = 1 THEN (a.overdraft_limit, a.frozen_at IS NULL, a.closed_at IS NULL) <> (0, true, true)
        ELSE (c.overdraft_limit, c.is_frozen, c.is_closed) IS DISTINCT FROM (a.overdraft_limit, a.frozen_at IS NOT NULL, a.closed_at IS NOT NULL) END`,
    'a transfer does not have two entries that cancel out': `
      SELECT t.id::text FROM transfer t LEFT JOIN entry e ON e.transfer_id = t.id LEFT JOIN settlement s ON s.transfer_id = t.id
      WHERE t.expires_at IS NULL OR s.outcome = 'posted'
      GROUP BY t.id, s.amount HAVING count(e.seq) <> 2 OR sum(e.amount) <> 0 OR max(e.amount) <> coalesce(s.amount, t.amount)`,
    'a transfer that is not posted has entries': `
      SELECT t.id::text FROM transfer t JOIN entry e ON e.transfer_id = t.id LEFT JOIN settlement s ON s.transfer_id = t.id
      WHERE t.expires_at IS NOT NULL AND s.outcome IS DISTINCT FROM 'posted'`,
    'a pending transfer does not reserve what it should': `
      SELECT t.id::text FROM transfer t LEFT JOIN settlement s ON s.transfer_id = t.id LEFT JOIN reservation r ON r.transfer_id = t.id
      GROUP BY t.id, s.outcome, t.expires_at
      HAVING (count(r.amount) = 2) IS DISTINCT FROM (t.expires_at IS NOT NULL AND s.outcome IS NULL)
        AND NOT (s.outcome = 'expired' AND count(r.amount) = 1) OR min(r.amount) <> t.amount OR max(r.amount) <> t.amount`,
    'more was posted of a transfer than was pending': `
      SELECT t.id::text FROM transfer t JOIN settlement s ON s.transfer_id = t.id WHERE s.amount > t.amount OR t.expires_at IS NULL`,
    'more was reversed of a transfer than was posted': `
      SELECT t.id::text FROM transfer t JOIN transfer r ON r.reverses_id = t.id LEFT JOIN settlement s ON s.transfer_id = t.id
      GROUP BY t.id, s.amount HAVING sum(r.amount) > coalesce(s.amount, t.amount) OR sum(r.amount) <> max(r.reversed_total)`,
    'an entry is older than the one before it': `
      SELECT e.transfer_id::text AS id FROM entry e JOIN entry p ON p.account_id = e.account_id AND p.seq = e.seq - 1
      WHERE e.created_at < p.created_at`,
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
