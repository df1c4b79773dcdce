import { TransactionOptionsError } from '../errors.ts';
import { insteadOfMember, insteadOfValue, shown } from './option-spellings.ts';
import { type AnyOptions, type Duration, isolationLevels, milliseconds, propagations } from './options.ts';

/** What the configuration sets, milliseconds. */
export interface OptionLimits {
  readonly transactionTimeoutMs: number;
}

/** What is wrong with options and what to do about it; null when nothing is. */
type Check = (options: AnyOptions, limits: OptionLimits) => string | null;

const values = { propagation: propagations, isolation: isolationLevels, readOnly: [true, false] } as const;
const durations = ['timeout', 'lockTimeout'] as const;
const known: readonly string[] = [...Object.keys(values), ...durations, 'retry', 'name'];

// PostgreSQL cuts application_name off there (NAMEDATALEN, PostgreSQL 18, 19.8.1), and replaces what is not printable ASCII.
const longestApplicationName = 63;
const longestName = longestApplicationName - 'holdfast '.length;
// Times of the server and timers of Node are integers of 32 bits: 24 days and a little.
const longestMs = 24 * 24 * 3_600_000;

/** A name that nobody gave, as pg_stat_activity shows it: what is too long is cut from the class's side. */
export const defaultName = (method: string): string => method.replace(/[^\x20-\x7e]/gu, '?').slice(-longestName);

const unknownOption: Check = (options) => {
  const first = Reflect.ownKeys(options).find((option) => !(known as readonly unknown[]).includes(option));
  if (first === undefined) return null;
  const instead = insteadOfMember(String(first), known) ?? `there are ${[...known].sort().join(', ')}.`;
  return `has an option ${String(first)}, which there is not: ${instead}`;
};

const unknownValue: Check = (options) => {
  for (const [option, allowed] of Object.entries(values)) {
    const value = options[option as keyof typeof values];
    if (value === undefined || (allowed as readonly unknown[]).includes(value)) continue;
    const instead = insteadOfValue(option, value, allowed) ?? `use one of ${allowed.join(', ')}.`;
    return `has ${option}: ${shown(value)}, which there is not: ${instead}`;
  }
  return null;
};

const unusableName: Check = ({ name }) => {
  if (name === undefined) return null;
  if (typeof name !== 'string' || !/^[\x20-\x7e]+$/.test(name) || name.trim() === '')
    return 'has a name that is empty or not in printable ASCII, as pg_stat_activity needs it. Give it another one.';
  return name.length > longestName
    ? `has a name of ${name.length} bytes, and pg_stat_activity shows ${longestName}. Give it a shorter name.`
    : null;
};

const unusableRetry: Check = ({ retry }) =>
  retry === undefined || (Number.isInteger(retry) && retry >= 0)
    ? null
    : `has retry: ${shown(retry)}. Say how often it may be run again, a whole number from 0.`;

const unusableDuration: Check = (options) => {
  for (const option of durations) {
    const duration = options[option];
    const ms = duration === undefined ? 1 : parsed(duration);
    if (ms === null || ms < 1 || ms > longestMs)
      return `has ${option}: ${shown(duration)}. Write a time from 1 ms to 24 days, like 250, '250ms' or '2s'.`;
  }
  return null;
};

// A boundary that joins may join one that has more time than is usual.
const longerLockTimeout: Check = ({ propagation, timeout, lockTimeout }, { transactionTimeoutMs }) => {
  const usual = propagation === 'mandatory' ? Infinity : transactionTimeoutMs;
  const wholeMs = timeout === undefined ? usual : (parsed(timeout) ?? Infinity);
  const lockMs = lockTimeout === undefined ? 0 : (parsed(lockTimeout) ?? 0);
  return lockMs <= wholeMs
    ? null
    : `waits ${lockMs} ms for a lock and is over after ${wholeMs} ms. Shorten lockTimeout or lengthen timeout.`;
};

const withoutTransaction: readonly string[] = ['supports', 'not-supported', 'never'];

const saysNothing: Check = (options) => {
  const { propagation = 'required' } = options;
  const vain: (keyof AnyOptions)[] = propagation === 'mandatory' ? ['retry'] : [];
  if (withoutTransaction.includes(propagation)) vain.push('isolation', 'readOnly', ...durations, 'retry');
  const said = vain.filter((option) => options[option] !== undefined);
  return said.length === 0
    ? null
    : `is ${propagation} and begins nothing that ${said.join(', ')} could hold for. Leave that out, or let it begin a boundary.`;
};

const serializableWithoutRetry: Check = ({ isolation, retry }) =>
  isolation === 'serializable' && retry === 0
    ? 'is serializable with retry: 0, so every conflict reaches its caller. Leave retry out, or choose a weaker level.'
    : null;

const checks: readonly Check[] = [
  unknownOption,
  unknownValue,
  unusableName,
  unusableRetry,
  unusableDuration,
  longerLockTimeout,
  saysNothing,
  serializableWithoutRetry,
];

function parsed(duration: Duration): number | null {
  // A number in a text would leave its unit to be guessed.
  const isSaid = typeof duration === 'number' || (typeof duration === 'string' && duration.endsWith('s'));
  if (!isSaid) return null;
  try {
    return milliseconds(duration);
  } catch {
    return null;
  }
}

/** What is wrong with the options of a boundary, one sentence each, without its subject. */
export function mistakesIn(options: unknown, limits: OptionLimits): string[] {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    return [
      `has no options: it was given ${shown(options)}. Give it an object, {} for the usual ones, and then the work.`,
    ];
  return checks.flatMap((check) => check(options as AnyOptions, limits) ?? []);
}

const noWork = 'has no work: give it a function that returns a promise, behind the options.';

/** Checks options at the call, as those of `@Transactional()` are checked at the start. */
export class OptionChecks {
  // What is frozen stays as it was found.
  private readonly checked = new WeakMap<object, AnyOptions>();

  constructor(private readonly limits: OptionLimits) {}

  /** The options as they were given with this work, each read once. Throws TransactionOptionsError. */
  of(options: unknown, work: unknown): AnyOptions {
    if (typeof work !== 'function') throw new TransactionOptionsError('transactions.run', [noWork]);
    const earlier = this.checked.get(options as object);
    if (earlier !== undefined) return earlier;
    const given = copyOf(options);
    const mistakes = mistakesIn(given, this.limits);
    if (mistakes.length > 0) throw new TransactionOptionsError(subjectOf(given), mistakes);
    if (Object.isFrozen(options)) this.checked.set(options as object, given as AnyOptions);
    return given as AnyOptions;
  }
}

/** With what it inherits, which counts as well where a member is read. */
function copyOf(options: unknown): unknown {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return options;
  const given = options as Record<string | symbol, unknown>;
  const copy: Record<string | symbol, unknown> = {};
  for (const member in given) copy[member] = given[member];
  for (const symbol of Object.getOwnPropertySymbols(given)) copy[symbol] = given[symbol];
  return copy;
}

function subjectOf(options: unknown): string {
  const name = typeof options === 'object' ? (options as { name?: unknown } | null)?.name : undefined;
  return typeof name === 'string' && name.trim() !== '' && name.length <= longestName ? name : 'transactions.run';
}
