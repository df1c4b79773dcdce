import pg from 'pg';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import { clusterUrls, createDatabase, type TestDatabase } from './support/database.ts';

// The tests apply the migrations themselves (support/migrations.ts): what comes of it is what Prisma makes.

let ofTests: TestDatabase;
const name = `test_${process.pid}_by_prisma`;
const at = (url: string, database: string): string => Object.assign(new URL(url), { pathname: `/${database}` }).href;

async function inCluster(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: at(clusterUrls().superuser, 'postgres') });
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

beforeAll(async () => {
  ofTests = await createDatabase();
  await inCluster(`CREATE DATABASE ${name} OWNER holdfast_owner`);
});
afterAll(async () => {
  await ofTests.drop();
  await inCluster(`DROP DATABASE ${name} WITH (FORCE)`);
});

const own = `(SELECT oid FROM pg_namespace WHERE nspname = 'public')`;
const parts = {
  columns: `SELECT attrelid::regclass::text AS "table", attnum, attname, format_type(atttypid, atttypmod) AS type, attnotnull, attidentity,
      attgenerated, pg_get_expr(adbin, adrelid) AS value, attacl::text
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
    WHERE relnamespace = ${own} AND relkind IN ('r', 'v', 'm') AND attnum > 0 AND NOT attisdropped ORDER BY 1, 2`,
  relations: `SELECT relname, relkind, relacl::text, reloptions::text, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END AS text
    FROM pg_class WHERE relnamespace = ${own} ORDER BY 1`,
  constraints: `SELECT conrelid::regclass::text AS "table", conname, pg_get_constraintdef(oid) AS text FROM pg_constraint
    WHERE connamespace = ${own} ORDER BY 1, 2`,
  indexes: `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`,
  triggers: `SELECT tgrelid::regclass::text AS "table", tgname, pg_get_triggerdef(oid) AS text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2`,
  functions: `SELECT oid::regprocedure::text AS name, pg_get_functiondef(oid) AS text, proacl::text FROM pg_proc WHERE pronamespace = ${own}
    ORDER BY 1`,
  types: `SELECT typname, array_agg(enumlabel ORDER BY enumsortorder)::text AS labels FROM pg_type JOIN pg_enum ON enumtypid = pg_type.oid
    GROUP BY 1 ORDER BY 1`,
  migrations: `SELECT migration_name, checksum, applied_steps_count, finished_at IS NOT NULL AS finished, rolled_back_at, coalesce(logs, '') AS logs
    FROM _prisma_migrations ORDER BY migration_name`,
} as const;

async function schemaAt(url: string): Promise<Record<string, unknown[]>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const schema: Record<string, unknown[]> = {};
    for (const [part, sql] of Object.entries(parts)) schema[part] = (await client.query<object>(sql)).rows;
    return schema;
  } finally {
    await client.end();
  }
}

it('the database of the tests is the one that Prisma makes', async () => {
  const byPrisma = at(clusterUrls().owner, name);
  const { code, output } = await runPrisma(['migrate', 'deploy'], { databaseUrl: byPrisma, quiet: true });
  expect([code, output]).toEqual([0, expect.stringContaining('All migrations have been successfully applied')]);
  const [expected, found] = [await schemaAt(byPrisma), await schemaAt(ofTests.urls.owner)];
  for (const part of Object.keys(parts)) expect([part, expected[part]?.length]).not.toEqual([part, 0]);
  expect(found).toEqual(expected);
});

it('and Prisma finds nothing to apply to it', async () => {
  const { code, output } = await runPrisma(['migrate', 'deploy'], { databaseUrl: ofTests.urls.owner, quiet: true });
  expect([code, output]).toEqual([0, expect.stringContaining('No pending migrations to apply')]);
});
