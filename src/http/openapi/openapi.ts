import { isDeepStrictEqual } from 'node:util';
import type { INestApplication } from '@nestjs/common';
import { type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { MisuseError } from '../../kernel/loggable-error.ts';
import type { ProblemType } from '../../kernel/problem.ts';
import { scheme } from '../access/principal.ts';
import { consistencyToken } from '../consistency.ts';
import { Expansions } from '../expansion/expansions.ts';
import { idempotencyKey } from '../idempotency/idempotency.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { exampleProblems, Problem } from '../problems/problem.ts';
import { refusedWith } from '../problems/refuses.ts';
import { giveExamples } from './openapi-examples.ts';
import { describeExpansions } from './openapi-expansions.ts';
import {
  commonHeaders,
  commonParameters,
  everyAnswer,
  links,
  minimal,
  type Parameter,
  parameterRef,
  replayed,
  tagged,
  waited,
} from './openapi-headers.ts';
import { describeWebhooks } from './openapi-webhooks.ts';
import { describeRefusals, impliedProblems } from './refusals.ts';

type Json = Record<string, unknown>;

export const apiTitle = 'Holdfast';

/** What of an operation the rest of its description follows from. */
interface Operation {
  readonly operationId: string;
  readonly tags?: readonly string[];
  parameters?: readonly Parameter[];
  readonly requestBody?: object;
  security?: readonly Readonly<Record<string, readonly string[]>>[];
  responses: Record<string, Json>;
  summary?: string;
  [refusedWith]?: readonly ProblemType[];
}

/** The OpenAPI 3.1 document of all routes. The same for the running service, for `openapi.json` and for the check between them. */
export function describeApi(app: INestApplication): OpenAPIObject {
  const schemas = new Map<string, Json>();
  const { paths } = SwaggerModule.createDocument(app, frame, {
    operationIdFactory: (_, method) => method,
    autoTagControllers: true,
    standardSchemaConverter: (schema, { schemaType }) => convert(schema as z.ZodType, schemaType, schemas),
  });
  convert(Problem, 'output', schemas);
  const webhooks = describeWebhooks((schema) => convert(schema, 'output', schemas));
  const operations = Object.values(paths).flatMap((path) => Object.entries(path) as [string, Operation][]);
  const responses = new Map<string, Json>();
  // Examples first: they show what is answered to whoever asks for no more.
  giveExamples(schemas);
  describeExpansions(operations, schemas, app.get(Expansions));
  for (const [method, operation] of operations) complete(method, operation, responses);
  const tags = new Set(operations.flatMap(([, { tags }]) => tags ?? []));
  // Ours, not those that Nest has made of them: it writes `const` and `examples` as OpenAPI 3.0 did.
  const named = { schemas: ordered(schemas), responses: ordered(responses), examples: exampleProblems() };
  const components = { ...frame.components, ...named } as OpenAPIObject['components'] & object;
  return { ...frame, tags: [...tags].map((name) => ({ name })), paths, webhooks, components } as OpenAPIObject;
}

const ordered = (named: Map<string, Json>) => Object.fromEntries([...named].sort(([a], [b]) => (a < b ? -1 : 1)));

const frame = {
  openapi: '3.1.0',
  info: {
    title: apiTitle,
    description:
      'Users, accounts, catalog and orders. Every error is application/problem+json with a stable `code`. ' +
      'Answers may gain members: ignore those you do not know. ' +
      'A `Request-Id` and a W3C `traceparent` that you send stand beside our own `Request-Id` in our logs. ' +
      'Whoever is signed in sees their own writes on the instance that stored them; on any instance, and anybody else, by sending ' +
      `the ${consistencyToken} that the write was answered with.`,
    version: '1',
  },
  servers: [{ url: '/' }],
  components: {
    securitySchemes: {
      [scheme]: {
        type: 'http' as const,
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description: 'The accessToken of POST /v1/sessions',
      },
    },
    parameters: commonParameters,
    headers: commonHeaders,
  },
};

/** Adds what follows from what the operation takes: its title, its refusals, and the headers that every answer has. */
function complete(method: string, operation: Operation, shared: Map<string, Json>): void {
  const { parameters = [] } = operation;
  for (const parameter of parameters) modernise(parameter);
  operation.parameters = [...parameters, commonParameters.ConsistencyToken];
  operation.summary = titleOf(operation.operationId);
  // Said, not left out: whoever reads the document tells what is open from what was forgotten.
  operation.security ??= [];
  const takes = (name: string): boolean => operation.parameters?.some((one) => one.name === name) === true;
  const also = headersFor(takes);
  for (const response of Object.values(operation.responses))
    response['headers'] = { ...(response['headers'] as Json | undefined), ...everyAnswer, ...also };
  if (method === 'get') offerNothingNew(operation, shared);
  else offerMinimal(operation);
  const own = operation[refusedWith] ?? [];
  const problems = [...impliedProblems(method, operation), ...own];
  const repeatable = takes(idempotencyKey) ? [...own, httpProblems.notFound] : [];
  Object.assign(operation.responses, describeRefusals(problems, repeatable, shared));
  Object.assign(operation, { parameters: operation.parameters.map(parameterRef) });
  Reflect.deleteProperty(operation, refusedWith);
}

/** What a success carries because of what the operation takes. */
const headersFor = (takes: (name: string) => boolean): Json => ({
  ...(takes('cursor') && links),
  ...(takes('Prefer') && waited),
  ...(takes(idempotencyKey) && replayed),
});

/** Every answer to GET has an ETag, and none of a body when its reader has it already. */
function offerNothingNew(operation: Operation, shared: Map<string, Json>): void {
  const { 200: found } = operation.responses;
  if (found === undefined) return;
  const headers = { ...(found['headers'] as Json), ...tagged };
  found['headers'] = headers;
  const name = 'Link' in headers ? 'not-modified.page' : 'not-modified';
  shared.set(name, { description: 'What If-None-Match names is still what there is', headers });
  operation.responses['304'] = { $ref: `#/components/responses/${name}` };
  operation.parameters = [...(operation.parameters ?? []), commonParameters.IfNoneMatch];
}

/**
 * Where a write has an answer that can be read again, its body need not be sent. 204 is not listed with the responses: a generated client
 * would have to reckon with no body wherever nobody asked for that.
 */
function offerMinimal(operation: Operation): void {
  const { 200: changed, 201: made } = operation.responses;
  const answer = changed ?? made;
  const headers = answer?.['headers'] as Json | undefined;
  if (answer === undefined || headers === undefined || (changed === undefined && !('Location' in headers))) return;
  answer['headers'] = { ...headers, ...minimal };
  const prefer = changed === undefined ? commonParameters.PreferWhereMade : commonParameters.PreferWhereChanged;
  operation.parameters = [...(operation.parameters ?? []), prefer];
}

// `placeOrder` becomes `Place order`.
const titleOf = (operationId: string): string => {
  const words = operationId.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace(/\bsku\b/, 'SKU');
  return words.charAt(0).toUpperCase() + words.slice(1);
};

// Nest has written the schema of a parameter as OpenAPI 3.0 did, and its description twice.
function modernise(parameter: Parameter): void {
  const { schema } = parameter;
  if ('example' in schema) schema['examples'] = [schema['example']];
  delete schema['example'];
  const [only, ...others] = (schema['enum'] ?? []) as readonly unknown[];
  if (only !== undefined && others.length === 0) {
    schema['const'] = only;
    delete schema['enum'];
  }
  delete schema['description'];
  const [shown] = (schema['examples'] ?? []) as readonly unknown[];
  if (parameter.in === 'header' && parameter.required && shown !== undefined) parameter.example = shown;
}

// Nest's own conversion is for OpenAPI 3.0; 3.1 takes JSON Schema as it is. What has an id goes to `schemas`.
function convert(schema: z.ZodType, io: 'input' | 'output', schemas: Map<string, Json>): { schema: Json } {
  const converted = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    unrepresentable: 'any',
    override: io === 'input' ? sayInput : sayOutput,
  });
  const pointing = JSON.stringify(converted).replaceAll('"#/$defs/', '"#/components/schemas/');
  const { $schema: _, $defs = {}, id, ...rest } = JSON.parse(pointing) as Json & { id?: string; $defs?: Json };
  for (const [name, { id: __, ...definition }] of Object.entries($defs as Record<string, Json>))
    keep(schemas, name, definition);
  if (id === undefined) return { schema: rest };
  keep(schemas, id, rest);
  return { schema: { $ref: `#/components/schemas/${id}` } };
}

