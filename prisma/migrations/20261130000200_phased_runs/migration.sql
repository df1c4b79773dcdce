-- CreateTable
CREATE TABLE "phased_run" (
    "id" UUID NOT NULL,
    "method" TEXT NOT NULL,
    "arguments" BYTEA,
    "phases" BYTEA[],
    "attempts" INTEGER NOT NULL DEFAULT 1,
    "leased_until" TIMESTAMPTZ(3) NOT NULL,
    "outcome" BYTEA,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3),

    CONSTRAINT "phased_run_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "phased_run_expires_at_idx" ON "phased_run"("expires_at");

-- CreateIndex
CREATE INDEX "phased_run_leased_until_idx" ON "phased_run"("leased_until");

ALTER TABLE "phased_run"
  ADD CONSTRAINT phased_run_method_is_named CHECK (method ~ '^[\x21-\x7e]{1,200}$'),
  ADD CONSTRAINT phased_run_phases_are_bounded CHECK (phases IS NOT NULL AND cardinality(phases) <= 100),
  ADD CONSTRAINT phased_run_attempts_count_from_one CHECK (attempts >= 1),
  -- What is done keeps its outcome for a while and nothing else; what is not done keeps its arguments and has no end.
  ADD CONSTRAINT phased_run_is_done_or_not CHECK (
    (outcome IS NULL) = (expires_at IS NULL) AND (outcome IS NULL) = (arguments IS NOT NULL)
    AND (outcome IS NULL OR cardinality(phases) = 0)),
  ADD CONSTRAINT phased_run_expires_later CHECK (expires_at > created_at);
