-- The books of a peer: each column is true if they are right.
SELECT
  (SELECT sum(balance) FROM account) = 10001 * 1000000000000 AS "the sum of all balances is unchanged",
  (SELECT coalesce(sum(amount), 0) FROM entry) = 0 AS "the entries add up to zero",
  (SELECT count(*) FROM entry) = 2 * (SELECT count(*) FROM transfer) AS "a transfer has two entries",
  NOT EXISTS (
    SELECT FROM account AS a
      LEFT JOIN (SELECT account_id, sum(amount) AS amount, count(*) AS n FROM entry GROUP BY account_id) AS e ON e.account_id = a.id
     WHERE a.balance <> 1000000000000 + coalesce(e.amount, 0) OR a.version <> coalesce(e.n, 0)) AS "a balance is the sum of its entries",
  NOT EXISTS (
    SELECT FROM (SELECT balance_after, sum(amount) OVER (PARTITION BY account_id ORDER BY id) AS amount FROM entry) AS e
     WHERE e.balance_after <> 1000000000000 + e.amount) AS "an entry has the balance after it",
  NOT EXISTS (
    SELECT FROM sku AS s LEFT JOIN (SELECT sku_id, sum(quantity) AS quantity FROM order_line GROUP BY sku_id) AS l ON l.sku_id = s.id
     WHERE s.stock <> 1000000000 - coalesce(l.quantity, 0)) AS "a stock is less by what was ordered",
  (SELECT count(*) FROM order_line) = 4 * (SELECT count(*) FROM "order") AS "an order has four lines",
  (SELECT coalesce(sum(total), 0) FROM "order") = (SELECT coalesce(sum(quantity * unit_price), 0) FROM order_line)
    AS "a total is the sum of its lines",
  (SELECT coalesce(sum(amount), 0) FROM payment) = (SELECT coalesce(sum(total), 0) FROM "order") AS "an order is paid",
  (SELECT count(*) FROM idempotency WHERE status = 201 AND response ? 'id') = (SELECT count(*) FROM event)
    AND (SELECT count(*) FROM idempotency) = (SELECT count(*) FROM transfer) AS "a transfer has one key and one event";
