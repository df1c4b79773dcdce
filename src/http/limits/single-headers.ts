import type { FastifyInstance, FastifyRequest } from 'fastify';
import { httpProblems } from '../problems/http.problems.ts';

/**
 * Those headers we read that may stand once. Node joins some of several lines, keeps the first of others, and drops others: what was meant
 * nobody knows. `Request-Id` and `traceparent` are ignored where they are repeated, as W3C Trace Context wants it.
 */
const single: readonly string[] = [
  'access-control-request-method',
  'authorization',
  'consistency-token',
  'content-type',
  'host',
  'if-modified-since',
  'if-range',
  'if-unmodified-since',
  'origin',
];
// One bit for each: what was seen of a request is one number.
const bits = new Map(single.map((name, at) => [name, 1 << at]));

/** Refuses requests in which such a header stands twice, equal or not. */
export function refuseRepeatedHeaders(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request: FastifyRequest, _, done) => {
    const name = repeatedIn(request.raw.rawHeaders);
    done(name === null ? undefined : httpProblems.repeatedHeader(`The header ${name} may stand once.`));
  });
}

function repeatedIn(names: readonly string[]): string | null {
  let seen = 0;
  for (let index = 0; index < names.length; index += 2) {
    const name = (names[index] ?? '').toLowerCase();
    const bit = bits.get(name) ?? 0;
    if ((seen & bit) !== 0) return name;
    seen |= bit;
  }
  return null;
}
