-- Pending transfers, reversals, limits, freezing and closing.
-- A name in kebab-case is an error code that a caller may see; a name in snake_case is broken only by a mistake of ours.

CREATE TYPE "settlement_outcome" AS ENUM ('posted', 'voided', 'expired');
CREATE TYPE "reservation_side" AS ENUM ('out', 'in');
ALTER TYPE "transfer_kind" ADD VALUE 'reversal';

ALTER TABLE "account"
  ADD COLUMN "pending_out" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "pending_in" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "overdraft_limit" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "max_balance" BIGINT,
  ADD COLUMN "frozen_at" TIMESTAMPTZ(3),
  ADD COLUMN "closed_at" TIMESTAMPTZ(3),
  ADD COLUMN "version" INTEGER NOT NULL DEFAULT 1,
  ADD COLUMN "balance_version" INTEGER NOT NULL DEFAULT 0;

CREATE TABLE "account_change" (
    "account_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "overdraft_limit" BIGINT NOT NULL,
    "max_balance" BIGINT,
    "is_frozen" BOOLEAN NOT NULL,
    "is_closed" BOOLEAN NOT NULL,
    "reason" TEXT,
    "created_by_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "account_change_pkey" PRIMARY KEY ("account_id","version")
);

-- The key may be the client's own: a second natural key of the request.
ALTER TABLE "transfer" RENAME CONSTRAINT "transfer_pkey" TO "transfer-exists";
ALTER TABLE "transfer"
  ADD COLUMN "expires_at" TIMESTAMPTZ(3),
  ADD COLUMN "reverses_id" UUID,
  ADD COLUMN "reversal_seq" INTEGER,
  ADD COLUMN "reversed_total" BIGINT,
  ALTER COLUMN "created_at" SET DEFAULT clock_timestamp();
ALTER TABLE "entry" ALTER COLUMN "created_at" SET DEFAULT clock_timestamp();

CREATE TABLE "settlement" (
    "transfer_id" UUID NOT NULL,
    "outcome" "settlement_outcome" NOT NULL,
    "amount" BIGINT,
    "created_by_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "settlement_pkey" PRIMARY KEY ("transfer_id")
);

CREATE TABLE "reservation" (
    "transfer_id" UUID NOT NULL,
    "account_id" UUID NOT NULL,
    "side" "reservation_side" NOT NULL,
    "amount" BIGINT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "reservation_pkey" PRIMARY KEY ("transfer_id","account_id")
);

CREATE UNIQUE INDEX "reversal_exists" ON "transfer"("reverses_id", "reversal_seq");
CREATE INDEX "transfer_from_account_id_id_idx" ON "transfer"("from_account_id", "id");
CREATE INDEX "transfer_to_account_id_id_idx" ON "transfer"("to_account_id", "id");
CREATE INDEX "reservation_account_id_expires_at_idx" ON "reservation"("account_id", "expires_at");
-- For lists of pending, voided and expired ones, which are few among all. (Prisma cannot say WHERE.)
CREATE INDEX "pending_transfer_out" ON "transfer"("from_account_id", "id") WHERE "expires_at" IS NOT NULL;
CREATE INDEX "pending_transfer_in" ON "transfer"("to_account_id", "id") WHERE "expires_at" IS NOT NULL;

ALTER TABLE "account_change" ADD CONSTRAINT "account_change_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "transfer" ADD CONSTRAINT "transfer_reverses_id_fkey" FOREIGN KEY ("reverses_id") REFERENCES "transfer"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "settlement" ADD CONSTRAINT "settlement_transfer_id_fkey" FOREIGN KEY ("transfer_id") REFERENCES "transfer"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "reservation" ADD CONSTRAINT "reservation_transfer_id_fkey" FOREIGN KEY ("transfer_id") REFERENCES "transfer"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "reservation" ADD CONSTRAINT "reservation_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Rules -----------------------------------------------------------------------------------------------------------------

