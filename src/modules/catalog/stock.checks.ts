import { defineChecks } from '../../reconciliation/check.ts';

defineChecks([
  {
    mistake: 'a stock is not the sum of its movements',
    table: 'stock',
    wrong: `
      SELECT s.sku_id::text AS id FROM stock s
      LEFT JOIN (SELECT sku_id, sum(quantity) AS total, count(*) AS movements FROM stock_movement GROUP BY sku_id) m ON m.sku_id = s.sku_id
      WHERE s.on_hand <> coalesce(m.total, 0) OR s.movement_count <> coalesce(m.movements, 0)`,
  },
  {
    mistake: 'a stock is below zero',
    table: 'stock',
    wrong: `SELECT sku_id::text AS id FROM stock WHERE on_hand < 0`,
  },
  {
    mistake: 'a movement does not continue the one before',
    table: 'stock_movement',
    wrong: `
      SELECT sku_id || ' ' || seq AS id FROM (
        SELECT sku_id, seq, quantity, on_hand_after,
          lag(seq, 1, 0) OVER before AS seq_before, lag(on_hand_after, 1, 0) OVER before AS on_hand_before
        FROM stock_movement WINDOW before AS (PARTITION BY sku_id ORDER BY seq)) AS m
      WHERE seq <> seq_before + 1 OR on_hand_after <> on_hand_before + quantity`,
  },
]);
