import { defineChecks } from '../../reconciliation/check.ts';

defineChecks([
  {
    mistake: 'an order costs something else than its lines',
    table: 'order',
    wrong: `
      SELECT o.id::text AS id FROM "order" o
      LEFT JOIN (SELECT order_id, sum(quantity * unit_price) AS total FROM order_line GROUP BY order_id) l ON l.order_id = o.id
      WHERE o.total IS DISTINCT FROM l.total`,
  },
  {
    mistake: 'an order is not paid',
    table: 'order',
    wrong: `
      SELECT o.id::text AS id FROM "order" o LEFT JOIN payment p ON p.order_id = o.id WHERE p.amount IS DISTINCT FROM o.total`,
  },
  {
    mistake: 'a payment is not what its transfer moved',
    table: 'payment',
    wrong: `
      SELECT p.id::text AS id FROM payment p
      LEFT JOIN "order" o ON o.id = p.order_id LEFT JOIN transfer t ON t.id = p.transfer_id
      WHERE (o.currency = t.currency AND t.kind = 'payment' AND t.amount = p.amount AND t.from_account_id = p.account_id) IS NOT TRUE`,
  },
  {
    mistake: 'a refund is not what its transfer moved',
    table: 'refund',
    wrong: `
      SELECT r.id::text AS id FROM refund r
      LEFT JOIN payment p ON p.id = r.payment_id LEFT JOIN transfer t ON t.id = r.transfer_id
      WHERE (r.amount = p.amount AND t.kind = 'refund' AND t.amount = r.amount AND t.to_account_id = p.account_id) IS NOT TRUE`,
  },
  {
    mistake: 'a transfer for an order belongs to none',
    table: 'transfer',
    wrong: `
      SELECT t.id::text AS id FROM transfer t LEFT JOIN payment p ON p.transfer_id = t.id LEFT JOIN refund r ON r.transfer_id = t.id
      WHERE (t.kind = 'payment' AND p.id IS NULL AND NOT EXISTS (SELECT FROM booking b WHERE b.transfer_id = t.id))
        OR (t.kind = 'refund' AND r.id IS NULL AND NOT EXISTS (SELECT FROM booking b WHERE b.refund_transfer_id = t.id))`,
  },
  {
    mistake: 'a cancelled order is not refunded, or a placed one is',
    table: 'order',
    wrong: `
      SELECT o.id::text AS id FROM "order" o LEFT JOIN payment p ON p.order_id = o.id LEFT JOIN refund r ON r.payment_id = p.id
      WHERE (o.status = 'cancelled') <> (r.id IS NOT NULL)`,
  },
  {
    mistake: 'an order was cancelled by nobody, or a placed one by somebody',
    table: 'order',
    wrong: `
      SELECT o.id::text AS id FROM "order" o LEFT JOIN cancellation c ON c.order_id = o.id
      WHERE (o.status = 'cancelled') <> (c.order_id IS NOT NULL)`,
  },
  {
    mistake: 'an order does not hold the stock it sold',
    table: 'order_line',
    wrong: `
      SELECT l.order_id || ' ' || l.sku_id AS id FROM order_line l JOIN "order" o ON o.id = l.order_id
      LEFT JOIN (SELECT order_id, sku_id, sum(quantity) AS total FROM stock_movement WHERE order_id IS NOT NULL GROUP BY order_id, sku_id) m
        ON m.order_id = l.order_id AND m.sku_id = l.sku_id
      WHERE coalesce(m.total, 0) <> CASE o.status WHEN 'placed' THEN -l.quantity ELSE 0 END`,
  },
  {
    mistake: 'stock was moved for an order that has no such line',
    table: 'stock_movement',
    wrong: `
      SELECT m.sku_id || ' ' || m.seq AS id FROM stock_movement m
      WHERE m.order_id IS NOT NULL AND NOT EXISTS (SELECT FROM order_line l WHERE l.order_id = m.order_id AND l.sku_id = m.sku_id)`,
  },
  {
    mistake: 'an event tells of an order that is not there, or is not as it says',
    table: 'event',
    wrong: `
      SELECT e.id::text AS id FROM event e LEFT JOIN "order" o ON o.id = e.subject_id
      WHERE e.type LIKE 'order.%' AND (o.id IS NULL OR e.type = 'order.cancelled' AND o.status <> 'cancelled')`,
  },
]);
