import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import type { ProblemError } from '../../kernel/problem.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { factsOf } from '../route-facts.ts';
import { tagsIn } from './entity-tags.ts';

/**
 * Evaluates If-Match and If-None-Match of writes that do not read them themselves (RFC 9110, section 13.2): what they are sent to has no
 * version, so that no tag matches it. Reads are asked once their answer is known (`etags.ts`). If-Modified-Since, If-Unmodified-Since and
 * If-Range are ignored, as nothing here has a modification date or ranges.
 */
export function evaluatePreconditions(fastify: FastifyInstance): void {
  const readable = new Set<string>();
  fastify.addHook('onRoute', ({ method, url }: RouteOptions) => {
    if ([method].flat().includes('GET')) readable.add(url);
  });
  fastify.addHook('preHandler', (request: FastifyRequest, _, done) => {
    if (reads.has(request.method) || factsOf(request).takesIfMatch === true) return done();
    const wanted = tagsIn(request, 'if-match');
    if (wanted !== null && wanted !== 'any')
      throw failed('What is asked here has no version that If-Match could name.');
    if (tagsIn(request, 'if-none-match') === 'any' && readable.has(request.routeOptions.url ?? ''))
      throw failed('If-None-Match: * asks that there be nothing at this path.');
    done();
  });
}

const reads: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const failed = (detail: string): ProblemError => httpProblems.preconditionFailed(detail);