// One name for what is taken and what is given would be right for one of them only.
function keep(schemas: Map<string, Json>, id: string, definition: Json): void {
  const known = schemas.get(id);
  if (known !== undefined && !isDeepStrictEqual(known, definition))
    throw new MisuseError(`Two different schemas have the id ${id}: give one of them another.`);
  schemas.set(id, definition);
}

interface Said {
  readonly zodSchema: z.core.$ZodType;
  readonly jsonSchema: z.core.JSONSchema.BaseSchema;
}

const largestInt32 = 2_147_483_647;

/** Says what a generator of clients needs, and leaves out what no reader does. */
function say({ zodSchema, jsonSchema }: Said): void {
  // The pattern of a format repeats the format, in two hundred characters.
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
  if (jsonSchema.minLength === 0) delete jsonSchema.minLength;
  const { type, checks } = zodSchema._zod.def;
  if (type !== 'number' || jsonSchema.type !== 'integer') return;
  const { minimum = -Infinity, maximum = Infinity } = jsonSchema;
  jsonSchema.format = minimum >= -largestInt32 && maximum <= largestInt32 ? 'int32' : 'int64';
  // Those of a plain z.int(): the limits of JavaScript, not of the value.
  if (checks === undefined) {
    delete jsonSchema.minimum;
    delete jsonSchema.maximum;
  }
}

/** Some generators of clients demand a member that has a `default`, so its description tells of it. */
function sayInput(said: Said): void {
  say(said);
  const { jsonSchema } = said;
  const { default: fallback, description } = jsonSchema;
  if (fallback === undefined) return;
  delete jsonSchema.default;
  jsonSchema.description = [description, `Default: ${JSON.stringify(fallback)}`].filter(Boolean).join('. ');
  jsonSchema.examples ??= [fallback];
}

/** An answer has every member that it names, and may gain others. */
function sayOutput(said: Said): void {
  say(said);
  delete said.jsonSchema.default;
  if (said.jsonSchema.additionalProperties === false) delete said.jsonSchema.additionalProperties;
}
