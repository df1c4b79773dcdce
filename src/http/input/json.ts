import { TextDecoder } from 'node:util';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ProblemError } from '../../kernel/problem.ts';
import type { ErrorPlace } from '../../kernel/problem.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { inspect } from './json-scan.ts';

const fractions = new WeakMap<object, readonly ErrorPlace[]>();

/** The places of a body at which a number was written with a fraction or an exponent. */
export const fractionsIn = (body: unknown): readonly ErrorPlace[] =>
  typeof body === 'object' && body !== null ? (fractions.get(body) ?? []) : [];

type Done = (error: Error | null, body?: unknown) => void;

/**
 * Reads JSON after a look at its text (`json-scan.ts`). An empty body is no body, whatever its header says: clients and proxies name a type
 * also where they send nothing. `__proto__` and the like are members as others are, which no schema knows: nothing here copies members.
 */
export function readJson(fastify: FastifyInstance): void {
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, body: Buffer, done: Done) => {
    try {
      done(null, body.length === 0 ? undefined : parse(decode(utf8, body)));
    } catch (error) {
      done(error as Error);
    }
  });
  // What has another type, or none, is refused as soon as there is any of it.
  fastify.addContentTypeParser('*', (request: FastifyRequest, payload: NodeJS.ReadableStream, done: Done) => {
    if (Number(request.headers['content-length'] ?? 0) > 0) return done(unsupported());
    payload.once('data', () => done(unsupported())).once('end', () => done(null));
  });
}

const unsupported = (): ProblemError => httpProblems.unsupportedMediaType('Send application/json.');

function decode(utf8: TextDecoder, body: Buffer): string {
  try {
    return utf8.decode(body);
  } catch {
    throw httpProblems.malformedJson('The body is not UTF-8.');
  }
}

function parse(text: string): unknown {
  const found = inspect(text);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw httpProblems.malformedJson('The body is not valid JSON.');
  }
  if (typeof body === 'object' && body !== null) fractions.set(body, found);
  return body;
}
