-- A key is claimed by the first statement of the boundary that does the work, and its answer is stored before COMMIT: a record is inserted
-- without an answer and updated with it. Where the answer is not known yet at that COMMIT, the result of the boundary is kept instead.
ALTER TABLE "idempotency_record"
  ADD COLUMN "result" BYTEA,
  ALTER COLUMN "status" DROP NOT NULL,
  ALTER COLUMN "headers" DROP NOT NULL,
  ALTER COLUMN "body" DROP NOT NULL;

ALTER TABLE "idempotency_record"
  ADD CONSTRAINT idempotency_answer_is_whole
    CHECK ((status IS NULL) = (headers IS NULL) AND (status IS NULL) = (body IS NULL)),
  ADD CONSTRAINT idempotency_result_until_answered CHECK (result IS NULL OR status IS NULL);

-- Room for the update on the page of the insert, so that it touches no index (PostgreSQL 18, 66.7: heap-only tuples).
ALTER TABLE "idempotency_record" SET (fillfactor = 70);
