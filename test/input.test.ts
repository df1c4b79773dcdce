/** @servers any */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Response } from 'supertest';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, type Person } from './support/make.ts';
import { expectProblem } from './support/problem.ts';
import { isList } from './support/operations.ts';
import { allRoutes, documentedRoutes, hasId, type Route, takesLongBody, withId } from './support/routes.ts';

const longBodyLimit = 102_400;
/** Those that take long lists (`@TakesLongBody()`); the others take 16 KiB. */
const limitOf = (route: Route): number => (takesLongBody(service, route) ? longBodyLimit : 16_384);

let service: TestApp;
let routes: Route[];
let withBody: Required<Route>[];
let callers: Person[];
beforeAll(async () => {
  service = await startApp({ HTTP_BODY_LIMIT_BYTES: String(longBodyLimit) });
  const make = makers(service);
  routes = await allRoutes(service);
  withBody = routes.filter((route): route is Required<Route> => route.body !== undefined);
  callers = [await make.operator(), await make.user({ balance: 1000 })];
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const send = ({ method, path, caller }: Route, text: string, type = 'application/json') =>
  caller.api[method](path, {}).set('if-match', '*').set('content-type', type).send(undefined).send(text);
const sendJson = (route: Route, body: unknown) => send(route, JSON.stringify(body));
const pointers = ({ body }: Response): string[] => body.errors.map((error: { pointer: string }) => error.pointer);

type Path = readonly string[];
/** The paths of all values in a body that hold no others. */
function leaves(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, member]) => leaves(member, [...path, key]));
}
/** The body with another value at the path; the body itself is left as it is. */
function replaced(body: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  const copy = (Array.isArray(body) ? [...body] : { ...(body as object) }) as Record<string, unknown>;
  copy[key] = replaced(copy[key], rest, value);
  return copy;
}
const at = (body: unknown, path: Path): unknown =>
  path.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], body);
const pointerOf = (path: Path): string => path.map((part) => `/${part}`).join('');

function isIdOfAnother(path: string, method: string, known: ReadonlyMap<string, readonly string[]>): boolean {
  return [...known].some(([template, methods]) => {
    const pattern = new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/{]+')}$`);
    return template !== path && methods.includes(method) && pattern.test(path);
  });
}

describe('these tests', () => {
  it('know every route there is', async () => {
    expect(routes.map(({ name }) => name).sort()).toEqual((await documentedRoutes(service)).sort());
  });
});

