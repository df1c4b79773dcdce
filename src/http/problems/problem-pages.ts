import { allProblems, type ProblemType } from '../../kernel/problem.ts';

/** Where the code is explained: a path on this service, which RFC 9457 allows `type` to be. */
export const typeOf = (code: string): string => `/problems#${code}`;

/** The page that {@link typeOf} leads to, in Markdown; docs/problems.md is the same. */
export function describeProblems(): string {
  const all = allProblems().sort((a, b) => a.status - b.status);
  const parts = all.map(
    (problem) =>
      `## ${problem.code}\n\n${problem.status} · ${problem.title}. ${problem.meaning} ${advice[problem.retry]}\n`,
  );
  return `# Problems\n\n${introduction}\n\n${parts.join('\n')}`;
}

const advice: Record<ProblemType['retry'], string> = {
  'with-key':
    'With an Idempotency-Key, send the same request again with the same key: `retryable` is true then. Without one, read what became of it first.',
  later: 'The same request may succeed later.',
  never: 'The same request is refused as long as nothing else changes.',
};

const introduction =
  'Every refusal is `application/problem+json` (RFC 9457). Branch on `code`; `detail` is for people and may change. `retryable` says whether ' +
  'the same request may succeed later, unchanged; `Retry-After` then says when. Made by `npm run problems` from the `*.problems.ts` of the modules.';
