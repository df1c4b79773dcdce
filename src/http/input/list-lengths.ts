import { z } from 'zod';
import type { ProblemError } from '../../kernel/problem.ts';

/** A list of the input that is longer than its schema allows. */
export interface LongList {
  readonly path: readonly PropertyKey[];
  readonly most: number;
  /** Where such a list has a refusal of its own. */
  readonly refusal: (() => ProblemError) | null;
}

interface Limit {
  readonly most: number;
  readonly refusal: () => ProblemError;
}
const limits = new WeakMap<z.core.$ZodType, Limit>();

/** The list with a bound whose excess is refused in a way of its own, and not as input of a wrong form. */
export function limited<L extends z.ZodArray>(list: L, most: number, refusal: () => ProblemError): L {
  limits.set(list, { most, refusal });
  return list;
}

type Finder = (value: unknown) => LongList | null;

const finders = new WeakMap<z.core.$ZodType, Finder>();
// Most of an input are no lists and hold none.
const none: Finder = () => null;

/**
 * Finds a list that is too long before anything of it is validated: zod reads every element, and makes issues for each, before it looks at
 * their number. Null where there is none.
 */
export function longListFinder(schema: z.core.$ZodType): Finder {
  const bare = bareOf(schema);
  const known = finders.get(bare);
  if (known !== undefined) return known;
  let find = none;
  // For schemas that hold themselves.
  finders.set(bare, (value) => find(value));
  if (bare instanceof z.ZodArray) find = inList(bare);
  else if (bare instanceof z.ZodObject) find = inObject(bare);
  finders.set(bare, find);
  return find;
}

function inList(list: z.ZodArray): Finder {
  const { most, refusal } = limits.get(list) ?? { most: mostOf(list), refusal: null };
  const inElement = longListFinder(list.element);
  return (value) => {
    if (!Array.isArray(value)) return null;
    if (value.length > most) return { path: [], most, refusal };
    return inElement === none ? null : firstOf(value.map((element, index) => [index, inElement, element]));
  };
}

function inObject(object: z.ZodObject): Finder {
  const members = Object.entries(object.shape)
    .map(([name, member]) => [name, longListFinder(member as z.core.$ZodType)] as const)
    .filter(([, find]) => find !== none);
  if (members.length === 0) return none;
  return (value) => {
    if (typeof value !== 'object' || value === null) return null;
    const present = members.filter(([name]) => Object.hasOwn(value, name));
    return firstOf(present.map(([name, find]) => [name, find, (value as Record<string, unknown>)[name]]));
  };
}

type Part = readonly [at: PropertyKey, find: Finder, value: unknown];

function firstOf(parts: readonly Part[]): LongList | null {
  for (const [at, find, value] of parts) {
    const found = find(value);
    if (found !== null) return { ...found, path: [at, ...found.path] };
  }
  return null;
}

const mostOf = (list: z.core.$ZodType): number => (list._zod.bag as { maximum?: number }).maximum ?? Infinity;

/** The schema inside what says that a value may be missing, null or absent, or what becomes of it. */
function bareOf(schema: z.core.$ZodType): z.core.$ZodType {
  const { innerType, in: input } = schema._zod.def as { innerType?: z.core.$ZodType; in?: z.core.$ZodType };
  const inner = innerType ?? input;
  return inner === undefined ? schema : bareOf(inner);
}
