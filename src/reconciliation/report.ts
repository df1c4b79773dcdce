import type { CheckResult, Reconciliation } from './reconcile.ts';

/** The report for people: every check with what it looked at, and the first findings of those that found something. */
export function describeReconciliation({ asOf, server, checks, found }: Reconciliation): string {
  const widest = Math.max(...checks.map(({ rows }) => String(rows).length), 4);
  const verdict =
    found === 0
      ? 'The books are right.'
      : `The books are wrong: ${found} ${found === 1 ? 'mistake' : 'mistakes'} in ${checks.filter((check) => check.found > 0).length} of ${checks.length} checks.`;
  return [
    `The books on the ${server}, as of ${asOf.toISOString()}`,
    '',
    `${'found'.padStart(7)}  ${'rows'.padStart(widest)}  what was looked for`,
    ...checks.flatMap((check) => linesOf(check, widest)),
    '',
    verdict,
  ].join('\n');
}

function linesOf({ mistake, rows, found, first }: CheckResult, widest: number): string[] {
  const indent = ' '.repeat(7 + 2 + widest + 2);
  const unnamed = found - first.length;
  const more = unnamed > 0 ? [`${indent}  and ${unnamed} more`] : [];
  const line = `${(found === 0 ? '-' : String(found)).padStart(7)}  ${String(rows).padStart(widest)}  ${mistake}`;
  return [line, ...first.map((id) => `${indent}  ${id}`), ...more];
}
