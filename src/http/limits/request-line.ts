import type { FastifyInstance, FastifyRequest } from 'fastify';
import { httpProblems } from '../problems/http.problems.ts';

/** The longest path and query, in characters. */
const longestUrl = 4000;
/** How many parameters a query may have. */
const mostParameters = 32;

interface Known {
  readonly method: string;
  readonly pattern: RegExp;
}

/** Refuses what can be told from the first line of a request and its Accept, before any of it is read. */
export function checkRequestLine(fastify: FastifyInstance): void {
  const routes: Known[] = [];
  fastify.addHook('onRoute', ({ method, url }) => {
    const pattern = new RegExp(`^${url.replaceAll(/:\w+/g, '[^/]+')}$`);
    for (const one of [method].flat()) if (!url.includes('*')) routes.push({ method: one, pattern });
  });
  fastify.addHook('onRequest', (request: FastifyRequest, _, done) => {
    const { url } = request;
    if (url.length > longestUrl) throw httpProblems.urlTooLong('The URL is longer than is allowed.');
    const [path = '', query] = url.includes('?') ? url.split('?') : [url];
    if (query !== undefined && query.split('&').length > mostParameters)
      throw httpProblems.tooManyParameters(`A query may have at most ${mostParameters} parameters.`);
    if (request.is404) refuseRoute(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method));
    if (path.startsWith('/v1/')) demandJson(request.headers.accept);
    done();
  });
}

/** Throws method-not-allowed when the path is known for these methods, route-not-found when it is known for none. */
function refuseRoute(methods: readonly string[]): never {
  if (methods.length === 0) throw httpProblems.routeNotFound('There is nothing here.');
  const allow = [...new Set(methods)].sort().join(', ');
  throw httpProblems.methodNotAllowed(`This path answers ${allow}.`, { headers: { allow } });
}

/** Throws not-acceptable when the caller reads no JSON (RFC 9110, section 12.5.1): the most exact range that fits decides. */
function demandJson(accept: string | undefined): void {
  if (accept === undefined || accept === '*/*' || accept === 'application/json' || accept.trim() === '') return;
  const weights = new Map(accept.split(',').map(weighted));
  const ranges = ['application/json', 'application/problem+json', 'application/*', '*/*'];
  const weight = ranges.map((range) => weights.get(range)).find((known) => known !== undefined);
  if (weight === undefined || weight === 0)
    throw httpProblems.notAcceptable('What is answered here is application/json.');
}

function weighted(range: string): [range: string, weight: number] {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
  const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
  return [type, Number(q) || 0];
}
