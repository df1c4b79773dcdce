import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Logger } from 'nestjs-pino';
import { AppModule } from './app.module.ts';
import type { Config } from './config/config.ts';
import { followAskers } from './http/asker.ts';
import { boundInFlight } from './http/capacity.ts';
import { followCallers } from './http/consistency.ts';
import { answerWithETags } from './http/etags.ts';
import { keepTheDoor } from './http/door.ts';
import { readJson } from './http/json.ts';
import { describeApi } from './http/openapi.ts';
import { explainProblems } from './http/problem-page.ts';
import { ProblemFilter } from './http/problem.filter.ts';
import { RateLimits } from './http/rate-limits.ts';
import { answerUnreadable } from './http/unreadable.ts';
import { newId, showId } from './kernel/ids.ts';
import { Drain } from './operations/drain.ts';
import { HealthReports } from './operations/health.ts';
import { answerProbes } from './operations/probes.ts';
import { Consistency } from './transactions/consistency.ts';

/** The whole service, ready to listen: main and the tests both call it. `more` are modules of a team's own beside it. */
export async function createApp(config: Config, more: readonly Type[] = []): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit: config.http.bodyLimitBytes,
    requestTimeout: config.http.requestTimeoutMs,
    trustProxy: config.http.trustedProxies ?? false,
    genReqId: requestId,
    clientErrorHandler: answerUnreadable,
    forceCloseConnections: 'idle',
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
      new ProblemFilter().send(error, request, reply),
  });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(config, more), adapter, {
    bufferLogs: true,
    bodyParser: false,
    abortOnError: false,
    // `users/me` beside `users/:id` is meant: the router prefers the literal.
    routeConflictPolicy: { duplicate: 'error', shadow: 'off' },
  });
  app.useLogger(app.get(Logger));
  // TLS ends before us: a page must not be told to fetch its parts by https from a port that speaks http.
  app.useSecurityHeaders({ contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } } });
  await prepareFastify(app, config.http);
  SwaggerModule.setup('docs', app, () => describeApi(app), {
    jsonDocumentUrl: 'openapi.json',
    yamlDocumentUrl: 'openapi.yaml',
  });
  return app;
}

async function prepareFastify(app: NestFastifyApplication, { mostInFlight }: Config['http']): Promise<void> {
  const fastify = app.getHttpAdapter().getInstance();
  const drain = app.get(Drain);
  answerProbes(fastify, app.get(HealthReports));
  // JSON is what we speak: text, Fastify's other default, is 415.
  fastify.removeContentTypeParser('text/plain');
  readJson(fastify);
  followAskers(fastify);
  boundInFlight(fastify, mostInFlight);
  await app.get(RateLimits).watch(fastify);
  keepTheDoor(fastify);
  explainProblems(fastify);
  followCallers(fastify, app.get(Consistency));
  answerWithETags(fastify);
  fastify.addHook('onSend', async (request, reply) => {
    void reply.header('request-id', request.id);
    if (drain.isOn) void reply.header('connection', 'close');
  });
}

// Ours alone: who could choose it could give requests the ids of others'. A caller's own stands beside it in the log.
const requestId = (): string => showId('req', newId());
