import { generalProblems } from '../../kernel/general.problems.ts';
import type { ProblemType } from '../../kernel/problem.ts';
import { httpProblems } from '../problems/http.problems.ts';
import { everyAnswer, headerRef, replayed } from './openapi-headers.ts';

type Json = Record<string, unknown>;

/** What of an operation its refusals follow from. */
export interface Taking {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: object;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
}

const always: readonly ProblemType[] = [
  httpProblems.malformedRequest,
  httpProblems.repeatedHeader,
  httpProblems.malformedUrl,
  httpProblems.malformedConsistencyToken,
  httpProblems.tooManyParameters,
  httpProblems.notAcceptable,
  httpProblems.requestTooSlow,
  httpProblems.malformedIfMatch,
  httpProblems.malformedIfNoneMatch,
  httpProblems.preconditionFailed,
  httpProblems.urlTooLong,
  httpProblems.expectationFailed,
  httpProblems.quotaExceeded,
  httpProblems.headersTooLarge,
  generalProblems.internalError,
  httpProblems.httpVersionNotSupported,
  generalProblems.reducedCapacity,
  generalProblems.transientContention,
  httpProblems.shuttingDown,
];

// A body is read wherever one may be sent, also where none is asked for.
const writing: readonly ProblemType[] = [
  httpProblems.malformedJson,
  httpProblems.tooDeep,
  httpProblems.tooManyValues,
  httpProblems.bodyTooLarge,
  httpProblems.unsupportedMediaType,
  generalProblems.outcomeUnknown,
];

const idempotent: readonly ProblemType[] = [
  httpProblems.idempotencyKeyMissing,
  httpProblems.malformedIdempotencyKey,
  httpProblems.idempotencyKeyInUse,
  httpProblems.idempotencyKeyReused,
];

/** The problems that follow from what an operation takes, whatever it is about. */
export function impliedProblems(
  method: string,
  { parameters = [], requestBody, security = [] }: Taking,
): ProblemType[] {
  const takes = (place: string, name?: string): boolean =>
    parameters.some((parameter) => parameter.in === place && (name === undefined || parameter.name === name));
  const roles = security.flatMap((requirement) => Object.values(requirement).flat());
  const implied: [isSo: boolean, problems: readonly ProblemType[]][] = [
    [true, always],
    [method !== 'get', writing],
    [security.length > 0, [generalProblems.tokenMissing, generalProblems.invalidToken]],
    [roles.length > 0, [generalProblems.notAllowed]],
    [takes('path'), [httpProblems.notFound]],
    [takes('query', 'cursor'), [httpProblems.malformedCursor]],
    [takes('query', 'expand'), [httpProblems.tooMuchToExpand]],
    [requestBody !== undefined || takes('query'), [generalProblems.validationFailed]],
    [takes('header', 'Idempotency-Key'), idempotent],
    [takes('header', 'If-Match'), [httpProblems.preconditionRequired, generalProblems.versionMismatch]],
  ];
  return implied.flatMap(([isSo, problems]) => (isSo ? problems : []));
}

const mostInName = 4;

/**
 * The responses for these codes, by status: what each may be, and the headers that come with it. Those that are `repeatable` are answered
 * again to the same Idempotency-Key. Where there are few, they go to `shared` under the name of their codes, as most operations have them
 * in common.
 */
export function describeRefusals(
  problems: readonly ProblemType[],
  repeatable: readonly ProblemType[],
  shared: Map<string, Json>,
): Json {
  const ordered = [...new Set(problems)].sort((a, b) => a.status - b.status || (a.code < b.code ? -1 : 1));
  const byStatus = Map.groupBy(ordered, ({ status }) => status);
  const responses = [...byStatus].map(([status, group]) => {
    const isRepeated = group.some((problem) => repeatable.includes(problem) && problem.retry !== 'later');
    const response = describe(status, group, isRepeated ? { ...everyAnswer, ...replayed } : everyAnswer);
    if (group.length > mostInName) return [status, response];
    const name = [...group.map(({ code }) => code), ...(isRepeated ? ['replayed'] : [])].join('.');
    shared.set(name, response);
    return [status, ref(`responses/${name}`)];
  });
  return Object.fromEntries(responses) as Json;
}

const ref = (path: string): Json => ({ $ref: `#/components/${path}` });

const rightTypes = {
  Accept: headerRef('RightType'),
  'Accept-Post': headerRef('RightType'),
  'Accept-Patch': headerRef('RightType'),
  'Accept-Encoding': headerRef('RightEncoding'),
};

function describe(status: number, problems: readonly ProblemType[], headers: Json): Json {
  const isRetried = problems.some(({ retry }) => retry !== 'never');
  return {
    description: problems.map(({ code }) => `\`${code}\``).join(', '),
    headers: {
      ...headers,
      ...(isRetried && { 'Retry-After': headerRef('RetryAfter') }),
      ...(status === 401 && { 'WWW-Authenticate': headerRef('WwwAuthenticate') }),
      ...(status === 415 && rightTypes),
      ...(status === 412 && { ETag: headerRef('PresentVersion') }),
    },
    content: {
      'application/problem+json': {
        schema: ref('schemas/Problem'),
        examples: Object.fromEntries(problems.map(({ code }) => [code, ref(`examples/${code}`)])),
      },
    },
  };
}
