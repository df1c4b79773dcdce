-- CreateEnum
CREATE TYPE "webhook_disabling" AS ENUM ('failures', 'gone');

-- CreateEnum
CREATE TYPE "webhook_delivery_state" AS ENUM ('pending', 'delivered', 'dead');

-- CreateTable
CREATE TABLE "webhook_endpoint" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "url" TEXT NOT NULL,
    "description" TEXT,
    "types" TEXT[],
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "disabled_reason" "webhook_disabling",
    "is_of_operator" BOOLEAN NOT NULL,
    "secret" BYTEA NOT NULL,
    "previous_secret" BYTEA,
    "previous_ends_at" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),

    CONSTRAINT "webhook_endpoint_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "webhook_queue" (
    "endpoint_id" UUID NOT NULL,
    "lease" UUID,
    "due_at" TIMESTAMPTZ(3),
    "failing_since" TIMESTAMPTZ(3),

    CONSTRAINT "webhook_queue_pkey" PRIMARY KEY ("endpoint_id")
);

-- CreateTable
CREATE TABLE "webhook_delivery" (
    "id" UUID NOT NULL,
    "endpoint_id" UUID NOT NULL,
    "position" BIGINT NOT NULL,
    "event_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "body" TEXT NOT NULL,
    "state" "webhook_delivery_state" NOT NULL DEFAULT 'pending',
    "tries" INTEGER NOT NULL DEFAULT 0,
    "attempts" JSONB NOT NULL DEFAULT '[]',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),
    "ended_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "webhook_delivery_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "webhook_endpoint_user_id_id_idx" ON "webhook_endpoint"("user_id", "id");

-- CreateIndex
CREATE INDEX "webhook_endpoint_is_of_operator_idx" ON "webhook_endpoint"("is_of_operator");

-- CreateIndex
CREATE INDEX "webhook_queue_due_at_idx" ON "webhook_queue"("due_at");

-- CreateIndex
CREATE INDEX "webhook_delivery_endpoint_id_id_idx" ON "webhook_delivery"("endpoint_id", "id");

-- CreateIndex
CREATE INDEX "webhook_delivery_endpoint_id_state_position_idx" ON "webhook_delivery"("endpoint_id", "state", "position");

-- CreateIndex
CREATE INDEX "webhook_delivery_expires_at_idx" ON "webhook_delivery"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "webhook_delivery_endpoint_id_position_key" ON "webhook_delivery"("endpoint_id", "position");

-- AddForeignKey
ALTER TABLE "webhook_endpoint" ADD CONSTRAINT "webhook_endpoint_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "user"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "webhook_queue" ADD CONSTRAINT "webhook_queue_endpoint_id_fkey" FOREIGN KEY ("endpoint_id") REFERENCES "webhook_endpoint"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "webhook_delivery" ADD CONSTRAINT "webhook_delivery_endpoint_id_fkey" FOREIGN KEY ("endpoint_id") REFERENCES "webhook_queue"("endpoint_id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "webhook_endpoint"
  ADD CONSTRAINT webhook_endpoint_version_counts_from_one CHECK (version >= 1),
  ADD CONSTRAINT webhook_endpoint_is_disabled_for_a_reason CHECK (NOT enabled OR disabled_reason IS NULL),
  ADD CONSTRAINT webhook_endpoint_previous_secret_ends CHECK ((previous_secret IS NULL) = (previous_ends_at IS NULL));

CREATE TRIGGER updated_at_is_now BEFORE UPDATE ON "webhook_endpoint" FOR EACH ROW EXECUTE FUNCTION updated_at_is_now();

ALTER TABLE "webhook_queue"
  -- A lease is over at some time.
  ADD CONSTRAINT webhook_queue_lease_ends CHECK (lease IS NULL OR due_at IS NOT NULL);

ALTER TABLE "webhook_delivery"
  ADD CONSTRAINT webhook_delivery_tries_count_from_zero CHECK (tries >= 0),
  ADD CONSTRAINT webhook_delivery_has_ended_or_is_pending CHECK ((state = 'pending') = (ended_at IS NULL)),
  ADD CONSTRAINT webhook_delivery_keeps_a_list_of_attempts CHECK (jsonb_typeof(attempts) = 'array'),
  ADD CONSTRAINT webhook_delivery_expires_later CHECK (expires_at > created_at);
