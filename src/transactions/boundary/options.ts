import type { Prisma } from '../../database/generated/client.ts';
import { MisuseError } from '../../kernel/loggable-error.ts';
import type { Reads, Table } from '../tables.ts';

/** PostgreSQL's levels, from the weakest to the strictest. READ UNCOMMITTED is READ COMMITTED there and is left out. */
export const isolationLevels = ['read-committed', 'repeatable-read', 'serializable'] as const;
export type Isolation = (typeof isolationLevels)[number];

/** What happens when a boundary meets a running one. */
export const propagations = [
  'required',
  'requires-new',
  'nested',
  'mandatory',
  'supports',
  'not-supported',
  'never',
] as const;
export type Propagation = (typeof propagations)[number];

/** Milliseconds, or a text with a unit: `250`, `'250ms'`, `'2s'`. */
export type Duration = number | `${number}ms` | `${number}s`;

interface Named {
  /** What it is called in errors, logs, metrics and pg_stat_activity. Default: `Class.method`. */
  readonly name?: string;
}

interface Demands extends Named {
  /** Default `read-committed`. */
  readonly isolation?: Isolation;
  /** READ ONLY, on a replica that holds what the caller has written. Default false. */
  readonly readOnly?: boolean;
  /**
   * How long it may last, all attempts together; the server ends a statement that would last longer. Default: what is left of the
   * running one, else DATABASE_TRANSACTION_TIMEOUT_MS.
   */
  readonly timeout?: Duration;
  /** How long each statement may wait for a lock. Default: that of the running one, else DATABASE_LOCK_TIMEOUT_MS. */
  readonly lockTimeout?: Duration;
}

interface Beginnings extends Demands {
  /**
   * `required` joins the running boundary, else begins one · `requires-new` always begins one of its own, while the running one waits ·
   * `nested` is a savepoint in the running one, else begins one. Default `required`.
   */
  readonly propagation?: 'required' | 'requires-new' | 'nested';
  /**
   * How often the work is run again, in a fresh transaction, when it met a conflict or a deadlock (40001, 40P01), or its connection was
   * lost and nothing is stored; 0 for never. Only an outermost boundary does so, and only within its time. The work must not mind: what
   * it does outside the database it does again. Default 5.
   */
  readonly retry?: number;
}

interface Joining extends Demands {
  /** Joins the running boundary, else throws TransactionRequiredError. */
  readonly propagation: 'mandatory';
}

interface Indifferent extends Named {
  /**
   * `supports` joins the running boundary, else runs without · `not-supported` runs without, and sets the running one aside meanwhile ·
   * `never` runs without, and throws TransactionRequiredError inside.
   */
  readonly propagation: 'supports' | 'not-supported' | 'never';
}

/** What a boundary is asked to be. Every member has a default. */
export type TransactionOptions = Beginnings | Joining | Indifferent;

/** The members of {@link TransactionOptions}, whichever kind it is. */
export interface AnyOptions extends Demands {
  readonly propagation?: Propagation;
  readonly retry?: number;
}

/** A client that can only read: it has no method that writes. */
export type ReadOnlyClient = Reads<Table> & Pick<Prisma.TransactionClient, '$queryRaw'>;

/** The client that `run` hands to its work. */
export type ClientOf<ReadOnly extends boolean> = [ReadOnly] extends [true] ? ReadOnlyClient : Prisma.TransactionClient;

/** A duration in milliseconds. Throws TypeError when it is not a positive number with a known unit. */
export function milliseconds(duration: Duration): number {
  const [, number = '', unit = 'ms'] = /^([\d.]+)(ms|s)?$/.exec(String(duration)) ?? [];
  const value = Number(number) * (unit === 's' ? 1000 : 1);
  if (!(value > 0)) throw new MisuseError(`"${duration}" is not a duration: write 250, '250ms' or '2s'.`);
  return value;
}
