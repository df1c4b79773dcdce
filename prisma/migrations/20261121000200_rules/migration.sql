-- What must be true of money, stock and orders whatever the service does.
-- A name in kebab-case is an error code that a caller may see; a name in snake_case is broken only by a mistake of ours.

-- Money -----------------------------------------------------------------------------------------------------------------

ALTER TABLE account
  ADD CONSTRAINT "insufficient-funds" CHECK (house IS NOT DISTINCT FROM 'cash' OR balance >= 0),
  ADD CONSTRAINT "balance-too-large" CHECK (balance BETWEEN -9007199254740991 AND 9007199254740991),
  ADD CONSTRAINT account_has_one_owner CHECK ((user_id IS NULL) <> (house IS NULL)),
  ADD CONSTRAINT account_currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$'),
  ADD CONSTRAINT account_entry_count_is_a_count CHECK (entry_count >= 0);

ALTER TABLE transfer
  ADD CONSTRAINT transfer_amount_is_positive CHECK (amount > 0),
  ADD CONSTRAINT "same-account" CHECK (from_account_id <> to_account_id);

ALTER TABLE entry
  ADD CONSTRAINT entry_amount_is_not_zero CHECK (amount <> 0),
  ADD CONSTRAINT entry_seq_counts_from_one CHECK (seq >= 1);

-- Every transfer has two entries, of its amount and in its currency, and every entry continues the balance of the one before.
CREATE FUNCTION entries_are_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM transfer t
    WHERE t.id IN (SELECT transfer_id FROM added)
      AND (SELECT count(*) = 2 AND bool_and(a.currency = t.currency AND e.amount = CASE e.account_id
                    WHEN t.from_account_id THEN -t.amount WHEN t.to_account_id THEN t.amount END)
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
  RETURN NULL;
END
$$;
CREATE TRIGGER entries_are_balanced AFTER INSERT ON entry REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION entries_are_balanced();

CREATE FUNCTION transfer_has_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) FROM entry WHERE transfer_id = NEW.id) <> 2 THEN
    RAISE EXCEPTION 'a transfer has no entries' USING ERRCODE = '23000', CONSTRAINT = 'transfer_has_entries';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER transfer_has_entries AFTER INSERT ON transfer
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION transfer_has_entries();

-- A transfer is what its kind says: money enters through cash, orders are paid to sales and refunded from it, and each belongs to its order.
CREATE FUNCTION transfer_is_of_its_kind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT CASE NEW.kind
        WHEN 'deposit' THEN f.house = 'cash' AND t.house IS NULL
        WHEN 'transfer' THEN f.house IS NULL AND t.house IS NULL
        WHEN 'payment' THEN f.house IS NULL AND t.house = 'sales' AND EXISTS (SELECT FROM payment WHERE transfer_id = NEW.id)
        WHEN 'refund' THEN f.house = 'sales' AND t.house IS NULL AND EXISTS (SELECT FROM refund WHERE transfer_id = NEW.id)
      END
      FROM account f, account t WHERE f.id = NEW.from_account_id AND t.id = NEW.to_account_id) IS NOT TRUE THEN
    RAISE EXCEPTION 'a transfer is not what its kind says' USING ERRCODE = '23000', CONSTRAINT = 'transfer_is_of_its_kind';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER transfer_is_of_its_kind AFTER INSERT ON transfer
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION transfer_is_of_its_kind();

-- At COMMIT the balance of an account is what its newest entry says. With the rules above: the sum of its entries.
-- An entry asks the same for its account, unless the account was written in this transaction and so asks itself.
CREATE FUNCTION account_is_its_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  its_account uuid;
BEGIN
  IF TG_TABLE_NAME = 'account' THEN
    its_account := NEW.id;
  ELSE
    its_account := NEW.account_id;
    IF EXISTS (SELECT FROM account a WHERE a.id = its_account AND a.xmin = pg_current_xact_id()::xid) THEN
      RETURN NULL;
    END IF;
  END IF;
  IF (SELECT a.balance = coalesce(e.balance_after, 0) AND a.entry_count = coalesce(e.seq, 0)
      FROM account a LEFT JOIN LATERAL (
        SELECT balance_after, seq FROM entry WHERE account_id = a.id ORDER BY seq DESC LIMIT 1) e ON true
      WHERE a.id = its_account) IS FALSE THEN
    RAISE EXCEPTION 'a balance is not the sum of its entries' USING ERRCODE = '23000', CONSTRAINT = 'account_is_its_entries';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER account_is_its_entries AFTER INSERT OR UPDATE ON account
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION account_is_its_entries();
CREATE CONSTRAINT TRIGGER entry_is_in_its_account AFTER INSERT ON entry
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION account_is_its_entries();

