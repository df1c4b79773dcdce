import { RequestMethod, type DynamicModule } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LoggerModule } from 'nestjs-pino';
import type { LogFn, Logger } from 'pino';
import type { Options } from 'pino-http';
import type { Config } from '../config/config.ts';
import { askerOf, requestNow } from '../http/asker.ts';
import { isProbe } from '../http/probes.ts';
import { traceIdOf } from '../http/trace.ts';
import { boundaryOfContext } from '../transactions/current.ts';
import { describeError } from './describe-error.ts';

/** Structured lines, one for each request, each with the request's id and trace. No body, header or query is ever written, and in production no message but our own. */
export const logModule = (config: Config['log']): DynamicModule =>
  LoggerModule.forRoot({ forRoutes: [{ path: '*path', method: RequestMethod.ALL }], pinoHttp: lines(config) });

/** What a line holds, and which lines are written. */
export const lines = ({ level, messages }: Config['log']): Options => ({
  level,
  base: null,
  mixin: (_line, _level, logger) => ({ ...nameOfBoundary(), ...ofRequestNow(logger) }),
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
      if (severity > informative || !startUpContexts.has(context ?? '')) write.apply(this, worded(line));
    },
  },
  serializers: {
    req: () => undefined,
    res: () => undefined,
    err: (thrown: unknown) => describeError(thrown, messages),
  },
});

// In each line of a request: what it is called here, by whoever sent it, and by whoever traces it through several services.
function namesOf({ id, headers }: IncomingMessage): object {
  const traceId = traceIdOf(headers);
  const given = headers['request-id'];
  const isHarmless = typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given);
  return { requestId: id, ...(isHarmless && { callerRequestId: given }), ...(traceId !== null && { traceId }) };
}

// Who asks, in a line that is written while a request is answered; and what it is called, where the logger is not that of the request: parsing a
// body loses it.
function ofRequestNow(logger: Logger): object {
  const request = requestNow();
  if (request === undefined) return {};
  return { ...('requestId' in logger.bindings() ? {} : namesOf(request)), ...askerOf(request) };
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
  ...askerOf(request),
});

type Line = Parameters<LogFn>;

// Without words of its own a line of pino takes those of its error, which are for the serializer to tell or not.
function worded(line: Line): Line {
  const [first, words] = line as [unknown, unknown];
  const hasError = first instanceof Error || (first as { err?: unknown } | null)?.err !== undefined;
  return hasError && words === undefined ? ([first, 'an error was told'] as unknown as Line) : line;
}
