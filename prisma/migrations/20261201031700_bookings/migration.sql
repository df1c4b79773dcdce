CREATE TYPE "booking_status" AS ENUM ('booked', 'cancelled');

CREATE TABLE "booking" (
    "id" UUID NOT NULL,
    "showing_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "hold_id" UUID NOT NULL,
    "status" "booking_status" NOT NULL DEFAULT 'booked',
    "seat_count" INTEGER NOT NULL,
    "account_id" UUID NOT NULL,
    "amount" BIGINT NOT NULL,
    "currency" CHAR(3) NOT NULL,
    "transfer_id" UUID NOT NULL,
    "refund_transfer_id" UUID,
    "cancelled_by_id" UUID,
    "cancel_reason" TEXT,
    "cancelled_at" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),

    CONSTRAINT "booking_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "booking_seat" (
    "booking_id" UUID NOT NULL,
    "seat_id" UUID NOT NULL,

    CONSTRAINT "booking_seat_pkey" PRIMARY KEY ("booking_id","seat_id")
);

CREATE UNIQUE INDEX "hold-booked" ON "booking"("hold_id");
CREATE UNIQUE INDEX "transfer_books_once" ON "booking"("transfer_id");
CREATE UNIQUE INDEX "transfer_returns_a_booking_once" ON "booking"("refund_transfer_id");
CREATE INDEX "booking_user_id_id_idx" ON "booking"("user_id", "id");
CREATE INDEX "booking_showing_id_user_id_idx" ON "booking"("showing_id", "user_id");
CREATE INDEX "booking_account_id_idx" ON "booking"("account_id");
CREATE INDEX "booking_seat_seat_id_idx" ON "booking_seat"("seat_id");

ALTER TABLE "seat" ADD COLUMN "booking_id" UUID;
-- Harmless: seats came with the migration before, and no release has had them.
CREATE INDEX "seat_booking_id_idx" ON "seat"("booking_id");

ALTER TABLE "booking" ADD CONSTRAINT "booking_showing_id_fkey" FOREIGN KEY ("showing_id") REFERENCES "showing"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "booking" ADD CONSTRAINT "booking_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "user"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "booking" ADD CONSTRAINT "booking_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "booking" ADD CONSTRAINT "booking_transfer_id_fkey" FOREIGN KEY ("transfer_id") REFERENCES "transfer"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "booking" ADD CONSTRAINT "booking_refund_transfer_id_fkey" FOREIGN KEY ("refund_transfer_id") REFERENCES "transfer"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "booking_seat" ADD CONSTRAINT "booking_seat_booking_id_fkey" FOREIGN KEY ("booking_id") REFERENCES "booking"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "booking_seat" ADD CONSTRAINT "booking_seat_seat_id_fkey" FOREIGN KEY ("seat_id") REFERENCES "seat"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
-- Harmless: seats came with the migration before, and no release has had them.
ALTER TABLE "seat" ADD CONSTRAINT "seat_booking_id_fkey" FOREIGN KEY ("booking_id") REFERENCES "booking"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
-- Harmless: seats came with the migration before, and no release has had them.
ALTER TABLE "seat" ADD CONSTRAINT seat_is_held_or_booked CHECK (hold_id IS NULL OR booking_id IS NULL);

ALTER TABLE "booking"
  ADD CONSTRAINT booking_is_of_some_seats CHECK (seat_count >= 1),
  ADD CONSTRAINT booking_version_counts_from_one CHECK (version >= 1),
  ADD CONSTRAINT booking_is_cancelled_by_somebody CHECK (
    (status = 'cancelled') = (refund_transfer_id IS NOT NULL)
    AND (status = 'cancelled') = (cancelled_by_id IS NOT NULL) AND (status = 'cancelled') = (cancelled_at IS NOT NULL));

CREATE TRIGGER updated_at_is_now BEFORE UPDATE ON "booking" FOR EACH ROW EXECUTE FUNCTION updated_at_is_now();

