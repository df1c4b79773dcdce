import type { KnownProblem } from './known-problem.ts';
import { problemsOfHttp } from './problems-of-http.ts';
import { problemsOfModules } from './problems-of-modules.ts';

/** Every code that an answer may carry. Stable: what stands here once keeps its meaning. `npm run problems` writes docs/problems.md from it. */
export const problems = { ...problemsOfHttp, ...problemsOfModules };

export type ProblemCode = keyof typeof problems;

/** What is known of this code; undefined for one that was never registered. */
export const problemOf = (code: string): KnownProblem | undefined =>
  Object.hasOwn(problems, code) ? problems[code as ProblemCode] : undefined;

/** Where the code is explained: a path on this service, which RFC 9457 allows `type` to be. */
export const typeOf = (code: string): string => `/problems#${code}`;

/** The page that {@link typeOf} leads to, in Markdown; docs/problems.md is the same. */
export function describeProblems(): string {
  const all = Object.entries<KnownProblem>(problems).sort(([, a], [, b]) => a.status - b.status);
  const parts = all.map(
    ([code, problem]) =>
      `## ${code}\n\n${problem.status} · ${problem.title}. ${problem.meaning} ${adviceOf(problem)}\n`,
  );
  return `# Problems\n\n${introduction}\n\n${parts.join('\n')}`;
}

function adviceOf({ retryable, retryableWithKey }: KnownProblem): string {
  if (retryableWithKey)
    return 'With an Idempotency-Key, send the same request again with the same key: `retryable` is true then. Without one, read what became of it first.';
  return retryable
    ? 'The same request may succeed later.'
    : 'The same request is refused as long as nothing else changes.';
}

const introduction =
  'Every refusal is `application/problem+json` (RFC 9457). Branch on `code`; `detail` is for people and may change. `retryable` says whether ' +
  'the same request may succeed later, unchanged; `Retry-After` then says when. Made by `npm run problems` from `src/http/problems.ts`.';
