import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { z } from 'zod';
import { generalProblems } from '../../kernel/general.problems.ts';
import { type Prefix, readId, showId } from '../../kernel/ids.ts';
import { MisuseError } from '../../kernel/loggable-error.ts';
import type { Scope } from '../../kernel/principal.ts';
import { AnswerSize, largestExpanded, sizeOf } from '../pages/answer-size.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { Views } from '../responses/views.ts';
import { mustBeOf } from './expand-query.ts';
import { expandables, type Relation, relationsOf } from './expandable.ts';

type JsonObject = Record<string, unknown>;
/** Finds those of the things that whoever has the scope may see, by as many statements as one takes. */
type Find = (scope: Scope, ids: readonly string[]) => Promise<readonly { readonly id: string }[]>;

interface Source {
  readonly view: z.ZodObject;
  readonly find: Find;
}

const SOURCES = Symbol('sources');
type DecoratedMethod = Source & { readonly prefix: Prefix };

const drawnOn = (target: unknown): readonly DecoratedMethod[] =>
  typeof target === 'object' && target !== null
    ? ((Reflect.getMetadata(SOURCES, target) as readonly DecoratedMethod[] | undefined) ?? [])
    : [];

/** Says of a service's method that it finds the things of this kind, and how they are shown wherever a reader asks to `expand` an id of theirs. */
export const Expands =
  (prefix: Prefix, view: z.ZodObject) =>
  <F extends Find>(target: object, _name: string | symbol, { value }: TypedPropertyDescriptor<F>): void => {
    const find = value as F;
    Reflect.defineMetadata(SOURCES, [...drawnOn(target), { prefix, view, find }], target);
  };

/** What is to be expanded of a thing, and what in turn of that. */
export interface ExpansionTree {
  readonly relation: Relation;
  readonly deeper: readonly ExpansionTree[];
}

/** A thing as it is shown, and what is wanted of it. */
export interface ExpansionRequest {
  readonly thing: JsonObject;
  readonly wanted: readonly ExpansionTree[];
}

/** The most things of a kind that an answer looks up, and how many at a time: what they hold is counted in between. */
const mostExpanded = 500;
const mostAtOnce = 50;

