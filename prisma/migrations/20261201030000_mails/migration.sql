-- CreateTable
CREATE TABLE "mail" (
    "id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "user_id" UUID NOT NULL,
    "event_id" UUID,
    "data" JSONB NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "lease" UUID,
    "due_at" TIMESTAMPTZ(3),
    "sent_at" TIMESTAMPTZ(3),
    "dead_at" TIMESTAMPTZ(3),
    "last_error" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "mail_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "mail_user_id_idx" ON "mail"("user_id");

-- CreateIndex
CREATE INDEX "mail_due_at_idx" ON "mail"("due_at");

-- CreateIndex
CREATE INDEX "mail_expires_at_idx" ON "mail"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "mail_event_id_kind_key" ON "mail"("event_id", "kind");

-- AddForeignKey
ALTER TABLE "mail" ADD CONSTRAINT "mail_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "user"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "mail"
  ADD CONSTRAINT mail_is_due_sent_or_dead CHECK (num_nonnulls(due_at, sent_at, dead_at) = 1),
  -- A lease is over at some time.
  ADD CONSTRAINT mail_lease_ends CHECK (lease IS NULL OR due_at IS NOT NULL),
  ADD CONSTRAINT mail_is_given_up_for_a_reason CHECK (dead_at IS NULL OR last_error IS NOT NULL),
  ADD CONSTRAINT mail_keeps_nothing_once_it_was_sent CHECK (sent_at IS NULL OR data = '{}'),
  ADD CONSTRAINT mail_data_is_an_object CHECK (jsonb_typeof(data) = 'object'),
  ADD CONSTRAINT mail_attempts_count_from_zero CHECK (attempts >= 0),
  ADD CONSTRAINT mail_expires_later CHECK (expires_at > created_at);
