import { readFileSync } from 'node:fs';
import type { Response } from 'supertest';

interface Refusal {
  readonly $ref?: string;
  readonly headers?: object;
  readonly content?: Readonly<Record<string, { readonly examples?: object }>>;
}
interface Parameter {
  readonly $ref?: string;
  readonly name?: string;
  readonly required?: boolean;
}
interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly responses: Readonly<Record<string, Refusal>>;
}
type Operations = Readonly<Record<string, Operation>>;
interface Document {
  readonly paths: Readonly<Record<string, Operations>>;
  readonly components: {
    readonly responses: Readonly<Record<string, Refusal>>;
    readonly parameters?: Readonly<Record<string, Parameter>>;
  };
}

interface Documented {
  readonly template: string;
  readonly pattern: RegExp;
  readonly operations: Operations;
}

let read: { document: Document; paths: Documented[] } | undefined;

function contract() {
  if (read !== undefined) return read;
  const document = JSON.parse(readFileSync('openapi.json', 'utf8')) as Document;
  const paths = Object.entries(document.paths)
    // `/v1/users/me` before `/v1/users/{id}`, as the router has it.
    .sort(([a], [b]) => Number(a.includes('{')) - Number(b.includes('{')))
    .map(([template, operations]) => ({
      template,
      pattern: new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      operations,
    }));
  return (read = { document, paths });
}

// These name no operation: there is none, or the path could not be read.
const ofNoOperation = new Set(['route-not-found', 'method-not-allowed']);

const operationAt = (method: string, path: string) =>
  contract().paths.find(({ pattern }) => pattern.test(path))?.operations[method.toLowerCase()];

/** What the operation says of this status; null where it says nothing. */
function declared({ responses }: Operations[string], status: number): Refusal | null {
  const response = responses[String(status)];
  return contract().document.components.responses[response?.$ref?.split('/').at(-1) ?? ''] ?? response ?? null;
}

/** Whether the route takes an Idempotency-Key, by the OpenAPI document: it demands one, may have one, has none (null); undefined for a route of a test's own. */
export function keyNeedOf(path: string): 'required' | 'optional' | null | undefined {
  const operation = operationAt('post', path.split('?')[0] ?? '');
  if (operation === undefined) return undefined;
  const { parameters = {} } = contract().document.components;
  const told = (operation.parameters ?? []).map((one) => parameters[one.$ref?.split('/').at(-1) ?? ''] ?? one);
  const key = told.find(({ name }) => name?.toLowerCase() === 'idempotency-key');
  if (key === undefined) return null;
  return key.required === true ? 'required' : 'optional';
}

/** The codes that the OpenAPI document lets an operation answer with this status; null where the path is none of its own. */
export function declaredCodes(method: string, path: string, status: number): readonly string[] | null {
  const operation = operationAt(method, path);
  if (operation === undefined) return null;
  return Object.keys(declared(operation, status)?.content?.['application/problem+json']?.examples ?? {});
}

// Of the connection, of any content, of caches, and of browsers: they are no part of what an operation is about.
const ofAnyAnswer =
  /^(connection|keep-alive|date|transfer-encoding|content-(encoding|length|type|security-policy)|access-control-.*|cache-control|vary|x-.*|cross-origin-.*|origin-agent-cluster|referrer-policy|strict-transport-security)$/;

/** Throws when an answer has a status, a code (`@Refuses`) or a header of which the OpenAPI document does not tell for its route. */
export function demandDeclared(response: Response): void {
  const { status, type, body, headers, request } = response as Response & { request: { method: string; url: string } };
  if (type === 'application/problem+json' && ofNoOperation.has(body.code)) return;
  const path = request.url.replace(/^https?:\/\/[^/]+/, '').split('?')[0] ?? '';
  const operation = operationAt(request.method, path);
  if (operation === undefined) return;
  // Prefer: 204 instead of 200 is told of where it is asked for, and has the headers of that.
  const isMinimal = status === 204 && 'preference-applied' in headers;
  const answer = declared(operation, isMinimal ? 200 : status);
  const demand = (isTold: boolean, what: string) => {
    if (!isTold)
      throw new Error(`${request.method} ${path} answered ${status}${what}, which openapi.json does not say of it.`);
  };
  demand(answer !== null, '');
  if (type === 'application/problem+json')
    demand(declaredCodes(request.method, path, status)?.includes(body.code) === true, ` ${body.code} (see @Refuses)`);
  const told = new Set(Object.keys(answer?.headers ?? {}).map((name) => name.toLowerCase()));
  for (const name of Object.keys(headers)) demand(told.has(name) || ofAnyAnswer.test(name), ` with the header ${name}`);
}
