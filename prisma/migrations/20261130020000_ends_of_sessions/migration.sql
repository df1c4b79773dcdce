-- Sessions that are over, expired or ended, are removed in this order.
CREATE INDEX "session_end_idx" ON "session" (LEAST("expires_at", "ended_at"));
