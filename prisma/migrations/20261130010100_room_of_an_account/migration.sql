-- What is pending takes no room on the account that is to receive it until it is posted, and a refund passes by the largest balance.
-- A name in kebab-case is an error code that a caller may see; a name in snake_case is broken only by a mistake of ours.

ALTER TABLE account
  DROP CONSTRAINT "balance-too-large",
  -- As much as can be counted, also when all that is pending is posted.
  ADD CONSTRAINT "balance-too-large" CHECK (balance >= -9007199254740991 AND balance + pending_in <= 9007199254740991);

-- A largest balance is not set below what is there.
CREATE FUNCTION largest_balance_leaves_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the account holds more than that' USING ERRCODE = '23514', CONSTRAINT = 'balance-too-large';
END
$$;
CREATE TRIGGER largest_balance_leaves_room AFTER UPDATE OF max_balance ON account FOR EACH ROW
  WHEN (OLD.max_balance IS DISTINCT FROM NEW.max_balance AND NEW.balance > NEW.max_balance) EXECUTE FUNCTION largest_balance_leaves_room();

-- As before, and nothing but a refund brings an account beyond its largest balance.
CREATE OR REPLACE FUNCTION entries_are_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM (
      SELECT t.*, CASE WHEN t.expires_at IS NULL THEN t.amount ELSE (SELECT s.amount FROM settlement s WHERE s.transfer_id = t.id) END AS posted
      FROM transfer t WHERE t.id IN (SELECT transfer_id FROM added)) AS t
    WHERE (SELECT count(*) = 2 AND bool_and(a.currency = t.currency AND e.amount = CASE e.account_id
                    WHEN t.from_account_id THEN -t.posted WHEN t.to_account_id THEN t.posted END)
           FROM entry e JOIN account a ON a.id = e.account_id WHERE e.transfer_id = t.id) IS NOT TRUE
  ) THEN
    RAISE EXCEPTION 'a transfer does not have its two entries' USING ERRCODE = '23000', CONSTRAINT = 'entries_are_balanced';
  END IF;
  IF EXISTS (
    SELECT FROM added e LEFT JOIN entry p ON p.account_id = e.account_id AND p.seq = e.seq - 1
    WHERE e.balance_after <> coalesce(p.balance_after, 0) + e.amount OR (p.seq IS NULL AND e.seq > 1)
  ) THEN
    RAISE EXCEPTION 'an entry does not continue the one before' USING ERRCODE = '23000', CONSTRAINT = 'entries_continue';
  END IF;
  IF EXISTS (SELECT FROM account a WHERE a.id IN (SELECT account_id FROM added) AND (a.frozen_at IS NOT NULL OR a.closed_at IS NOT NULL)) THEN
    RAISE EXCEPTION 'an entry is in an account that is frozen or closed' USING ERRCODE = '23000', CONSTRAINT = 'entries_are_in_open_accounts';
  END IF;
  IF EXISTS (
    SELECT FROM added e JOIN account a ON a.id = e.account_id JOIN transfer t ON t.id = e.transfer_id
    WHERE e.amount > 0 AND e.balance_after > a.max_balance AND t.kind <> 'refund'
  ) THEN
    RAISE EXCEPTION 'an account receives more than it may hold' USING ERRCODE = '23514', CONSTRAINT = 'balance-too-large';
  END IF;
  RETURN NULL;
END
$$;
