-- What was seeded into this database: nothing is seeded twice, whatever becomes of the rows that were.
-- CreateTable
CREATE TABLE "seed" (
    "name" TEXT NOT NULL,
    "people" UUID[] NOT NULL,
    "seeded_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "seed_pkey" PRIMARY KEY ("name")
);

-- The record outlives what it tells of.
REVOKE DELETE ON "seed" FROM holdfast_app;

-- Until now the demo data were recognised by the operator's address.
INSERT INTO "seed" ("name", "people")
SELECT 'demo', array_agg("id") FROM "user"
WHERE "email" IN ('operator@example.com', 'alice@example.com', 'bob@example.com')
HAVING count(*) > 0;
