import { readFileSync, writeFileSync } from 'node:fs';

/** Statements and round trips of a request. */
export type Figures = readonly [statements: number, trips: number];

const file = 'docs/statements.md';

// As Prettier sets it.
function table(figures: Readonly<Record<string, Figures>>): string {
  const rows = Object.entries(figures).map(([endpoint, counts]) => [`\`${endpoint}\``, ...counts.map(String)]);
  const [width, statements, trips] = [Math.max(...rows.map(([endpoint = '']) => endpoint.length)), 10, 11];
  return [
    `| ${'endpoint'.padEnd(width)} | statements | round trips |`,
    `| ${'-'.repeat(width)} | ${'-'.repeat(statements - 1)}: | ${'-'.repeat(trips - 1)}: |`,
    ...rows.map(
      ([endpoint = '', sent = '', waited = '']) =>
        `| ${endpoint.padEnd(width)} | ${sent.padStart(statements)} | ${waited.padStart(trips)} |`,
    ),
  ].join('\n');
}

const page = (figures: Readonly<Record<string, Figures>>): string => `# What each endpoint sends to the database

Written by \`npm run statements\` from what was measured; \`test/statements.test.ts\` compares this page with what it measures.

Statements are counted with BEGIN, COMMIT and savepoints among them. Round trips are the messages to the server that are waited for; reads on
several connections at once count each. Where an \`Idempotency-Key\` may be sent, one is sent: it costs its lock, its look-up, its savepoint
and its record. The session's own query is made once for all requests of a session within \`AUTH_RECHECK_SECONDS\`, and is not counted.

A figure that grows needs a reason in the commit that writes it down.

Each request is the one that \`openapi.json\` shows, on things of its own. Where a module measures another one, or one in several cases, it
says which in \`test/cases/<module>.ts\`.

${table(figures)}
`;

/** The figures that the page shows. */
export function readStatementPage(): Record<string, Figures> {
  const rows = [...readFileSync(file, 'utf8').matchAll(/^\| `(.*?)` +\| +(\d+) +\| +(\d+) +\|$/gm)];
  return Object.fromEntries(
    rows.map(([, endpoint = '', statements, trips]) => [endpoint, [Number(statements), Number(trips)]]),
  );
}

export function writeStatementPage(figures: Readonly<Record<string, Figures>>): void {
  writeFileSync(file, page(figures));
}

/** Whether the page is what these figures make, to the letter. */
export const isStatementPage = (figures: Readonly<Record<string, Figures>>): boolean =>
  readFileSync(file, 'utf8') === page(figures);
