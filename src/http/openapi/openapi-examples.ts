import { MisuseError } from '../../kernel/loggable-error.ts';
import { shownWith } from '../expansion/expand-query.ts';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

/**
 * Gives each schema of an object an example, put together of those of its members, unless it has one of its own: as it is
 * answered to whoever asks for no more. Throws where a member has nothing to show.
 */
export function giveExamples(schemas: ReadonlyMap<string, Schema>): void {
  for (const [name, schema] of schemas)
    if (schema.properties !== undefined && schema.examples === undefined)
      Object.assign(schema, { examples: [exampleOf(schema, name, schemas)] });
}

function exampleOf(schema: Schema, place: string, schemas: ReadonlyMap<string, Schema>): unknown {
  const said = [...(schema.examples ?? []), ...(schema.enum ?? []), schema.const, schema.default];
  const known = said.find((value) => value !== undefined);
  if (known !== undefined) return known;
  if (schema.type === 'boolean') return true;
  if (schema.properties !== undefined) return membersOf(schema, place, schemas);
  if (schema.items !== undefined) return [exampleOf(schema.items, `${place}[]`, schemas)];
  return exampleOf(referred(schema, place, schemas), place, schemas);
}

function referred({ $ref, anyOf = [] }: Schema, place: string, schemas: ReadonlyMap<string, Schema>): Schema {
  const next = anyOf.find(({ type }) => type !== 'null') ?? schemas.get($ref?.split('/').at(-1) ?? '');
  if (next === undefined) throw new MisuseError(`${place} has no example for the OpenAPI document: give it one.`);
  return next;
}

function membersOf({ properties = {} }: Schema, place: string, schemas: ReadonlyMap<string, Schema>): object {
  return Object.fromEntries(
    Object.entries(properties)
      .filter(([name, { description }]) => description?.startsWith(shownWith(name)) !== true)
      .map(([name, member]) => [name, exampleOf(member, `${place}.${name}`, schemas)]),
  );
}
