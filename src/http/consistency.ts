import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ProblemError } from '../kernel/problem.ts';
import type { Consistency, Follower, Token } from '../transactions/reads/consistency.ts';
import { isLowest } from '../transactions/reads/watermark.ts';
import { unitOfWork } from '../transactions/unit-of-work.ts';
import type { AuthenticatedRequest } from './access/principal.ts';
import { httpProblems } from './problems/http.problems.ts';

/** Carries what a caller has written to its next reads, on whichever instance: sent back as it was received. */
export const consistencyToken = 'Consistency-Token';

const field = consistencyToken.toLowerCase();
const tokenPattern = /^(?:[0-9a-f]{16}|latest)$/;

/** As the OpenAPI document has it. */
export const consistencySchema = { type: 'string', pattern: tokenPattern.source };

declare module 'fastify' {
  interface FastifyRequest {
    /** Null for what was refused before its body was read. */
    follower: Follower | null;
  }
}

/**
 * Lets the reads of each request see what its caller has written, and tells the caller how to take that along. The token says where the
 * write-ahead log stood; a forged one makes nobody else wait.
 */
export function followCallers(fastify: FastifyInstance, consistency: Consistency): void {
  fastify.decorateRequest('follower', null);
  // Behind the parsing of the body, whose events would lose the context.
  fastify.addHook('preValidation', (request: FastifyRequest & AuthenticatedRequest, _, done) => {
    const shown = tokenIn(request);
    if (shown === 'malformed') return done(refusal());
    // Who it is, the guard will know.
    const follower = consistency.follower(() => request.principal?.userId ?? null, shown);
    request.follower = follower;
    const name = `${request.method} ${request.routeOptions.url ?? ''}`.trim();
    unitOfWork(name, () => consistency.follow(follower, done));
  });
  fastify.addHook('onSend', (request, reply, _payload, done) => {
    const { follower } = request;
    // Whoever has shown and written nothing is shown nothing.
    if (follower === null || isLowest(follower.watermark)) return done();
    consistency.tokenOf(follower).then((token) => {
      if (token !== null) void reply.header(field, textOf(token));
      done();
    }, done);
  });
}

function tokenIn({ headers }: FastifyRequest): Token | 'malformed' | null {
  const text = headers[field];
  if (text === undefined) return null;
  if (typeof text !== 'string' || !tokenPattern.test(text)) return 'malformed';
  return text === 'latest' ? text : BigInt(`0x${text}`);
}

const textOf = (token: Token): string => (token === 'latest' ? token : token.toString(16).padStart(16, '0'));

const refusal = (): ProblemError =>
  httpProblems.malformedConsistencyToken(`${consistencyToken} must be sent as it was received, or not at all.`);
