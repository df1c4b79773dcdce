-- In kebab-case a constraint is a problem code: a request can break it. These no request can break, also not two at once, for the rows
-- are locked before, or the ids are made for the one transaction that writes them.

ALTER INDEX "already-paid" RENAME TO "order_is_paid_once";
ALTER INDEX "already-refunded" RENAME TO "payment_is_refunded_once";
ALTER INDEX "entry-exists" RENAME TO "transfer_enters_account_once";
ALTER INDEX "house-account-exists" RENAME TO "house_has_one_account_per_currency";
ALTER INDEX "image-position-taken" RENAME TO "image_has_its_own_position";
ALTER INDEX "order-line-exists" RENAME TO "order_has_sku_once";
ALTER INDEX "payment-transfer-used" RENAME TO "transfer_pays_once";
ALTER INDEX "refund-transfer-used" RENAME TO "transfer_refunds_once";