describe('every route that takes a body', () => {
  it('refuses what is not JSON', async () => {
    for (const route of withBody)
      for (const text of ['{', '{"a":', 'nul', "{'a':1}", '{"a":1}}', '{"a":01}', '\0', '"\ud800', '[', ' '])
        expectProblem(await send(route, text).expect(400), 'malformed-json');
  });

  it('takes a request that has no body at all for one that says nothing', async () => {
    for (const { method, path, name, caller, operation } of withBody) {
      const response = await fetch(`${service.url}${path}`, {
        method: method.toUpperCase(),
        headers: { authorization: `Bearer ${caller?.token}`, 'if-match': '*', 'idempotency-key': randomUUID() },
      });
      const demands = (operation.body?.required ?? []).length > 0;
      const expected = demands ? 422 : Number(Object.keys(operation.successes)[0]);
      expect([name, response.status]).toEqual([name, expected]);
      if (expected === 422) expect((await response.json()).code).toBe('validation-failed');
    }
  });

  it('refuses JSON that is not an object', async () => {
    for (const route of withBody)
      for (const body of [null, [], [route.body], 0, 1.5, '', 'text', true]) {
        const response = await sendJson(route, body).expect(422);
        expectProblem(response, 'validation-failed');
        expect(pointers(response)).toEqual(['']);
      }
  });

  it('refuses members that it does not know, and points to each', async () => {
    for (const route of withBody) {
      const response = await sendJson(route, { ...route.body, surprise: 1, 'a/b~c': 2 }).expect(422);
      expectProblem(response, 'validation-failed');
      expect(pointers(response).sort()).toEqual(['/a~1b~0c', '/surprise']);
      for (const error of response.body.errors) expect(error.code).toBe('unknown-member');
    }
  });

  it('refuses values of another type, and points to them', async () => {
    for (const route of withBody)
      for (const path of leaves(route.body)) {
        const value = at(route.body, path);
        const ofAnyType = [{}, [], [value], true, typeof value === 'string' ? 7 : String(value), 1.5];
        const others = ofAnyType.filter((other) => typeof other !== 'boolean' || typeof value !== 'boolean');
        for (const other of others) {
          const response = await sendJson(route, replaced(route.body, path, other)).expect(422);
          expectProblem(response, 'validation-failed');
          expect(pointers(response)).toEqual([pointerOf(path)]);
        }
      }
  });

  it('refuses text that PostgreSQL or Unicode cannot hold, and points to it', async () => {
    for (const route of withBody)
      for (const path of leaves(route.body).filter((leaf) => typeof at(route.body, leaf) === 'string'))
        for (const wrong of ['\0', '\ud800', '\udfff', '\udc00\ud800']) {
          const response = await sendJson(route, replaced(route.body, path, `${at(route.body, path)}${wrong}`));
          expect([route.name, path, response.status]).toEqual([route.name, path, 422]);
          expectProblem(response, 'validation-failed');
          expect(pointers(response)).toEqual([pointerOf(path)]);
        }
  });

  it('refuses text that is too long, and points to it', async () => {
    for (const route of withBody)
      for (const path of leaves(route.body).filter((leaf) => typeof at(route.body, leaf) === 'string')) {
        const response = await sendJson(route, replaced(route.body, path, 'x'.repeat(12_000))).expect(422);
        expect(pointers(response)).toEqual([pointerOf(path)]);
      }
  });

  it('refuses numbers that are not numbers of its kind', async () => {
    for (const route of withBody)
      for (const path of leaves(route.body).filter((leaf) => typeof at(route.body, leaf) === 'number'))
        for (const number of ['1e400', '-1e400', '0.5', '9007199254740993', '1e21', '-0.1']) {
          const text = JSON.stringify(replaced(route.body, path, '#')).replace('"#"', number);
          expect(pointers(await send(route, text).expect(422))).toEqual([pointerOf(path)]);
        }
  });

  it('is not poisoned by __proto__ and constructor', async () => {
    for (const route of withBody) {
      const rest = JSON.stringify(route.body).slice(1);
      for (const name of ['__proto__', 'constructor', 'prototype']) {
        const response = await send(route, `{"${name}":{"prototype":{"role":"operator"}},${rest}`).expect(422);
        expect(response.body.errors).toEqual([
          { pointer: `/${name}`, code: 'unknown-member', detail: 'is not known here' },
        ]);
      }
      const named = await send(route, `{"constructor":1,"prototype":2,"toString":3,"hasOwnProperty":4,${rest}`).expect(
        422,
      );
      expect(pointers(named)).toEqual(
        expect.arrayContaining(['/constructor', '/prototype', '/toString', '/hasOwnProperty']),
      );
    }
    expect(({} as { role?: string }).role).toBeUndefined();
  });

  it('refuses a body beyond the limit, and not one of just the limit', async () => {
    for (const route of withBody) {
      const ofSize = (bytes: number) => `{"surprise":"${'x'.repeat(bytes - 15)}"}`;
      const limit = limitOf(route);
      expect(ofSize(limit)).toHaveLength(limit);
      expectProblem(await send(route, ofSize(limit)).expect(422), 'validation-failed');
      expectProblem(await send(route, ofSize(limit + 1)).expect(413), 'body-too-large');
    }
  });

  it('refuses a body beyond the limit that does not tell its length', async () => {
    const chunks = new ReadableStream({
      pull: (controller) => {
        controller.enqueue(new TextEncoder().encode('x'.repeat(60_000)));
      },
    });
    const response = await fetch(`${service.url}/v1/users`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: chunks,
      duplex: 'half',
    } as RequestInit);
    expect([response.status, (await response.json()).code]).toEqual([413, 'body-too-large']);
  });

  it.each([
    'text/plain',
    'application/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'x',
  ])('refuses %s', async (type) => {
    for (const route of withBody)
      expectProblem(await send(route, JSON.stringify(route.body), type).expect(415), 'unsupported-media-type');
  });

  it('stays on its feet when a body is nested as deep as it can be, or has thousands of items or members', async () => {
    const deep = (open: string, close: string) => `${open.repeat(2500)}1${close.repeat(2500)}`;
    const many = Array.from({ length: 3000 }, (_, i) => i);
    const huge = [
      deep('[', ']'),
      deep('{"a":', '}'),
      JSON.stringify(many),
      JSON.stringify(Object.fromEntries(many.slice(0, 1000).map((i) => [`m${i}`, i]))),
    ];
    for (const route of withBody) {
      for (const text of huge) {
        const response = await send(route, text);
        const isDeep = text.endsWith(']]') || text.endsWith('}}');
        expect(response.status).toBe(isDeep ? 400 : 422);
        expectProblem(response, isDeep ? 'too-deep' : 'validation-failed');
        if (!isDeep) expect(response.body.errors.length).toBeLessThanOrEqual(100);
      }
      for (const member of Object.keys(route.body))
        for (const text of huge.slice(2)) {
          const value = `{"${member}":${text}}`;
          const { body, codes } = route.operation;
          const isBatch = body?.properties?.[member]?.type === 'array' && codes.includes('batch-too-large');
          const isTooLarge = isBatch && text.startsWith('[');
          expectProblem(await send(route, value).expect(422), isTooLarge ? 'batch-too-large' : 'validation-failed');
        }
    }
  });

  it('takes JSON that is 32 deep, and none that is deeper', async () => {
    const deep = (levels: number) => `{"surprise":${'['.repeat(levels - 1)}"]}[{"${']'.repeat(levels - 1)}}`;
    for (const route of withBody) {
      expectProblem(await send(route, deep(32)).expect(422), 'validation-failed');
      expectProblem(await send(route, deep(33)).expect(400), 'too-deep');
    }
    // As deep as can be sent, and never closed.
    const [route] = withBody as [Required<Route>];
    for (const open of ['[', '{"a":', '[{"a":'])
      expectProblem(await send(route, open.repeat(2700)).expect(400), 'too-deep');
  });

  it('refuses a member that is named twice, however it is written, and not one that has two namesakes elsewhere', async () => {
    for (const route of withBody) {
      const [name = ''] = Object.keys(route.body);
      const value = JSON.stringify((route.body as Record<string, unknown>)[name]);
      const escaped = `\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}`;
      for (const second of [name, escaped]) {
        const text = `{"${name}":${value},"${second}":${value}}`;
        expectProblem(await send(route, text).expect(400), 'malformed-json');
      }
      const inner = '{"a":[{"a":1},{"a":"\\",\\"a\\":"}],"b":{"a":1},"c":"a"}';
      expect(pointers(await send(route, `{"surprise":${inner}}`).expect(422))).toContain('/surprise');
    }
  });

  it('refuses bytes that are no UTF-8', async () => {
    for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
      const body = Buffer.concat([Buffer.from('{"name":"'), Buffer.from(bytes), Buffer.from('"}')]);
      const response = await fetch(`${service.url}/v1/users`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      expect([response.status, (await response.json()).code]).toEqual([400, 'malformed-json']);
    }
  });
});

