/** @servers any */
import { readFileSync } from 'node:fs';
import { RequestMethod } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { Validator } from '@seriousme/openapi-schema-validator';
import formats from 'ajv-formats';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { problemOf } from '../src/kernel/problem.ts';
import { startApp, type TestApp } from './support/app.ts';
import { casesOf } from './support/cases.ts';
import { makers } from './support/make.ts';
import { wanted } from './support/requests.ts';

interface Schema {
  readonly [keyword: string]: unknown;
  readonly $ref?: string;
  readonly examples?: readonly unknown[];
}
type Content = Readonly<Record<string, { readonly schema: Schema; readonly examples?: object }>>;
interface Response {
  readonly $ref?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Content;
}
interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly schema: Schema;
  readonly description?: string;
}
interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters: readonly (Parameter | { readonly $ref: string })[];
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, Response>>;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
}
interface Document {
  readonly tags: readonly { name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly responses: Readonly<Record<string, Response>>;
    readonly parameters: Readonly<Record<string, Parameter>>;
    readonly headers: Readonly<Record<string, { readonly schema: Schema }>>;
    readonly examples: Readonly<Record<string, { readonly value: { readonly code: string } }>>;
  };
}
interface Route extends Operation {
  readonly path: string;
  readonly method: string;
  readonly parameters: readonly Parameter[];
}

let service: TestApp;
let text: string;
let document: Document;
let routes: Route[];
const ajv = formats.default(new Ajv2020({ strict: true, allErrors: true }));

beforeAll(async () => {
  service = await startApp();
  text = (await service.as().get('/openapi.json').expect(200)).text;
  document = JSON.parse(text) as Document;
  routes = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      ...operation,
      path,
      method: method.toUpperCase(),
      parameters: operation.parameters.map((one) =>
        '$ref' in one ? document.components.parameters[last(one.$ref)]! : one,
      ),
    })),
  );
  ajv.addVocabulary(Object.keys(document)); // so that it may stand around its schemas
  ajv.addSchema(document, 'api');
});
afterAll(() => service.close());

/** The operations for which the sentence is not true. */
const except = (isTrue: (route: Route) => boolean): string[] =>
  routes.filter((route) => !isTrue(route)).map(({ method, path }) => `${method} ${path}`);

const last = (pointer: string): string => pointer.split('/').at(-1)!;
const nameOf = ({ method, path }: Pick<Route, 'method' | 'path'>): string => `${method} ${path}`;
const contents = ({ requestBody, responses }: Route): Content[] => [
  ...(requestBody ? [requestBody.content] : []),
  ...Object.values(responses).flatMap(({ content }) => (content ? [content] : [])),
];
/** What changes a version that was seen. */
const isEdit = (route: Route): boolean => route.method === 'PATCH' || says(route, 'version-mismatch');
/** Whether the module says of the operation that it declares this code, which nothing else in the document implies. */
const said = casesOf('refusals');
const says = ({ operationId }: Route, code: string): boolean => said[operationId]?.includes(code) === true;
const resolved = (response: Response): Response =>
  response.$ref === undefined ? response : document.components.responses[last(response.$ref)]!;
const takes = ({ parameters }: Route, place: string): boolean => parameters.some((parameter) => parameter.in === place);
const isClosed = ({ security }: Route): boolean => security.length > 0;
const roles = ({ security }: Route): string[] => security.flatMap((one) => Object.values(one).flat());

const wantedRefusal = (name: string): string => `${name}: ${wanted('refusals', 'its operation id')}`;

/** Every schema of the document with its place, named and inline. */
function* schemas(): Generator<[place: string, schema: Schema]> {
  for (const [name, schema] of Object.entries(document.components.schemas))
    yield* within(`/components/schemas/${name}`, schema);
  for (const [path, item] of Object.entries(document.paths))
    for (const [method, { parameters }] of Object.entries(item))
      for (const [index, one] of parameters.entries())
        if ('schema' in one)
          yield* within(`/paths/${path.replaceAll('/', '~1')}/${method}/parameters/${index}/schema`, one.schema);
  for (const place of ['parameters', 'headers'] as const)
    for (const [name, { schema }] of Object.entries(document.components[place]))
      yield* within(`/components/${place}/${name}/schema`, schema);
}

