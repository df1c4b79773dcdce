import { defineChecks } from '../../reconciliation/check.ts';

defineChecks([
  {
    mistake: 'an account is not the sum of its entries',
    table: 'account',
    wrong: `
      SELECT a.id::text AS id FROM account a
      LEFT JOIN (SELECT account_id, sum(amount) AS total, count(*) AS entries FROM entry GROUP BY account_id) e ON e.account_id = a.id
      WHERE a.balance <> coalesce(e.total, 0) OR a.entry_count <> coalesce(e.entries, 0)`,
  },
  {
    mistake: 'a currency does not sum to zero',
    table: 'account',
    wrong: `SELECT currency::text AS id FROM account GROUP BY currency HAVING sum(balance) <> 0`,
  },
  {
    // Cash alone may owe without a limit: its balance is what the outside world has paid in, negated.
    mistake: 'an account is below its limit',
    table: 'account',
    wrong: `SELECT id::text FROM account WHERE balance + overdraft_limit - pending_out < 0 AND house IS DISTINCT FROM 'cash'`,
  },
  {
    // Nothing but a refund may have gone beyond the limit, and by then there was one.
    mistake: 'an account holds more than it may',
    table: 'account',
    wrong: `
      SELECT a.id::text AS id FROM account a WHERE a.balance > a.max_balance AND NOT EXISTS (
        SELECT FROM entry e JOIN transfer t ON t.id = e.transfer_id
        WHERE e.account_id = a.id AND t.kind = 'refund' AND e.balance_after > a.max_balance)`,
  },
  {
    mistake: 'an account is closed and not empty',
    table: 'account',
    wrong: `SELECT id::text FROM account WHERE closed_at IS NOT NULL AND (balance <> 0 OR pending_out <> 0 OR pending_in <> 0)`,
  },
  {
    mistake: 'an account does not count what is reserved',
    table: 'account',
    wrong: `
      SELECT a.id::text AS id FROM account a LEFT JOIN reservation r ON r.account_id = a.id AND r.expires_at > a.expired_through GROUP BY a.id
      HAVING a.pending_out <> coalesce(sum(r.amount) FILTER (WHERE r.side = 'out'), 0)
        OR a.pending_in <> coalesce(sum(r.amount) FILTER (WHERE r.side = 'in'), 0)`,
  },
  {
    mistake: 'the reservations of an account are not their total',
    table: 'reservation_total',
    wrong: `
      SELECT coalesce(t.account_id, r.account_id)::text AS id FROM reservation_total t
      LEFT JOIN account a ON a.id = t.account_id
      FULL JOIN (
        SELECT r.account_id, sum(r.amount) FILTER (WHERE r.side = 'out') AS outgoing, sum(r.amount) FILTER (WHERE r.side = 'in') AS incoming,
          count(*) FILTER (WHERE r.side = 'out') AS outgoing_count, count(*) FILTER (WHERE r.side = 'in') AS incoming_count
        FROM reservation r JOIN account a ON a.id = r.account_id AND r.expires_at > a.expired_through GROUP BY r.account_id) AS r
        ON r.account_id = t.account_id
      WHERE (t.outgoing = coalesce(r.outgoing, 0) AND t.incoming = coalesce(r.incoming, 0)
        AND t.outgoing_count = coalesce(r.outgoing_count, 0) AND t.incoming_count = coalesce(r.incoming_count, 0)
        AND t.expired_through = a.expired_through) IS NOT TRUE`,
  },
  {
    mistake: 'an entry does not continue the one before',
    table: 'entry',
    wrong: `
      SELECT account_id || ' ' || seq AS id FROM (
        SELECT account_id, seq, amount, balance_after,
          lag(seq, 1, 0) OVER before AS seq_before, lag(balance_after, 1, 0::bigint) OVER before AS balance_before
        FROM entry WINDOW before AS (PARTITION BY account_id ORDER BY seq)) AS e
      WHERE seq <> seq_before + 1 OR balance_after <> balance_before + amount`,
  },
  {
    mistake: 'an entry is older than the one before it',
    table: 'entry',
    wrong: `
      SELECT account_id || ' ' || seq AS id FROM (
        SELECT account_id, seq, created_at, lag(created_at) OVER (PARTITION BY account_id ORDER BY seq) AS before FROM entry) AS e
      WHERE created_at < before`,
  },
  {
    mistake: 'an entry belongs to no transfer',
    table: 'entry',
    wrong: `
      SELECT e.account_id || ' ' || e.seq AS id FROM entry e
      WHERE NOT EXISTS (SELECT FROM transfer t WHERE t.id = e.transfer_id)`,
  },
  {
    // Of those that are posted, at once or later: what was posted then may be less than was pending.
    mistake: 'a transfer does not have its two entries',
    table: 'transfer',
    wrong: `
      SELECT t.id::text AS id FROM transfer t LEFT JOIN settlement s ON s.transfer_id = t.id LEFT JOIN entry e ON e.transfer_id = t.id
      WHERE t.expires_at IS NULL OR s.outcome = 'posted'
      GROUP BY t.id, s.transfer_id HAVING count(e.seq) <> 2 OR bool_and(e.amount = CASE e.account_id
        WHEN t.from_account_id THEN -1 WHEN t.to_account_id THEN 1 ELSE 0 END
        * CASE WHEN t.expires_at IS NULL THEN t.amount ELSE s.amount END) IS NOT TRUE`,
  },
  {
    mistake: 'a transfer that is not posted has entries',
    table: 'transfer',
    wrong: `
      SELECT t.id::text AS id FROM transfer t LEFT JOIN settlement s ON s.transfer_id = t.id
      WHERE t.expires_at IS NOT NULL AND s.outcome IS DISTINCT FROM 'posted' AND EXISTS (SELECT FROM entry e WHERE e.transfer_id = t.id)`,
  },
  {
    // On both sides while nothing became of it. Of an expired one a side may keep its reservation until somebody needs the room.
    mistake: 'a pending transfer does not reserve what it should',
    table: 'transfer',
    wrong: `
      SELECT t.id::text AS id FROM transfer t
      LEFT JOIN settlement s ON s.transfer_id = t.id LEFT JOIN reservation r ON r.transfer_id = t.id
      GROUP BY t.id, s.outcome
      HAVING (count(r.amount) <> CASE WHEN t.expires_at IS NOT NULL AND s.outcome IS NULL THEN 2 ELSE 0 END
          AND NOT (s.outcome IS NOT DISTINCT FROM 'expired' AND count(r.amount) = 1))
        OR NOT bool_and(r.amount = t.amount AND r.expires_at = t.expires_at
          AND r.account_id = CASE r.side WHEN 'out' THEN t.from_account_id ELSE t.to_account_id END)`,
  },
  {
    mistake: 'more was posted of a transfer than was pending',
    table: 'settlement',
    wrong: `
      SELECT s.transfer_id::text AS id FROM settlement s LEFT JOIN transfer t ON t.id = s.transfer_id
      WHERE (t.expires_at IS NOT NULL AND coalesce(s.amount, 0) <= t.amount) IS NOT TRUE`,
  },
  {
    mistake: 'more was reversed of a transfer than was posted',
    table: 'transfer',
    wrong: `
      SELECT t.id::text AS id FROM transfer t JOIN transfer r ON r.reverses_id = t.id LEFT JOIN settlement s ON s.transfer_id = t.id
      GROUP BY t.id, s.transfer_id
      HAVING sum(r.amount) > CASE WHEN t.expires_at IS NULL THEN t.amount WHEN s.outcome = 'posted' THEN s.amount ELSE 0 END
        OR sum(r.amount) <> max(r.reversed_total) OR count(*) <> max(r.reversal_seq)`,
  },
  {
    mistake: 'a transfer is in another currency than its accounts',
    table: 'transfer',
    wrong: `
      SELECT t.id::text AS id FROM transfer t
      LEFT JOIN account f ON f.id = t.from_account_id LEFT JOIN account i ON i.id = t.to_account_id
      WHERE f.currency IS DISTINCT FROM t.currency OR i.currency IS DISTINCT FROM t.currency`,
  },
  {
    mistake: 'a transfer is not what its kind says',
    table: 'transfer',
    wrong: `
      SELECT t.id::text AS id FROM transfer t
      JOIN account f ON f.id = t.from_account_id JOIN account i ON i.id = t.to_account_id
      LEFT JOIN transfer o ON o.id = t.reverses_id
      WHERE CASE t.kind::text
        WHEN 'deposit' THEN f.house = 'cash' AND i.house IS NULL
        WHEN 'transfer' THEN f.house IS NULL AND i.house IS NULL
        WHEN 'payment' THEN f.house IS NULL AND i.house = 'sales'
        WHEN 'refund' THEN f.house = 'sales' AND i.house IS NULL
        WHEN 'reversal' THEN o.kind IN ('transfer', 'deposit')
          AND (o.from_account_id, o.to_account_id) = (t.to_account_id, t.from_account_id)
        ELSE true END IS NOT TRUE`,
  },
  {
    mistake: 'an event tells of a transfer that is not there',
    table: 'event',
    wrong: `
      SELECT e.id::text AS id FROM event e LEFT JOIN transfer t ON t.id = e.subject_id
      WHERE e.type LIKE 'transfer.%' AND t.id IS NULL`,
  },
]);