-- Stock -----------------------------------------------------------------------------------------------------------------

ALTER TABLE sku
  ADD CONSTRAINT sku_price_is_positive CHECK (price BETWEEN 1 AND 9007199254740991),
  ADD CONSTRAINT sku_currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$');

ALTER TABLE stock
  ADD CONSTRAINT "out-of-stock" CHECK (on_hand >= 0),
  ADD CONSTRAINT "too-much-stock" CHECK (on_hand <= 1000000000),
  ADD CONSTRAINT stock_movement_count_is_a_count CHECK (movement_count >= 0);

ALTER TABLE stock_movement
  ADD CONSTRAINT movement_quantity_is_not_zero CHECK (quantity <> 0),
  ADD CONSTRAINT movement_seq_counts_from_one CHECK (seq >= 1),
  ADD CONSTRAINT movement_of_an_order_names_it CHECK ((reason IN ('sold', 'restocked')) = (order_id IS NOT NULL)),
  ADD CONSTRAINT movement_has_the_sign_of_its_reason CHECK (
    CASE reason WHEN 'sold' THEN quantity < 0 WHEN 'restocked' THEN quantity > 0 WHEN 'received' THEN quantity > 0 ELSE true END);

CREATE FUNCTION movements_continue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM added m LEFT JOIN stock_movement p ON p.sku_id = m.sku_id AND p.seq = m.seq - 1
    WHERE m.on_hand_after <> coalesce(p.on_hand_after, 0) + m.quantity OR (p.seq IS NULL AND m.seq > 1)
  ) THEN
    RAISE EXCEPTION 'a movement does not continue the one before' USING ERRCODE = '23000', CONSTRAINT = 'movements_continue';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER movements_continue AFTER INSERT ON stock_movement REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION movements_continue();

-- At COMMIT a stock is what its newest movement says; a movement asks the same for its stock.
CREATE FUNCTION stock_is_its_movements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'stock_movement'
    AND EXISTS (SELECT FROM stock s WHERE s.sku_id = NEW.sku_id AND s.xmin = pg_current_xact_id()::xid) THEN
    RETURN NULL;
  END IF;
  IF (SELECT s.on_hand = coalesce(m.on_hand_after, 0) AND s.movement_count = coalesce(m.seq, 0)
      FROM stock s LEFT JOIN LATERAL (
        SELECT on_hand_after, seq FROM stock_movement WHERE sku_id = s.sku_id ORDER BY seq DESC LIMIT 1) m ON true
      WHERE s.sku_id = NEW.sku_id) IS FALSE THEN
    RAISE EXCEPTION 'a stock is not the sum of its movements' USING ERRCODE = '23000', CONSTRAINT = 'stock_is_its_movements';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER stock_is_its_movements AFTER INSERT OR UPDATE ON stock
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stock_is_its_movements();
CREATE CONSTRAINT TRIGGER movement_is_in_its_stock AFTER INSERT ON stock_movement
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stock_is_its_movements();

-- Orders ----------------------------------------------------------------------------------------------------------------

ALTER TABLE "order"
  ADD CONSTRAINT order_total_is_positive CHECK (total BETWEEN 1 AND 9007199254740991),
  ADD CONSTRAINT order_currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$');

ALTER TABLE order_line
  ADD CONSTRAINT order_line_quantity_is_positive CHECK (quantity >= 1),
  ADD CONSTRAINT order_line_price_is_positive CHECK (unit_price >= 1);

ALTER TABLE payment ADD CONSTRAINT payment_amount_is_positive CHECK (amount >= 1);
ALTER TABLE refund ADD CONSTRAINT refund_amount_is_positive CHECK (amount >= 1);

-- At COMMIT an order costs what its lines cost, is paid by a transfer of that amount, and holds just the stock that it sold:
-- all of it while it is placed; when it is cancelled none, its money is back where it came from, and somebody cancelled it.
-- Whatever belongs to an order asks for it too (a second payment is refused by its name), unless the order was written in this transaction and so asks itself.
CREATE FUNCTION order_is_whole() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  o "order"%ROWTYPE;
  its_order uuid;
  broken text;
