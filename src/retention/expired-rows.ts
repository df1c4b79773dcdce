import { Prisma } from '../database/generated/client.ts';
import { MisuseError } from '../kernel/loggable-error.ts';
import type { Sql } from '../transactions/tables.ts';

/** A table whose rows have an end. */
export interface ExpiringTable {
  /** Its name in the database. */
  readonly table: string;
  /**
   * The moment from which a row is over: a column, or an expression like `LEAST(expires_at, ended_at)`. An index begins with it, as rows are
   * removed in its order.
   */
  readonly end: string;
}

/** What one removal may take. */
export interface RemovalBatch {
  /** So many rows at most. */
  readonly most: number;
  /** Rows that were over earlier are not looked at; null looks at all. */
  readonly from: Date | null;
}

/** What a removal has done. */
export interface Removal {
  readonly removed: number;
  /** The latest end among the removed rows; null when there were none. */
  readonly through: Date | null;
}

/** What is over and still there. */
export interface ExpiredRows {
  /** How many, counted up to a bound. */
  readonly count: number;
  /** The end of the oldest of them; null when there are none. */
  readonly oldest: Date | null;
  /** How long that one has been over by the database's clock, milliseconds; 0 when there are none. */
  readonly oldestMs: number;
}

const expression = /^([a-z_]+|[A-Z]+\([a-z_, ]+\))$/;

// The names come from the code, never from a caller.
function namesOf({ table, end }: ExpiringTable) {
  if (!/^[a-z_]+$/.test(table) || !expression.test(end)) throw new MisuseError(`${table}.${end} is not a column.`);
  return { from: Prisma.raw(`"${table}"`), end: Prisma.raw(end) };
}

/**
 * Removes at most so many rows that are over, oldest first, in one statement. Rows that somebody holds are left for the next time, so several
 * instances share the work. `from` is where the removal before has stopped: what it has removed is not read again, however long the index
 * keeps it for older snapshots.
 */
export async function removeExpired(
  db: Sql,
  table: ExpiringTable,
  { most, from: start }: RemovalBatch,
): Promise<Removal> {
  const { from, end } = namesOf(table);
  // By ctid, as the rows are locked: whatever the key, and without a look-up in its index.
  const [removal] = await db.$queryRaw<Removal[]>`
    WITH over AS MATERIALIZED (
      SELECT ctid FROM ${from} WHERE ${end} <= statement_timestamp() AND ${end} >= coalesce(${start}::timestamptz, '-infinity')
      ORDER BY ${end} LIMIT ${most} FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM ${from} WHERE ctid = ANY (ARRAY(SELECT ctid FROM over)) RETURNING ${end} AS ended)
    SELECT count(*)::int AS removed, max(ended) AS through FROM gone`;
  return removal ?? { removed: 0, through: null };
}

/** How many rows are over and still there, counted up to `most`, those of `from` on, and since when. Reads an index, and as many entries of it. */
export async function countExpired(
  db: Sql,
  table: ExpiringTable,
  { most, from: start }: RemovalBatch,
): Promise<ExpiredRows> {
  const { from, end } = namesOf(table);
  const [rows] = await db.$queryRaw<ExpiredRows[]>`
    SELECT count(*)::int AS count, min(ended) AS oldest,
      greatest(0, coalesce(1000 * extract(epoch FROM statement_timestamp() - min(ended)), 0))::float8 AS "oldestMs"
    FROM (
      SELECT ${end} AS ended FROM ${from} WHERE ${end} <= statement_timestamp() AND ${end} >= coalesce(${start}::timestamptz, '-infinity')
      ORDER BY ${end} LIMIT ${most}) AS expired`;
  return rows ?? { count: 0, oldest: null, oldestMs: 0 };
}

/** About how many rows are over and still there, as the planner estimates it: from its statistics, without reading the rows. */
export async function estimateExpired(db: Sql, table: ExpiringTable): Promise<number> {
  const { from, end } = namesOf(table);
  const [plan] = await db.$queryRaw<{ 'QUERY PLAN': readonly [{ Plan: { 'Plan Rows': number } }] }[]>`
    EXPLAIN (FORMAT JSON) SELECT FROM ${from} WHERE ${end} <= statement_timestamp()`;
  return plan?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0;
}
