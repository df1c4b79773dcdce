/** @servers any */
import { randomUUID } from 'node:crypto';
import type { Response } from 'supertest';
import { startApp, type TestApp } from './support/app.ts';
import { keyNeedOf } from './support/contract.ts';
import { expectProblem } from './support/problem.ts';
import { allRoutes, documentedRoutes, type Route } from './support/routes.ts';

// Each route that takes a key, by the routes that there are: whatever the key does for a request, the method does it without one as well.
type Changes = Record<string, number>;

let service: TestApp;
let documented: string[];
beforeAll(async () => {
  service = await startApp();
  documented = await documentedRoutes(service);
});
afterAll(() => service.close());

const keyed = (routes: readonly Route[]): Route[] =>
  routes.filter(({ method, path }) => method === 'post' && typeof keyNeedOf(path) === 'string');

/** How many rows each table has gained; the records of keys aside. */
async function changes(work: () => PromiseLike<unknown>): Promise<Changes> {
  const before = await rowCounts();
  await work();
  const after = await rowCounts();
  const told = Object.keys(after).filter((table) => table !== 'idempotency_record' && after[table] !== before[table]);
  return Object.fromEntries(told.map((table) => [table, (after[table] ?? 0) - (before[table] ?? 0)]));
}

async function rowCounts(): Promise<Record<string, number>> {
  const tables = await service.database.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
  );
  const counts = tables.map(({ name }) => `SELECT '${name}' AS name, count(*)::int AS count FROM "${name}"`);
  const rows = await service.database.query<{ name: string; count: number }>(counts.join(' UNION ALL '));
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

/** The answer without what differs from one thing to the next: ids, times, slugs, versions. */
function shapeOf({ status, type, body }: Response): object {
  const masked = JSON.stringify(body ?? null)
    .replaceAll(/"[a-z]+_[0-9a-z]{26}"/g, '"id"')
    .replaceAll(/"\d{4}-\d\d-\d\dT[^"]*"/g, '"time"')
    .replaceAll(/-?\d+/g, 'n');
  return { status, type, members: masked.replaceAll(/"[^"]*@[^"]*"|(?<=:)"[^"]*"/g, '"text"') };
}

async function called(key: string | null): Promise<Map<string, { answer: Response; changed: Changes }>> {
  const told = new Map<string, { answer: Response; changed: Changes }>();
  for (const { name, path, caller, body } of keyed(await allRoutes(service))) {
    let answer: Response | undefined;
    const changed = await changes(async () => {
      const call = caller.api.post(path, unlike(body, key)).unset('idempotency-key');
      answer = await (key === null ? call : call.set('idempotency-key', `${key}-${randomUUID()}`));
    });
    told.set(name, { answer: answer as Response, changed });
  }
  return told;
}

// What must be unique, in each round another one.
function unlike(body: object | undefined, key: string | null): object | undefined {
  if (body === undefined) return undefined;
  const tag = key ?? 'none';
  return JSON.parse(
    JSON.stringify(body).replaceAll(
      /"(slug|code|email)":"([^"]+)"/g,
      (_, member: string, text: string) => `"${member}":"${member === 'code' ? text + tag.toUpperCase() : tag + text}"`,
    ),
  ) as object;
}

it('each route that takes a key answers and stores the same with one and without one, or demands one', async () => {
  const [without, withKey] = [await called(null), await called('key')];
  expect([...without.keys()].sort()).toEqual([...withKey.keys()].sort());
  for (const [name, { answer, changed }] of without) {
    const other = withKey.get(name);
    expect({ name, isDone: (other?.answer.status ?? 500) < 300 }).toEqual({ name, isDone: true });
    if (keyNeedOf(new URL(answer.request.url).pathname) === 'required') {
      expectProblem(answer, 'idempotency-key-missing');
      expect({ name, changed }).toEqual({ name, changed: {} });
      continue;
    }
    expect({ name, ...shapeOf(answer), changed }).toEqual({
      name,
      ...shapeOf(other?.answer as Response),
      changed: other?.changed,
    });
    expect({ name, stored: Object.keys(changed).length > 0 }).toEqual({ name, stored: true });
  }
});

it('knows every route that takes a key', async () => {
  const routes = keyed(await allRoutes(service)).map(({ name }) => name);
  const told = documented.filter((name) => {
    const [method, path = ''] = name.split(' ');
    return method === 'POST' && typeof keyNeedOf(path.replaceAll(/\{\w+\}/g, 'x')) === 'string';
  });
  expect(routes.sort()).toEqual(told.sort());
});