describe('what stands in the path', () => {
  const idRoutes = () => routes.filter(hasId);
  const asked = (route: Route, id: string): Route => ({ ...route, path: withId(route, id) });
  const call = ({ method, path, caller, body }: Route) => caller.api[method](path, body ?? {}).set('if-match', '*');

  it('and cannot be an id names nothing that exists', async () => {
    for (const route of idRoutes()) {
      const [, id = ''] = /\/([a-z]+_[0-9a-z]{26})/.exec(route.path) ?? [];
      const wrong = [
        '1',
        '0',
        '-1',
        'null',
        'undefined',
        "'",
        '%00',
        '%27%20OR%201=1%20--',
        '%F0%9F%AB%96',
        '../../etc/passwd'.replaceAll('/', '%2F'),
        id.toUpperCase(),
        id.slice(0, -1),
        `${id}0`,
        `${id}%00`,
        `${id}%0A`,
        `%20${id}`,
        id.replace(/^[a-z]+/, id.startsWith('ses') ? 'usr' : 'ses'),
        id.replace(/_./, '_8'),
        'f0f1f2f3-f4f5-46f7-88f9-fafbfcfdfeff',
        'x'.repeat(100),
      ];
      for (const text of wrong) {
        const response = await call(asked(route, text));
        expect([route.name, text, response.status]).toEqual([route.name, text, 404]);
        expectProblem(response);
      }
    }
  });

  it('and names nothing is not found', async () => {
    for (const route of idRoutes())
      for (const digit of ['0', '7']) {
        const response = await call({
          ...route,
          path: route.path.replace(/_[0-9a-z]{26}/, `_${digit.padEnd(26, 'z')}`),
        });
        expect([route.name, response.status]).toEqual([route.name, 404]);
        expectProblem(response);
      }
  });

  it('and is broken percent-encoding is malformed', async () => {
    for (const route of idRoutes())
      for (const text of ['%', '%zz', '%E0%A4%A', '%ED%A0%80', '%FF'])
        expectProblem(await call(asked(route, text)).expect(400), 'malformed-url');
  });

  it('and is very long is not found either', async () => {
    for (const route of idRoutes()) expectProblem(await call(asked(route, 'x'.repeat(5000))));
  });
});

