import { ModulesContainer } from '@nestjs/core';
import type { RouteFacts } from '../../src/http/route-facts.ts';
import type { TestApp } from './app.ts';
import type request from 'supertest';
import { casesOf, type World } from './cases.ts';
import type { Person } from './make.ts';
import { type Method, type Operation, operationsOf } from './operations.ts';
import { makeWorld, requestsIn, send, wanted } from './requests.ts';

/** One route of the API with all it needs to be called well. */
export interface Route {
  /** As OpenAPI names it: `PATCH /v1/users/{id}`. */
  readonly name: string;
  readonly method: Method;
  /** With the id of something that exists, where the route has one. */
  readonly path: string;
  /** Somebody who may call it. */
  readonly caller: Person;
  /** A body that is accepted (most of them once); undefined where the route takes none. */
  readonly body?: object;
  /** What the OpenAPI document says of it. */
  readonly operation: Operation;
}

/** Every route of the API, and for each a call that is right but for what a test makes wrong. */
export async function allRoutes(service: TestApp): Promise<Route[]> {
  const world = await makeWorld(service);
  const { operations, derive } = await requestsIn(world);
  const given = casesOf('routes');
  const routes: Route[] = [];
  for (const operation of operations) {
    const { name, method, template } = operation;
    const said = given[name];
    if (said === undefined) {
      const { caller, path, body } = await derive(operation);
      routes.push({ name, method, path, caller, ...(body && { body }), operation });
      continue;
    }
    const { caller, id, body } = await said(world);
    const path = id === undefined ? template : withId({ name, path: template }, id);
    if (path.includes('{')) throw new Error(`${name} needs an id. ${wanted('routes', name)}`);
    routes.push({ name, method, path, caller, ...(body && { body }), operation });
  }
  const unknown = Object.keys(given).filter((name) => !operations.some((operation) => operation.name === name));
  if (unknown.length > 0) throw new Error(`No such routes, which test/cases names: ${unknown.join(', ')}`);
  return routes;
}

/** The request of one operation, as its module gives it or openapi.json shows it. */
export async function routeOf(world: World, name: string): Promise<() => request.Test> {
  const { operations, derive } = await requestsIn(world);
  const operation = operations.find((one) => one.name === name);
  if (operation === undefined) throw new Error(`There is no ${name}.`);
  const said = casesOf('routes')[name];
  if (said === undefined) return (await derive(operation)).send;
  const { caller, id, body } = await said(world);
  const path = id === undefined ? operation.template : withId({ name, path: operation.template }, id);
  return () => send(operation, caller.api, path, body);
}

/** The path with another id in place of its last one. */
export function withId({ name, path }: Pick<Route, 'name' | 'path'>, id: string): string {
  const template = (name.split(' ')[1] ?? '').split('/');
  const at = template.findLastIndex((part) => part.startsWith('{'));
  return path
    .split('/')
    .map((part, n) => (n === at ? id : part))
    .join('/');
}

/** Whether the path has an id. */
export const hasId = ({ name }: Pick<Route, 'name'>): boolean => name.includes('{');

/** The names of all routes under /v1, as the service itself documents them. */
export const documentedRoutes = async (service: TestApp): Promise<string[]> =>
  (await operationsOf(service)).map(({ name }) => name);

/** Whether `@TakesLongBody()` stands on the method of the route: it is named as the operation. */
export function takesLongBody({ app }: TestApp, { operation }: Pick<Route, 'operation'>): boolean {
  const controllers = [...app.get(ModulesContainer).values()].flatMap((module) => [...module.controllers.values()]);
  const handlers = controllers.flatMap(({ metatype }) => {
    const prototype = metatype?.prototype as Record<string, object> | undefined;
    return prototype?.[operation.id] ?? [];
  });
  if (handlers.length !== 1) throw new Error(`${operation.id} is no method of one controller.`);
  return (Reflect.getMetadata(configKey, handlers[0] as object) as RouteFacts | undefined)?.takesLongBody === true;
}
// Of @RouteConfig of @nestjs/platform-fastify.
const configKey = '__fastify_route_config__';
