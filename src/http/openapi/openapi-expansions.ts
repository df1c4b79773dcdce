import type { z } from 'zod';
import { shownWith } from '../expansion/expand-query.ts';
import { expandables, type Relation } from '../expansion/expandable.ts';
import type { Expansions } from '../expansion/expansions.ts';

interface Schema {
  readonly $ref?: string;
  readonly properties?: Record<string, Schema>;
  readonly anyOf?: readonly Schema[];
  items?: Schema;
}
interface Parameter {
  readonly name?: string;
  readonly description?: string;
  readonly schema?: { readonly items?: { readonly enum?: readonly string[] } };
}
interface Operation {
  parameters?: readonly object[];
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, { readonly schema: Schema }> }>>;
}

const idOf = (view: z.ZodType): string => String(view.meta()?.id);
const ref = (id: string): Schema => ({ $ref: `#/components/schemas/${id}` });
const nameIn = (schema: Schema | undefined): string => schema?.$ref?.split('/').at(-1) ?? '';

/** Adds `expand` to the operations that read what can be expanded, and to the schemas what it adds to the answers. */
export function describeExpansions(
  operations: readonly (readonly [method: string, operation: object])[],
  schemas: ReadonlyMap<string, Schema>,
  expansions: Expansions,
): void {
  for (const [method, operation] of operations) {
    if (method !== 'get') continue;
    describeOwn(operation as Operation);
    offerExpand(operation as Operation, schemas, expansions);
  }
  for (const [view, relations] of expandables)
    for (const relation of relations)
      addMember(schemas.get(idOf(view)), relation, ref(idOf(expansions.viewOf(relation.prefix))));
}

function addMember(schema: Schema | undefined, { name, path, member }: Relation, shown: Schema): void {
  const holder = path.reduce((at, part) => objectIn(at?.properties?.[part]), schema);
  const added = {
    anyOf: [shown, { type: 'null' }],
    description: `${shownWith(name)}; null where it is not there, or not yours`,
  };
  if (member !== null) Object.assign(holder?.properties ?? {}, { [member]: added });
  else Object.assign(listAt(schema, path), { items: { anyOf: [shown, holder] } });
}

// What a list holds, and what may be null is when it is not.
const objectIn = (schema: Schema | undefined): Schema | undefined =>
  schema?.items ?? schema?.anyOf?.find(({ properties }) => properties) ?? schema;

const listAt = (schema: Schema | undefined, path: readonly string[]): Schema =>
  path.reduce<Schema | undefined>((at, part) => objectIn(at)?.properties?.[part], schema) ?? {};

/** What a list reads with its own statement: Nest says nothing of the commas. */
function describeOwn({ parameters = [] }: Operation): void {
  const own = (parameters as readonly Parameter[]).find(({ name }) => name === 'expand');
  if (own !== undefined) Object.assign(own, expandOf(own.schema?.items?.enum ?? [], own.description));
}

function offerExpand(operation: Operation, schemas: ReadonlyMap<string, Schema>, expansions: Expansions): void {
  const shown = operation.responses['200']?.content?.['application/json']?.schema;
  const one = nameIn(schemas.get(nameIn(shown))?.properties?.['data']?.items ?? shown);
  const view = [...expandables.keys()].find((known) => idOf(known) === one);
  if (view !== undefined) operation.parameters = [...(operation.parameters ?? []), expandOf(expansions.namesFor(view))];
}

const besideIds = 'What is shown beside its id, all as of one moment; separated by commas';

const expandOf = (names: readonly string[], description = besideIds): object => ({
  name: 'expand',
  in: 'query',
  required: false,
  description,
  style: 'form',
  explode: false,
  schema: {
    type: 'array',
    items: { type: 'string', ...(names.length === 1 ? { const: names[0] } : { enum: names }) },
    maxItems: names.length,
    examples: [[names[0]]],
  },
});
