-- CreateTable
CREATE TABLE "event" (
    "position" BIGSERIAL NOT NULL,
    "id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "version" SMALLINT NOT NULL,
    "subject_id" UUID NOT NULL,
    "owner_id" UUID,
    "counterparty_id" UUID,
    "data" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "event_pkey" PRIMARY KEY ("position")
);

-- CreateTable
CREATE TABLE "event_horizon" (
    "is_only" BOOLEAN NOT NULL DEFAULT true,
    "position" BIGINT NOT NULL DEFAULT 0,
    "watermark" BIGINT,
    "settled_by" BIGINT,

    CONSTRAINT "event_horizon_pkey" PRIMARY KEY ("is_only")
);

-- CreateTable
CREATE TABLE "event_consumer" (
    "name" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),

    CONSTRAINT "event_consumer_pkey" PRIMARY KEY ("name")
);

-- CreateTable
CREATE TABLE "event_delivery" (
    "consumer" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "order_key" UUID NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "lease" UUID,
    "due_at" TIMESTAMPTZ(3) NOT NULL,
    "dead_at" TIMESTAMPTZ(3),
    "last_error" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),

    CONSTRAINT "event_delivery_pkey" PRIMARY KEY ("consumer","position")
);

-- CreateIndex
CREATE INDEX "event_owner_id_position_idx" ON "event"("owner_id", "position");

-- CreateIndex
CREATE INDEX "event_counterparty_id_position_idx" ON "event"("counterparty_id", "position");

-- CreateIndex
CREATE INDEX "event_id_idx" ON "event" USING BRIN ("id");

-- CreateIndex
CREATE INDEX "event_expires_at_idx" ON "event" USING BRIN ("expires_at");

-- CreateIndex
CREATE INDEX "event_delivery_consumer_order_key_position_idx" ON "event_delivery"("consumer", "order_key", "position");

-- CreateIndex
CREATE INDEX "event_delivery_consumer_due_at_idx" ON "event_delivery"("consumer", "due_at");

ALTER TABLE "event"
  ADD CONSTRAINT event_type_is_named CHECK (type ~ '^[a-z]+(-[a-z]+)*([.][a-z]+(-[a-z]+)*)+$' AND length(type) <= 100),
  ADD CONSTRAINT event_version_counts_from_one CHECK (version >= 1),
  ADD CONSTRAINT event_data_is_an_object CHECK (jsonb_typeof(data) = 'object'),
  ADD CONSTRAINT event_expires_later CHECK (expires_at > created_at);

-- A position that is missing is settled when all transactions have ended that had begun to write before. So each that draws one has its id by
-- then: a statement-level trigger runs before the first position of its statement is drawn.
CREATE FUNCTION take_transaction_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_current_xact_id();
  RETURN NULL;
END
$$;
CREATE TRIGGER event_has_a_transaction_id BEFORE INSERT ON "event" FOR EACH STATEMENT EXECUTE FUNCTION take_transaction_id();

-- What happened does not change.
REVOKE UPDATE ON "event" FROM holdfast_app;
GRANT USAGE ON SEQUENCE "event_position_seq" TO holdfast_app;

ALTER TABLE "event_horizon"
  ADD CONSTRAINT event_horizon_is_only_one CHECK (is_only),
  ADD CONSTRAINT event_horizon_waits_or_not CHECK ((watermark IS NULL) = (settled_by IS NULL) AND watermark > position IS NOT FALSE);
INSERT INTO "event_horizon" DEFAULT VALUES;
REVOKE INSERT, DELETE ON "event_horizon" FROM holdfast_app;

-- What is below the horizon was read by consumers and by whoever follows the feed: it never goes back.
CREATE FUNCTION keep_event_horizon() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the horizon of events never goes back'
    USING ERRCODE = '23514', CONSTRAINT = 'event_horizon_never_goes_back';
END
$$;
CREATE TRIGGER event_horizon_never_goes_back BEFORE UPDATE ON "event_horizon" FOR EACH ROW
  WHEN (NEW.position < OLD.position) EXECUTE FUNCTION keep_event_horizon();

ALTER TABLE "event_consumer"
  ADD CONSTRAINT event_consumer_is_named CHECK (name ~ '^[\x21-\x7e]{1,200}$');
ALTER TABLE "event_delivery"
  ADD CONSTRAINT event_delivery_attempts_count_from_zero CHECK (attempts >= 0),
  -- What was given up is due no more, so that nobody looks at it who looks for what is.
  ADD CONSTRAINT event_delivery_is_due_or_dead CHECK ((due_at = 'infinity') = (dead_at IS NOT NULL));
