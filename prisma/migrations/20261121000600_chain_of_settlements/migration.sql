-- What becomes of a pending transfer is sealed as well, by a link of its own: that of the transfer was made before.
-- The value may not be used in the transaction that adds it: nothing below does.
ALTER TYPE "chain_item" ADD VALUE 'settlement';

-- AlterTable
-- As of transfers: all that is there already gets the id of this migration, and is sealed in the order of its own ids.
ALTER TABLE "settlement" ADD COLUMN     "txid" BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);

-- CreateIndex
CREATE INDEX "settlement_txid_idx" ON "settlement" USING BRIN ("txid") WITH (autosummarize = on);
