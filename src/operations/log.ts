import { RequestMethod, type DynamicModule } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LoggerModule } from 'nestjs-pino';
import type { Options } from 'pino-http';
import type { Config } from '../config/config.ts';
import { isProbe } from '../http/probes.ts';
import { traceIdOf } from '../http/trace.ts';
import { boundaryOfContext } from '../transactions/current.ts';

/** Structured lines, one for each request, each with the request's id and trace. No body, header, query or message of a database is ever written. */
export const logModule = ({ level }: Config['log']): DynamicModule =>
  LoggerModule.forRoot({ forRoutes: [{ path: '*path', method: RequestMethod.ALL }], pinoHttp: lines(level) });

/** What a line holds, and which lines are written. */
export const lines = (level: Config['log']['level']): Options => ({
  level,
  base: null,
  mixin: nameOfBoundary,
  genReqId: (request) => request.id,
  customProps: namesOf,
  autoLogging: { ignore: (request) => isProbe(request.url ?? '') },
  customSuccessMessage: () => 'request',
  customErrorMessage: () => 'request',
  customSuccessObject: (request, response, value: object) => ({ ...value, ...summary(request, response) }),
  customErrorObject: (request, response, _, value: object) => ({ ...value, ...summary(request, response) }),
  wrapSerializers: false,
  hooks: {
    // Nest tells of every module and route at each start: forty lines that nobody asked for.
    logMethod(line, write, severity) {
      const { context } = (line[0] ?? {}) as { context?: string };
      if (severity > informative || !startUpContexts.has(context ?? '')) write.apply(this, line);
    },
  },
  serializers: { req: () => undefined, res: () => undefined, err: describeError },
});

// In each line of a request: what it is called here, and by whoever traces it through several services.
function namesOf({ id, headers }: IncomingMessage): object {
  const traceId = traceIdOf(headers);
  return { requestId: id, ...(traceId !== null && { traceId }) };
}

// A line that is written inside a boundary says in which, so that it can be found by the name that pg_stat_activity shows.
function nameOfBoundary(): object {
  const running = boundaryOfContext();
  return running === null || running.isOver ? {} : { boundary: running.name };
}

const informative = 30; // pino's level `info`
const startUpContexts = new Set([
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestFactory',
  'NestApplication',
]);
const pathOf = (request: IncomingMessage): string => request.url?.split('?')[0] ?? '';
const summary = (request: IncomingMessage, response: ServerResponse) => ({
  method: request.method,
  path: pathOf(request),
  status: response.statusCode,
});

/** What of an error goes into the log. A database's message may quote the values of a row, so messages stay out. */
export function describeError(thrown: unknown): { type: string; code?: string; stack: string; cause?: object } {
  const error = thrown instanceof Error ? thrown : new Error();
  const { code } = error as { code?: unknown };
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return {
    type: error.name,
    ...(typeof code === 'string' && { code }),
    stack: frames.slice(0, 12).join('\n'),
    ...(error.cause instanceof Error && { cause: describeError(error.cause) }),
  };
}
