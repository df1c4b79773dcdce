-- What was given up, of the newest events first: the list of operators.
CREATE INDEX CONCURRENTLY "given_up_delivery" ON "event_delivery"("position", "consumer") WHERE "dead_at" IS NOT NULL;
