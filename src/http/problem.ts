import { HttpException } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { TransactionExpiredError } from '../database/errors.ts';
import { verdicts } from '../database/failure-table.ts';
import { databaseFailure, kindOf } from '../database/failures.ts';
import { PhasedRunBusyError } from '../phased/errors.ts';
import { AppError, conflict, invalid, unavailable } from '../kernel/errors.ts';
import {
  CommitOutcomeUnknownError,
  ConnectionLostError,
  LockUnavailableError,
  TransactionConflictError,
} from '../transactions/errors.ts';
import type { KnownProblem } from './known-problem.ts';
import { type ProblemCode, problemOf, problems, typeOf } from './problems.ts';
import { RefusedPlace } from './wire.ts';

/** RFC 9457, with a stable `code`, whether a retry makes sense, and the places of the input that were refused. */
export const Problem = z
  .object({
    type: z.string().meta({ description: 'Where the code is explained', examples: ['/problems#insufficient-funds'] }),
    title: z.string().meta({ description: 'What the code is called', examples: ['Insufficient funds'] }),
    status: z.int().meta({ description: 'That of HTTP', examples: [422] }),
    detail: z.string().meta({
      description: 'What was wrong this time, for people',
      examples: ['The account does not hold that much.'],
    }),
    instance: z.string().meta({ description: 'Path of the request', examples: ['/v1/transfers'] }),
    code: z.string().meta({ description: 'Stable: branch on it', examples: ['insufficient-funds'] }),
    retryable: z
      .boolean()
      .meta({ description: 'Whether the same request may succeed later, unchanged', examples: [false] }),
    requestId: z
      .string()
      .meta({ description: 'Finds the request in our logs', examples: ['req_01h455vb4pex5vsknk084sn02q'] }),
    errors: z.array(RefusedPlace).optional().meta({ description: 'Each place of the input that was refused' }),
    // Not in camelCase: the name is that of draft-ietf-httpapi-ratelimit-headers-11.
    'violated-policies': z
      .array(z.string())
      .optional()
      .meta({ description: 'With quota-exceeded: which of those in RateLimit-Policy', examples: [['principal']] }),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof Problem>;

/** One answer for each code, as the OpenAPI document shows it. */
export const exampleProblems = (): Record<string, { summary: string; value: Problem }> =>
  Object.fromEntries(
    Object.entries<KnownProblem>(problems).map(([code, { status, title, retryable, meaning }]) => {
      const rest = { instance: '/v1/…', code, retryable, requestId: 'req_01h455vb4pex5vsknk084sn02q' };
      return [code, { summary: meaning, value: { type: typeOf(code), title, status, detail: `${title}.`, ...rest } }];
    }),
  );

/** A refusal by HTTP itself (a header, a media type). Its status is that of its code in `problems.ts`, and stands here to be read. */
export class HttpProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
    readonly members: Pick<Problem, 'violated-policies'> = {},
  ) {
    super(message);
  }
}

export type Answer = Omit<Problem, 'instance' | 'requestId'> & { headers: Readonly<Record<string, string>> };

/** The body of an answer to this request. */
export const bodyOf = ({ headers: _, ...answer }: Answer, { url, id }: FastifyRequest): Problem => ({
  ...answer,
  instance: url.split('?')[0] ?? '',
  requestId: id,
});

/**
 * The one map from what was thrown to what is answered. What it does not know is a 500 that tells nothing, and so is a code that is not
 * registered: nobody could look it up.
 */
export function answerFor(thrown: unknown): Answer {
  // First, because its messages quote the request, which could imitate those of a lost connection.
  const refused = fromFramework(thrown);
  if (refused) return refused;
  const error = explain(thrown);
  if (error instanceof AppError) return { ...answer(error.code, error.message, headersOf(error)), ...places(error) };
  if (error instanceof HttpProblem) return { ...answer(error.code, error.message, error.headers), ...error.members };
  return answer('internal-error', ourFault);
}

/** The answer to a request whose Idempotency-Key is obeyed: one of which nobody knows what became may be sent again. */
export function withKey(answered: Answer): Answer {
  if (problemOf(answered.code)?.retryableWithKey !== true) return answered;
  return { ...answered, retryable: true, headers: { 'retry-after': '1', ...answered.headers } };
}

const ourFault = 'Something went wrong on our side.';

const headersOf = ({ version }: AppError): Record<string, string> => (version === null ? {} : { etag: `"${version}"` });

const places = (error: AppError) =>
  error.errors.length > 0 && problemOf(error.code) !== undefined ? { errors: [...error.errors] } : {};

