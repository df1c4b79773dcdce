import { type DynamicModule } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LoggerModule, type PinoLogger } from 'nestjs-pino';
import { type DestinationStream, type LogFn, type LoggerOptions, pino } from 'pino';
import type { Config } from '../config/config.ts';
import { requestNow } from '../http/access/asker.ts';
import { traceIdOf } from '../http/trace.ts';
import { boundaryOfContext } from '../transactions/current.ts';
import { describeError } from './describe-error.ts';

// Lines are written together, many in one call to the system, and at the latest after so long. Those that are waiting are written at the end of
// the process, also where it breaks. Beyond the most that wait, because nobody takes them, lines are dropped.
const together = { minLength: 4096, periodicFlush: 100, maxLength: 16_777_216 };

const nowhere: DestinationStream = { write: () => undefined };
let standardOutput: DestinationStream | undefined;

// It is not closed before the process ends: who writes nothing opens nothing.
function outputOf({ level }: Config['log']): DestinationStream {
  if (level === 'silent') return nowhere;
  return (standardOutput ??= pino.destination({ dest: 1, sync: false, ...together }));
}

/**
 * Structured lines, one for each request, each with the request's id and trace. No body, header or query is ever written, and in production no
 * message but our own.
 */
export const logModule = (config: Config['log']): DynamicModule =>
  // The middleware of the package makes a logger for each request: `logRequests` writes its line without one.
  LoggerModule.forRoot({ forRoutes: [], pinoHttp: [{ ...lines(config), autoLogging: false }, outputOf(config)] });

/** What a line holds, and which lines are written. */
export const lines = ({ level, messages }: Config['log']) =>
  ({
    level,
    base: null,
    mixin: () => ({ ...nameOfBoundary(), ...ofRequestNow() }),
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
  }) satisfies LoggerOptions & { wrapSerializers: boolean };

/** Writes the line of each request, when its answer was sent or its caller has gone. To be called when the probes are answered already. */
export function logRequests(fastify: FastifyInstance, config: Config['log'], to = outputOf(config)): void {
  const { level, base, serializers } = lines(config);
  const log = pino({ level, base, serializers }, to);
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.raw.once('close', () => log.info(lineOf(request, reply), 'request'));
    done();
  });
}

function lineOf(request: FastifyRequest, reply: FastifyReply): object {
  const { statusCode } = reply.raw;
  return {
    ...namesOf(request),
    responseTime: Math.round(reply.elapsedTime),
    ...(statusCode >= 500 && { err: new Error(`failed with status code ${statusCode}`) }),
    method: request.raw.method,
    path: pathOf(request),
    status: statusCode,
    ...request.asker,
  };
}

/** Gives the lines that are written while a request is answered a context of their own, to which `PinoLogger.assign` adds. */
export function followLines(fastify: FastifyInstance, logger: PinoLogger): void {
  fastify.addHook('preValidation', (_request, _reply, done) => logger.runInContext(done));
}

// In each line of a request: what it is called here, by whoever sent it, and by whoever traces it through several services.
function namesOf({ id, headers }: FastifyRequest): object {
  const traceId = traceIdOf(headers);
  const given = headers['request-id'];
  const isHarmless = typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given);
  return { requestId: id, ...(isHarmless && { callerRequestId: given }), ...(traceId !== null && { traceId }) };
}

// Who asks, in a line that is written while a request is answered.
function ofRequestNow(): object {
  const request = requestNow();
  return request === undefined ? {} : { ...namesOf(request), ...request.asker };
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
const pathOf = ({ url }: FastifyRequest): string => url.split('?', 1)[0] ?? '';

type Line = Parameters<LogFn>;

// Without words of its own a line of pino takes those of its error, which are for the serializer to tell or not.
function worded(line: Line): Line {
  const [first, words] = line as [unknown, unknown];
  const hasError = first instanceof Error || (first as { err?: unknown } | null)?.err !== undefined;
  return hasError && words === undefined ? ([first, 'an error was told'] as unknown as Line) : line;
}
