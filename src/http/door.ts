import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HttpProblem } from './problem.ts';

/** The longest path and query, in characters. */
export const longestUrl = 4000;
/** How many parameters a query may have. */
export const mostParameters = 32;

interface Known {
  readonly method: string;
  readonly pattern: RegExp;
}

/** Refuses what can be told from the first line of a request and its Accept, before any of it is read. */
export function keepTheDoor(fastify: FastifyInstance): void {
  const routes: Known[] = [];
  fastify.addHook('onRoute', ({ method, url }) => {
    const pattern = new RegExp(`^${url.replaceAll(/:\w+/g, '[^/]+')}$`);
    for (const one of [method].flat()) if (!url.includes('*')) routes.push({ method: one, pattern });
  });
  fastify.addHook('onRequest', async (request: FastifyRequest) => {
    const [path = '', query] = request.url.split('?');
    if (request.url.length > longestUrl)
      throw new HttpProblem(414, 'url-too-long', 'The URL is longer than is allowed.');
    if (query !== undefined && query.split('&').length > mostParameters)
      throw new HttpProblem(400, 'too-many-parameters', `A query may have at most ${mostParameters} parameters.`);
    if (request.is404) refuseMethod(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method));
    if (path.startsWith('/v1/')) demandJson(request.headers.accept);
  });
}

/** Throws method-not-allowed when the path is known for these methods. */
function refuseMethod(methods: readonly string[]): void {
  if (methods.length === 0) return;
  const allow = [...new Set(methods)].sort().join(', ');
  throw new HttpProblem(405, 'method-not-allowed', `This path answers ${allow}.`, { allow });
}

/** Throws not-acceptable when the caller reads no JSON (RFC 9110, section 12.5.1): the most exact range that fits decides. */
function demandJson(accept: string | undefined): void {
  if (accept === undefined || accept.trim() === '') return;
  const weights = new Map(accept.split(',').map(weighted));
  const ranges = ['application/json', 'application/problem+json', 'application/*', '*/*'];
  const weight = ranges.map((range) => weights.get(range)).find((known) => known !== undefined);
  if (weight === undefined || weight === 0)
    throw new HttpProblem(406, 'not-acceptable', 'What is answered here is application/json.');
}

function weighted(range: string): [range: string, weight: number] {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
  const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
  return [type, Number(q) || 0];
}
