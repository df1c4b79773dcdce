CREATE TABLE "showing" (
    "id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "hall" TEXT NOT NULL,
    "starts_at" TIMESTAMPTZ(3) NOT NULL,
    "ends_at" TIMESTAMPTZ(3) NOT NULL,
    "price" BIGINT NOT NULL,
    "currency" CHAR(3) NOT NULL,
    "seats_per_customer" INTEGER,
    "seat_count" INTEGER NOT NULL,
    "created_by_id" UUID NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),

    CONSTRAINT "showing_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "seat" (
    "id" UUID NOT NULL,
    "showing_id" UUID NOT NULL,
    "row_name" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "position" INTEGER NOT NULL,
    "hold_id" UUID,
    "held_until" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "seat_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "seat_hold" (
    "id" UUID NOT NULL,
    "showing_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "seat_count" INTEGER NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "forgotten_at" TIMESTAMPTZ(3) NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),

    CONSTRAINT "seat_hold_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "seat_has_its_own_position" ON "seat"("showing_id", "position");
CREATE UNIQUE INDEX "seat_has_its_own_number" ON "seat"("showing_id", "row_name", "number");
CREATE INDEX "seat_hold_id_held_until_idx" ON "seat"("hold_id", "held_until");
CREATE UNIQUE INDEX "seat_hold_has_one_end" ON "seat_hold"("id", "expires_at");
CREATE INDEX "seat_hold_showing_id_user_id_idx" ON "seat_hold"("showing_id", "user_id");
CREATE INDEX "seat_hold_user_id_idx" ON "seat_hold"("user_id");
CREATE INDEX "seat_hold_forgotten_at_idx" ON "seat_hold"("forgotten_at");

ALTER TABLE "seat" ADD CONSTRAINT "seat_showing_id_fkey" FOREIGN KEY ("showing_id") REFERENCES "showing"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
-- A hold that ends later has its seats held as long, by this very constraint; one that is removed leaves them free.
ALTER TABLE "seat" ADD CONSTRAINT "seat_hold_id_held_until_fkey" FOREIGN KEY ("hold_id", "held_until") REFERENCES "seat_hold"("id", "expires_at") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "seat_hold" ADD CONSTRAINT "seat_hold_showing_id_fkey" FOREIGN KEY ("showing_id") REFERENCES "showing"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "seat_hold" ADD CONSTRAINT "seat_hold_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "user"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- A range of names, so that GiST compares halls: "btree_gist" would do as well, and is an extension that somebody must be allowed to create.
CREATE TYPE name_range AS RANGE (subtype = text, collation = "C");

ALTER TABLE "showing"
  ADD CONSTRAINT "hall-taken" EXCLUDE USING gist (name_range(hall, hall, '[]') WITH &&, tstzrange(starts_at, ends_at) WITH &&),
  ADD CONSTRAINT showing_ends_after_it_starts CHECK (ends_at > starts_at),
  ADD CONSTRAINT showing_costs_something CHECK (price BETWEEN 1 AND 9007199254740991),
  ADD CONSTRAINT showing_allows_a_customer_one_seat CHECK (seats_per_customer >= 1),
  ADD CONSTRAINT showing_has_seats CHECK (seat_count >= 1),
  ADD CONSTRAINT showing_version_counts_from_one CHECK (version >= 1);
ALTER TABLE "seat"
  ADD CONSTRAINT seat_number_and_position_count_up CHECK (number >= 1 AND position >= 0),
  ADD CONSTRAINT seat_is_held_until_some_time CHECK ((hold_id IS NULL) = (held_until IS NULL)),
  ADD CONSTRAINT seat_version_counts_from_one CHECK (version >= 1);
ALTER TABLE "seat_hold"
  ADD CONSTRAINT seat_hold_is_of_some_seats CHECK (seat_count >= 1),
  ADD CONSTRAINT seat_hold_ends_within_the_hour CHECK (expires_at > created_at AND expires_at <= created_at + interval '1 hour'),
  ADD CONSTRAINT seat_hold_version_counts_from_one CHECK (version >= 1);

CREATE TRIGGER updated_at_is_now BEFORE UPDATE ON "showing" FOR EACH ROW EXECUTE FUNCTION updated_at_is_now();
CREATE TRIGGER updated_at_is_now BEFORE UPDATE ON "seat_hold" FOR EACH ROW EXECUTE FUNCTION updated_at_is_now();

-- Whoever takes a seat counts it up, and takes it from nobody whose hold has not ended. A hold is of one showing.
CREATE FUNCTION seat_is_taken_from_nobody() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.version <= OLD.version
    OR (OLD.held_until > statement_timestamp())
    OR NEW.showing_id <> (SELECT h.showing_id FROM seat_hold h WHERE h.id = NEW.hold_id) THEN
    RAISE EXCEPTION 'a seat is taken that is not free' USING ERRCODE = '23000', CONSTRAINT = 'seat_is_taken_from_nobody';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER seat_is_taken_from_nobody BEFORE UPDATE ON "seat" FOR EACH ROW
  WHEN (NEW.hold_id IS NOT NULL AND NEW.hold_id IS DISTINCT FROM OLD.hold_id) EXECUTE FUNCTION seat_is_taken_from_nobody();

-- What a customer holds of a showing.
CREATE FUNCTION seats_of_customer(its_showing uuid, customer uuid) RETURNS integer LANGUAGE sql AS $$
  SELECT count(*)::int FROM seat_hold h JOIN seat s ON s.hold_id = h.id
  WHERE h.showing_id = its_showing AND h.user_id = customer AND s.held_until > statement_timestamp()
$$;

CREATE FUNCTION customers_keep_to_their_limit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM (
      SELECT DISTINCT h.showing_id, h.user_id FROM after n JOIN before o USING (id) JOIN seat_hold h ON h.id = n.hold_id
      WHERE o.hold_id IS DISTINCT FROM n.hold_id) taken
    JOIN showing w ON w.id = taken.showing_id
    WHERE w.seats_per_customer < seats_of_customer(taken.showing_id, taken.user_id)) THEN
    RAISE EXCEPTION 'a customer has more seats than the showing allows' USING ERRCODE = '23000', CONSTRAINT = 'customers_keep_to_their_limit';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER customers_keep_to_their_limit AFTER UPDATE ON "seat" REFERENCING OLD TABLE AS before NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION customers_keep_to_their_limit();

REVOKE UPDATE, DELETE ON "showing" FROM holdfast_app;
REVOKE DELETE ON "seat" FROM holdfast_app;