BEGIN
  IF TG_TABLE_NAME = 'order' THEN
    its_order := NEW.id;
  ELSE
    IF TG_TABLE_NAME = 'refund' THEN
      its_order := (SELECT p.order_id FROM payment p WHERE p.id = NEW.payment_id);
    ELSE
      its_order := NEW.order_id;
    END IF;
    IF EXISTS (SELECT FROM "order" WHERE id = its_order AND xmin = pg_current_xact_id()::xid) THEN
      RETURN NULL;
    END IF;
  END IF;
  SELECT * INTO o FROM "order" WHERE id = its_order;
  broken := CASE
    WHEN o.total IS DISTINCT FROM (SELECT sum(quantity * unit_price) FROM order_line l WHERE l.order_id = o.id)
      THEN 'costs something else than its lines'
    WHEN NOT EXISTS (
      SELECT FROM payment p JOIN transfer t ON t.id = p.transfer_id
      WHERE p.order_id = o.id AND p.amount = o.total AND t.kind = 'payment' AND t.amount = p.amount
        AND t.currency = o.currency AND t.from_account_id = p.account_id)
      THEN 'is not paid'
    WHEN EXISTS (
      SELECT FROM order_line l WHERE l.order_id = o.id
        AND CASE o.status WHEN 'placed' THEN -l.quantity ELSE 0 END
          <> (SELECT coalesce(sum(m.quantity), 0) FROM stock_movement m WHERE m.order_id = o.id AND m.sku_id = l.sku_id))
      THEN 'does not hold the stock of its lines'
    WHEN (o.status = 'cancelled') <> EXISTS (
      SELECT FROM refund r JOIN payment p ON p.id = r.payment_id JOIN transfer t ON t.id = r.transfer_id
      WHERE p.order_id = o.id AND r.amount = p.amount AND t.kind = 'refund' AND t.amount = r.amount
        AND t.to_account_id = p.account_id)
      THEN 'is not refunded as it should be'
    WHEN (o.status = 'cancelled') <> EXISTS (SELECT FROM cancellation c WHERE c.order_id = o.id)
      THEN 'was cancelled by nobody'
  END;
  IF broken IS NOT NULL THEN
    RAISE EXCEPTION 'an order %', broken USING ERRCODE = '23000', CONSTRAINT = 'order_is_whole';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER order_is_whole AFTER INSERT OR UPDATE ON "order"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION order_is_whole();
CREATE CONSTRAINT TRIGGER order_line_is_in_its_order AFTER INSERT ON order_line
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION order_is_whole();
CREATE CONSTRAINT TRIGGER refund_is_of_its_order AFTER INSERT ON refund
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION order_is_whole();
CREATE CONSTRAINT TRIGGER cancellation_is_of_its_order AFTER INSERT ON cancellation
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION order_is_whole();
CREATE CONSTRAINT TRIGGER movement_is_of_its_order AFTER INSERT ON stock_movement
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.order_id IS NOT NULL) EXECUTE FUNCTION order_is_whole();

-- The house -------------------------------------------------------------------------------------------------------------

-- One account of each kind for every currency that kernel/money.ts knows.
INSERT INTO account (id, house, name, currency)
SELECT gen_random_uuid(), house, initcap(house::text), currency
FROM unnest(enum_range(NULL::house)) AS house, unnest(ARRAY['BHD', 'CHF', 'EUR', 'GBP', 'JPY', 'KWD', 'SEK', 'USD']) AS currency;

-- What stays ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION stays_as_it_is() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'this does not change' USING ERRCODE = '23000', CONSTRAINT = TG_NAME;
END
$$;
-- The entries of an account are in its currency and its owner's, for good.
CREATE TRIGGER account_keeps_owner_and_currency BEFORE UPDATE OF id, user_id, house, currency ON account FOR EACH ROW
  WHEN ((OLD.id, OLD.user_id, OLD.house, OLD.currency) IS DISTINCT FROM (NEW.id, NEW.user_id, NEW.house, NEW.currency))
  EXECUTE FUNCTION stays_as_it_is();
CREATE TRIGGER order_keeps_buyer_and_price BEFORE UPDATE OF id, user_id, currency, total ON "order" FOR EACH ROW
  WHEN ((OLD.id, OLD.user_id, OLD.currency, OLD.total) IS DISTINCT FROM (NEW.id, NEW.user_id, NEW.currency, NEW.total))
  EXECUTE FUNCTION stays_as_it_is();

-- What has been written into the books stays as it is, and what they refer to stays there.
REVOKE UPDATE, DELETE ON transfer, entry, stock_movement, order_line, payment, refund, cancellation FROM holdfast_app;
REVOKE DELETE ON account, "order", product, sku, stock, "user", profile FROM holdfast_app;
