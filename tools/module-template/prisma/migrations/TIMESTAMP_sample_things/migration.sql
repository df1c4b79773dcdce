-- The roles of the service have their privileges on each new table by default (the first migration).
CREATE TABLE "sample_thing" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "note" TEXT,
    "archived" BOOLEAN NOT NULL DEFAULT false,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),

    CONSTRAINT "sample_thing_pkey" PRIMARY KEY ("id")
);

CREATE INDEX "sample_thing_user_id_id_idx" ON "sample_thing"("user_id", "id");

ALTER TABLE "sample_thing" ADD CONSTRAINT "sample_thing_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "user"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE "sample_thing"
  ADD CONSTRAINT sample_thing_name_has_a_length CHECK (char_length(name) BETWEEN 1 AND 100),
  ADD CONSTRAINT sample_thing_note_has_a_length CHECK (char_length(note) <= 500),
  ADD CONSTRAINT sample_thing_version_counts_from_one CHECK (version >= 1),
  ADD CONSTRAINT sample_thing_is_updated_after_it_was_made CHECK (updated_at >= created_at);

CREATE TRIGGER updated_at_is_now BEFORE UPDATE ON "sample_thing" FOR EACH ROW EXECUTE FUNCTION updated_at_is_now();
