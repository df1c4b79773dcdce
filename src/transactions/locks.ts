import { databaseFailure } from '../database/failures.ts';
import { Prisma } from '../database/generated/client.ts';
import type { Sql } from '../database/tables.ts';
import { placesOf } from './crowding.ts';
import { runningBoundary } from './current.ts';
import { LockUnavailableError, TransactionJoinError, TransactionRequiredError } from './errors.ts';
import { callerFrames, lockOrder } from './lock-order.ts';
import type { RunningBoundary } from './running-boundary.ts';
import { MisuseError } from '../kernel/loggable-error.ts';

/**
 * The tables whose rows may be locked, by their name in the database, with their keys. They are locked in this order, which is the one in
 * which the modules reach them: the person before the sessions, the order before its goods, the goods before the money.
 */
const keys = { user: 'id', session: 'id', order: 'id', stock: 'sku_id', account: 'id' } as const;
export type Lockable = keyof typeof keys;
const inOrder = Object.keys(keys) as readonly Lockable[];

/** What happens when somebody else holds a row: without options its release is waited for, as long as `lockTimeout` allows. */
export type LockOptions =
  | {
      /** `false`: throws LockUnavailableError at once. */
      readonly wait?: boolean;
      readonly skipLocked?: never;
    }
  | {
      /** Leaves it out: for whoever takes any of several rows. */
      readonly skipLocked: true;
      readonly wait?: never;
    };

/** The keys that were found, and are locked, by table. */
export type LockedRows<T extends Lockable> = Readonly<Record<T, ReadonlySet<string>>>;

/**
 * Locks rows against change until the boundary ends: tables in one order for all, rows in the order of their keys, however they are
 * given, so that two callers never wait for each other. Ask for all that is needed in one call. Gives the keys of the rows that exist.
 * NO KEY UPDATE, because a row that refers to one of them takes a share of its key.
 * Throws TransactionRequiredError outside a boundary, where the lock would be gone at once, TransactionJoinError in one that only reads,
 * and LockUnavailableError when somebody else keeps a row; the transaction is broken then, as after any statement that failed.
 */
export async function lockRows<T extends Lockable>(
  db: Sql,
  rows: Readonly<Record<T, readonly string[]>>,
  options: LockOptions = {},
): Promise<LockedRows<T>> {
  const running = demandBoundary();
  for (const table of Object.keys(rows))
    if (!Object.hasOwn(keys, table)) throw new MisuseError(`${table} has no locks.`);
  const found: Partial<Record<Lockable, ReadonlySet<string>>> = {};
  for (const table of inOrder.filter((one) => one in rows)) {
    const request = { table, ids: (rows as Record<Lockable, readonly string[]>)[table], columns: {}, options };
    const locked = await lockTable(db, running, request);
    found[table] = new Set(locked.map(({ lockedKey }) => lockedKey));
  }
  return found as LockedRows<T>;
}

/**
 * Locks the rows of one table as {@link lockRows} does, and gives them as they are once they are locked, in the order of their keys: one
 * statement instead of two. `columns` names the members that a row is to have, each with its column. Throws as lockRows does.
 */
export async function lockAndLoad<Row extends object>(
  db: Sql,
  table: Lockable,
  ids: readonly string[],
  columns: Readonly<Record<keyof Row & string, string>>,
): Promise<Row[]> {
  const locked = await lockTable(db, demandBoundary(), { table, ids, columns, options: {} });
  return locked.map(({ lockedKey: _, ...row }) => row as Row);
}

interface LockRequest {
  readonly table: Lockable;
  readonly ids: readonly string[];
  /** What is read beside the keys: columns by the names that they are to have. */
  readonly columns: Readonly<Record<string, string>>;
  readonly options: LockOptions;
}
type Locked = Record<string, unknown> & { readonly lockedKey: string };

function demandBoundary(): RunningBoundary {
  const running = runningBoundary();
  if (running === null)
    throw new TransactionRequiredError('lockRows must run inside a boundary; call it from a @Transactional() method.');
  if (running.readOnly)
    throw new TransactionJoinError(`lockRows locks rows, and ${running.name} is a boundary that only reads.`);
  return running;
}

async function lockTable(db: Sql, running: RunningBoundary, request: LockRequest): Promise<Locked[]> {
  const { table, options } = request;
  const ids = [...new Set(request.ids.map((id) => id.toLowerCase()))];
  if (ids.length === 0) return [];
  if (whenHeld(options) !== '') return lockInOrder(db, running, { ...request, ids });
  const done = await placesOf(running.transaction.beginning)?.wait(table, ids);
  try {
    return await lockInOrder(db, running, { ...request, ids });
  } finally {
    done?.();
  }
}

async function lockInOrder(db: Sql, running: RunningBoundary, request: LockRequest): Promise<Locked[]> {
  const { table, ids, options } = request;
  const order = lockOrder();
  if (order === null) return select(db, request);
  const site = { table, boundary: running.name, stack: callerFrames() };
  // Who does not wait cannot be part of a circle, but others may wait for what it gets.
  if (whenHeld(options) === '') order.wants(running, site, ids);
  const locked = await select(db, request);
  order.has(running, site, new Set(locked.map(({ lockedKey }) => lockedKey)));
  return locked;
}

const identifier = /^[a-zA-Z_]+$/;

async function select(db: Sql, { table, ids, columns, options }: LockRequest): Promise<Locked[]> {
  const named = Object.entries(columns);
  if (!named.flat().every((name) => identifier.test(name))) throw new MisuseError('A column has another name.');
  const loaded = named.map(([name, column]) => `, "${column}" AS "${name}"`).join('');
  // Prisma has no row locks (prisma/orm #8580); the names come from the code, never from a caller.
  const [key, from, rest, otherwise] = [`"${keys[table]}"`, `"${table}"`, loaded, whenHeld(options)].map((text) =>
    Prisma.raw(text),
  );
  try {
    return await db.$queryRaw<Locked[]>`
      SELECT ${key}::text AS "lockedKey"${rest} FROM ${from} WHERE ${key} = ANY(${ids}::uuid[]) ORDER BY ${key} FOR NO KEY UPDATE ${otherwise}`;
  } catch (error) {
    throw databaseFailure(error)?.sqlState === lockNotAvailable ? new LockUnavailableError(table, error) : error;
  }
}

// PostgreSQL 18, appendix A: what NOWAIT and lock_timeout end with.
const lockNotAvailable = '55P03';

function whenHeld({ wait, skipLocked }: LockOptions): string {
  if (skipLocked === true) return 'SKIP LOCKED';
  return wait === false ? 'NOWAIT' : '';
}
