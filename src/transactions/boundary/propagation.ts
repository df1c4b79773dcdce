import { MisuseError } from '../../kernel/loggable-error.ts';
import { TransactionJoinError, TransactionRequiredError } from '../errors.ts';
import { type AnyOptions, isolationLevels, type Isolation, milliseconds, type Propagation } from './options.ts';
import type { RunningBoundary } from './running-boundary.ts';
import type { Terms } from './running-transaction.ts';

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
  return running === null ? planOutside(propagation, options) : planInside(running, propagation, options);
}

function planInside(running: Joinable, propagation: Propagation, options: AnyOptions): Plan {
  switch (propagation) {
    case 'requires-new':
      return 'begin';
    case 'not-supported':
      return 'suspend';
    case 'never':
      throw new TransactionRequiredError(
        `${nameOf(options)} must not run inside a boundary, but ${running.name} is running.`,
      );
    case 'required':
    case 'nested':
    case 'mandatory':
    case 'supports':
      refuseContradiction(running, options);
      return propagation === 'nested' ? 'nest' : 'join';
    default:
      throw unknownPropagation(propagation);
  }
}

function planOutside(propagation: Propagation, options: AnyOptions): Plan {
  switch (propagation) {
    case 'mandatory':
      throw new TransactionRequiredError(
        `${nameOf(options)} must run inside a boundary; call it from a @Transactional() method.`,
      );
    case 'supports':
    case 'not-supported':
    case 'never':
      return 'suspend';
    case 'required':
    case 'requires-new':
    case 'nested':
      return 'begin';
    default:
      throw unknownPropagation(propagation);
  }
}

const unknownPropagation = (propagation: never): MisuseError =>
  new MisuseError(`No propagation: ${String(propagation)}.`);

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
