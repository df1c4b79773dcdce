import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import type { ProblemError } from '../../kernel/problem.ts';
import { hasBody } from '../input/request-body.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { ProblemFilter } from '../problems/problem.filter.ts';
import { Stage } from './stage.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether it is counted among those that are being answered. */
    isInFlight: boolean;
    /** Has it counted no longer: its answer is made, or it waits for something to answer with. */
    leaveFlight(): void;
    /** To be called when its body is here; null where it has none. */
    arrived: (() => void) | null;
  }
}

/**
 * Turns away at once what has arrived while so many requests are being answered: who waits in a queue without end is served too late. A
 * request is in flight from when it is whole until its answer is made, also when its caller has gone away: the work goes on.
 */
export function boundInFlight(fastify: FastifyInstance, { mostInFlight: most }: Config['http']): void {
  let inFlight = 0;
  fastify.decorateRequest('isInFlight', false);
  fastify.decorateRequest('leaveFlight', function (this: FastifyRequest) {
    if (this.isInFlight) inFlight--;
    this.isInFlight = false;
  });
  fastify.addHook('preValidation', (request, _, done) => {
    if (inFlight >= most) return done(refusal());
    request.isInFlight = true;
    inFlight++;
    done();
  });
  // Twice for an answer that fails while it is sent, and is answered in another way.
  fastify.addHook('onSend', (request, _reply, _payload, done) => {
    request.leaveFlight();
    done();
  });
}

const refusal = (): ProblemError =>
  generalProblems.reducedCapacity('This instance answers as many requests as it can.');

/** Bounds the bodies that are arriving, which is behind everything that can refuse a request by its headers. */
export function boundArriving(fastify: FastifyInstance, http: Config['http']): void {
  const stage = new Stage(boundsOf(http));
  fastify.decorateRequest('arrived', null);
  fastify.addHook('onRequest', (request, reply, done) => {
    if (hasBody(request)) {
      request.arrived = stage.enter(request.ip, bytesOf(request), () => cutShort(request, reply));
      reply.raw.once('close', request.arrived);
    }
    done();
  });
  fastify.addHook('preValidation', (request, _, done) => {
    request.arrived?.();
    done();
  });
}

/** Bounds the answers that are being taken, and the time for each. */
export function boundTaking(fastify: FastifyInstance, http: Config['http']): void {
  const stage = new Stage(boundsOf(http));
  fastify.addHook('onSend', (request, reply, payload, done) => {
    const cut = (): void => void reply.raw.destroy();
    const leave = stage.enter(request.ip, lengthOf(payload), cut);
    const overdue = setTimeout(cut, http.responseTimeoutMs).unref();
    reply.raw.once('close', () => {
      clearTimeout(overdue);
      leave();
    });
    done();
  });
}

const boundsOf = ({ mostArriving, mostBufferedBytes }: Config['http']) => ({
  most: mostArriving,
  // Behind a proxy that is not trusted all are of one address.
  mostOfAddress: Math.max(1, Math.floor(mostArriving / 2)),
  mostBytes: mostBufferedBytes,
});

/** What a body may come to hold in memory: its length, where it tells one, and no more than its route allows. */
function bytesOf({ raw: { headers }, routeOptions }: FastifyRequest): number {
  const limit = routeOptions.bodyLimit;
  return Math.min(Number(headers['content-length'] ?? limit), limit);
}

const lengthOf = (payload: unknown): number =>
  typeof payload === 'string' || Buffer.isBuffer(payload) ? Buffer.byteLength(payload) : 0;

function cutShort(request: FastifyRequest, reply: FastifyReply): void {
  void reply.header('connection', 'close');
  const slow = httpProblems.requestTooSlow('Too many requests are arriving, and this one has taken longest.');
  new ProblemFilter().send(slow, request, reply);
}
