-- CreateEnum
CREATE TYPE "chain_item" AS ENUM ('transfer');

-- AlterTable
-- Transactions have ids in the order of their first write. All that is there already gets the id of this migration, and is sealed in the order of its own ids.
ALTER TABLE "transfer" ADD COLUMN     "txid" BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);

-- CreateTable
CREATE TABLE "chain_link" (
    "seq" BIGINT NOT NULL,
    "item" "chain_item" NOT NULL,
    "transfer_id" UUID NOT NULL,
    "txid" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,
    "sealed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "chain_link_pkey" PRIMARY KEY ("seq")
);

-- CreateIndex
-- New rows come nearly in order: a summary for each block range is enough to find the end, and costs a transfer next to nothing.
CREATE INDEX "transfer_txid_idx" ON "transfer" USING BRIN ("txid") WITH (autosummarize = on);

-- CreateIndex
CREATE UNIQUE INDEX "chain_item_is_sealed_once" ON "chain_link"("transfer_id", "item");

-- No foreign key: it would lock the row of the transfer, which its writers must never notice. Whoever verifies the chain finds what is missing.
ALTER TABLE "chain_link"
  ADD CONSTRAINT chain_link_seq_counts_from_one CHECK (seq >= 1),
  ADD CONSTRAINT chain_link_hash_is_sha256 CHECK (octet_length(hash) = 32);

-- What has been sealed stays as it is.
REVOKE UPDATE, DELETE ON chain_link FROM holdfast_app;
