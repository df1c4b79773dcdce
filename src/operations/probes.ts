import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HttpProblem } from '../http/problem.ts';
import { isProbe } from '../http/probes.ts';
import { isLoopbackAddress } from '../config/address.ts';
import type { Health, HealthReports } from './health.ts';

/**
 * Answers the probes before anything else looks at the request: no quota, no log line, no connection of the pool. To be called before any
 * other hook is added.
 */
export function answerProbes(fastify: FastifyInstance, reports: HealthReports): void {
  fastify.addHook('onRequest', async (request, reply) => {
    if (!isProbe(request.url)) return;
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw new HttpProblem(405, 'method-not-allowed', 'This path answers GET, HEAD.', { allow: 'GET, HEAD' });
    const { status, report } = await healthOf(request.url, reports);
    const told = isStranger(request) ? { status: report.status } : report;
    return reply.code(status).header('cache-control', 'no-store').send(told);
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
