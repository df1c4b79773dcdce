import { finished } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { HttpProblem } from './problem.ts';
import { isProbe } from './probes.ts';

/** Turns away at once what comes while so many requests are being answered: who waits in a queue without end is served too late. */
export function boundInFlight(fastify: FastifyInstance, most: number): void {
  let inFlight = 0;
  fastify.addHook('onRequest', (request, reply, done) => {
    if (isProbe(request.url)) return done();
    if (inFlight >= most) return done(refusal());
    inFlight++;
    finished(reply.raw, () => inFlight--);
    done();
  });
}

const refusal = (): HttpProblem =>
  new HttpProblem(503, 'temporary-reduced-capacity', 'This instance answers as many requests as it can.', {
    'retry-after': '1',
  });