ALTER TABLE account
  DROP CONSTRAINT "insufficient-funds",
  DROP CONSTRAINT "balance-too-large",
  ADD CONSTRAINT "insufficient-funds" CHECK (house IS NOT DISTINCT FROM 'cash' OR balance + overdraft_limit - pending_out >= 0),
  -- With what is pending, so that posting it can never break the limit.
  ADD CONSTRAINT "balance-too-large" CHECK (
    balance >= -9007199254740991 AND balance + pending_in <= least(max_balance, 9007199254740991)),
  ADD CONSTRAINT "balance-not-zero" CHECK (closed_at IS NULL OR balance = 0),
  ADD CONSTRAINT "pending-transfers" CHECK (closed_at IS NULL OR (pending_out = 0 AND pending_in = 0)),
  ADD CONSTRAINT account_limits_are_amounts CHECK (overdraft_limit BETWEEN 0 AND 9007199254740991 AND max_balance >= 0),
  ADD CONSTRAINT account_counts_are_counts CHECK (pending_out >= 0 AND pending_in >= 0 AND balance_version >= 0 AND version >= 1),
  ADD CONSTRAINT house_account_has_no_settings CHECK (
    house IS NULL OR (overdraft_limit = 0 AND max_balance IS NULL AND frozen_at IS NULL AND closed_at IS NULL AND pending_out = 0 AND pending_in = 0));

ALTER TABLE transfer
  ADD CONSTRAINT transfer_of_people_may_be_pending CHECK (expires_at IS NULL OR kind = 'transfer'),
  -- As text: a value cannot be used as itself in the transaction that adds it.
  ADD CONSTRAINT transfer_that_reverses_says_what CHECK (
    CASE kind::text WHEN 'reversal' THEN num_nonnulls(reverses_id, reversal_seq, reversed_total) = 3 AND reversal_seq >= 1
    ELSE num_nonnulls(reverses_id, reversal_seq, reversed_total) = 0 END);

ALTER TABLE settlement
  ADD CONSTRAINT settlement_amount_is_what_was_posted CHECK (CASE outcome WHEN 'posted' THEN amount > 0 IS TRUE ELSE amount IS NULL END),
  ADD CONSTRAINT settlement_is_by_somebody CHECK ((outcome = 'expired') = (created_by_id IS NULL));

ALTER TABLE reservation ADD CONSTRAINT reservation_amount_is_positive CHECK (amount > 0);

-- As before, but a pending transfer has the entries of what was posted of it. No entry is made in an account that is frozen or closed.
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
  RETURN NULL;
END
$$;

-- At COMMIT a transfer has two entries if it is posted and none otherwise; a pending one that nothing became of is reserved on both sides.
CREATE OR REPLACE FUNCTION transfer_has_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  outcome settlement_outcome;
BEGIN
  IF NEW.expires_at IS NOT NULL THEN
    outcome := (SELECT s.outcome FROM settlement s WHERE s.transfer_id = NEW.id);
    IF outcome IS NULL AND (SELECT count(*) FROM reservation WHERE transfer_id = NEW.id) <> 2 THEN
      RAISE EXCEPTION 'a pending transfer reserves nothing' USING ERRCODE = '23000', CONSTRAINT = 'pending_transfer_is_reserved';
    END IF;
  END IF;
  IF (SELECT count(*) FROM entry WHERE transfer_id = NEW.id)
    <> (CASE WHEN NEW.expires_at IS NULL OR outcome = 'posted' THEN 2 ELSE 0 END) THEN
    RAISE EXCEPTION 'a transfer does not have the entries it should' USING ERRCODE = '23000', CONSTRAINT = 'transfer_has_entries';
  END IF;
  RETURN NULL;
END
$$;

