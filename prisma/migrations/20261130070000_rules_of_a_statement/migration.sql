-- What must be true of transfers, entries and balances is asked once for each statement, over the rows that it brought, and no longer once for
-- each row at COMMIT. A statement that writes all of it, as the ledger's, is done with that. What it leaves open, a row that a later statement of
-- the transaction may yet make right, is asked again at COMMIT: UPDATE … SET id = id queues the question.
-- Each row is looked up by its key (OFFSET 0 keeps the planner from joining): a plan that was made for few rows must not read a whole table
-- once there are many.

DROP TRIGGER transfer_has_entries ON transfer;
DROP TRIGGER transfer_is_of_its_kind ON transfer;
DROP TRIGGER account_is_its_entries ON account;
DROP TRIGGER entry_is_in_its_account ON entry;

-- An entry is one of the two of its transfer, of its amount and in its currency; it continues the balance of the one before, in an account that
-- is open, and nothing but a refund brings an account beyond its largest balance. The account is what its newest entry says.
CREATE OR REPLACE FUNCTION entries_are_balanced() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  broken text;
  open uuid[];
BEGIN
  SELECT min(r.name), array_agg(r.account_id) FILTER (WHERE r.is_open) INTO broken, open FROM (
    SELECT e.account_id, e.seq > a.entry_count OR (e.seq = a.entry_count AND e.balance_after <> a.balance) AS is_open, CASE
      WHEN (a.currency = t.currency AND e.amount = CASE e.account_id WHEN t.from_account_id THEN -t.posted WHEN t.to_account_id THEN t.posted END) IS NOT TRUE
        OR (SELECT count(*) FROM entry o WHERE o.transfer_id = e.transfer_id) <> 2 THEN 'entries_are_balanced'
      WHEN e.balance_after <> coalesce(p.balance_after, 0) + e.amount OR (p.seq IS NULL AND e.seq > 1) THEN 'entries_continue'
      WHEN a.frozen_at IS NOT NULL OR a.closed_at IS NOT NULL THEN 'entries_are_in_open_accounts'
      WHEN e.amount > 0 AND e.balance_after > a.max_balance AND t.kind <> 'refund' THEN 'balance-too-large'
    END AS name
    FROM added e
    LEFT JOIN LATERAL (
      SELECT a.currency, a.balance, a.entry_count, a.frozen_at, a.closed_at, a.max_balance FROM account a WHERE a.id = e.account_id OFFSET 0) a ON true
    LEFT JOIN LATERAL (
      SELECT t.kind, t.currency, t.from_account_id, t.to_account_id,
        CASE WHEN t.expires_at IS NULL THEN t.amount ELSE (SELECT s.amount FROM settlement s WHERE s.transfer_id = t.id) END AS posted
      FROM transfer t WHERE t.id = e.transfer_id OFFSET 0) t ON true
    LEFT JOIN LATERAL (SELECT p.seq, p.balance_after FROM entry p WHERE p.account_id = e.account_id AND p.seq = e.seq - 1 OFFSET 0) p ON true
  ) AS r;
  IF broken = 'entries_are_balanced' THEN
    RAISE EXCEPTION 'a transfer does not have its two entries' USING ERRCODE = '23000', CONSTRAINT = 'entries_are_balanced';
  ELSIF broken = 'entries_continue' THEN
    RAISE EXCEPTION 'an entry does not continue the one before' USING ERRCODE = '23000', CONSTRAINT = 'entries_continue';
  ELSIF broken = 'entries_are_in_open_accounts' THEN
    RAISE EXCEPTION 'an entry is in an account that is frozen or closed' USING ERRCODE = '23000', CONSTRAINT = 'entries_are_in_open_accounts';
  ELSIF broken = 'balance-too-large' THEN
    RAISE EXCEPTION 'an account receives more than it may hold' USING ERRCODE = '23514', CONSTRAINT = 'balance-too-large';
  END IF;
  IF open IS NOT NULL THEN
    UPDATE account SET id = id WHERE id = ANY(open);
  END IF;
  RETURN NULL;
END
$$;

-- A transfer has two entries if it is posted at once; a pending one has none and is reserved on both sides. It is what its kind says, which of the
-- payment and the refund of an order is known at COMMIT only.
CREATE FUNCTION transfers_are_whole() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  open uuid[];
BEGIN
  SELECT array_agg(n.id) INTO open
  FROM added n
  LEFT JOIN LATERAL (SELECT a.id, a.house FROM account a WHERE a.id = n.from_account_id OFFSET 0) f ON true
  LEFT JOIN LATERAL (SELECT a.id, a.house FROM account a WHERE a.id = n.to_account_id OFFSET 0) t ON true
  WHERE (SELECT count(*) FROM entry e WHERE e.transfer_id = n.id) <> (CASE WHEN n.expires_at IS NULL THEN 2 ELSE 0 END)
    OR (n.expires_at IS NOT NULL AND (SELECT count(*) FROM reservation r WHERE r.transfer_id = n.id) <> 2)
    OR (CASE n.kind
        WHEN 'deposit' THEN f.house = 'cash' AND t.house IS NULL
        WHEN 'transfer' THEN f.house IS NULL AND t.house IS NULL
        WHEN 'reversal' THEN true
        ELSE false
      END AND f.id IS NOT NULL AND t.id IS NOT NULL) IS NOT TRUE;
  IF open IS NOT NULL THEN
    UPDATE transfer SET id = id WHERE id = ANY(open);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER transfers_are_whole AFTER INSERT ON transfer REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION transfers_are_whole();
CREATE CONSTRAINT TRIGGER transfer_has_entries AFTER UPDATE OF id ON transfer
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION transfer_has_entries();
CREATE CONSTRAINT TRIGGER transfer_is_of_its_kind AFTER UPDATE OF id ON transfer
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION transfer_is_of_its_kind();

-- The balance of an account is what its newest entry says. With the rules above: the sum of its entries.
CREATE FUNCTION accounts_are_their_entries() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  open uuid[];
BEGIN
  SELECT array_agg(n.id) INTO open
  FROM after n JOIN before o USING (id)
  LEFT JOIN LATERAL (SELECT e.balance_after, e.seq FROM entry e WHERE e.account_id = n.id ORDER BY e.seq DESC LIMIT 1) e ON true
  WHERE (o.balance, o.entry_count) IS DISTINCT FROM (n.balance, n.entry_count)
    AND (n.balance <> coalesce(e.balance_after, 0) OR n.entry_count <> coalesce(e.seq, 0));
  IF open IS NOT NULL THEN
    UPDATE account SET id = id WHERE id = ANY(open);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER accounts_are_their_entries AFTER UPDATE ON account REFERENCING OLD TABLE AS before NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION accounts_are_their_entries();
CREATE CONSTRAINT TRIGGER account_is_its_entries AFTER INSERT OR UPDATE OF id ON account
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION account_is_its_entries();
