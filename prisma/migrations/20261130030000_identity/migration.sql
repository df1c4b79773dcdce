-- Ways in which a session ends that are not the log-out.
ALTER TYPE "session_ending" ADD VALUE 'ended';
ALTER TYPE "session_ending" ADD VALUE 'password_changed';
ALTER TYPE "session_ending" ADD VALUE 'user_disabled';

CREATE TYPE "user_change_kind" AS ENUM ('email', 'password', 'password_reset', 'password_reset_made', 'role', 'disabled', 'enabled', 'sessions_ended');

ALTER TABLE "user" ADD COLUMN "disabled_at" TIMESTAMPTZ(3);
ALTER TABLE "session" ADD COLUMN "refreshed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp();

CREATE TABLE "password_reset" (
    "hash" BYTEA NOT NULL,
    "user_id" UUID NOT NULL,
    "created_by_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "used_at" TIMESTAMPTZ(3),

    CONSTRAINT "password_reset_pkey" PRIMARY KEY ("hash")
);

CREATE TABLE "user_change" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "by_id" UUID NOT NULL,
    "kind" "user_change_kind" NOT NULL,
    "old_value" TEXT,
    "new_value" TEXT,
    "reason" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT statement_timestamp(),

    CONSTRAINT "user_change_pkey" PRIMARY KEY ("id")
);

CREATE INDEX "password_reset_user_id_idx" ON "password_reset"("user_id");
CREATE INDEX "password_reset_expires_at_idx" ON "password_reset"("expires_at");
CREATE INDEX "user_change_user_id_id_idx" ON "user_change"("user_id", "id");

ALTER TABLE "password_reset" ADD CONSTRAINT "password_reset_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "user"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "user_change" ADD CONSTRAINT "user_change_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "user"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "password_reset"
  ADD CONSTRAINT password_reset_expires_after_it_was_made CHECK (expires_at >= created_at),
  ADD CONSTRAINT password_reset_is_used_after_it_was_made CHECK (used_at >= created_at);
ALTER TABLE "session" ADD CONSTRAINT session_is_refreshed_after_it_began CHECK (refreshed_at >= created_at) NOT VALID;
ALTER TABLE "session" VALIDATE CONSTRAINT session_is_refreshed_after_it_began;

-- An address has one spelling. What lower case is beyond ASCII differs from locale to locale, so the service alone folds that.
ALTER TABLE "user" ADD CONSTRAINT "user_email_is_folded"
    CHECK (email !~ '[A-Z[:space:]]' AND position('@' IN email) > 1 AND octet_length(email) <= 254) NOT VALID;
ALTER TABLE "user" VALIDATE CONSTRAINT "user_email_is_folded";

-- What was changed about a user is written once.
REVOKE UPDATE, DELETE ON "user_change" FROM holdfast_app;
