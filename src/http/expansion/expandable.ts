import { z } from 'zod';
import type { Prefix } from '../../kernel/ids.ts';
import { MisuseError } from '../../kernel/loggable-error.ts';

/** What of a view a reader may have expanded, and the kind of thing that is shown there. */
export type Relations = Readonly<Record<string, Prefix>>;

/** A place in a view where an id stands that can be expanded. */
export interface Relation {
  /** As `expand` names it: `fromAccount`, `items.sku`. */
  readonly name: string;
  readonly prefix: Prefix;
  /** The members that lead to it, through lists and objects. */
  readonly path: readonly string[];
  /** The member beside the id that is added; null where the thing takes the place of what stands there in short. */
  readonly member: string | null;
  /** The member that holds the id. */
  readonly id: string;
}

/** Every view with relations, as it is made. */
export const expandables = new Map<z.ZodType, readonly Relation[]>();

/**
 * Says what readers of a view may ask to `expand`. `fromAccount: 'acct'` puts an account beside `fromAccountId`, `'items.sku'` a SKU
 * beside the `skuId` of each item, and `accounts`, where those are shown in short with their `id`, all of each. Throws where there is no
 * such id.
 */
export function expandable(view: z.ZodObject, relations: Relations): void {
  expandables.set(
    view,
    Object.entries(relations).map(([name, prefix]) => placeOf(view, name, prefix)),
  );
}

/** What of an answer can be expanded: of each thing where it is a list. */
export const relationsOf = (shown: z.ZodType): readonly Relation[] => expandables.get(oneOf(shown)) ?? [];

/** The view of one thing, where the view is that of a list. */
function oneOf(shown: z.ZodType): z.ZodType {
  const data = shown instanceof z.ZodObject ? (shown.shape as z.ZodRawShape)['data'] : undefined;
  return data instanceof z.ZodArray ? (data.element as z.ZodType) : shown;
}

function placeOf(view: z.ZodObject, name: string, prefix: Prefix): Relation {
  const path = name.split('.');
  const last = path.at(-1) ?? name;
  const holder = memberAt(view, path.slice(0, -1));
  if (has(holder, `${last}Id`)) return { name, prefix, path: path.slice(0, -1), member: last, id: `${last}Id` };
  if (has(memberAt(view, path), 'id')) return { name, prefix, path, member: null, id: 'id' };
  throw new MisuseError(`${view.meta()?.id ?? 'A view'} has no ${name}Id to expand, and no ${name} with an id.`);
}

const has = (view: z.ZodType, member: string): boolean => view instanceof z.ZodObject && member in view.shape;

/** Where the path leads, through lists and what may be null. */
function memberAt(view: z.ZodType, [first, ...rest]: readonly string[]): z.ZodType {
  const one = bare(view);
  if (first === undefined) return one;
  const next = one instanceof z.ZodObject ? (one.shape as z.ZodRawShape)[first] : undefined;
  return memberAt((next ?? z.never()) as z.ZodType, rest);
}

function bare(view: z.ZodType): z.ZodType {
  if (view instanceof z.ZodArray) return bare(view.element as z.ZodType);
  if (view instanceof z.ZodNullable) return bare(view.unwrap() as z.ZodType);
  return view;
}
