// npm run failures: writes docs/database-failures.md from src/transactions/wire/failure-table.ts. --check compares instead.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import prettier from 'prettier';
import {
  exceptions,
  leavesCommitOpen,
  type Row,
  sqlStates,
  verdicts,
  whileConnecting,
  withoutSqlState,
} from '../src/transactions/wire/failure-table.ts';
import type { ProblemType } from '../src/kernel/problem.ts';

const rowsOf = (rows: readonly Row[], sign: string): string =>
  table(
    [sign, 'name', 'kind'],
    rows.map(([one, kind, name]) => [one, name, `\`${kind}\``]),
  );

const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

function describeFailures(): string {
  return `# Failures of the database

This page says what the service does when the database fails. The service finds the kind of a failure by where it happened, by its SQLSTATE, or by the code of the socket.
\`npm run failures\` generates the page from the table in \`src/transactions/wire/failure-table.ts\`.

## Kinds of failures

${table(
  ['kind', 'meaning', 'response', 'retryable', 'retried by the service', 'connection'],
  Object.entries(verdicts).map(([kind, verdict]) => [
    kind,
    verdict.meaning,
    ...answerOf(verdict.problem),
    verdict.again ? 'yes' : 'no',
    verdict.keepsConnection ? 'kept' : 'replaced',
  ]),
)}

A \`retryable\` response has \`Retry-After\`. \`internal-error\` and \`outcome-unknown\` are retryable if an Idempotency-Key was sent. The outermost boundary
retries its work, within its time and at most \`retry\` times. A single read or write outside a boundary is retried only if it is \`stale\`. A read
that fails on a replica goes to the primary.

## While a connection is made

The kind is always \`${whileConnecting[1]}\`, because nothing was sent: for certificates, files, passwords, names, addresses, and a server that is full, starting or a standby.
\`/readyz\` names the reason.

## The response to a statement

These rules are checked first:

${rowsOf(exceptions, 'sign')}

Then the SQLSTATE decides (PostgreSQL 18, appendix A). A rule of five characters precedes one of three, and three precede two. Every other SQLSTATE is \`statement\`:

${rowsOf(sqlStates, 'SQLSTATE')}

Without a SQLSTATE:

${rowsOf(withoutSqlState, 'sign')}

## BEGIN and COMMIT

BEGIN is sent with the first statement, and its failure counts as a failure of that statement. A refused COMMIT is rolled back, and the same table applies. If COMMIT fails with one of
${['08', '40003', '53', '55', '57', '58', 'XX']
  .filter((sign) => leavesCommitOpen(sign.padEnd(5, '0')))
  .map((sign) => `\`${sign}\``)
  .join(', ')}, or
without a SQLSTATE, its outcome is unknown: the service asks the database, and answers \`outcome-unknown\` if that is not possible.
`;
}

function answerOf(problem: ProblemType | null): [string, string] {
  if (problem === null) return ['409, 422, or 500 `internal-error`', 'no'];
  return [`${problem.status} \`${problem.code}\``, problem.retry === 'later' ? 'yes' : 'with a key'];
}

const file = join('docs', 'database-failures.md');
const style = { ...(await prettier.resolveConfig(file)), parser: 'markdown' };
const text = await prettier.format(describeFailures(), style);

if (!process.argv.includes('--check')) {
  writeFileSync(file, text);
} else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
  process.stderr.write(`${file} is not what src/transactions/wire/failure-table.ts says. Run: npm run failures\n`);
  process.exitCode = 1;
}
