import type { ProblemError } from '../../kernel/problem.ts';
import { typeOf } from './problem-pages.ts';

/** What is answered instead of what was asked for: the headers, and the body but for what it says of the request. */
export interface Answer {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly retryable: boolean;
  readonly errors?: ProblemError['errors'][number][];
  readonly headers: Readonly<Record<string, string>>;
}

// Seconds. Long enough for a lock or a connection to come free, where nobody knows better.
export const pause = { 'retry-after': '1' };

/** What a refusal is answered with. */
export function answerOf({ type, message, errors, options }: ProblemError): Answer {
  const { code, title, status, retry } = type;
  const { version, members, headers } = options;
  return {
    type: typeOf(code),
    title,
    status,
    detail: message,
    code,
    retryable: retry === 'later',
    ...(errors.length > 0 && { errors: [...errors] }),
    ...members,
    headers: {
      ...(status === 401 && { 'www-authenticate': challengeOf(code) }),
      ...(retry === 'later' && pause),
      ...(version !== undefined && { etag: `"${version}"` }),
      ...headers,
    },
  };
}

// RFC 6750, section 3.1: a token that was sent and refused is told from none.
const challengeOf = (code: string): string => (code === 'invalid-token' ? 'Bearer error="invalid_token"' : 'Bearer');