function* within(place: string, schema: Schema): Generator<[place: string, schema: Schema]> {
  yield [place, schema];
  const { properties = {}, items, anyOf = [] } = schema as { properties?: object; items?: Schema; anyOf?: Schema[] };
  for (const [name, property] of Object.entries(properties))
    yield* within(`${place}/properties/${name}`, property as Schema);
  for (const [index, one] of anyOf.entries()) yield* within(`${place}/anyOf/${index}`, one);
  if (items !== undefined) yield* within(`${place}/items`, items);
}

/** Every schema of what is sent: bodies and parameters, and all that they refer to. */
function* requestSchemas(): Generator<[place: string, schema: Schema]> {
  const waiting: [string, Schema][] = routes.flatMap(({ operationId, parameters, requestBody }) => [
    // Headers are bounded together, by the server.
    ...parameters
      .filter((one) => one.in !== 'header')
      .map(({ name, schema }): [string, Schema] => [`${operationId} ${name}`, schema]),
    ...Object.values(requestBody?.content ?? {}).map(({ schema }): [string, Schema] => [operationId, schema]),
  ]);
  const seen = new Set<string>();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
    for (const [place, schema] of within(...next)) {
      yield [place, schema];
      const name = schema.$ref?.slice('#/components/schemas/'.length);
      if (name === undefined || seen.has(name)) continue;
      seen.add(name);
      waiting.push([name, document.components.schemas[name]!]);
    }
}

/** Why the value does not fit the schema at that place; null when it does. */
function misfit(place: string, value: unknown): string | null {
  const validate = ajv.compile({ $ref: `api#${encodeURI(place)}` });
  return validate(value) ? null : `${place}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`;
}

