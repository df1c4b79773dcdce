import type { FastifyInstance } from 'fastify';
import { httpProblems } from '../problems/http.problems.ts';

/** Refuses what comes on connections that are open while the service closes, before anything is asked of what is being taken away. */
export function refuseWhileClosing(fastify: FastifyInstance): void {
  let isClosing = false;
  fastify.addHook('preClose', (done) => {
    isClosing = true;
    done();
  });
  fastify.addHook('onRequest', (_request, _reply, done) =>
    done(isClosing ? httpProblems.shuttingDown('This instance is stopping.') : undefined),
  );
}
