// npm run failures: writes docs/database-failures.md from src/database/failure-table.ts. --check compares instead.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import prettier from 'prettier';
import {
  exceptions,
  type FailureKind,
  leavesCommitOpen,
  type Row,
  sqlStates,
  verdicts,
  whileConnecting,
  withoutSqlState,
} from '../src/database/failure-table.ts';
import { problems } from '../src/http/problems.ts';

const rowsOf = (rows: readonly Row[], sign: string): string =>
  table(
    [sign, 'name', 'kind'],
    rows.map(([one, kind, name]) => [one, name, `\`${kind}\``]),
  );

const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

function describeFailures(): string {
  return `# Failures of the database

A failure is told by what it is: by where it happened, by its SQLSTATE, by the code of the socket. What follows from it stands in one table,
\`src/database/failure-table.ts\`, from which \`npm run failures\` makes this page.

## What follows

${table(
  ['kind', 'what it is', 'answer', 'retryable', 'done again', 'connection'],
  Object.entries(verdicts).map(([kind, verdict]) => [
    kind,
    verdict.meaning,
    ...answerOf(verdict.code),
    verdict.again ? 'yes' : 'no',
    verdict.keepsConnection ? 'kept' : 'replaced',
  ]),
)}

A \`retryable\` answer has \`Retry-After\`. \`internal-error\` and \`outcome-unknown\` are retryable where an Idempotency-Key was sent. Done again: by
the outermost boundary, within its time and at most \`retry\` times; a single read or write outside any boundary only when it is \`stale\`. A read
that a replica fails is asked of the primary.

## While a connection is made

Certificates, files, passwords, names, addresses, a server that is full, starting or a standby: whatever the reason, nothing was sent, and the
kind is \`${whileConnecting[1]}\`. \`/readyz\` names the reason.

## The answer to a statement

Looked at first:

${rowsOf(exceptions, 'sign')}

By SQLSTATE (PostgreSQL 18, appendix A); five characters come before three, three before two, and what is not here is \`statement\`:

${rowsOf(sqlStates, 'SQLSTATE')}

Without a SQLSTATE:

${rowsOf(withoutSqlState, 'sign')}

## The answer to BEGIN and to COMMIT

BEGIN travels with the first statement and is told as that is. COMMIT that is refused is rolled back, and told by the same table. With one of
${['08', '40003', '53', '55', '57', '58', 'XX']
  .filter((sign) => leavesCommitOpen(sign.padEnd(5, '0')))
  .map((sign) => `\`${sign}\``)
  .join(', ')}, or
with none, it is open what became of it: the database is asked, and \`outcome-unknown\` is answered when it cannot be.
`;
}

function answerOf(code: (typeof verdicts)[FailureKind]['code']): [string, string] {
  if (code === null) return ['409, 422, or 500 `internal-error`', 'no'];
  return [`${problems[code].status} \`${code}\``, problems[code].retryable ? 'yes' : 'with a key'];
}

const file = join('docs', 'database-failures.md');
const style = { ...(await prettier.resolveConfig(file)), parser: 'markdown' };
const text = await prettier.format(describeFailures(), style);

if (!process.argv.includes('--check')) {
  writeFileSync(file, text);
} else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
  process.stderr.write(`${file} is not what src/database/failure-table.ts says. Run: npm run failures\n`);
  process.exitCode = 1;
}
