import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Logger, PinoLogger } from 'nestjs-pino';
import { AppModule } from './app.module.ts';
import type { Config } from './config/config.ts';
import { authenticateFirst } from './http/access/access-check.ts';
import { followAskers } from './http/access/asker.ts';
import { Authentication } from './http/access/authentication.ts';
import { Standings } from './http/access/standings.ts';
import { refuseMalformedTags } from './http/conditional/entity-tags.ts';
import { answerWithETags } from './http/conditional/etags.ts';
import { evaluatePreconditions } from './http/conditional/preconditions.ts';
import { followCallers } from './http/consistency.ts';
import { Cors } from './http/cors.ts';
import { readJson } from './http/input/json.ts';
import { boundBodies } from './http/input/request-body.ts';
import { boundArriving, boundInFlight, boundTaking } from './http/limits/capacity.ts';
import { refuseWhileClosing } from './http/limits/closing.ts';
import { boundConnections, timeLimits } from './http/limits/connections.ts';
import { answerForNode, demandConformance, pathOf } from './http/limits/http-conformance.ts';
import { RateLimits } from './http/limits/rate-limits.ts';
import { checkRequestLine } from './http/limits/request-line.ts';
import { refuseRepeatedHeaders } from './http/limits/single-headers.ts';
import { publishDocumentation } from './http/openapi/documentation.ts';
import { explainProblems } from './http/problems/problem-route.ts';
import { ProblemFilter } from './http/problems/problem.filter.ts';
import { answerUnreadable } from './http/problems/unreadable.ts';
import { newRequestId } from './http/request-ids.ts';
import { AnsweringAdapter, Answers } from './http/responses/answers.ts';
import { rememberReplies } from './http/responses/replies.ts';
import { RouteTable } from './http/route-facts.ts';
import { Drain } from './operations/drain.ts';
import { HealthReports } from './operations/health.ts';
import { followLines, logRequests } from './operations/log.ts';
import { answerLiveness, answerProbes } from './operations/probes.ts';
import { Consistency } from './transactions/reads/consistency.ts';

/** The whole service, ready to listen: main and the tests both call it. `more` are modules of a team's own beside it. */
export async function createApp(config: Config, more: readonly Type[] = []): Promise<NestFastifyApplication> {
  const cors = new Cors(config.http.corsOrigins);
  const adapter = makeAdapter(config.http, cors);
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
  app.get(RouteTable).complete();
  adapter.answerBy(app.get(Answers));
  answerLiveness(app.getHttpServer(), app.get(Drain), (request) => cors.headersOfAnswer(request.headers));
  prepareFastify(app, config, await app.resolve(PinoLogger));
  publishDocumentation(app);
  return app;
}

function makeAdapter(http: Config['http'], cors: Cors): AnsweringAdapter {
  const adapter = new AnsweringAdapter({
    bodyLimit: http.bodyLimitBytes,
    requestTimeout: http.requestTimeoutMs,
    connectionTimeout: http.responseTimeoutMs,
    keepAliveTimeout: http.keepAliveMs,
    trustProxy: http.trustedProxies ?? false,
    genReqId: newRequestId,
    clientErrorHandler: (error, socket) => answerUnreadable(error, socket, cors.headersOf(error, socket)),
    rewriteUrl: pathOf,
    forceCloseConnections: 'idle',
    // Closing is refused by a hook of ours, with a problem.
    return503OnClosing: false,
    http: { requireHostHeader: false, ...timeLimits(http) },
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      cors.mark(request, reply);
      new ProblemFilter().send(error, request, reply);
    },
  });
  const fastify = adapter.getInstance();
  // Before what Nest does at the start of each request.
  rememberReplies(fastify);
  cors.watch(fastify);
  boundConnections(fastify.server, http);
  answerForNode(fastify.server);
  return adapter;
}

// In the order in which a request passes them.
function prepareFastify(app: NestFastifyApplication, { http, log }: Config, logger: PinoLogger): void {
  const fastify = app.getHttpAdapter().getInstance();
  const drain = app.get(Drain);
  answerProbes(fastify, app.get(HealthReports));
  logRequests(fastify, log);
  readJson(fastify);
  followAskers(fastify);
  followLines(fastify, logger);
  refuseWhileClosing(fastify);
  demandConformance(fastify);
  refuseRepeatedHeaders(fastify);
  app.get(RateLimits).watch(fastify);
  checkRequestLine(fastify);
  authenticateFirst(fastify, app.get(Authentication), app.get(Standings));
  refuseMalformedTags(fastify);
  boundBodies(fastify, http.bodyLimitBytes);
  boundArriving(fastify, http);
  boundInFlight(fastify, http);
  explainProblems(fastify);
  followCallers(fastify, app.get(Consistency));
  evaluatePreconditions(fastify);
  answerWithETags(fastify);
  boundTaking(fastify, http);
  fastify.addHook('onSend', (request, reply, _payload, done) => {
    void reply.header('request-id', request.id);
    if (drain.isOn) void reply.header('connection', 'close');
    done();
  });
}