-- At COMMIT what became of a pending transfer is whole: entries of what was posted, and nothing reserved where somebody decided.
CREATE FUNCTION settlement_is_whole() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT t.expires_at IS NOT NULL AND (NEW.amount IS NULL OR NEW.amount <= t.amount)
        AND (SELECT count(*) FROM entry e WHERE e.transfer_id = t.id) = CASE NEW.outcome WHEN 'posted' THEN 2 ELSE 0 END
        AND (NEW.outcome = 'expired' OR NOT EXISTS (SELECT FROM reservation r WHERE r.transfer_id = t.id))
      FROM transfer t WHERE t.id = NEW.transfer_id) IS NOT TRUE THEN
    RAISE EXCEPTION 'a settlement is not whole' USING ERRCODE = '23000', CONSTRAINT = 'settlement_is_whole';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER settlement_is_whole AFTER INSERT ON settlement
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settlement_is_whole();

-- At COMMIT a reservation is what its pending transfer says, and one that went has a settlement.
CREATE FUNCTION reservation_is_of_its_transfer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF EXISTS (SELECT FROM settlement WHERE transfer_id = OLD.transfer_id) THEN
      RETURN NULL;
    END IF;
  ELSIF NOT EXISTS (SELECT FROM reservation r WHERE r.transfer_id = NEW.transfer_id AND r.account_id = NEW.account_id)
    OR EXISTS (
      SELECT FROM transfer t WHERE t.id = NEW.transfer_id AND t.amount = NEW.amount AND t.expires_at = NEW.expires_at
        AND NEW.account_id = CASE NEW.side WHEN 'out' THEN t.from_account_id ELSE t.to_account_id END
        AND NOT EXISTS (SELECT FROM settlement s WHERE s.transfer_id = t.id)) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'a reservation is not that of its transfer' USING ERRCODE = '23000', CONSTRAINT = 'reservation_is_of_its_transfer';
END
$$;
CREATE CONSTRAINT TRIGGER reservation_is_of_its_transfer AFTER INSERT OR DELETE ON reservation
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION reservation_is_of_its_transfer();

-- At COMMIT what an account counts as pending is the sum of its reservations.
CREATE FUNCTION account_is_its_reservations() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  its_account uuid;
BEGIN
  IF TG_TABLE_NAME = 'account' THEN
    its_account := NEW.id;
  ELSIF TG_OP = 'DELETE' THEN
    its_account := OLD.account_id;
  ELSE
    its_account := NEW.account_id;
  END IF;
  IF (SELECT a.pending_out = coalesce(sum(r.amount) FILTER (WHERE r.side = 'out'), 0)
        AND a.pending_in = coalesce(sum(r.amount) FILTER (WHERE r.side = 'in'), 0)
      FROM account a LEFT JOIN reservation r ON r.account_id = a.id WHERE a.id = its_account GROUP BY a.id) IS FALSE THEN
    RAISE EXCEPTION 'what is pending is not what is reserved' USING ERRCODE = '23000', CONSTRAINT = 'account_is_its_reservations';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER account_begins_without_reservations AFTER INSERT ON account
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.pending_out <> 0 OR NEW.pending_in <> 0)
  EXECUTE FUNCTION account_is_its_reservations();
CREATE CONSTRAINT TRIGGER account_is_its_reservations AFTER UPDATE OF pending_out, pending_in ON account
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN ((OLD.pending_out, OLD.pending_in) IS DISTINCT FROM (NEW.pending_out, NEW.pending_in))
  EXECUTE FUNCTION account_is_its_reservations();
CREATE CONSTRAINT TRIGGER reservation_is_in_its_account AFTER INSERT OR DELETE ON reservation
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION account_is_its_reservations();

