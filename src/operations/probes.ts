import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isLoopbackAddress } from '../config/address.ts';
import { isProbe } from '../http/limits/probes.ts';
import { httpProblems } from '../http/problems/http.problems.ts';
import { newRequestId } from '../http/request-ids.ts';
import type { Drain } from './drain.ts';
import type { Health, HealthReports } from './health.ts';

const alive = JSON.stringify({ status: 'ok' });

/**
 * Answers `/livez` from the server itself, without a hook or a route: that the process answers is all that is asked. What is another method, or
 * written in another way, is answered as every request is. `more` are the headers that each answer to such a request carries.
 */
export function answerLiveness(
  server: Server,
  drain: Drain,
  more: (request: IncomingMessage) => Readonly<Record<string, string>>,
): void {
  const others = server.listeners('request') as ((request: IncomingMessage, response: ServerResponse) => void)[];
  server.removeAllListeners('request');
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const isAsked = request.url === '/livez' && (request.method === 'GET' || request.method === 'HEAD');
    if (!isAsked) return void others.forEach((other) => other(request, response));
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': alive.length,
      'cache-control': 'no-store',
      'request-id': newRequestId(),
      ...more(request),
      ...((drain.isOn || !server.listening) && { connection: 'close' }),
    });
    response.end(alive);
  });
}

/**
 * Answers the probes before anything else looks at the request: no quota, no log line, no connection of the pool. To be called before any
 * other hook is added.
 */
export function answerProbes(fastify: FastifyInstance, reports: HealthReports): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    if (!isProbe(request.url)) return done();
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return done(httpProblems.methodNotAllowed('This path answers GET, HEAD.', { headers: { allow: 'GET, HEAD' } }));
    Promise.resolve(healthOf(request.url, reports))
      .then(({ status, report }) => {
        const told = isStranger(request) ? { status: report.status } : report;
        void reply.code(status).header('cache-control', 'no-store').send(told);
      })
      .catch(done);
  });
}

function healthOf(url: string, reports: HealthReports): Health | Promise<Health> {
  if (url.startsWith('/livez')) return reports.live();
  return url.startsWith('/readyz') ? reports.ready() : reports.started();
}

/** Everybody but who is on this machine himself, and not somebody behind a proxy on it. */
function isStranger({ ip, headers }: FastifyRequest): boolean {
  return !isLoopbackAddress(ip) || (headers['x-forwarded-for'] ?? headers['forwarded']) !== undefined;
}