-- What was paid stays so, and what was cancelled.
CREATE FUNCTION booking_keeps_its_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status = 'cancelled'
    OR (OLD.showing_id, OLD.user_id, OLD.hold_id, OLD.seat_count, OLD.account_id, OLD.amount, OLD.currency, OLD.transfer_id)
      IS DISTINCT FROM (NEW.showing_id, NEW.user_id, NEW.hold_id, NEW.seat_count, NEW.account_id, NEW.amount, NEW.currency, NEW.transfer_id) THEN
    RAISE EXCEPTION 'what was agreed of a booking has changed' USING ERRCODE = '23000', CONSTRAINT = 'booking_keeps_its_terms';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER booking_keeps_its_terms BEFORE UPDATE ON "booking" FOR EACH ROW EXECUTE FUNCTION booking_keeps_its_terms();

-- A seat is held by who finds it free; it is booked by whose hold it was in time, or exchanged for another one where it is free.
CREATE OR REPLACE FUNCTION seat_is_taken_from_nobody() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.version <= OLD.version
    OR (OLD.booking_id IS NOT NULL)
    OR (OLD.held_until > statement_timestamp()
      AND (SELECT b.hold_id = OLD.hold_id FROM booking b WHERE b.id = NEW.booking_id) IS NOT TRUE)
    OR NEW.showing_id <> (SELECT h.showing_id FROM seat_hold h WHERE h.id = NEW.hold_id)
    OR NEW.showing_id <> (SELECT b.showing_id FROM booking b WHERE b.id = NEW.booking_id) THEN
    RAISE EXCEPTION 'a seat is taken that is not free' USING ERRCODE = '23000', CONSTRAINT = 'seat_is_taken_from_nobody';
  END IF;
  RETURN NEW;
END
$$;
-- Harmless: seats came with the migration before, and no release has had them.
CREATE TRIGGER seat_is_booked_from_nobody BEFORE UPDATE ON "seat" FOR EACH ROW
  WHEN (NEW.booking_id IS NOT NULL AND NEW.booking_id IS DISTINCT FROM OLD.booking_id) EXECUTE FUNCTION seat_is_taken_from_nobody();

-- What a customer holds of a showing and has booked.
CREATE OR REPLACE FUNCTION seats_of_customer(its_showing uuid, customer uuid) RETURNS integer LANGUAGE sql AS $$
  SELECT (SELECT count(*)::int FROM seat_hold h JOIN seat s ON s.hold_id = h.id
      WHERE h.showing_id = its_showing AND h.user_id = customer AND s.held_until > statement_timestamp())
    + (SELECT coalesce(sum(b.seat_count), 0)::int FROM booking b
      WHERE b.showing_id = its_showing AND b.user_id = customer AND b.status = 'booked')
$$;