-- A change of the settings makes the next version, and leaves a row that says who made it.
CREATE FUNCTION account_change_is_recorded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.version <> OLD.version + 1 OR NOT EXISTS (
    SELECT FROM account_change c WHERE (c.account_id, c.version, c.name, c.overdraft_limit, c.is_frozen, c.is_closed)
      = (NEW.id, NEW.version, NEW.name, NEW.overdraft_limit, NEW.frozen_at IS NOT NULL, NEW.closed_at IS NOT NULL)
      AND c.max_balance IS NOT DISTINCT FROM NEW.max_balance) THEN
    RAISE EXCEPTION 'the settings of an account were changed by nobody' USING ERRCODE = '23000', CONSTRAINT = 'account_change_is_recorded';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER account_change_is_recorded
  AFTER UPDATE OF name, overdraft_limit, max_balance, frozen_at, closed_at, version ON account
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN ((OLD.name, OLD.overdraft_limit, OLD.max_balance, OLD.frozen_at, OLD.closed_at, OLD.version)
    IS DISTINCT FROM (NEW.name, NEW.overdraft_limit, NEW.max_balance, NEW.frozen_at, NEW.closed_at, NEW.version))
  EXECUTE FUNCTION account_change_is_recorded();
-- What is closed stays closed.
CREATE TRIGGER account_stays_closed BEFORE UPDATE OF closed_at, name, overdraft_limit, max_balance, frozen_at ON account FOR EACH ROW
  WHEN (OLD.closed_at IS NOT NULL) EXECUTE FUNCTION stays_as_it_is();

-- A reversal goes the way back, continues the count of those before it, and together they never exceed what was posted.
CREATE FUNCTION reversal_continues() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  posted bigint;
BEGIN
  posted := (
    SELECT CASE WHEN o.expires_at IS NULL THEN o.amount ELSE (SELECT s.amount FROM settlement s WHERE s.transfer_id = o.id) END
    FROM transfer o WHERE o.id = NEW.reverses_id AND o.kind IN ('transfer', 'deposit')
      AND (o.from_account_id, o.to_account_id, o.currency) = (NEW.to_account_id, NEW.from_account_id, NEW.currency));
  IF posted IS NULL
    OR NEW.reversed_total IS DISTINCT FROM (NEW.amount + CASE NEW.reversal_seq WHEN 1 THEN 0 ELSE (
      SELECT p.reversed_total FROM transfer p WHERE p.reverses_id = NEW.reverses_id AND p.reversal_seq = NEW.reversal_seq - 1) END) THEN
    RAISE EXCEPTION 'a reversal does not continue those before' USING ERRCODE = '23000', CONSTRAINT = 'reversal_continues';
  END IF;
  IF NEW.reversed_total > posted THEN
    RAISE EXCEPTION 'more is reversed than was posted' USING ERRCODE = '23514', CONSTRAINT = 'exceeds-remaining';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER reversal_continues AFTER INSERT ON transfer FOR EACH ROW
  WHEN (NEW.reverses_id IS NOT NULL) EXECUTE FUNCTION reversal_continues();

-- As before, and a reversal is what `reversal_continues` says.
CREATE OR REPLACE FUNCTION transfer_is_of_its_kind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT CASE NEW.kind
        WHEN 'deposit' THEN f.house = 'cash' AND t.house IS NULL
        WHEN 'transfer' THEN f.house IS NULL AND t.house IS NULL
        WHEN 'payment' THEN f.house IS NULL AND t.house = 'sales' AND EXISTS (SELECT FROM payment WHERE transfer_id = NEW.id)
        WHEN 'refund' THEN f.house = 'sales' AND t.house IS NULL AND EXISTS (SELECT FROM refund WHERE transfer_id = NEW.id)
        WHEN 'reversal' THEN true
      END
      FROM account f, account t WHERE f.id = NEW.from_account_id AND t.id = NEW.to_account_id) IS NOT TRUE THEN
    RAISE EXCEPTION 'a transfer is not what its kind says' USING ERRCODE = '23000', CONSTRAINT = 'transfer_is_of_its_kind';
  END IF;
  RETURN NULL;
END
$$;

-- What has been written into the books stays as it is.
REVOKE UPDATE, DELETE ON settlement, account_change FROM holdfast_app;
REVOKE UPDATE ON reservation FROM holdfast_app;
