import { randomUUID } from 'node:crypto';
import type request from 'supertest';
import type { Api, TestApp } from './app.ts';
import { casesOf, type World } from './cases.ts';
import { makers, type Person } from './make.ts';
import { isList, type Operation, operationsOf, parameterOf, prefixOf } from './operations.ts';

/** A request as openapi.json shows it, with ids of things that are there. */
export interface DerivedRequest {
  readonly caller: Person;
  /** As the caller; as nobody where everybody may ask. */
  readonly api: Api;
  readonly path: string;
  /** Undefined where the operation takes none. */
  readonly body?: object;
  readonly send: () => request.Test;
}

/** The world that requests are built in. */
export async function makeWorld(service: TestApp): Promise<World> {
  const make = makers(service);
  const operator = await make.operator();
  const [alice, bob] = [await make.user({ balance: 1_000_000 }), await make.user()];
  const { id: productId, skus } = await make.product({ onHand: [1000, 1000, 1000, 1000, 1000], price: 10 });
  return { service, make, operator, alice, bob, productId, skus };
}

/** Builds requests of operations from what the OpenAPI document says of them. */
export async function requestsIn(world: World) {
  const operations = await operationsOf(world.service);
  const things = casesOf('things');
  const rows = casesOf('rows');

  /** The request, and what it needs made before it: things of its own, so that it disturbs no other. */
  async function derive(operation: Operation, by: Person = readerOf(operation)): Promise<DerivedRequest> {
    return build(operation, by, new Map());
  }

  const readerOf = ({ isForOperators }: Operation): Person => (isForOperators ? world.operator : world.alice);

  async function build(operation: Operation, caller: Person, made: Map<string, string>): Promise<DerivedRequest> {
    const { name, template, body: schema } = operation;
    const withIds = (value: unknown): Promise<unknown> => replaceIds(value, (prefix) => thing(prefix, caller, made));
    let path = template;
    for (const { name: parameter, schema: shown } of operation.parameters.filter((one) => one.in === 'path'))
      path = path.replace(`{${parameter}}`, String(await withIds(shown.examples?.[0])));
    const query = operation.parameters.filter((one) => one.in === 'query' && one.required);
    for (const [n, { name: parameter, schema: shown }] of query.entries())
      path += `${n === 0 ? '?' : '&'}${parameter}=${encodeURIComponent(String(await withIds(shown.examples?.[0])))}`;
    const body = schema === null ? undefined : ((await withIds(exampleOf(schema, name))) as object);
    const api = operation.isPublic ? world.service.as() : caller.api;
    return { caller, api, path, ...(body && { body }), send: () => send(operation, api, path, body) };
  }

  /** Something of this prefix that the person may read: what the operation makes that answers with such an id. */
  async function thing(prefix: string, by: Person, made: Map<string, string>): Promise<string> {
    const known = made.get(prefix);
    if (known !== undefined) return known;
    const id = await (things[prefix]?.(world, by) ?? create(prefix, by, made));
    made.set(prefix, id);
    return id;
  }

  async function create(prefix: string, by: Person, made: Map<string, string>): Promise<string> {
    const maker = operations.find(
      ({ successes }) => prefixOf(successes['201']?.properties?.['id']?.examples?.[0]) === prefix,
    );
    if (maker === undefined) throw new Error(`No POST answers with an id of ${prefix}_. ${wanted('things', prefix)}`);
    const { send: post } = await build(maker, maker.isForOperators ? world.operator : by, made);
    const { status, body } = await post();
    if (status !== 201)
      throw new Error(
        `${maker.name} as openapi.json shows it: ${status} ${JSON.stringify(body)}. ${wanted('things', prefix)}`,
      );
    return body.id as string;
  }

  /** Adds a row to the list that is at this path: as its module says, or by the POST of the same path. */
  async function addTo(list: Operation, path: string): Promise<void> {
    const said = rows[list.name];
    if (said !== undefined) return said(world, path);
    const adder = operations.find(({ method, template }) => method === 'post' && template === list.template);
    if (adder === undefined) throw new Error(`No POST adds to ${list.name}. ${wanted('rows', list.name)}`);
    const { caller, body } = await derive(adder, adder.isForOperators ? world.operator : readerOf(list));
    const answer = await send(adder, adder.isPublic ? world.service.as() : caller.api, path, body);
    if (answer.status >= 300)
      throw new Error(`${adder.name}: ${answer.status} ${JSON.stringify(answer.body)}. ${wanted('rows', list.name)}`);
  }

  return { operations, lists: operations.filter(isList), derive, addTo };
}

/** Which line is wanted, and where. */
export const wanted = (key: string, name: string): string =>
  `Give it in the cases of its module: test/cases/<module>.ts, ${key}: { '${name}': … } (test/support/cases.ts).`;

export function send(operation: Operation, api: Api, path: string, body?: object): request.Test {
  const isSilent = body === undefined && operation.method !== 'get';
  const asked = api[operation.method](path, body ?? {});
  return (isSilent ? asked.send(undefined) : asked).set({
    ...(parameterOf(operation, 'If-Match') && { 'if-match': '*' }),
    ...(parameterOf(operation, 'Idempotency-Key') && { 'idempotency-key': randomUUID() }),
  });
}

// A client's own id for what is made is left out: it would name the same thing every time.
function exampleOf({ examples = [] }: { examples?: readonly unknown[] }, name: string): object {
  const [example] = examples;
  if (typeof example !== 'object' || example === null) throw new Error(`The body of ${name} has no example.`);
  const { id: _, ...rest } = example as { id?: string };
  return rest;
}

async function replaceIds(value: unknown, idOf: (prefix: string) => Promise<string>): Promise<unknown> {
  const prefix = prefixOf(value);
  if (prefix !== null) return idOf(prefix);
  if (Array.isArray(value)) return Promise.all(value.map((one) => replaceIds(one, idOf)));
  if (typeof value !== 'object' || value === null) return value;
  const members: [string, unknown][] = [];
  for (const [key, member] of Object.entries(value)) members.push([key, await replaceIds(member, idOf)]);
  return Object.fromEntries(members);
}
