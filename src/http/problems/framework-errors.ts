import { HttpException } from '@nestjs/common';
import { generalProblems } from '../../kernel/general.problems.ts';
import { problemOf, type ProblemType } from '../../kernel/problem.ts';
import { httpProblems } from './http.problems.ts';
import { statusProblems } from './status.problems.ts';

/** A refusal that Nest, Fastify or a package made for them has thrown. */
export interface FrameworkRefusal {
  readonly problem: ProblemType;
  /** That of the exception, which may differ from that of the problem. */
  readonly status: number;
  readonly detail: string;
}

const ofFastify = new Map<unknown, [problem: ProblemType, detail: string]>([
  ['FST_ERR_CTP_INVALID_JSON_BODY', [httpProblems.malformedJson, 'The body is not valid JSON.']],
  [
    'FST_ERR_CTP_INVALID_CONTENT_LENGTH',
    [httpProblems.malformedRequest, 'The body is not as long as Content-Length says.'],
  ],
  ['FST_ERR_CTP_BODY_TOO_LARGE', [httpProblems.bodyTooLarge, 'The body is larger than is allowed.']],
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', [httpProblems.unsupportedMediaType, 'Send application/json.']],
  ['FST_ERR_BAD_URL', [httpProblems.malformedUrl, 'The path is not a valid URL.']],
  ['FST_ERR_MAX_PARAM_LENGTH', [httpProblems.notFound, 'There is no such thing.']],
]);

// What Fastify answers with these says nothing but the status; a module's own NotFoundException says `not-found`.
const problemOfStatus = new Map<number, ProblemType>(
  [
    ...Object.values(statusProblems),
    statusProblems.badRequest,
    httpProblems.notFound,
    httpProblems.methodNotAllowed,
    httpProblems.notAcceptable,
    httpProblems.preconditionFailed,
    httpProblems.bodyTooLarge,
    httpProblems.urlTooLong,
    httpProblems.unsupportedMediaType,
    httpProblems.expectationFailed,
    httpProblems.preconditionRequired,
    httpProblems.headersTooLarge,
    generalProblems.internalError,
    httpProblems.httpVersionNotSupported,
  ].map((problem) => [problem.status, problem]),
);

/** What a thrown value is answered with where a framework has made it; null for everything else. */
export function frameworkRefusal(thrown: unknown): FrameworkRefusal | null {
  const source = sourceOf(thrown);
  const known = ofFastify.get((source as { code?: unknown } | null)?.code);
  if (known !== undefined) return { problem: known[0], detail: known[1], status: known[0].status };
  if (isFastifyError(source)) return ofFastifyStatus(source.statusCode);
  if (source instanceof HttpException) return ofException(source);
  return isHttpError(source) ? withStatus(source.statusCode, source.expose ? source.message : '') : null;
}

/** What Fastify threw, where Nest has wrapped it in an exception of its own. */
function sourceOf(thrown: unknown): unknown {
  const isWrapped = thrown instanceof HttpException && thrown.constructor === HttpException;
  return isWrapped && isFastifyError(thrown.cause) ? thrown.cause : thrown;
}

interface FastifyError extends Error {
  readonly statusCode: number;
}

const isFastifyError = (thrown: unknown): thrown is FastifyError =>
  thrown instanceof Error && thrown.name === 'FastifyError' && typeof (thrown as FastifyError).statusCode === 'number';

// Their messages quote the request: they are not passed on.
function ofFastifyStatus(status: number): FrameworkRefusal | null {
  const unread = { problem: httpProblems.malformedRequest, status, detail: 'The request could not be read.' };
  return status === 400 ? unread : withStatus(status, '');
}

/** The form of `http-errors`, which packages for Fastify and Express throw. A failed call of another service has `statusCode` too, but no `expose`. */
interface HttpError extends Error {
  readonly statusCode: number;
  readonly expose: boolean;
}
const isHttpError = (thrown: unknown): thrown is HttpError =>
  thrown instanceof Error &&
  typeof (thrown as Partial<HttpError>).statusCode === 'number' &&
  typeof (thrown as Partial<HttpError>).expose === 'boolean';

function ofException(exception: HttpException): FrameworkRefusal | null {
  const response: unknown = exception.getResponse();
  const refusal = withStatus(exception.getStatus(), detailOf(response));
  const named = exception.errorCode ?? (response as { code?: unknown } | null)?.code;
  // A module may give one of its own codes to an exception of Nest, with the status that the code has.
  const problem = typeof named === 'string' ? problemOf(named) : undefined;
  return refusal !== null && problem?.status === refusal.status ? { ...refusal, problem } : refusal;
}

/** The text that was given: alone, as `message` of an object, or as a list, as validation pipes give it. An error's own message is not for callers. */
function detailOf(response: unknown): string {
  if (typeof response === 'string') return response;
  if (typeof response !== 'object' || response === null || response instanceof Error) return '';
  const { message, detail } = response as { message?: unknown; detail?: unknown };
  const texts = [message ?? detail].flat().filter((text) => typeof text === 'string' || typeof text === 'number');
  return texts.join('; ');
}

const longestDetail = 1000;

/** Null for what is no status of a refusal: whoever throws it has made a mistake, which is answered 500. */
function withStatus(status: number, given: string): FrameworkRefusal | null {
  if (!Number.isInteger(status) || status < 400 || status > 599) return null;
  const other = status < 500 ? statusProblems.requestRefused : generalProblems.internalError;
  const problem = problemOfStatus.get(status) ?? other;
  // What is our own fault tells nothing of the inside, whatever was given; the log has it.
  const detail = status < 500 ? given.slice(0, longestDetail) : '';
  return { problem, status, detail: detail === '' ? problem.detail : detail };
}
