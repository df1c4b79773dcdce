-- Three roles: the owner of the tables, who runs this; holdfast_app, which reads and writes rows; holdfast_reader, which reads them.
-- Where they do not exist yet they are made without log-in: give them one, or make a log-in a member of them.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_app') THEN
    CREATE ROLE holdfast_app NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_reader') THEN
    CREATE ROLE holdfast_reader NOLOGIN;
    ALTER ROLE holdfast_reader SET default_transaction_read_only = on;
  END IF;
END
$$;

-- Nobody makes tables here, not even temporary ones: those would be found before the real ones, also by the rules.
DO $$
BEGIN
  IF pg_has_role(current_user, (SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') THEN
    EXECUTE format('REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', current_database());
  END IF;
  IF pg_has_role(current_user, (SELECT nspowner FROM pg_namespace WHERE nspname = 'public'), 'USAGE') THEN
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
  END IF;
END
$$;

GRANT USAGE ON SCHEMA public TO holdfast_app, holdfast_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO holdfast_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO holdfast_reader;

-- Prisma's own table is older than this migration, and absent from its shadow database.
DO $$
BEGIN
  IF to_regclass('_prisma_migrations') IS NOT NULL THEN
    GRANT SELECT ON _prisma_migrations TO holdfast_app, holdfast_reader;
  END IF;
END
$$;
