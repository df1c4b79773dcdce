import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import type { ProblemError } from '../../kernel/problem.ts';
import { httpProblems } from '../problems/http.problems.ts';
import type { RouteFacts } from '../route-facts.ts';

/** The largest body of a route that takes no long lists. */
const usualBodyBytes = 16_384;

/** Gives each route the bound of its body, and refuses by its headers what would be read as something else than it is. */
export function boundBodies(fastify: FastifyInstance, largestBytes: number): void {
  fastify.addHook('onRoute', (route: RouteOptions) => {
    const { takesLongBody = false } = (route.config ?? {}) as RouteFacts;
    route.bodyLimit = takesLongBody ? largestBytes : Math.min(largestBytes, usualBodyBytes);
  });
  fastify.addHook('onRequest', (request: FastifyRequest, _, done) => {
    const { headers } = request.raw;
    if (!hasBody(request)) delete headers['content-type'];
    else if (isCoded(headers['content-encoding'])) return done(coded());
    else if (hasOtherCharset(headers['content-type'])) return done(otherCharset());
    done();
  });
}

/** Whether a body may follow: RFC 9112, section 6.3. */
export const hasBody = ({ raw: { headers } }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

// `identity` is no coding at all.
const isCoded = (codings: string | undefined): boolean =>
  (codings ?? '').split(',').some((coding) => !['', 'identity'].includes(coding.trim().toLowerCase()));

/** JSON is UTF-8 (RFC 8259, section 8.1): a filter on the way that believed another charset would read another body than we. */
function hasOtherCharset(type: string | undefined): boolean {
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(type ?? '')?.[1];
  return charset !== undefined && !/^utf-?8$/i.test(charset);
}

const coded = (): ProblemError =>
  httpProblems.unsupportedMediaType('Send the body without a content coding.', {
    headers: {
      'accept-encoding': 'identity',
    },
  });
const otherCharset = (): ProblemError => httpProblems.unsupportedMediaType('Send the body as UTF-8.');