/** Shows, in an answer, the things whose ids it holds: to the depth of two, with one look-up for each kind of thing at each depth. */
@Injectable()
export class Expansions implements OnModuleInit {
  private known: ReadonlyMap<Prefix, Source> | undefined;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly views: Views,
  ) {}

  /** Throws where a relation leads to what no service expands. */
  onModuleInit(): void {
    for (const { prefix } of [...expandables.values()].flat()) this.sourceOf(prefix);
  }

  /** All that can be asked of an answer, as `expand` names it. */
  namesFor(shown: z.ZodType): string[] {
    return relationsOf(shown).flatMap(({ name, prefix }) => [
      name,
      ...relationsOf(this.viewOf(prefix)).map((next) => `${name}.${next.name}`),
    ]);
  }

  /** How things of this kind are shown. */
  viewOf(prefix: Prefix): z.ZodObject {
    return this.sourceOf(prefix).view;
  }

  /** What a reader asks for by these names. Throws validation-failed. */
  read(shown: z.ZodType, names: readonly string[]): ExpansionTree[] {
    const known = this.namesFor(shown);
    if (names.every((name) => known.includes(name))) return this.wantedOf(shown, names);
    throw generalProblems.validationFailed('The input does not have the required form.', {
      errors: [{ parameter: 'expand', code: 'invalid-value', detail: mustBeOf(known) }],
    });
  }

  /** Adds to each thing what is wanted of it: null where that is not there, or not for this reader. Throws too-much-to-expand. */
  expand(asked: readonly ExpansionRequest[], scope: Scope): Promise<void> {
    const size = new AnswerSize(largestExpanded);
    demandRoom(
      size,
      asked.map(({ thing }) => thing),
    );
    return this.deepen(asked, scope, size);
  }

  private async deepen(asked: readonly ExpansionRequest[], scope: Scope, size: AnswerSize): Promise<void> {
    const places = asked.flatMap(({ thing, wanted }) => wanted.flatMap((one) => placesOf(thing, one)));
    if (places.length === 0) return;
    const found = await this.findAll(places, scope);
    const sizes = new Map<string | null, number>([...found].map(([id, thing]) => [id, sizeOf(thing)]));
    // One thing may stand in many places: what they come to is counted before any is copied.
    for (const { id } of places) if (!size.takes(sizes.get(id) ?? 0)) throw tooLarge();
    const next = places.map((place) => ({ thing: fill(place, found), wanted: place.deeper }));
    await this.deepen(
      next.filter((one): one is ExpansionRequest => one.thing !== null),
      scope,
      size,
    );
  }

  private async findAll(places: readonly Place[], scope: Scope): Promise<Map<string, JsonObject>> {
    const found = new Map<string, JsonObject>();
    for (const [prefix, ofKind] of Map.groupBy(places, ({ relation }) => relation.prefix)) {
      const ids = [...new Set(ofKind.flatMap(({ id }) => id ?? []))];
      if (ids.length === 0) continue;
      if (ids.length > mostExpanded) throw tooMuch(`At most ${mostExpanded} of a kind: ask for a smaller page.`);
      for (const [id, thing] of await this.lookUp(prefix, ids, scope)) found.set(id, thing);
    }
    return found;
  }

  private async lookUp(prefix: Prefix, ids: readonly string[], scope: Scope): Promise<[string, JsonObject][]> {
    const { view, find } = this.sourceOf(prefix);
    const size = new AnswerSize(largestExpanded);
    const found: [string, JsonObject][] = [];
    for (let start = 0; start < ids.length; start += mostAtOnce) {
      const rows = await find(scope, ids.slice(start, start + mostAtOnce).map(readId));
      demandRoom(size, rows);
      found.push(...rows.map((row): [string, JsonObject] => [showId(prefix, row.id), this.views.show(view, row)]));
    }
    return found;
  }

  private wantedOf(shown: z.ZodType, names: readonly string[]): ExpansionTree[] {
    const begun = relationsOf(shown).filter(({ name }) => names.some((one) => `${one}.`.startsWith(`${name}.`)));
    return begun.map((relation) => {
      const deeper = names.flatMap((name) =>
        name.startsWith(`${relation.name}.`) ? [name.slice(relation.name.length + 1)] : [],
      );
      return { relation, deeper: deeper.length === 0 ? [] : this.wantedOf(this.viewOf(relation.prefix), deeper) };
    });
  }

  private sourceOf(prefix: Prefix): Source {
    const source = (this.known ??= this.collect()).get(prefix);
    if (source === undefined)
      throw new MisuseError(`A view has ids of ${prefix} to expand, but no service has an @Expands('${prefix}').`);
    return source;
  }

  private collect(): Map<Prefix, Source> {
    const providers = this.discovery.getProviders() as { instance: unknown }[];
    const sources = providers.flatMap(({ instance }) =>
      drawnOn(instance).map(({ prefix, view, find }) => [prefix, { view, find: find.bind(instance) }] as const),
    );
    const byPrefix = new Map<Prefix, Source>(sources);
    if (byPrefix.size < sources.length) throw new MisuseError('Two services have an @Expands() for ids of one kind.');
    return byPrefix;
  }
}

function demandRoom(size: AnswerSize, things: readonly unknown[]): void {
  for (const thing of things) if (!size.takes(sizeOf(thing))) throw tooLarge();
}

const tooMuch = (detail: string) => httpProblems.tooMuchToExpand(detail);
const tooLarge = () => tooMuch('The answer would be too large: ask for a smaller page, or expand less.');

/** Where an id stands that is to be expanded. */
interface Place {
  readonly holder: JsonObject;
  /** Null where there is none: the owner of an account of the house. */
  readonly id: string | null;
  readonly relation: Relation;
  readonly deeper: readonly ExpansionTree[];
}

function placesOf(thing: JsonObject, { relation, deeper }: ExpansionTree): Place[] {
  return holdersIn(thing, relation.path).map((holder) => {
    const id = (holder[relation.id] ?? null) as string | null;
    return { holder, id, relation, deeper };
  });
}

function holdersIn(thing: unknown, [first, ...rest]: readonly string[]): JsonObject[] {
  if (thing === null || thing === undefined) return [];
  if (Array.isArray(thing)) return thing.flatMap((one) => holdersIn(one, first === undefined ? [] : [first, ...rest]));
  return first === undefined ? [thing as JsonObject] : holdersIn((thing as JsonObject)[first], rest);
}

/** Gives what is shown there now; each place has its own copy, as more may be wanted of one than of another. */
function fill({ holder, id, relation: { member } }: Place, found: ReadonlyMap<string, JsonObject>): JsonObject | null {
  const shown = structuredClone((id === null ? null : found.get(id)) ?? null);
  if (member !== null) holder[member] = shown;
  else Object.assign(holder, shown);
  return member === null ? holder : shown;
}
