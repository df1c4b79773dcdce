import type { KnownProblem } from './known-problem.ts';
import { everyAnswer, headerRef, replayed } from './openapi-headers.ts';
import { type ProblemCode, problems } from './problems.ts';

type Json = Record<string, unknown>;

/** What of an operation its refusals follow from. */
export interface Taking {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: object;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
}

const always: readonly ProblemCode[] = [
  'malformed-request',
  'malformed-url',
  'malformed-consistency-token',
  'too-many-parameters',
  'not-acceptable',
  'request-too-slow',
  'url-too-long',
  'quota-exceeded',
  'headers-too-large',
  'internal-error',
  'temporary-reduced-capacity',
  'transient-contention',
  'shutting-down',
];

// A body is read wherever one may be sent, also where none is asked for.
const writing: readonly ProblemCode[] = [
  'malformed-json',
  'too-deep',
  'body-too-large',
  'unsupported-media-type',
  'outcome-unknown',
];

const idempotent: readonly ProblemCode[] = [
  'idempotency-key-missing',
  'malformed-idempotency-key',
  'idempotency-key-in-use',
  'idempotency-key-reused',
];

/** The codes that follow from what an operation takes, whatever it is about. */
export function impliedCodes(method: string, { parameters = [], requestBody, security = [] }: Taking): ProblemCode[] {
  const takes = (place: string, name?: string): boolean =>
    parameters.some((parameter) => parameter.in === place && (name === undefined || parameter.name === name));
  const roles = security.flatMap((requirement) => Object.values(requirement).flat());
  const implied: [isSo: boolean, codes: readonly ProblemCode[]][] = [
    [true, always],
    [method !== 'get', writing],
    [security.length > 0, ['token-missing', 'invalid-token']],
    [roles.length > 0, ['not-allowed']],
    [takes('path'), ['not-found']],
    [takes('query', 'cursor'), ['malformed-cursor']],
    [takes('query', 'expand'), ['too-much-to-expand']],
    [requestBody !== undefined || takes('query'), ['validation-failed']],
    [takes('header', 'Idempotency-Key'), idempotent],
    [takes('header', 'If-Match'), ['precondition-required', 'malformed-if-match', 'version-mismatch']],
  ];
  return implied.flatMap(([isSo, codes]) => (isSo ? codes : []));
}

const mostInName = 4;

/**
 * The responses for these codes, by status: what each may be, and the headers that come with it. Those that are `repeatable` are answered
 * again to the same Idempotency-Key. Where there are few, they go to `shared` under the name of their codes, as most operations have them
 * in common.
 */
export function describeRefusals(
  codes: readonly ProblemCode[],
  repeatable: readonly ProblemCode[],
  shared: Map<string, Json>,
): Json {
  const ordered = [...new Set(codes)].sort((a, b) => problems[a].status - problems[b].status || (a < b ? -1 : 1));
  const byStatus = Map.groupBy(ordered, (code) => problems[code].status);
  const responses = [...byStatus].map(([status, group]) => {
    const isRepeated = group.some((code) => repeatable.includes(code) && !problems[code].retryable);
    const response = describe(status, group, isRepeated ? { ...everyAnswer, ...replayed } : everyAnswer);
    if (group.length > mostInName) return [status, response];
    const name = [...group, ...(isRepeated ? ['replayed'] : [])].join('.');
    shared.set(name, response);
    return [status, ref(`responses/${name}`)];
  });
  return Object.fromEntries(responses) as Json;
}

const mayBeRetried = ({ retryable, retryableWithKey }: KnownProblem): boolean => retryable || retryableWithKey === true;

const ref = (path: string): Json => ({ $ref: `#/components/${path}` });

function describe(status: number, codes: readonly ProblemCode[], headers: Json): Json {
  const isRetried = codes.some((code) => mayBeRetried(problems[code]));
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: {
      ...headers,
      ...(isRetried && { 'Retry-After': headerRef('RetryAfter') }),
      ...(status === 401 && { 'WWW-Authenticate': headerRef('WwwAuthenticate') }),
      ...(status === 412 && { ETag: headerRef('PresentVersion') }),
    },
    content: {
      'application/problem+json': {
        schema: ref('schemas/Problem'),
        examples: Object.fromEntries(codes.map((code) => [code, ref(`examples/${code}`)])),
      },
    },
  };
}
