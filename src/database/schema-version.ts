import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LoggableError } from '../kernel/loggable-error.ts';

/** Something that can run a statement: a pool or a client of pg. */
interface Queryable {
  query<Row>(sql: string): Promise<{ rows: Row[] }>;
}

interface Applied {
  migration_name: string;
  checksum: string;
  finished: boolean;
}

export class SchemaVersionError extends LoggableError {
  override readonly name = 'SchemaVersionError';
}

/** The migrations this build was made for, by name, with the checksum that Prisma records (SHA-256 of the file). */
export async function ownMigrations(
  folder = join(process.cwd(), 'prisma', 'migrations'),
): Promise<Map<string, string>> {
  const names = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  const files = names.sort().map(async (name): Promise<[string, string]> => {
    const sql = await readFile(join(folder, name, 'migration.sql'));
    return [name, createHash('sha256').update(sql).digest('hex')];
  });
  return new Map(await Promise.all(files));
}

/** What keeps the database from being the one this build was made for; null when nothing does. */
export async function schemaDifference(database: Queryable, own: Map<string, string>): Promise<string | null> {
  const applied = await appliedMigrations(database);
  if (applied === null) return 'it has no migrations';
  const unfinished = applied.find(({ finished }) => !finished);
  if (unfinished) return `its migration ${unfinished.migration_name} did not finish`;
  const known = new Map(applied.map((row) => [row.migration_name, row.checksum]));
  for (const [name, checksum] of own) {
    if (!known.has(name)) return `it lacks the migration ${name}`;
    if (known.get(name) !== checksum) return `its migration ${name} has other contents than ours`;
  }
  const foreign = applied.find((row) => !own.has(row.migration_name));
  return foreign ? `it has the migration ${foreign.migration_name}, which this version does not know` : null;
}

/** Throws {@link SchemaVersionError} unless the database has exactly our migrations. */
export async function refuseForeignSchema(database: Queryable): Promise<void> {
  const own = await ownMigrations();
  const difference = await schemaDifference(database, own).catch(cannotBeAsked);
  if (difference === null) return;
  throw new SchemaVersionError(
    `The database is not at the version of this service: ${difference}. Run "npm run db:migrate" with DATABASE_OWNER_URL set, or start the version that fits.`,
  );
}

// Nothing runs yet that could go on without it: a person has to look.
function cannotBeAsked(cause: unknown): never {
  const { message, code } = cause as { message?: string; code?: string };
  throw new SchemaVersionError(
    `The database cannot be used: ${message || code}. See that it runs, and that DATABASE_WRITE_URL leads to it.`,
    { cause },
  );
}

async function appliedMigrations(database: Queryable): Promise<Applied[] | null> {
  const { rows } = await database.query<{ exists: boolean }>(
    `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS exists`,
  );
  if (!rows[0]?.exists) return null;
  const applied = await database.query<Applied>(
    'SELECT migration_name, checksum, finished_at IS NOT NULL AS finished FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at',
  );
  return applied.rows;
}
