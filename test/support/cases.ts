import { globSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, resolve } from 'node:path';
import type { Response } from 'supertest';
import type { TestApp } from './app.ts';
import type { makers, Person } from './make.ts';

/** What requests are built in: a service with two customers, an operator and some goods. */
export interface World {
  readonly service: TestApp;
  readonly make: ReturnType<typeof makers>;
  readonly operator: Person;
  readonly alice: Person;
  readonly bob: Person;
  readonly productId: string;
  readonly skus: readonly { readonly id: string; readonly version: number }[];
}

/** Makes what a request needs, and gives the request. */
export type Preparation = (world: World) => Promise<() => PromiseLike<Response>>;

export interface BoundaryCase {
  readonly last: `${'INSERT' | 'UPDATE' | 'DELETE'} ${string}`;
  readonly call: `${'POST' | 'PATCH' | 'DELETE'} ${string}` | ((world: World) => Promise<BoundaryCall>);
}
export type BoundaryCall = () => PromiseLike<Pick<Response, 'status' | 'body'>>;

export interface BrokenRule {
  readonly statements: readonly string[];
  /** When PostgreSQL is to refuse: at the statement, or only at COMMIT. Default: at the statement. */
  readonly at?: 'COMMIT';
  /** The name in the error, where it is not that of the rule. */
  readonly raises?: string;
}

export interface RouteCase {
  readonly caller: Person;
  /** For the last parameter of the path. */
  readonly id?: string;
  readonly body?: object;
}

/**
 * What the tests that go over all modules cannot derive of one of them. Each module that has such cases exports them from a file of its
 * own, test/cases/<module>.ts; nobody lists these files.
 */
export interface Cases {
  /** By prefix: the id of something that this person may read and change. Derived: what a POST makes that answers with such an id. */
  readonly things?: Readonly<Record<string, (world: World, by: Person) => Promise<string>>>;
  /** By list (`GET /v1/orders`): adds a row to the list at this path. Derived: the POST of the same path, as openapi.json shows it. */
  readonly rows?: Readonly<Record<string, (world: World, path: string) => Promise<void>>>;
  /**
   * By method (`OrdersService.place`): the statement that its boundary writes last, and the call that runs it: what makes it, or the
   * operation whose request is taken from `routes`.
   */
  readonly boundaries?: Readonly<Record<string, BoundaryCase>>;
  /** By method: a call of a `mandatory` boundary outside any. */
  readonly alone?: Readonly<Record<string, (world: World) => Promise<unknown>>>;
  /** By name of the constraint, unique index, trigger or check in a function: statements that break it, as holdfast_app, in one transaction. */
  readonly rules?: Readonly<Record<string, (world: World) => Promise<BrokenRule>>>;
  /** By table that is never swept: why it does not grow without end. `stays` is what the business has done. */
  readonly tables?: Readonly<Record<string, string>>;
  /** By table: what holdfast_app may do with its rows beside reading them, such as `INSERT, UPDATE`. */
  readonly rights?: Readonly<Record<string, string>>;
  /** By `<file> <name>` of a Map or Set that begins empty, from src: its bound. */
  readonly memory?: Readonly<Record<string, string>>;
  /** By operation id: which of `insufficient-funds`, `not-allowed` (for some callers only) and `version-mismatch` (no PATCH) it declares. */
  readonly refusals?: Readonly<Record<string, readonly string[]>>;
  /**
   * By operation (`PATCH /v1/users/{id}`): who may call it, for which id, and a body that is accepted, with as many members as it may have.
   * Derived: the request that openapi.json shows.
   */
  readonly routes?: Readonly<Record<string, (world: World) => Promise<RouteCase>>>;
  /**
   * By endpoint (`POST /v1/orders/:id/cancel`, with `, in which case` behind it where one is measured in several): the request whose
   * statements are counted. Derived: the request with the body that openapi.json shows.
   */
  readonly measured?: Readonly<Record<string, Preparation>>;
}

const load = createRequire(__filename);

type CasesByKey<Key extends keyof Cases> = NonNullable<Cases[Key]>;

/** What all modules say of this, together. Two that say something of the same are refused. */
export function casesOf<Key extends keyof Cases>(key: Key): CasesByKey<Key> {
  const all: Record<string, unknown> = {};
  for (const file of globSync('test/cases/*.ts').sort()) {
    const { cases } = load(resolve(file)) as { cases: Cases };
    for (const [name, value] of Object.entries(cases[key] ?? {})) {
      if (name in all) throw new Error(`${basename(file)} says of ${name} what another one has said (${key}).`);
      all[name] = value;
    }
  }
  return all as CasesByKey<Key>;
}
