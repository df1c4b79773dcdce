-- What an account counts as pending is compared with a sum that triggers keep, not with a sum over all its reservations: a change costs what
-- it changes, however much is pending. What has expired is left out of both at once, by a moment on the account; its rows are removed later,
-- in batches, without the account.

-- AlterTable
ALTER TABLE "account" ADD COLUMN     "expired_through" TIMESTAMPTZ(3) NOT NULL DEFAULT '1970-01-01 00:00:00+00';

-- AlterTable
ALTER TABLE "reservation" ADD COLUMN     "sender_id" UUID;

-- CreateTable
CREATE TABLE "reservation_total" (
    "account_id" UUID NOT NULL,
    "outgoing" BIGINT NOT NULL,
    "incoming" BIGINT NOT NULL,
    "outgoing_count" INTEGER NOT NULL,
    "incoming_count" INTEGER NOT NULL,
    "expired_through" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "reservation_total_pkey" PRIMARY KEY ("account_id")
);

-- CreateIndex
CREATE INDEX "reservation_expires_at_idx" ON "reservation"("expires_at");

-- CreateIndex
CREATE INDEX "reservation_sender_id_expires_at_idx" ON "reservation"("sender_id", "expires_at");

-- AddForeignKey
ALTER TABLE "reservation_total" ADD CONSTRAINT "reservation_total_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Rules -----------------------------------------------------------------------------------------------------------------

INSERT INTO reservation_total (account_id, outgoing, incoming, outgoing_count, incoming_count, expired_through)
SELECT r.account_id, coalesce(sum(r.amount) FILTER (WHERE r.side = 'out'), 0), coalesce(sum(r.amount) FILTER (WHERE r.side = 'in'), 0),
  count(*) FILTER (WHERE r.side = 'out'), count(*) FILTER (WHERE r.side = 'in'), min(a.expired_through)
FROM reservation r JOIN account a ON a.id = r.account_id GROUP BY r.account_id;

UPDATE reservation r SET sender_id = a.user_id FROM transfer t JOIN account a ON a.id = t.from_account_id WHERE t.id = r.transfer_id;

-- Only the triggers below write it, with the rights of the owner.
REVOKE INSERT, UPDATE, DELETE ON reservation_total FROM holdfast_app;

CREATE FUNCTION reservations_are_totalled() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF EXISTS (SELECT FROM added r JOIN account a ON a.id = r.account_id WHERE r.expires_at <= a.expired_through) THEN
      RAISE EXCEPTION 'a reservation has expired before it is made' USING ERRCODE = '23000', CONSTRAINT = 'reservation_begins_before_it_ends';
    END IF;
    INSERT INTO reservation_total AS t (account_id, outgoing, incoming, outgoing_count, incoming_count, expired_through)
    SELECT r.account_id, coalesce(sum(r.amount) FILTER (WHERE r.side = 'out'), 0), coalesce(sum(r.amount) FILTER (WHERE r.side = 'in'), 0),
      count(*) FILTER (WHERE r.side = 'out'), count(*) FILTER (WHERE r.side = 'in'), min(a.expired_through)
    FROM added r JOIN account a ON a.id = r.account_id GROUP BY r.account_id ORDER BY r.account_id
    ON CONFLICT (account_id) DO UPDATE SET outgoing = t.outgoing + excluded.outgoing, incoming = t.incoming + excluded.incoming,
      outgoing_count = t.outgoing_count + excluded.outgoing_count, incoming_count = t.incoming_count + excluded.incoming_count;
  ELSE
    UPDATE reservation_total AS t SET outgoing = t.outgoing - r.outgoing, incoming = t.incoming - r.incoming,
      outgoing_count = t.outgoing_count - r.outgoing_count, incoming_count = t.incoming_count - r.incoming_count
    FROM (
      SELECT r.account_id, coalesce(sum(r.amount) FILTER (WHERE r.side = 'out'), 0) AS outgoing,
        coalesce(sum(r.amount) FILTER (WHERE r.side = 'in'), 0) AS incoming,
        count(*) FILTER (WHERE r.side = 'out') AS outgoing_count, count(*) FILTER (WHERE r.side = 'in') AS incoming_count
      FROM removed r JOIN reservation_total c ON c.account_id = r.account_id WHERE r.expires_at > c.expired_through GROUP BY r.account_id) AS r
    WHERE t.account_id = r.account_id;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER reservations_are_added AFTER INSERT ON reservation REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION reservations_are_totalled();
CREATE TRIGGER reservations_are_taken_away AFTER DELETE ON reservation REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION reservations_are_totalled();

-- What has expired by the new moment counts no more. Each reservation is summed here once, whatever else happens to it.
CREATE FUNCTION expired_reservations_are_left_out() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.expired_through < OLD.expired_through THEN
    RAISE EXCEPTION 'what has expired counts again' USING ERRCODE = '23000', CONSTRAINT = 'what_expired_stays_expired';
  END IF;
  UPDATE reservation_total AS t SET outgoing = t.outgoing - r.outgoing, incoming = t.incoming - r.incoming,
    outgoing_count = t.outgoing_count - r.outgoing_count, incoming_count = t.incoming_count - r.incoming_count,
    expired_through = NEW.expired_through
  FROM (
    SELECT coalesce(sum(r.amount) FILTER (WHERE r.side = 'out'), 0) AS outgoing,
      coalesce(sum(r.amount) FILTER (WHERE r.side = 'in'), 0) AS incoming,
      count(*) FILTER (WHERE r.side = 'out') AS outgoing_count, count(*) FILTER (WHERE r.side = 'in') AS incoming_count
    FROM reservation r WHERE r.account_id = NEW.id AND r.expires_at > OLD.expired_through AND r.expires_at <= NEW.expired_through) AS r
  WHERE t.account_id = NEW.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER what_expired_stays_expired AFTER UPDATE OF expired_through ON account FOR EACH ROW
  WHEN (OLD.expired_through IS DISTINCT FROM NEW.expired_through) EXECUTE FUNCTION expired_reservations_are_left_out();

-- At COMMIT what an account counts as pending is the total of its reservations: one row is compared with one row.
CREATE OR REPLACE FUNCTION account_is_its_reservations() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  its_account uuid;
BEGIN
  IF TG_TABLE_NAME = 'account' THEN
    its_account := NEW.id;
  ELSE
    its_account := NEW.account_id;
  END IF;
  IF (SELECT a.pending_out = coalesce(t.outgoing, 0) AND a.pending_in = coalesce(t.incoming, 0)
        AND (t.account_id IS NULL OR t.expired_through = a.expired_through)
      FROM account a LEFT JOIN reservation_total t ON t.account_id = a.id WHERE a.id = its_account) IS FALSE THEN
    RAISE EXCEPTION 'what is pending is not what is reserved' USING ERRCODE = '23000', CONSTRAINT = 'account_is_its_reservations';
  END IF;
  RETURN NULL;
END
$$;
DROP TRIGGER reservation_is_in_its_account ON reservation;
CREATE CONSTRAINT TRIGGER reservation_is_in_its_account AFTER INSERT OR UPDATE ON reservation_total
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION account_is_its_reservations();