-- What is wrong with a booking: its transfer pays it and nothing else, it costs what its seats cost, and it has just the seats that it names:
-- all while it is booked; when it is cancelled none, and its money is back where it came from. Null when all is well.
CREATE FUNCTION mistake_of_booking(its_id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  b booking%ROWTYPE;
  w showing%ROWTYPE;
BEGIN
  SELECT * INTO b FROM booking WHERE id = its_id;
  SELECT * INTO w FROM showing WHERE id = b.showing_id;
  RETURN CASE
    WHEN NOT EXISTS (
      SELECT FROM transfer t WHERE t.id = b.transfer_id AND t.kind = 'payment' AND t.amount = b.amount
        AND t.currency = b.currency AND t.from_account_id = b.account_id)
      OR EXISTS (SELECT FROM payment p WHERE p.transfer_id = b.transfer_id)
      THEN 'is not paid'
    WHEN (b.amount, b.currency) IS DISTINCT FROM (b.seat_count * w.price, w.currency)
      THEN 'costs something else than its seats'
    WHEN b.status = 'cancelled' AND (NOT EXISTS (
      SELECT FROM transfer t WHERE t.id = b.refund_transfer_id AND t.kind = 'refund' AND t.amount = b.amount
        AND t.currency = b.currency AND t.to_account_id = b.account_id)
      OR EXISTS (SELECT FROM refund r WHERE r.transfer_id = b.refund_transfer_id))
      THEN 'is not refunded as it should be'
    WHEN b.seat_count <> (SELECT count(*) FROM booking_seat n WHERE n.booking_id = b.id)
      THEN 'does not name its seats'
    WHEN CASE b.status WHEN 'booked' THEN b.seat_count ELSE 0 END <> (SELECT count(*) FROM seat s WHERE s.booking_id = b.id)
      OR EXISTS (
        SELECT FROM seat s WHERE s.booking_id = b.id
          AND NOT EXISTS (SELECT FROM booking_seat n WHERE n.booking_id = b.id AND n.seat_id = s.id))
      THEN 'has not the seats that it names'
    WHEN b.status = 'booked' AND w.seats_per_customer < seats_of_customer(b.showing_id, b.user_id)
      THEN 'is beyond the limit of its customer'
  END;
END
$$;

CREATE FUNCTION booking_is_whole() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  broken text := mistake_of_booking(NEW.id);
BEGIN
  IF broken IS NOT NULL THEN
    RAISE EXCEPTION 'a booking %', broken USING ERRCODE = '23000', CONSTRAINT = 'booking_is_whole';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER booking_is_whole AFTER INSERT OR UPDATE ON "booking"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION booking_is_whole();

-- Whatever is given to a booking or taken from it asks for it, too.
CREATE FUNCTION booking_stays_whole() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  broken text;
BEGIN
  broken := CASE WHEN TG_OP <> 'INSERT' AND OLD.booking_id IS NOT NULL THEN mistake_of_booking(OLD.booking_id) END;
  IF broken IS NULL AND TG_OP <> 'DELETE' AND NEW.booking_id IS NOT NULL THEN
    broken := mistake_of_booking(NEW.booking_id);
  END IF;
  IF broken IS NOT NULL THEN
    RAISE EXCEPTION 'a booking %', broken USING ERRCODE = '23000', CONSTRAINT = 'booking_is_whole';
  END IF;
  RETURN NULL;
END
$$;
-- Harmless: seats came with the migration before, and no release has had them.
CREATE CONSTRAINT TRIGGER booking_stays_whole AFTER UPDATE ON "seat"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.booking_id IS DISTINCT FROM NEW.booking_id) EXECUTE FUNCTION booking_stays_whole();
CREATE CONSTRAINT TRIGGER booking_stays_whole AFTER INSERT OR DELETE ON "booking_seat"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION booking_stays_whole();

-- A payment is of an order or of a booking, and so is a refund.
CREATE OR REPLACE FUNCTION transfer_is_of_its_kind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT CASE NEW.kind
        WHEN 'deposit' THEN f.house = 'cash' AND t.house IS NULL
        WHEN 'transfer' THEN f.house IS NULL AND t.house IS NULL
        WHEN 'payment' THEN f.house IS NULL AND t.house = 'sales'
          AND (EXISTS (SELECT FROM payment WHERE transfer_id = NEW.id) OR EXISTS (SELECT FROM booking WHERE transfer_id = NEW.id))
        WHEN 'refund' THEN f.house = 'sales' AND t.house IS NULL
          AND (EXISTS (SELECT FROM refund WHERE transfer_id = NEW.id) OR EXISTS (SELECT FROM booking WHERE refund_transfer_id = NEW.id))
        WHEN 'reversal' THEN true
      END
      FROM account f, account t WHERE f.id = NEW.from_account_id AND t.id = NEW.to_account_id) IS NOT TRUE THEN
    RAISE EXCEPTION 'a transfer is not what its kind says' USING ERRCODE = '23000', CONSTRAINT = 'transfer_is_of_its_kind';
  END IF;
  RETURN NULL;
END
$$;

REVOKE DELETE ON "booking" FROM holdfast_app;
REVOKE UPDATE ON "booking_seat" FROM holdfast_app;
