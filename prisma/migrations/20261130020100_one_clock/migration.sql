-- One clock decides: that of the database, at the moment of the statement. Prisma filled `now()` and `@updatedAt` in by the clock of the
-- instance, and the rows of two instances could not be compared.

-- AlterTable
ALTER TABLE "account" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp();
ALTER TABLE "chain_link" ALTER COLUMN "sealed_at" SET DEFAULT statement_timestamp();
ALTER TABLE "product" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp(), ALTER COLUMN "updated_at" SET DEFAULT statement_timestamp();
ALTER TABLE "sku" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp(), ALTER COLUMN "updated_at" SET DEFAULT statement_timestamp();
ALTER TABLE "stock_movement" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp();
ALTER TABLE "idempotency_record" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp();
ALTER TABLE "order" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp(), ALTER COLUMN "updated_at" SET DEFAULT statement_timestamp();
ALTER TABLE "payment" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp();
ALTER TABLE "refund" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp();
ALTER TABLE "cancellation" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp();
ALTER TABLE "user" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp(), ALTER COLUMN "updated_at" SET DEFAULT statement_timestamp();
ALTER TABLE "session" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp();
ALTER TABLE "refresh_token" ALTER COLUMN "created_at" SET DEFAULT statement_timestamp();

-- A row is never changed before it was made, or before its last change, also when the clock was set back or another server is the primary.
CREATE FUNCTION updated_at_is_now() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := GREATEST(OLD.updated_at, statement_timestamp());
  RETURN NEW;
END
$$;
CREATE TRIGGER updated_at_is_now BEFORE UPDATE ON "product" FOR EACH ROW EXECUTE FUNCTION updated_at_is_now();
CREATE TRIGGER updated_at_is_now BEFORE UPDATE ON "sku" FOR EACH ROW EXECUTE FUNCTION updated_at_is_now();
CREATE TRIGGER updated_at_is_now BEFORE UPDATE ON "order" FOR EACH ROW EXECUTE FUNCTION updated_at_is_now();
CREATE TRIGGER updated_at_is_now BEFORE UPDATE ON "user" FOR EACH ROW EXECUTE FUNCTION updated_at_is_now();

-- What two clocks have written is put in order.
ALTER TABLE "product" DISABLE TRIGGER USER;
UPDATE "product" SET updated_at = created_at WHERE updated_at < created_at;
ALTER TABLE "product" ENABLE TRIGGER USER;
ALTER TABLE "sku" DISABLE TRIGGER USER;
UPDATE "sku" SET updated_at = created_at WHERE updated_at < created_at;
ALTER TABLE "sku" ENABLE TRIGGER USER;
ALTER TABLE "order" DISABLE TRIGGER USER;
UPDATE "order" SET updated_at = created_at WHERE updated_at < created_at;
ALTER TABLE "order" ENABLE TRIGGER USER;
ALTER TABLE "user" DISABLE TRIGGER USER;
UPDATE "user" SET updated_at = created_at WHERE updated_at < created_at;
ALTER TABLE "user" ENABLE TRIGGER USER;
UPDATE session SET ended_at = created_at WHERE ended_at < created_at;
UPDATE session SET expires_at = created_at + interval '1 ms' WHERE expires_at <= created_at;
UPDATE refresh_token SET used_at = created_at WHERE used_at < created_at;

-- Nothing is over before it began.
ALTER TABLE "product" ADD CONSTRAINT product_is_updated_after_it_was_made CHECK (updated_at >= created_at);
ALTER TABLE "sku" ADD CONSTRAINT sku_is_updated_after_it_was_made CHECK (updated_at >= created_at);
ALTER TABLE "order" ADD CONSTRAINT order_is_updated_after_it_was_made CHECK (updated_at >= created_at);
ALTER TABLE "user" ADD CONSTRAINT user_is_updated_after_it_was_made CHECK (updated_at >= created_at);
ALTER TABLE session
  ADD CONSTRAINT session_expires_after_it_began CHECK (expires_at > created_at),
  ADD CONSTRAINT session_ends_after_it_began CHECK (ended_at >= created_at);
ALTER TABLE refresh_token ADD CONSTRAINT refresh_token_is_used_after_it_was_made CHECK (used_at >= created_at);
