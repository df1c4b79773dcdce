-- What must be true of stocks, movements and orders is asked once for each statement, over the rows that it brought, as it is of the ledger. What a
-- statement leaves open is asked again at COMMIT: UPDATE … SET sku_id = sku_id, or id = id, queues the question.

DROP TRIGGER stock_is_its_movements ON stock;
DROP TRIGGER movement_is_in_its_stock ON stock_movement;
DROP TRIGGER movement_is_of_its_order ON stock_movement;
DROP TRIGGER order_line_is_in_its_order ON order_line;
DROP TRIGGER refund_is_of_its_order ON refund;
DROP TRIGGER cancellation_is_of_its_order ON cancellation;
DROP TRIGGER order_is_whole ON "order";
DROP TRIGGER movements_continue ON stock_movement;

-- A movement continues the one before, and the stock is what its newest movement says.
CREATE OR REPLACE FUNCTION movements_continue() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  is_broken boolean;
  open uuid[];
BEGIN
  SELECT bool_or(m.on_hand_after <> coalesce(p.on_hand_after, 0) + m.quantity OR (p.seq IS NULL AND m.seq > 1)),
    array_agg(m.sku_id) FILTER (WHERE (s.movement_count > m.seq OR (s.movement_count = m.seq AND s.on_hand = m.on_hand_after)) IS NOT TRUE)
  INTO is_broken, open
  FROM added m
  LEFT JOIN LATERAL (
    SELECT p.seq, p.on_hand_after FROM stock_movement p WHERE p.sku_id = m.sku_id AND p.seq = m.seq - 1 OFFSET 0) p ON true
  LEFT JOIN LATERAL (SELECT s.movement_count, s.on_hand FROM stock s WHERE s.sku_id = m.sku_id OFFSET 0) s ON true;
  IF is_broken THEN
    RAISE EXCEPTION 'a movement does not continue the one before' USING ERRCODE = '23000', CONSTRAINT = 'movements_continue';
  END IF;
  IF open IS NOT NULL THEN
    UPDATE stock SET sku_id = sku_id WHERE sku_id = ANY(open);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER movements_continue AFTER INSERT ON stock_movement REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION movements_continue();

CREATE FUNCTION stocks_are_their_movements() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  open uuid[];
BEGIN
  SELECT array_agg(n.sku_id) INTO open
  FROM after n JOIN before o USING (sku_id)
  LEFT JOIN LATERAL (
    SELECT m.on_hand_after, m.seq FROM stock_movement m WHERE m.sku_id = n.sku_id ORDER BY m.seq DESC LIMIT 1) m ON true
  WHERE (o.on_hand, o.movement_count) IS DISTINCT FROM (n.on_hand, n.movement_count)
    AND (n.on_hand <> coalesce(m.on_hand_after, 0) OR n.movement_count <> coalesce(m.seq, 0));
  IF open IS NOT NULL THEN
    UPDATE stock SET sku_id = sku_id WHERE sku_id = ANY(open);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER stocks_are_their_movements AFTER UPDATE ON stock REFERENCING OLD TABLE AS before NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION stocks_are_their_movements();
CREATE CONSTRAINT TRIGGER stock_is_its_movements AFTER INSERT OR UPDATE OF sku_id ON stock
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stock_is_its_movements();

-- What is wrong with an order: it costs what its lines cost, is paid by a transfer of that amount, and holds just the stock that it sold: all of
-- it while it is placed; when it is cancelled none, its money is back where it came from, and somebody cancelled it. Null when all is well.
CREATE FUNCTION mistake_of_order(its_id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  o "order"%ROWTYPE;
BEGIN
  SELECT * INTO o FROM "order" WHERE id = its_id;
  RETURN CASE
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
END
$$;

CREATE OR REPLACE FUNCTION order_is_whole() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  broken text := mistake_of_order(NEW.id);
BEGIN
  IF broken IS NOT NULL THEN
    RAISE EXCEPTION 'an order %', broken USING ERRCODE = '23000', CONSTRAINT = 'order_is_whole';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER order_is_whole AFTER INSERT OR UPDATE ON "order"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION order_is_whole();

-- Whatever is added to an order asks for it too (a second payment is refused by its name), unless the order was written in this transaction and
-- so asks itself.
CREATE FUNCTION orders_stay_whole() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  those uuid[];
BEGIN
  IF TG_TABLE_NAME = 'refund' THEN
    those := ARRAY(SELECT DISTINCT p.order_id FROM added a JOIN payment p ON p.id = a.payment_id);
  ELSE
    those := ARRAY(SELECT DISTINCT a.order_id FROM added a WHERE a.order_id IS NOT NULL);
  END IF;
  those := ARRAY(SELECT o.id FROM "order" o WHERE o.id = ANY(those) AND o.xmin <> pg_current_xact_id()::xid);
  IF cardinality(those) > 0 THEN
    UPDATE "order" SET id = id WHERE id = ANY(those) AND mistake_of_order(id) IS NOT NULL;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER orders_stay_whole AFTER INSERT ON order_line REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION orders_stay_whole();
CREATE TRIGGER orders_stay_whole AFTER INSERT ON refund REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION orders_stay_whole();
CREATE TRIGGER orders_stay_whole AFTER INSERT ON cancellation REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION orders_stay_whole();
CREATE TRIGGER orders_stay_whole AFTER INSERT ON stock_movement REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION orders_stay_whole();

-- Whether a payment or a refund has its order is known at COMMIT only: it is asked there without writing the transfer once more.
CREATE OR REPLACE FUNCTION transfers_are_whole() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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
        ELSE true
      END AND f.id IS NOT NULL AND t.id IS NOT NULL) IS NOT TRUE;
  IF open IS NOT NULL THEN
    UPDATE transfer SET id = id WHERE id = ANY(open);
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER transfer_has_its_order AFTER INSERT ON transfer
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind IN ('payment', 'refund')) EXECUTE FUNCTION transfer_is_of_its_kind();