describe('what stands in the query', () => {
  const lists = () => routes.filter(({ operation }) => isList(operation));
  it('and is not known, or is known and wrong, is refused with its name', async () => {
    expect(lists().length).toBeGreaterThan(7);
    const wrong: [query: string, parameter: string][] = [
      ['a=1', 'a'],
      ['a=1&a=2', 'a'],
      ['%00=1', '\0'],
      ['limit=%00', 'limit'],
      ['limit=1&limit=2', 'limit'],
      ['limit[a]=1', 'limit[a]'],
      ['cursor=a&cursor=b', 'cursor'],
      ['toString=1', 'toString'],
      ['constructor=1', 'constructor'],
      ['__proto__=1', '__proto__'],
      [`cursor=${'x'.repeat(501)}`, 'cursor'],
      ['LIMIT=1', 'LIMIT'],
    ];
    for (const { caller, path } of lists())
      for (const [query, parameter] of wrong) {
        const response = await caller.api.get(`${path}?${query}`);
        expect([path, query, response.status]).toEqual([path, query, 422]);
        expectProblem(response, 'validation-failed');
        expect(response.body.errors.map((error: { parameter: string }) => error.parameter)).toEqual([parameter]);
      }
  });

  it('and is no Unicode, or half of it, is refused', async () => {
    for (const { caller, path } of lists())
      for (const query of ['limit=%', 'limit=%ED%A0%80', 'cursor=%ED%A0%80', 'cursor=%FF', '%FF=1', '%=1']) {
        const response = await caller.api.get(`${path}?${query}`);
        expect([400, 422]).toContain(response.status);
        expectProblem(response);
      }
    for (const status of ['%00', '%ED%A0%80', 'PLACED', 'placed%00', 'placed,cancelled', ''])
      expectProblem(await callers[0]!.api.get(`/v1/orders?status=${status}`).expect(422), 'validation-failed');
  });
});

describe('the first line', () => {
  it('may have a URL of 4,000 characters and a query of 32 parameters, and no more', async () => {
    const { api } = callers[0]!;
    const path = '/v1/orders?';
    expectProblem(await api.get(`${path}${'x'.repeat(4000 - path.length)}`).expect(422), 'validation-failed');
    expectProblem(await api.get(`${path}${'x'.repeat(4001 - path.length)}`).expect(414), 'url-too-long');
    expectProblem(await api.get(`/v1/${'x'.repeat(4000)}`).expect(414), 'url-too-long');
    const parameters = (count: number) => Array.from({ length: count }, (_, i) => `p${i}=1`).join('&');
    expectProblem(await api.get(path + parameters(32)).expect(422), 'validation-failed');
    expectProblem(await api.get(path + parameters(33)).expect(400), 'too-many-parameters');
    expectProblem(await api.get(path + '&'.repeat(33)).expect(400), 'too-many-parameters');
  });

  it('with a method that the path does not know is answered with those it knows', async () => {
    const known = new Map<string, string[]>();
    for (const { name } of routes) {
      const [method = '', path = ''] = name.split(' ');
      known.set(path, [...(known.get(path) ?? []), method, ...(method === 'GET' ? ['HEAD'] : [])]);
    }
    for (const [template, methods] of known) {
      const path = template.replaceAll(/\{\w+\}/g, 'nothing');
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].filter(
        (one) => !methods.includes(one),
      )) {
        // `me`, `preview`, `refresh` and the like are ids to those who ask for another route.
        if (isIdOfAnother(template, method, known)) continue;
        const response = await fetch(service.url + path, { method });
        expect([method, path, response.status]).toEqual([method, path, 405]);
        const allowed = response.headers.get('allow')?.split(', ') ?? [];
        expect(allowed).toEqual(expect.arrayContaining(methods));
        expect((await response.json()).code).toBe('method-not-allowed');
      }
    }
  });

  it.each([
    ['application/json', 200],
    ['application/problem+json', 200],
    ['*/*', 200],
    ['application/*', 200],
    ['text/html, application/xhtml+xml, */*;q=0.8', 200],
    ['APPLICATION/JSON; charset=utf-8', 200],
    ['application/json;q=0.1, text/html', 200],
    ['', 200],
    ['text/html', 406],
    ['application/xml, text/*', 406],
    ['application/json;q=0, */*', 406],
    ['*/*;q=0', 406],
    ['application/json;q=nonsense', 406],
  ])('is taken at its word about what its caller reads: %s', async (accept, status) => {
    for (const path of ['/v1/products', '/v1/products?limit=1']) {
      const response = await callers[0]!.api.get(path).set('accept', accept);
      expect(response.status).toBe(status);
      if (status === 406) expectProblem(response, 'not-acceptable');
    }
    await callers[0]!.api.get('/livez').set('accept', accept).expect(200);
    await callers[0]!.api.get('/docs').set('accept', accept).expect(200);
  });
});

