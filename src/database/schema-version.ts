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

/**
 * How a migration's name ends that the version before cannot live with. The name is all that an older version sees of it; the first line
 * of its file says the same with the reason (`-- Breaks the version before: …`).
 */
export const breaking = '_breaks_previous';

/** What keeps the database from being one that this build can work on. */
export interface SchemaDifference {
  /**
   * `behind`: our migrations are to be applied. `ahead`: it belongs to a later version. `unfinished`: one of ours has failed or still runs.
   * `other`: what it has is neither ours nor later.
   */
  readonly kind: 'behind' | 'ahead' | 'unfinished' | 'other';
  readonly migration: string | null;
  /** To continue "The database cannot be used: …". */
  readonly sentence: string;
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

/** Null when this build can work on the database: it has all our migrations, and beside them only later ones that do not break us. */
export async function schemaDifference(
  database: Queryable,
  own: Map<string, string>,
): Promise<SchemaDifference | null> {
  const applied = await appliedMigrations(database);
  if (applied === null) return { kind: 'behind', migration: null, sentence: 'it has no migrations' };
  const rows = new Map(applied.map((row) => [row.migration_name, row]));
  const foreign = applied.filter(({ migration_name: name }) => !own.has(name));
  const ofOurs = [...own].map(([name, checksum]) => differenceOf(name, checksum, rows.get(name), foreign));
  const found = [...ofOurs, ...foreign.map((row) => differenceOfForeign(row, [...own.keys()].at(-1) ?? ''))];
  // What a person must decide about comes before what a command mends.
  const ranks = ['other', 'unfinished', 'ahead', 'behind'];
  const known = found.filter((difference) => difference !== null);
  return known.sort((a, b) => ranks.indexOf(a.kind) - ranks.indexOf(b.kind))[0] ?? null;
}

function differenceOf(
  name: string,
  checksum: string,
  row: Applied | undefined,
  foreign: readonly Applied[],
): SchemaDifference | null {
  if (row === undefined) {
    const renamed = foreign.find((other) => other.checksum === checksum)?.migration_name;
    return renamed === undefined
      ? { kind: 'behind', migration: name, sentence: `it lacks the migration ${name}` }
      : { kind: 'other', migration: name, sentence: `it has our migration ${name} by another name, ${renamed}` };
  }
  if (!row.finished) return { kind: 'unfinished', migration: name, sentence: `its migration ${name} did not finish` };
  if (row.checksum === checksum) return null;
  return { kind: 'other', migration: name, sentence: `its migration ${name} has other contents than ours` };
}

/** One that we do not know: a later version's is accepted, also while it is being applied. */
function differenceOfForeign({ migration_name: name }: Applied, lastOfOurs: string): SchemaDifference | null {
  if (name <= lastOfOurs)
    return {
      kind: 'other',
      migration: name,
      sentence: `it has the migration ${name}, which this version does not know and which is no later than ours`,
    };
  return name.endsWith(breaking)
    ? { kind: 'ahead', migration: name, sentence: `it has the later migration ${name}, which breaks this version` }
    : null;
}

const remedies: Record<SchemaDifference['kind'], (migration: string) => string> = {
  behind: () => 'Run "npm run db:migrate" with DATABASE_OWNER_URL set.',
  ahead: () => 'Start the version that made it, or a later one: migrations are not taken back.',
  unfinished: (name) =>
    `See why with "npm run prisma -- migrate status" and DATABASE_OWNER_URL set. Once it runs no more and nothing of it is left, run "npm run prisma -- migrate resolve --rolled-back ${name}", then "npm run db:migrate".`,
  other: () =>
    'It was migrated from another branch, or a file was changed after it had run. Put the files in prisma/migrations back as they were then, or use another database.',
};

/** Throws {@link SchemaVersionError} unless this build can work on the database. Rejects with what the way to the database says. */
export async function refuseForeignSchema(database: Queryable): Promise<void> {
  const difference = await schemaDifference(database, await ownMigrations());
  if (difference === null) return;
  throw new SchemaVersionError(
    `The database is not at the version of this service: ${difference.sentence}. ${remedies[difference.kind](difference.migration ?? '')}`,
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
