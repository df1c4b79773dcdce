import { Prisma } from '../database/generated/client.ts';
import { MisuseError } from '../kernel/loggable-error.ts';
import { placesOf } from './boundary/crowding.ts';
import { callerFrames, lockOrder } from './boundary/lock-order.ts';
import { isLockRefusal } from './boundary/named-errors.ts';
import { shown } from './boundary/option-spellings.ts';
import type { RunningBoundary } from './boundary/running-boundary.ts';
import { runningBoundary } from './current.ts';
import { LockUnavailableError, TransactionJoinError, TransactionRequiredError } from './errors.ts';
import { type Lockable, lockableTable, lockableTables } from './lockable-tables.ts';
import type { Sql } from './tables.ts';

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
  refuseUnknown(options);
  const running = demandBoundary();
  for (const table of Object.keys(rows)) lockableTable(table);
  const found: Partial<Record<Lockable, ReadonlySet<string>>> = {};
  for (const { table } of lockableTables().filter((one) => one.table in rows)) {
    const request = { table, ids: (rows as Record<Lockable, readonly string[]>)[table], columns: {}, options };
    const locked = await lockTable(db, running, request);
    found[table] = new Set(locked.map(({ lockedKey }) => lockedKey));
  }
  return found as LockedRows<T>;
}

/**
 * Locks the rows of one table as {@link lockRows} does, and gives them as they are once they are locked, in the order of their keys: one
 * statement instead of two. `columns` names the members that a row is to have, each with its column. `at` is the database's time when all of
 * them were locked, in whole milliseconds, null where there are none: what is decided over the rows is decided at that moment. Throws as
 * lockRows does.
 */
export async function lockAndLoad<Row extends object>(
  db: Sql,
  table: Lockable,
  ids: readonly string[],
  columns: Readonly<Record<keyof Row & string, string>>,
  options: LockOptions = {},
): Promise<{ rows: Row[]; at: Date | null }> {
  refuseUnknown(options);
  const locked = await lockTable(db, demandBoundary(), { table, ids, columns, options });
  return {
    rows: locked.map(({ lockedKey: _, lockedAt: __, ...row }) => row as Row),
    at: locked.at(-1)?.lockedAt ?? null,
  };
}

interface LockRequest {
  readonly table: Lockable;
  readonly ids: readonly string[];
  /** What is read beside the keys: columns by the names that they are to have. */
  readonly columns: Readonly<Record<string, string>>;
  readonly options: LockOptions;
}
type Locked = Record<string, unknown> & { readonly lockedKey: string; readonly lockedAt: Date };

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
  const { beginning } = running.transaction;
  const before = sending.get(beginning);
  const sent = Promise.withResolvers<undefined>();
  sent.promise.catch(() => undefined);
  sending.set(beginning, sent.promise);
  let done: (() => void) | undefined;
  try {
    await before;
    if (whenHeld(options) === '') done = await placesOf(beginning)?.wait(table, ids);
    const locked = lockInOrder(db, running, { ...request, ids });
    sent.resolve(undefined);
    return await locked;
  } catch (error) {
    sent.reject(error);
    throw error;
  } finally {
    done?.();
  }
}

// Locks that are asked for together leave in the order in which they are asked for, each when those before it have left: the place of one in
// the crowd is waited for before the next one is sent.
const sending = new WeakMap<object, Promise<undefined>>();

async function lockInOrder(db: Sql, running: RunningBoundary, request: LockRequest): Promise<Locked[]> {
  const { table, ids, options } = request;
  const order = lockOrder();
  if (order === null) return select(db, request);
  const site = { table, boundary: running.name, stack: callerFrames() };
  // Who does not wait cannot be part of a circle, but others may wait for what it gets.
  if (whenHeld(options) === '') order.wants(running, site, ids);
  try {
    const locked = await select(db, request);
    order.has(running, site, new Set(locked.map(({ lockedKey }) => lockedKey)));
    return locked;
  } finally {
    order.wantsNoMore(running, site);
  }
}

// An option that is not one of these would be a lock that waits where none was to be waited for.
function refuseUnknown(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw new MisuseError('The options of lockRows are an object.');
  for (const [option, value] of Object.entries(options)) {
    if (option !== 'wait' && option !== 'skipLocked')
      throw new MisuseError(
        `lockRows has no option ${option}. Say wait: false for NOWAIT, skipLocked: true for SKIP LOCKED.`,
      );
    if (value !== undefined && typeof value !== 'boolean')
      throw new MisuseError(`lockRows has no ${option}: ${shown(value)}. It is true or false.`);
  }
  const { wait, skipLocked } = options as { wait?: boolean; skipLocked?: boolean };
  if (skipLocked === true && wait !== undefined)
    throw new MisuseError('lockRows is told to wait or not for what skipLocked leaves out. Say one of them.');
}

const identifier = /^[a-zA-Z_]+$/;

async function select(db: Sql, { table, ids, columns, options }: LockRequest): Promise<Locked[]> {
  const named = Object.entries(columns);
  if (!named.flat().every((name) => identifier.test(name))) throw new MisuseError('A column has another name.');
  const loaded = named.map(([name, column]) => `, "${column}" AS "${name}"`).join('');
  // Prisma has no row locks (prisma/orm #8580); the names come from the code, never from a caller.
  const [key, from, rest, otherwise] = [`"${lockableTable(table).key}"`, `"${table}"`, loaded, whenHeld(options)].map(
    (text) => Prisma.raw(text),
  );
  try {
    // The clock is read outside the CTE, when a row of it comes: once it is locked. Beside the lock it would be read before its wait.
    return await db.$queryRaw<Locked[]>`
      WITH locked AS MATERIALIZED (
        SELECT ${key}::text AS "lockedKey"${rest} FROM ${from} WHERE ${key} = ANY(${ids}::uuid[]) ORDER BY ${key} FOR NO KEY UPDATE ${otherwise})
      SELECT *, date_trunc('milliseconds', clock_timestamp()) AS "lockedAt" FROM locked`;
  } catch (error) {
    // A statement does not always say which table it is that it waits for.
    const reason = error instanceof LockUnavailableError ? error.cause : error;
    throw isLockRefusal(reason) ? new LockUnavailableError(table, reason) : error;
  }
}

function whenHeld({ wait, skipLocked }: LockOptions): string {
  if (skipLocked === true) return 'SKIP LOCKED';
  return wait === false ? 'NOWAIT' : '';
}