describe('whatever anybody sends', () => {
  const anyText = fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 12 })
    .map((units) => String.fromCharCode(...units));
  const anyNumber = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.maxSafeInteger(),
    fc.constantFrom(0, -1, 1e300, 2 ** 31, 2 ** 53),
  );
  const anyValue = fc.oneof(
    { weight: 2, arbitrary: anyText },
    { weight: 2, arbitrary: anyNumber },
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom<unknown>(null, true, [], {}, '', undefined),
  );
  /** A right body with some of its values replaced, taken away or added; sometimes any JSON at all. */
  const anyBody = (body: object) => {
    const changes = fc.array(fc.tuple(fc.constantFrom(...leaves(body), ['surprise']), anyValue), { maxLength: 3 });
    const changed = changes.map((all) =>
      all.reduce<unknown>((made, [path, value]) => replaced(made, path, value), body),
    );
    return fc.oneof({ weight: 9, arbitrary: changed }, { weight: 1, arbitrary: fc.jsonValue() });
  };
  const bytes = fc
    .array(fc.integer({ min: 0, max: 255 }), { maxLength: 8 })
    .map((all) => all.map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''));
  const anyQuery = fc
    .array(
      fc.tuple(
        fc.constantFrom('limit', 'cursor', 'status', '%00', 'a[b]'),
        fc.oneof(bytes, fc.constantFrom('1', '100', 'placed', 'WyJhIiwxXQ', '')),
      ),
      { maxLength: 3 },
    )
    .map((pairs) => pairs.map((pair) => pair.join('=')).join('&'));

  it('is answered with JSON by its content type, and never with a fault of ours', async () => {
    const seen = new Set<number>();
    const calls = fc.nat().chain((n) => {
      const route = routes[n % routes.length] as Route;
      return fc.record({
        route: fc.constant(route),
        caller: fc.constantFrom(...callers, route.caller),
        id: fc.option(bytes, { freq: 9 }),
        query: anyQuery,
        body: route.body ? anyBody(route.body) : fc.constant(undefined),
        etag: fc.constantFrom('*', '"1"', '"2"', '"999999999"', '1', ''),
      });
    });
    await fc.assert(
      fc.asyncProperty(calls, async ({ route, caller, id, query, body, etag }) => {
        const path = id === null ? route.path : withId(route, id);
        const test = caller.api[route.method](`${path}?${query}`, {}).set('if-match', etag).send(undefined);
        const response = await (body === undefined ? test : test.type('json').send(JSON.stringify(body)));
        seen.add(response.status);
        expect(response.status).toBeLessThan(500);
        if (response.status >= 400) expectProblem(response);
        else if (response.status === 204) expect(response.text).toBe('');
        else expect(response.headers['content-type']).toMatch(/^application\/json/);
      }),
      { numRuns: 600, seed: 20261121 },
    );
    // It went through all the doors, not only against the first wall.
    expect([...seen]).toEqual(expect.arrayContaining([200, 201, 400, 403, 404, 422]));
  });
});
