import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { generalProblems } from '../../kernel/general.problems.ts';
import { allProblems, ProblemError, problemOf } from '../../kernel/problem.ts';
import { PhasedRunBusyError } from '../../phased/errors.ts';
import {
  CommitOutcomeUnknownError,
  ConnectionLostError,
  LockUnavailableError,
  TransactionConflictError,
} from '../../transactions/errors.ts';
import { TransactionExpiredError } from '../../transactions/wire/errors.ts';
import { verdicts } from '../../transactions/wire/failure-table.ts';
import { databaseFailure, kindOf } from '../../transactions/wire/postgres-errors.ts';
import { RefusedPlace } from '../schemas.ts';
import { frameworkRefusal } from './framework-errors.ts';
import { httpProblems } from './http.problems.ts';
import { type Answer, answerOf, pause } from './problem-answer.ts';
import { typeOf } from './problem-pages.ts';

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
    allProblems().map(({ code, status, title, retry, meaning }) => {
      const rest = { code, retryable: retry === 'later', requestId: 'req_01h455vb4pex5vsknk084sn02q' };
      const value = { type: typeOf(code), title, status, detail: `${title}.`, instance: '/v1/…', ...rest };
      return [code, { summary: meaning, value }];
    }),
  );

/** The body of an answer to this request. */
export const bodyOf = ({ headers: _, ...answer }: Answer, { url, id }: FastifyRequest): Problem => ({
  ...answer,
  instance: url.split('?')[0] ?? '',
  requestId: id,
});

/** The one map from what was thrown to what is answered. What it does not know is a 500 that tells nothing. */
export function answerFor(thrown: unknown): Answer {
  // First, because its messages quote the request, which could imitate those of a lost connection.
  const refused = frameworkRefusal(thrown);
  if (refused) return { ...answerOf(refused.problem(refused.detail)), status: refused.status };
  const error = explain(thrown);
  return answerOf(error instanceof ProblemError ? error : generalProblems.internalError());
}

/** The answer to a request whose Idempotency-Key is obeyed: one of which nobody knows what became may be sent again. */
export function withKey(answered: Answer): Answer {
  if (problemOf(answered.code)?.retry !== 'with-key') return answered;
  return { ...answered, retryable: true, headers: { ...pause, ...answered.headers } };
}

/** Turns what the database said into the refusal that it means; leaves everything else as it is. */
function explain(thrown: unknown): unknown {
  if (thrown instanceof PhasedRunBusyError)
    return httpProblems.idempotencyKeyInUse('The first request is not done yet.');
  if (thrown instanceof ProblemError) return thrown;
  if (thrown instanceof CommitOutcomeUnknownError)
    return generalProblems.outcomeUnknown(
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

const contention = (cause: unknown): ProblemError =>
  generalProblems.transientContention('The data was busy for too long. Nothing was stored.', { cause });

const unreachable = (cause: unknown): ProblemError =>
  generalProblems.reducedCapacity('The database cannot serve at the moment.', { cause });

/** By failure-table.ts. */
function fromDatabase(thrown: unknown): unknown {
  const kind = kindOf(thrown);
  if (kind === null) return thrown;
  if (kind === 'constraint') return fromConstraint(thrown);
  const { problem } = verdicts[kind];
  if (problem === generalProblems.reducedCapacity) return unreachable(thrown);
  return problem === generalProblems.transientContention ? contention(thrown) : thrown;
}

// A constraint that is named after a problem is its last line of defence: services refuse with better words first.
function fromConstraint(thrown: unknown): unknown {
  const { sqlState, constraint } = databaseFailure(thrown) ?? {};
  const problem = problemOf(constraint ?? '');
  if (problem === undefined) return thrown; // broken by a mistake of ours only
  if (sqlState === '23505') return problem('It exists already.'); // unique_violation
  if (sqlState === '23P01') return problem(); // exclusion_violation
  return sqlState === '23514' ? problem('The change would break a rule of the books.') : thrown; // check_violation
}
