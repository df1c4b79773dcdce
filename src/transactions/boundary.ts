import { TransactionJoinError, TransactionRequiredError } from './errors.ts';

/** PostgreSQL's levels, from the weakest to the strictest. READ UNCOMMITTED is READ COMMITTED there and is left out. */
const levels = ['read-committed', 'repeatable-read', 'serializable'] as const;
export type Isolation = (typeof levels)[number];

/**
 * What happens when a boundary meets a running one:
 * `required` joins it, else begins one · `requires-new` always begins one of its own · `nested` is a savepoint in it, else begins one ·
 * `mandatory` joins it, else throws · `supports` joins it, else runs without · `not-supported` runs without, also inside · `never` throws inside.
 */
export type Propagation = 'required' | 'requires-new' | 'nested' | 'mandatory' | 'supports' | 'not-supported' | 'never';

/** Milliseconds, or a text with a unit: `250`, `'250ms'`, `'2s'`. */
export type Duration = number | `${number}ms` | `${number}s`;

export interface TransactionOptions {
  /** Default `required`. */
  readonly propagation?: Propagation;
  /** Default `read-committed`. */
  readonly isolation?: Isolation;
  /** READ ONLY, on the read client. Default false. */
  readonly readOnly?: boolean;
  /** How long the boundary may last, and each statement in it. Default: DATABASE_TRANSACTION_TIMEOUT_MS. */
  readonly timeout?: Duration;
  /**
   * How often the work is run again, in a fresh transaction, when the database answers 40001 or 40P01 (a conflict, a deadlock); 0 for never.
   * Only an outermost boundary does so, and only within its time. The work must not mind: what it does outside the database it does again. Default 5.
   */
  readonly retry?: number;
  /** What it is called in errors and logs. Default: `Class.method`. */
  readonly name?: string;
}

/** A boundary that is running. */
export interface Boundary {
  readonly name: string;
  readonly readOnly: boolean;
  readonly isolation: Isolation;
  /** When its time is over, as `performance.now()` counts. */
  readonly endsAt: number;
}

export type Plan = 'begin' | 'nest' | 'join' | 'suspend';

/** What to do about the running boundary. Throws {@link TransactionRequiredError} and {@link TransactionJoinError}. */
export function planBoundary(running: Boundary | null, options: TransactionOptions): Plan {
  const propagation = options.propagation ?? 'required';
  if (running === null) return planOutside(propagation, options);
  switch (propagation) {
    case 'requires-new':
      return 'begin';
    case 'not-supported':
      return 'suspend';
    case 'never':
      throw new TransactionRequiredError(
        `${nameOf(options)} must not run inside a boundary, but ${running.name} is running.`,
      );
    default:
      refuseContradiction(running, options);
      return propagation === 'nested' ? 'nest' : 'join';
  }
}

function planOutside(propagation: Propagation, options: TransactionOptions): Plan {
  if (propagation === 'mandatory')
    throw new TransactionRequiredError(
      `${nameOf(options)} must run inside a boundary; call it from a @Transactional() method.`,
    );
  return ['supports', 'not-supported', 'never'].includes(propagation) ? 'suspend' : 'begin';
}

function refuseContradiction(running: Boundary, options: TransactionOptions): void {
  const refuse = (what: string): never => {
    throw new TransactionJoinError(`${nameOf(options)} asks for ${what} than ${running.name} gives.`);
  };
  if (running.readOnly && options.readOnly !== true) refuse('more access');
  if (levels.indexOf(options.isolation ?? 'read-committed') > levels.indexOf(running.isolation))
    refuse('a stricter level');
  const left = running.endsAt - performance.now();
  if (options.timeout !== undefined && milliseconds(options.timeout) > left) refuse('more time');
}

const nameOf = (options: TransactionOptions): string => options.name ?? 'a boundary';

/** A duration in milliseconds. Throws when it is not a positive number. */
export function milliseconds(duration: Duration): number {
  const [, number = '', unit = 'ms'] = /^([\d.]+)(ms|s)?$/.exec(String(duration)) ?? [];
  const value = Number(number) * (unit === 's' ? 1000 : 1);
  if (!(value > 0)) throw new TypeError(`"${duration}" is not a duration: write 250, '250ms' or '2s'.`);
  return value;
}
