-- CreateTable
CREATE TABLE "idempotency_record" (
    "principal_id" UUID NOT NULL,
    "route" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" BYTEA NOT NULL,
    "status" SMALLINT NOT NULL,
    "headers" JSONB NOT NULL,
    "body" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "idempotency_record_pkey" PRIMARY KEY ("principal_id","route","key")
);

-- CreateIndex
CREATE INDEX "idempotency_record_expires_at_idx" ON "idempotency_record"("expires_at");

ALTER TABLE idempotency_record
  ADD CONSTRAINT idempotency_key_is_printable CHECK (key ~ '^[\x20-\x7e]{1,255}$'),
  ADD CONSTRAINT idempotency_fingerprint_is_a_sha256 CHECK (octet_length(fingerprint) = 32),
  ADD CONSTRAINT idempotency_status_is_final CHECK (status BETWEEN 200 AND 499),
  ADD CONSTRAINT idempotency_record_expires_later CHECK (expires_at > created_at);
