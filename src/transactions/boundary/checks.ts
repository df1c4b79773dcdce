import { mistakesIn, type OptionLimits } from './option-checks.ts';
import type { AnyOptions } from './options.ts';

/** A boundary and where it stands. */
export interface PlacedBoundary {
  /** `Class.method`. */
  readonly method: string;
  readonly options: AnyOptions & { readonly name: string };
  /** What its class owns that writes, if there is such a thing. */
  readonly writer: string | null;
}

/** What the configuration sets. */
export interface Limits extends OptionLimits {
  readonly poolSize: number;
}

/** What is wrong with a boundary where it stands, and what to do about it; null when nothing is. */
type Check = (boundary: PlacedBoundary, limits: Limits) => string | null;

/** One line for each contradiction: where, what, what to do. Sorted by the place. */
export function contradictionsOf(boundaries: readonly PlacedBoundary[], limits: Limits): string[] {
  const single = boundaries.flatMap((boundary) => {
    const placed = checks.flatMap((check) => check(boundary, limits) ?? []);
    return [...mistakesIn(boundary.options, limits), ...placed].map((wrong) => `${boundary.method} ${wrong}`);
  });
  return [...single, ...sameNames(boundaries)].sort();
}

const readsBesideWriter: Check = ({ options: { readOnly }, writer }) =>
  readOnly === true && writer !== null
    ? `is read-only in a class that owns ${writer}, which writes. Move it to a class whose repositories use @InjectReads().`
    : null;

const starvesPool: Check = ({ options: { propagation } }, { poolSize }) =>
  propagation === 'requires-new' && poolSize < 2
    ? 'is requires-new, which needs a second connection, and DATABASE_POOL_SIZE is 1. Set it to 2 or more.'
    : null;

const checks: readonly Check[] = [readsBesideWriter, starvesPool];

function sameNames(boundaries: readonly PlacedBoundary[]): string[] {
  const named = Map.groupBy(boundaries, ({ options }) => options.name);
  return [...named].flatMap(([name, those]) => {
    const [first, ...others] = those.map(({ method }) => method).sort();
    if (first === undefined || others.length === 0) return [];
    return [`${first} is called ${name}, and so is ${others.join(', ')}. Give each a name of its own.`];
  });
}
