import { Prisma } from './generated/client.ts';
import type { Sql } from './tables.ts';
import { MisuseError } from '../kernel/loggable-error.ts';

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
  /** When the oldest of them was over; null when there are none. */
  readonly oldest: Date | null;
}

const expression = /^[a-z_]+(\([a-z_, ]+\))?$/;

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
  { most, from: start }: { most: number; from: Date | null },
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

/** How many rows are over and still there, counted up to `most`, and since when. */
export async function countExpired(db: Sql, table: ExpiringTable, most: number): Promise<ExpiredRows> {
  const { from, end } = namesOf(table);
  const [rows] = await db.$queryRaw<ExpiredRows[]>`
    SELECT count(*)::int AS count, min(ended) AS oldest FROM (
      SELECT ${end} AS ended FROM ${from} WHERE ${end} <= statement_timestamp() ORDER BY ${end} LIMIT ${most}) AS expired`;
  return rows ?? { count: 0, oldest: null };
}
