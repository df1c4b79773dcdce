import { MisuseError } from '../kernel/loggable-error.ts';

/**
 * In which order rows are locked, whoever locks them: first whoever acts, then what they have opened, ordered, booked or written, then what that uses
 * up, and last the money, which most wait for. A module that imports another one has no later stage than that, unless what it locks stands behind a person.
 */
const stages = ['people', 'documents', 'goods', 'money'] as const;
export type LockStage = (typeof stages)[number];

/**
 * The tables whose rows may be locked, by their name in the database, each with the column of its key. Every module adds those it has defined by
 * `declare module`: a table that cannot be locked does not compile.
 */
export interface LockableTables extends Record<never, string> {}
export type Lockable = keyof LockableTables;

interface LockableTable {
  readonly table: Lockable;
  /** The column by which its rows are named and ordered: a UUID. */
  readonly key: string;
  readonly stage: LockStage;
  /** The first table of its module, by which the modules of a stage are ordered. */
  readonly leader: string;
}

const identifier = /^[a-z_]+$/;
const known = new Map<string, LockableTable>();
let inOrder: readonly LockableTable[] = [];

/**
 * Defines which tables of a module may be locked, in the order in which they are locked among themselves, and when in the order of all modules.
 * Modules of one stage are ordered by the names of their first tables, whatever is loaded first, so that all processes lock in one order. Throws when
 * a table is defined already.
 */
export function defineLockableTables<const Keys extends Readonly<Record<string, string>>>(
  stage: LockStage,
  keys: Keys,
): Keys {
  const [leader = ''] = Object.keys(keys);
  for (const [table, key] of Object.entries(keys)) {
    if (!identifier.test(table) || !identifier.test(key))
      throw new MisuseError(`${table} (${key}) is no table with a key.`);
    if (known.has(table)) throw new MisuseError(`The lockable table ${table} is defined twice.`);
    known.set(table, { table: table as Lockable, key, stage, leader });
  }
  // Sorting keeps the order in which the tables of one module are written.
  inOrder = [...known.values()].sort((a, b) => rankOf(a) - rankOf(b) || compare(a.leader, b.leader));
  return keys;
}

const rankOf = ({ stage }: LockableTable): number => stages.indexOf(stage);
const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** All that may be locked in this process, in the order in which it is locked. */
export const lockableTables = (): readonly LockableTable[] => inOrder;

/** Throws MisuseError for a table that no module that was loaded has defined. */
export function lockableTable(table: string): LockableTable {
  const found = known.get(table);
  if (found === undefined) throw new MisuseError(`${table} has no locks.`);
  return found;
}
