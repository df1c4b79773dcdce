import type { FastifyInstance, FastifyRequest } from 'fastify';
import { generalProblems } from '../../kernel/general.problems.ts';
import type { Principal } from '../../kernel/principal.ts';
import { factsOf } from '../route-facts.ts';
import { noteCaller } from './asker.ts';
import type { Authentication } from './authentication.ts';
import type { Access } from './principal.ts';
import type { Standings } from './standings.ts';

/**
 * Refuses who may not use a route before the body is read: a refusal costs no body. The guard asks again once the body is here, when the session
 * may have ended, and also for routes that say nothing of who may use them.
 */
export function authenticateFirst(fastify: FastifyInstance, callers: Authentication, standings: Standings): void {
  callers.prepare(fastify);
  fastify.addHook('onRequest', (request: FastifyRequest, _, done) => {
    const { access = 'public' } = factsOf(request);
    if (access === 'public') return done();
    if (access === 'leaving') {
      callers.leaving(request);
      return done();
    }
    const claimed = callers.recognise(request);
    if (access !== 'operator' || claimed.role === 'operator') return done();
    demandPresentRole(request, claimed, standings).then(() => done(), done);
  });
}

// Whoever was made an operator after the token was signed is one.
async function demandPresentRole(request: FastifyRequest, claimed: Principal, standings: Standings): Promise<void> {
  const principal = await standings.now(claimed);
  noteCaller(request, principal);
  demandRole(principal, 'operator');
}

/** Throws not-allowed where the route is for others. */
export function demandRole({ role }: Principal, access: Access | undefined): void {
  if (access === 'operator' && role !== 'operator') throw generalProblems.notAllowed('This is for operators.');
}