describe('the OpenAPI document', () => {
  it('is openapi.json', () => {
    const written = readFileSync('openapi.json', 'utf8');
    expect(written).toBe(`${JSON.stringify(document, null, 2)}\n`);
  });

  it('is written once, at the start, whoever asks for it and however often', async () => {
    const written = jest.spyOn(JSON, 'stringify');
    for (let times = 0; times < 3; times++)
      expect((await service.as().get('/openapi.json').expect(200)).text).toBe(text);
    const documents = written.mock.calls.filter(([value]) => Object.hasOwn(Object(value), 'openapi'));
    written.mockRestore();
    expect(documents).toHaveLength(0);
    await service.as().get('/openapi.yaml').expect(404);
  });

  it('is valid OpenAPI 3.1, and every reference in it leads somewhere', async () => {
    const validator = new Validator();
    expect(await validator.validate(JSON.parse(text) as Record<string, unknown>)).toMatchObject({ valid: true });
    expect(validator.version).toBe('3.1');
    const pointers = [...text.matchAll(/"\$ref":"#([^"]+)"/g)].map(([, pointer = '']) => pointer);
    expect(pointers.length).toBeGreaterThan(100);
    const target = (pointer: string): unknown =>
      pointer
        .split('/')
        .slice(1)
        .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], document);
    expect(pointers.filter((pointer) => target(pointer) === undefined)).toEqual([]);
  });

  it('has schemas without mistakes, in the words of JSON Schema 2020-12', () => {
    const all = [...schemas()];
    expect(all.length).toBeGreaterThan(200);
    // Strict: an unknown keyword or format, or one that has no effect there, throws.
    for (const [place] of all) ajv.compile({ $ref: `api#${encodeURI(place)}` });
    const outdated = all.filter(
      ([, schema]) =>
        'example' in schema || 'nullable' in schema || (schema['enum'] as unknown[] | undefined)?.length === 1,
    );
    expect(outdated).toEqual([]);
  });

  it('has examples that are what it asks for', () => {
    const values = [...schemas()].flatMap(([place, { examples = [] }]) =>
      examples.map((value) => [place, value] as const),
    );
    expect(values.length).toBeGreaterThan(50);
    expect(values.map(([place, value]) => misfit(place, value)).filter(Boolean)).toEqual([]);
  });

  it('says of every member what it is, and shows an example of every thing', () => {
    const isSaid = (schema: Schema): boolean => {
      const referred = document.components.schemas[schema.$ref?.split('/').at(-1) ?? ''];
      const { anyOf = [] } = schema as { anyOf?: Schema[] };
      return ['description', 'const'].some((word) => word in schema) || [referred ?? [], anyOf].flat().some(isSaid);
    };
    const members = [...schemas()].filter(([place]) => /\/properties\/[^/]+$/.test(place));
    expect(members.length).toBeGreaterThan(150);
    expect(members.filter(([, schema]) => !isSaid(schema)).map(([place]) => place)).toEqual([]);
    const things = Object.entries(document.components.schemas).filter(([, schema]) => 'properties' in schema);
    expect(things.length).toBeGreaterThan(30);
    expect(things.filter(([, { examples = [] }]) => examples.length === 0).map(([name]) => name)).toEqual([]);
  });

  it('has no default in what is sent, by which some generators would demand the member, and tells of it in words', () => {
    const withDefault = [...requestSchemas()].filter(([, schema]) => 'default' in schema);
    expect(withDefault.map(([place]) => place)).toEqual([]);
    const { properties } = document.components.schemas['NewTransfer'] as { properties?: Record<string, Schema> };
    expect(properties?.['type']?.['description']).toMatch(/\. Default: "direct"$/);
  });

  it('refuses as an example what it does not ask for', () => {
    expect(misfit('/components/schemas/PositiveMoney', { amount: 0, currency: 'EUR' })).toContain(
      'amount must be >= 1',
    );
    expect(misfit('/components/schemas/Money', { amount: 1299, currency: 'eur' })).toContain('pattern');
  });

  it('bounds all that is sent: text, numbers, lists, and the names of members', () => {
    const taken = [...requestSchemas()];
    expect(taken.length).toBeGreaterThan(100);
    const isBounded = (schema: Schema): boolean => {
      const has = (...keywords: string[]) => keywords.every((keyword) => keyword in schema);
      const types = [schema['type']].flat();
      if (has('const') || has('enum')) return true;
      if (types.includes('string'))
        return has('maxLength') || /^\^.*\$$/.test((schema['pattern'] as string | undefined) ?? '');
      if (types.includes('integer') || types.includes('number')) return has('minimum', 'maximum');
      if (types.includes('array')) return has('maxItems', 'items');
      if (types.includes('object')) return schema['additionalProperties'] === false || has('maxProperties');
      return (
        has('$ref') ||
        has('anyOf') ||
        has('oneOf') ||
        has('allOf') ||
        types.includes('null') ||
        types.includes('boolean')
      );
    };
    expect(taken.filter(([, schema]) => !isBounded(schema)).map(([place]) => place)).toEqual([]);
  });

  it('has every route but the probes, and no others', () => {
    const documented = routes.map(nameOf);
    expect([...documented].sort()).toEqual(ownRoutes().sort());
    const fastify = service.app.getHttpAdapter().getInstance();
    expect(
      except(({ method, path }) => fastify.hasRoute({ method: method, url: path.replaceAll(/\{(\w+)\}/g, ':$1') })),
    ).toEqual([]);
  });

  it('names every operation so that a client can have a method of that name', () => {
    const names = routes.map(({ operationId }) => operationId);
    expect(names.filter((name) => !/^[a-z]+([A-Z][a-z]+)*$/.test(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(routes.map(({ summary }) => summary)).size).toBe(names.length);
    const tags = document.tags.map(({ name }) => name);
    expect(except((route) => route.tags.length === 1 && tags.includes(route.tags[0] ?? ''))).toEqual([]);
  });

  it('says what each operation answers', () => {
    const isNamed = (content: Content): boolean =>
      Object.values(content).every(({ schema }) => schema.$ref !== undefined);
    expect(except((route) => contents(route).every(isNamed))).toEqual([]);
    const successes = ({ responses }: Route) => Object.entries(responses).filter(([status]) => status.startsWith('2'));
    const isChange = ({ method, responses }: Route) => method !== 'GET' && '200' in responses;
    // Whether all went well is told by the status of a batch.
    const others = (route: Route) => successes(route).filter(([status]) => status !== '207');
    expect(
      except((route) => others(route).length === 1 || successes(route).every(([status]) => status === '207')),
    ).toEqual([]);
    expect(except((route) => successes(route).length > 0)).toEqual([]);
    const asks = ({ parameters }: Route) =>
      parameters.some(({ name, description }) => name === 'Prefer' && description?.includes('return=minimal'));
    const hasPlace = ({ responses }: Route) => 'Location' in (responses['201']?.headers ?? {});
    expect(except((route) => asks(route) === (isChange(route) || hasPlace(route)))).toEqual([]);
    // Nothing but the parameter tells of it: as a response it would make every body of a generated client optional.
    const tellsOf204 = ({ parameters }: Route) =>
      parameters.some(({ name, description }) => name === 'Prefer' && description?.includes('204 without a body'));
    expect(except((route) => tellsOf204(route) === isChange(route))).toEqual([]);
    expect(
      except((route) =>
        successes(route).every(([status, { content }]) => (status === '204') === (content === undefined)),
      ),
    ).toEqual([]);
  });

  it('says how each operation refuses: with which codes, and with which headers', () => {
    const codesOf = (route: Route): Map<string, string[]> =>
      new Map(
        Object.entries(route.responses)
          .filter(([status]) => Number(status) >= 400)
          .map(([status, response]) => {
            const { content = {}, headers = {} } = resolved(response);
            const { schema, examples = {} } = content['application/problem+json']!;
            expect(schema.$ref).toBe('#/components/schemas/Problem');
            const codes = Object.keys(examples);
            expect(codes.map((code) => problemOf(code)?.status)).toEqual(codes.map(() => Number(status)));
            expect('Retry-After' in headers).toBe(codes.some((code) => problemOf(code)?.retry !== 'never'));
            expect('WWW-Authenticate' in headers).toBe(status === '401');
            expect('ETag' in headers).toBe(status === '412');
            return [status, codes];
          }),
      );
    for (const route of routes) expect(Object.keys(route.responses)).not.toContain('default');
    const tells = (code: string, isPossible: (route: Route) => boolean) =>
      except((route) => [...codesOf(route).values()].flat().includes(code) === isPossible(route));
    expect(tells('internal-error', () => true)).toEqual([]);
    expect(tells('quota-exceeded', () => true)).toEqual([]);
    expect(tells('transient-contention', () => true)).toEqual([]);
    expect(tells('invalid-token', isClosed)).toEqual([]);
    // Some settings of an account are its owner's, the others an operator's.
    const isForSome = (route: Route): boolean => roles(route).length > 0 || says(route, 'not-allowed');
    expect(tells('not-allowed', isForSome).map(wantedRefusal)).toEqual([]);
    expect(tells('not-found', (route) => takes(route, 'path'))).toEqual([]);
    expect(tells('version-mismatch', isEdit).map(wantedRefusal)).toEqual([]);
    expect(tells('malformed-json', ({ method }) => method !== 'GET')).toEqual([]);
    expect(tells('validation-failed', (route) => route.requestBody !== undefined || takes(route, 'query'))).toEqual([]);
    const takesMoney = (route: Route): boolean => says(route, 'insufficient-funds');
    expect(tells('insufficient-funds', takesMoney).map(wantedRefusal)).toEqual([]);
    const ids = new Set(routes.map(({ operationId }) => operationId));
    expect(Object.keys(said).filter((id) => !ids.has(id))).toEqual([]);
    for (const [code, { value }] of Object.entries(document.components.examples)) {
      expect(misfit('/components/schemas/Problem', value)).toBeNull();
      expect(value.code).toBe(code);
    }
  });

  it('says of each GET, and of nothing else, how it is asked whether anything is new', () => {
    const says = (route: Route): boolean[] => {
      const { headers = {}, content } = resolved(route.responses['304'] ?? {});
      const isAsked = route.parameters.some(({ name, required }) => name === 'If-None-Match' && !required);
      return ['304' in route.responses, 'ETag' in headers, isAsked, '304' in route.responses && content === undefined];
    };
    expect(except((route) => says(route).every((one) => one === (route.method === 'GET')))).toEqual([]);
    expect(except(({ method, responses }) => method !== 'GET' || 'ETag' in responses['200']!.headers!)).toEqual([]);
    const isReplayed = ({ responses }: Route) =>
      Object.entries(responses).some(
        ([status, { headers = {} }]) => status < '300' && 'Idempotent-Replayed' in headers,
      );
    const hasKey = ({ parameters }: Route) => parameters.some(({ name }) => name === 'Idempotency-Key');
    expect(except((route) => isReplayed(route) === hasKey(route))).toEqual([]);
  });

  it('asks for If-Match where something is edited, and nowhere else', () => {
    const asks = ({ parameters }: Route) => parameters.some(({ name, required }) => name === 'If-Match' && required);
    expect(except((route) => asks(route) === isEdit(route))).toEqual([]);
    expect(except((route) => route.method !== 'PATCH' || 'ETag' in (route.responses['200']?.headers ?? {}))).toEqual(
      [],
    );
  });

  it('asks for a limit and a cursor where there are pages, both optional', () => {
    const isList = (route: Route) => route.operationId.startsWith('list');
    const query = ({ parameters }: Route) => parameters.filter((parameter) => parameter.in === 'query');
    expect(
      except(
        (route) =>
          !isList(route) || ['limit', 'cursor'].every((wanted) => query(route).some(({ name }) => name === wanted)),
      ),
    ).toEqual([]);
    expect(except((route) => query(route).every(({ required }) => !required))).toEqual([]);
  });

  it('tells the truth about who may come in', async () => {
    const { token } = await makers(service).user();
    const statusOf = async ({ method, path }: Route, authorization?: string): Promise<number> => {
      const url = path.replaceAll('{id}', 'nobody');
      const headers = authorization === undefined ? {} : { authorization };
      return (await service.app.inject({ method: method as 'GET', url, headers })).statusCode;
    };
    for (const route of routes) {
      const isRefused = (await statusOf(route)) === 401;
      expect([nameOf(route), isRefused]).toEqual([nameOf(route), isClosed(route)]);
      if (route.operationId === 'logOut') continue; // it would end the session of those that follow
      const isForOthers = (await statusOf(route, `Bearer ${token}`)) === 403;
      expect([nameOf(route), isForOthers]).toEqual([nameOf(route), roles(route).includes('operator')]);
    }
  });

  it('describes what is really answered', async () => {
    const make = makers(service);
    const buyer = await make.user({ balance: 5000 });
    const product = await make.product();
    const order = await buyer.api.post('/v1/orders', make.orderOf(buyer, [product.skus[0]?.id ?? ''])).expect(201);
    const answers: [schema: string, path: string][] = [
      ['User', '/v1/users/me'],
      ['AccountPage', '/v1/accounts'],
      ['Account', `/v1/accounts/${buyer.accountId}`],
      ['EntryPage', `/v1/accounts/${buyer.accountId}/entries?limit=1`],
      ['Transfer', `/v1/transfers/${order.body.payment.transferId}`],
      ['ProductPage', '/v1/products'],
      ['ProductPage', '/v1/products?expand=skus'],
      ['Product', `/v1/products/${product.id}`],
      ['Sku', `/v1/skus/${product.skus[0]?.id}`],
      ['Stock', `/v1/skus/${product.skus[0]?.id}/stock`],
      ['OrderPage', '/v1/orders'],
      ['Order', `/v1/orders/${order.body.id}`],
      ['Problem', '/v1/orders?limit=0'],
      ['Problem', '/v1/orders/nothing'],
    ];
    for (const [schema, path] of answers) {
      const { body, headers } = await buyer.api.get(path);
      expect([path, misfit(`/components/schemas/${schema}`, body)]).toEqual([path, null]);
      expect(headers).toHaveProperty('request-id');
    }
  });
});

function ownRoutes(): string[] {
  const controllers = [...service.app.get(ModulesContainer).values()].flatMap((module) => [
    ...module.controllers.values(),
  ]);
  return controllers.flatMap(({ metatype }) => {
    if (metatype === null || typeof metatype !== 'function') return [];
    const prefix = String(Reflect.getMetadata('path', metatype));
    const methods = Object.values(Object.getOwnPropertyDescriptors(metatype.prototype)).map(
      ({ value }) => value as object,
    );
    return methods
      .filter((method) => Reflect.hasMetadata('method', method))
      .map((method) => {
        const parts = [prefix, String(Reflect.getMetadata('path', method))]
          .flatMap((part) => part.split('/'))
          .filter(Boolean);
        const verb = RequestMethod[Reflect.getMetadata('method', method) as RequestMethod];
        return `${verb} /${parts.join('/').replaceAll(/:(\w+)/g, '{$1}')}`;
      });
  });
}
