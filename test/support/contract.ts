import { readFileSync } from 'node:fs';
import type { Response } from 'supertest';

interface Refusal {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, { readonly examples?: object }>>;
}
type Operations = Readonly<Record<string, { readonly responses: Readonly<Record<string, Refusal>> }>>;
interface Document {
  readonly paths: Readonly<Record<string, Operations>>;
  readonly components: { readonly responses: Readonly<Record<string, Refusal>> };
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

/** The codes that the OpenAPI document lets an operation answer with this status; null where the path is none of its own. */
export function declaredCodes(method: string, path: string, status: number): readonly string[] | null {
  const { document, paths } = contract();
  const operation = paths.find(({ pattern }) => pattern.test(path))?.operations[method.toLowerCase()];
  if (operation === undefined) return null;
  const response = operation.responses[String(status)];
  const { content = {} } = document.components.responses[response?.$ref?.split('/').at(-1) ?? ''] ?? response ?? {};
  return Object.keys(content['application/problem+json']?.examples ?? {});
}

/** Throws when an answer carries a code that its route did not declare (`@Refuses`). */
export function demandDeclared(response: Response): void {
  const { status, type, body, request } = response as Response & { request: { method: string; url: string } };
  if (type !== 'application/problem+json' || ofNoOperation.has(body.code)) return;
  const path = request.url.replace(/^https?:\/\/[^/]+/, '').split('?')[0] ?? '';
  const declared = declaredCodes(request.method, path, status);
  if (declared?.includes(body.code) === false)
    throw new Error(
      `${request.method} ${path} answered ${status} ${body.code}, which openapi.json does not say of it. ` +
        'Name the code in @Refuses, and run npm run openapi.',
    );
}
