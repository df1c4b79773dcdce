import { type AnyOptions, type Duration, isolationLevels, milliseconds, propagations } from './boundary.ts';

/** A boundary and where it stands. */
export interface PlacedBoundary {
  /** `Class.method`. */
  readonly method: string;
  readonly options: AnyOptions & { readonly name: string };
  /** What its class owns that writes, if there is such a thing. */
  readonly writer: string | null;
}

/** What the configuration sets. Times in milliseconds. */
export interface Limits {
  readonly poolSize: number;
  readonly transactionTimeoutMs: number;
}

/** What is wrong with a boundary and what to do about it; null when nothing is. */
type Check = (boundary: PlacedBoundary, limits: Limits) => string | null;

/** One line for each contradiction: where, what, what to do. Sorted by the place. */
export function contradictionsOf(boundaries: readonly PlacedBoundary[], limits: Limits): string[] {
  const single = boundaries.flatMap((boundary) =>
    checks.flatMap((check) => {
      const wrong = check(boundary, limits);
      return wrong === null ? [] : [`${boundary.method} ${wrong}`];
    }),
  );
  return [...single, ...sameNames(boundaries)].sort();
}

const values = { propagation: propagations, isolation: isolationLevels, readOnly: [true, false] } as const;
const durations = ['timeout', 'lockTimeout'] as const;
const known: readonly string[] = [...Object.keys(values), ...durations, 'retry', 'name'];

// PostgreSQL cuts application_name off there (NAMEDATALEN, PostgreSQL 18, 19.8.1), and replaces what is not printable ASCII.
const longestApplicationName = 63;
const longestName = longestApplicationName - 'holdfast '.length;
// Times of the server and timers of Node are integers of 32 bits: 24 days and a little.
const longestMs = 24 * 24 * 3_600_000;

const unknownOption: Check = ({ options }) => {
  const [first] = Object.keys(options).filter((option) => !known.includes(option));
  return first === undefined
    ? null
    : `has an option ${first}, which there is not. There are ${[...known].sort().join(', ')}.`;
};

const unknownValue: Check = ({ options }) => {
  for (const [option, allowed] of Object.entries(values)) {
    const value = options[option as keyof typeof values];
    if (value !== undefined && !(allowed as readonly unknown[]).includes(value))
      return `has ${option}: ${String(value)}, which there is not. Use one of ${allowed.join(', ')}.`;
  }
  return null;
};

const unusableName: Check = ({ options: { name } }) => {
  if (typeof name !== 'string' || !/^[\x20-\x7e]+$/.test(name) || name.trim() === '')
    return 'has a name that is empty or not in printable ASCII, as pg_stat_activity needs it. Give it another one.';
  return name.length > longestName
    ? `has a name of ${name.length} bytes, and pg_stat_activity shows ${longestName}. Give it a shorter name.`
    : null;
};

const unusableRetry: Check = ({ options: { retry } }) =>
  retry === undefined || (Number.isInteger(retry) && retry >= 0)
    ? null
    : `has retry: ${String(retry)}. Say how often it may be run again, a whole number from 0.`;

const unusableDuration: Check = ({ options }) => {
  for (const option of durations) {
    const duration = options[option];
    const ms = duration === undefined ? 1 : parsed(duration);
    if (ms === null || ms < 1 || ms > longestMs)
      return `has ${option}: ${String(duration)}. Write a time from 1 ms to 24 days, like 250, '250ms' or '2s'.`;
  }
  return null;
};

// A boundary that joins may join one that has more time than is usual.
const longerLockTimeout: Check = ({ options: { propagation, timeout, lockTimeout } }, { transactionTimeoutMs }) => {
  const usual = propagation === 'mandatory' ? Infinity : transactionTimeoutMs;
  const wholeMs = timeout === undefined ? usual : (parsed(timeout) ?? Infinity);
  const lockMs = lockTimeout === undefined ? 0 : (parsed(lockTimeout) ?? 0);
  return lockMs <= wholeMs
    ? null
    : `waits ${lockMs} ms for a lock and is over after ${wholeMs} ms. Shorten lockTimeout or lengthen timeout.`;
};

const withoutTransaction = ['supports', 'not-supported', 'never'];

const saysNothing: Check = ({ options }) => {
  const { propagation = 'required' } = options;
  const vain: (keyof AnyOptions)[] = propagation === 'mandatory' ? ['retry'] : [];
  if (withoutTransaction.includes(propagation)) vain.push('isolation', 'readOnly', ...durations, 'retry');
  const said = vain.filter((option) => options[option] !== undefined);
  return said.length === 0
    ? null
    : `is ${propagation} and begins nothing that ${said.join(', ')} could hold for. Leave that out, or let it begin a boundary.`;
};

const serializableWithoutRetry: Check = ({ options: { isolation, retry } }) =>
  isolation === 'serializable' && retry === 0
    ? 'is serializable with retry: 0, so every conflict reaches its caller. Leave retry out, or choose a weaker level.'
    : null;

const readsBesideWriter: Check = ({ options: { readOnly }, writer }) =>
  readOnly === true && writer !== null
    ? `is read-only in a class that owns ${writer}, which writes. Move it to a class whose repositories use @InjectReads().`
    : null;

const starvesPool: Check = ({ options: { propagation } }, { poolSize }) =>
  propagation === 'requires-new' && poolSize < 2
    ? 'is requires-new, which needs a second connection, and DATABASE_POOL_SIZE is 1. Set it to 2 or more.'
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
  readsBesideWriter,
  starvesPool,
];

function sameNames(boundaries: readonly PlacedBoundary[]): string[] {
  const named = Map.groupBy(boundaries, ({ options }) => options.name);
  return [...named].flatMap(([name, those]) => {
    const [first, ...others] = those.map(({ method }) => method).sort();
    if (first === undefined || others.length === 0) return [];
    return [`${first} is called ${name}, and so is ${others.join(', ')}. Give each a name of its own.`];
  });
}

function parsed(duration: Duration): number | null {
  try {
    return milliseconds(duration);
  } catch {
    return null;
  }
}
