import { Prisma } from '../database/generated/client.ts';
import { InvariantError, MisuseError } from '../kernel/loggable-error.ts';

/**
 * Rows that one statement inserts, as many as there are:
 *
 *     INSERT INTO item (${set.columns}) SELECT ${set.columns} FROM json_populate_recordset(NULL::item, ${set.json}::json)
 *
 * PostgreSQL gives each value the type of its column. A column that no row names has its default: also one that a later version adds.
 */
export interface RowSet {
  readonly columns: Prisma.Sql;
  /** The rows. Amounts are texts, as JSON's numbers end at 2^53. */
  readonly json: string;
}

/** `rows` have the same members, named as Prisma names them. Throws InvariantError without any, MisuseError where a member is no identifier. */
export function rowSet(rows: readonly object[]): RowSet {
  const [first] = rows;
  if (first === undefined) throw new InvariantError('A set of rows has none.');
  const members = Object.keys(first);
  if (!members.every((member) => identifier.test(member))) throw new MisuseError('A member of a row is no identifier.');
  const json = JSON.stringify(rows.map(withColumns), (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}` : value,
  );
  // The names come from the code, never from a caller.
  return { columns: Prisma.raw(members.map((member) => `"${columnOf(member)}"`).join(', ')), json };
}

const identifier = /^[a-zA-Z]+$/;

const withColumns = (row: object): object =>
  Object.fromEntries(Object.entries(row).map(([member, value]: [string, unknown]) => [columnOf(member), value]));

const columnOf = (member: string): string => member.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
