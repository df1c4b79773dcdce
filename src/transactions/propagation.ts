import { type AnyOptions, isolationLevels, type Isolation, milliseconds } from './boundary.ts';
import { TransactionJoinError, TransactionRequiredError } from './errors.ts';
import type { RunningBoundary, Terms } from './running-boundary.ts';

/** What is asked of a running boundary before another one joins it. */
export interface Joinable {
  readonly name: string;
  readonly readOnly: boolean;
  readonly isolation: Isolation;
  /** When its time is over, as `performance.now()` counts. */
  readonly endsAt: number;
}

/** `begin` a transaction · `nest` a savepoint · `join` the running boundary · `suspend` it, if there is one, and run without. */
export type Plan = 'begin' | 'nest' | 'join' | 'suspend';

/** What to do about the running boundary. Throws {@link TransactionRequiredError} and {@link TransactionJoinError}. */
export function planBoundary(running: Joinable | null, options: AnyOptions): Plan {
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

function planOutside(propagation: string, options: AnyOptions): Plan {
  if (propagation === 'mandatory')
    throw new TransactionRequiredError(
      `${nameOf(options)} must run inside a boundary; call it from a @Transactional() method.`,
    );
  return ['supports', 'not-supported', 'never'].includes(propagation) ? 'suspend' : 'begin';
}

// Equal or weaker joins. What is stricter cannot be had from a transaction that has begun, so it is an error and no surprise later.
function refuseContradiction(running: Joinable, options: AnyOptions): void {
  const refuse = (what: string): never => {
    throw new TransactionJoinError(`${nameOf(options)} asks for ${what} than ${running.name} gives.`);
  };
  if (running.readOnly && options.readOnly !== true && options.propagation !== 'supports') refuse('more access');
  if (rank(options.isolation ?? 'read-committed') > rank(running.isolation)) refuse('a stricter level');
  const left = running.endsAt - performance.now();
  if (options.timeout !== undefined && milliseconds(options.timeout) > left) refuse('more time');
}

const rank = (isolation: Isolation): number => isolationLevels.indexOf(isolation);

export const nameOf = (options: AnyOptions): string => options.name ?? 'a boundary';

/** The terms of a boundary that is part of a running one. */
export function termsIn(running: RunningBoundary, options: AnyOptions): Terms {
  const own = options.timeout === undefined ? Infinity : performance.now() + milliseconds(options.timeout);
  return {
    name: nameOf(options),
    readOnly: running.readOnly || options.readOnly === true,
    isolation: running.isolation,
    endsAt: Math.min(running.endsAt, own),
  };
}
