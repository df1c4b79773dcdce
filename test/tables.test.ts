/** @servers any */
import { join } from 'node:path';
import ts from 'typescript';
import type { Sql, Tables } from '../src/transactions/tables.ts';

/* eslint-disable promises/no-dropped-promise -- compiled, never run */
// Checked by `npm run check`, which compiles the tests as well: each expectation is an error when the line beneath compiles.
export function compiles(db: Tables<'order' | 'payment'>, sql: Tables<'order'> & Sql): void {
  void db.order.findMany();
  void db.payment.findMany();
  void sql.$queryRaw`SELECT 1`;
  // @ts-expect-error: the table of another module
  void db.account.findMany();
  // @ts-expect-error: a transaction is drawn by a service
  void db.$transaction([]);
  // @ts-expect-error: SQL is for whom it was granted
  void db.$queryRaw`SELECT 1`;
  // @ts-expect-error: never for a text that was put together
  void sql.$queryRawUnsafe('SELECT 1');
  // @ts-expect-error: there is no such table
  void (null as unknown as Tables<'orders'>);
}
/* eslint-enable promises/no-dropped-promise */

const header = `import type { Sql, Tables } from '../transactions/tables.ts';\n`;

/** What TypeScript says of a repository's lines. */
function complaints(lines: string): string[] {
  const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as { config: object };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd());
  const name = join(process.cwd(), 'src', 'database', 'a-repository.ts');
  const host = ts.createCompilerHost({ ...options, noEmit: true });
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (path) => path === name || fileExists(path);
  host.readFile = (path) => (path === name ? header + lines : readFile(path));
  host.getSourceFile = (path, ...rest) =>
    path === name ? ts.createSourceFile(path, header + lines, ts.ScriptTarget.ES2024) : getSourceFile(path, ...rest);
  const program = ts.createProgram([name], { ...options, noEmit: true, incremental: false, types: ['node'] }, host);
  const source = program.getSourceFile(name);
  return program
    .getSemanticDiagnostics(source)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n').split('\n')[0] as string);
}

describe('a repository', () => {
  it('reaches the tables it owns, and those of another module do not compile', () => {
    const found = complaints(`
      export function f(db: Tables<'order' | 'orderLine'>, sql: Tables<'order'> & Sql) {
        void db.order.findMany();
        void db.orderLine.findMany();
        void sql.$queryRaw\`SELECT 1\`;
        void db.account.findMany();
        void db.$queryRaw\`SELECT 1\`;
        void db.$transaction([]);
      }
      export type T = Tables<'orders'>;`);
    expect(found).toEqual([
      expect.stringMatching(/^Property 'account' does not exist on type/),
      expect.stringMatching(/^Property '\$queryRaw' does not exist on type/),
      expect.stringMatching(/^Property '\$transaction' does not exist on type/),
      expect.stringMatching(/^Type '"orders"' does not satisfy the constraint/),
    ]);
  });
});