function answer(code: string, detail: string, headers: Readonly<Record<string, string>> = {}): Answer {
  const known = problemOf(code);
  if (known === undefined) return answer('internal-error', ourFault);
  const { title, status, retryable, retryAfter } = known;
  return {
    type: typeOf(code),
    title,
    status,
    detail,
    code,
    retryable,
    headers: {
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
      ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
      ...headers,
    },
  };
}

/** Turns what the database said into the refusal that it means; leaves everything else as it is. */
function explain(thrown: unknown): unknown {
  if (thrown instanceof PhasedRunBusyError)
    return new HttpProblem(409, 'idempotency-key-in-use', 'The first request is not done yet.', { 'retry-after': '1' });
  if (thrown instanceof AppError || thrown instanceof HttpProblem) return thrown;
  if (thrown instanceof CommitOutcomeUnknownError)
    return unavailable(
      'outcome-unknown',
      'The connection to the database was lost while storing. Read before you repeat.',
      { cause: thrown },
    );
  if (thrown instanceof ConnectionLostError) return unreachable(thrown);
  return isContention(thrown) ? contention(thrown) : fromDatabase(thrown);
}

// P2028: Prisma's own clock ended the transaction, which rolled it back.
const isContention = (thrown: unknown): boolean =>
  thrown instanceof TransactionConflictError ||
  thrown instanceof LockUnavailableError ||
  thrown instanceof TransactionExpiredError ||
  (thrown as { code?: string }).code === 'P2028';

const contention = (cause: unknown): AppError =>
  unavailable('transient-contention', 'The data was busy for too long. Nothing was stored.', {
    retryable: true,
    cause,
  });

const unreachable = (cause: unknown): AppError =>
  unavailable('temporary-reduced-capacity', 'The database cannot serve at the moment.', { retryable: true, cause });

/** By failure-table.ts. */
function fromDatabase(thrown: unknown): unknown {
  const kind = kindOf(thrown);
  if (kind === null) return thrown;
  if (kind === 'constraint') return fromConstraint(thrown);
  const { code } = verdicts[kind];
  if (code === 'temporary-reduced-capacity') return unreachable(thrown);
  return code === 'transient-contention' ? contention(thrown) : thrown;
}

// A constraint in kebab-case is named after its error code; one in snake_case is broken by a mistake of ours only.
const isCode = (constraint: string | null | undefined): constraint is string =>
  typeof constraint === 'string' && !constraint.includes('_');

function fromConstraint(thrown: unknown): unknown {
  const { sqlState, constraint } = databaseFailure(thrown) ?? {};
  if (!isCode(constraint)) return thrown;
  if (sqlState === '23505') return conflict(constraint, 'It exists already.'); // unique_violation
  // check_violation: the last line of defence; services refuse with better words first
  return sqlState === '23514' ? invalid(constraint, 'The change would break a rule of the books.') : thrown;
}

const frameworkCodes = new Map<unknown, [code: ProblemCode, detail: string]>(
  Object.entries({
    FST_ERR_CTP_INVALID_JSON_BODY: ['malformed-json', 'The body is not valid JSON.'],
    FST_ERR_CTP_EMPTY_JSON_BODY: ['malformed-json', 'The body is empty.'],
    FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['malformed-request', 'The body is not as long as Content-Length says.'],
    FST_ERR_CTP_BODY_TOO_LARGE: ['body-too-large', 'The body is larger than is allowed.'],
    FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported-media-type', 'Send application/json.'],
    FST_ERR_BAD_URL: ['malformed-url', 'The path is not a valid URL.'],
    FST_ERR_MAX_PARAM_LENGTH: ['not-found', 'There is no such thing.'],
  } satisfies Record<string, [code: ProblemCode, detail: string]>),
);

function fromFramework(error: unknown): Answer | null {
  // Nest wraps what Fastify threw.
  const { code, cause } = error as { code?: string; cause?: { code?: string } };
  const known = frameworkCodes.get(code ?? cause?.code);
  if (known) return answer(...known);
  const status = error instanceof HttpException ? error.getStatus() : (error as { statusCode?: number }).statusCode;
  return status === undefined ? null : fromStatus(status);
}

function fromStatus(status: number): Answer | null {
  if (status === 404) return answer('route-not-found', 'There is nothing here.');
  if (status === 413) return answer('body-too-large', 'The body is larger than is allowed.');
  if (status === 503) return answer('shutting-down', 'This instance is stopping.');
  return status >= 400 && status < 500 ? answer('malformed-request', 'The request could not be read.') : null;
}
