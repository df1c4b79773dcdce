/** @servers any */
import { join } from 'node:path';
import ts from 'typescript';

/**
 * Snippets of a service, each with the lines that must not compile marked by `// error: part of what is said`, on the line before.
 * What is not marked must compile.
 */
const snippets: Record<string, string> = {
  'the client of a read-only run has nothing that writes': `
    export const f = (transactions: Transactions) =>
      transactions.run({ readOnly: true }, async (db) => {
        await db.order.findMany();
        await db.account.aggregate({ _sum: { balance: true } });
        await db.$queryRaw\`SELECT 1\`;
        // error: Property 'create' does not exist
        await db.order.create({ data: {} });
        // error: Property 'update' does not exist
        await db.order.update({ where: { id: '' }, data: {} });
        // error: Property 'updateMany' does not exist
        await db.order.updateMany({ data: {} });
        // error: Property 'upsert' does not exist
        await db.order.upsert({});
        // error: Property 'delete' does not exist
        await db.order.delete({ where: { id: '' } });
        // error: Property 'deleteMany' does not exist
        await db.order.deleteMany();
        // error: Property '$executeRaw' does not exist
        await db.$executeRaw\`DELETE FROM "order"\`;
        // error: Property '$transaction' does not exist
        await db.$transaction([]);
      });`,
  'the client of another run writes': `
    export const f = (transactions: Transactions, readOnly: boolean) => [
      transactions.run({}, (db) => db.order.deleteMany()),
      transactions.run({ readOnly: false }, (db) => db.order.deleteMany()),
      transactions.run({ isolation: 'serializable', retry: 9 }, (db) => db.$executeRaw\`SELECT 1\`),
      transactions.run({ readOnly }, (db) => db.order.deleteMany()),
    ];`,
  'a repository that only reads has the tables it names, and nothing that writes': `
    @Injectable()
    export class Reports {
      constructor(@InjectReads() private readonly db: Reads<'order' | 'payment'>) {}
      list = () => this.db.order.findMany({ include: { payment: true } });
      count = () => this.db.payment.count();
      // error: Property 'create' does not exist
      create = () => this.db.order.create({ data: {} });
      // error: Property 'createManyAndReturn' does not exist
      createMany = () => this.db.payment.createManyAndReturn({ data: [] });
      // error: Property 'update' does not exist
      update = () => this.db.order.update({});
      // error: Property 'delete' does not exist
      remove = () => this.db.order.delete({});
      // error: Property 'account' does not exist
      other = () => this.db.account.findMany();
      // error: Property '$queryRaw' does not exist
      raw = () => this.db.$queryRaw\`SELECT 1\`;
    }
    // error: does not satisfy the constraint
    export type T = Reads<'orders'>;`,
  'a boundary that runs without a transaction has no terms': `
    export class A {
      @Transactional({ propagation: 'never', name: 'alone' })
      async fine() {}
      // error: 'isolation' does not exist
      @Transactional({ propagation: 'never', isolation: 'serializable' })
      async a() {}
      // error: 'timeout' does not exist
      @Transactional({ propagation: 'supports', timeout: '2s' })
      async b() {}
      // error: 'readOnly' does not exist
      @Transactional({ propagation: 'not-supported', readOnly: true })
      async c() {}
      // error: 'retry' does not exist
      @Transactional({ propagation: 'mandatory', retry: 3 })
      async d() {}
    }
    export const f = (transactions: Transactions) => [
      // error: 'isolation' does not exist
      transactions.run({ propagation: 'never', isolation: 'serializable' }, async () => 1),
      // error: 'retry' does not exist
      transactions.run({ propagation: 'mandatory', retry: 3 }, async () => 1),
    ];`,
  'a duration has a unit that is known': `
    export class A {
      @Transactional({ timeout: 250, lockTimeout: '50ms' })
      async fine() {}
      // error: is not assignable
      @Transactional({ timeout: '2 seconds' })
      async a() {}
      // error: is not assignable
      @Transactional({ timeout: '2m' })
      async b() {}
      // error: is not assignable
      @Transactional({ lockTimeout: 'soon' })
      async c() {}
    }`,
  'levels and propagations are those that there are, and so are the options': `
    export class A {
      // error: is not assignable
      @Transactional({ isolation: 'read-uncommitted' })
      async a() {}
      // error: is not assignable
      @Transactional({ isolation: 'SERIALIZABLE' })
      async b() {}
      // error: is not assignable
      @Transactional({ propagation: 'new' })
      async c() {}
      // error: 'isolationLevel' does not exist
      @Transactional({ isolationLevel: 'serializable' })
      async d() {}
      // error: is not assignable
      @Transactional({ retry: 'twice' })
      async e() {}
    }
    export const f = (transactions: Transactions) => [
      // error: 'timeOut' does not exist
      transactions.run({ retry: 2, timeOut: '2s' }, async () => 1),
      // error: is not assignable
      transactions.run({ isolation: 'strict' }, async () => 1),
    ];`,
  'a boundary is drawn around a method that returns a promise': `
    export class A {
      @Transactional()
      later() { return Promise.resolve(1); }
      // error: is not assignable
      @Transactional()
      now() { return 1; }
      // error: is not assignable
      @Transactional()
      get something() { return 1; }
      // error: Unable to resolve signature of property decorator
      @Transactional()
      field = async () => 1;
    }
    // error: Unable to resolve signature of class decorator
    @Transactional()
    export class B {}`,
  'row locks are taken of tables that have an order, and either without waiting or without those that are held': `
    export async function f(db: Sql) {
      const found = await lockRows(db, { account: ['a'], stock: ['b'] });
      found.account.has('a');
      // error: Property 'order' does not exist
      found.order.has('a');
      await lockRows(db, { stock: [] }, { wait: false });
      await lockRows(db, { stock: [] }, { skipLocked: true });
      // error: is not assignable
      await lockRows(db, { stock: [] }, { wait: false, skipLocked: true });
      // error: 'entry' does not exist
      await lockRows(db, { account: ['a'], entry: ['b'] });
    }`,
  'an id has a prefix that a module has defined, of its own or of another one': `
    export const ids = [showId('ord', ''), showId('usr', '')];
    // error: Argument of type '"odr"' is not assignable
    export const misspelt = showId('odr', '');`,
};

const header = [
  `import { Injectable } from '@nestjs/common';`,
  `import { InjectReads, type Reads, type Sql } from '../src/transactions/tables.ts';`,
  `import { lockRows } from '../src/transactions/locks.ts';`,
  `import '../src/app.module.ts';`,
  `import { showId } from '../src/kernel/ids.ts';`,
  `import { Transactional } from '../src/transactions/transactional.ts';`,
  `import type { Transactions } from '../src/transactions/transactions.ts';`,
  `export const used = [Injectable, InjectReads, lockRows, showId, Transactional];`,
  `export type Used = [Reads<'order'>, Sql, Transactions];`,
].join('\n');
const texts = new Map(
  Object.values(snippets).map((text, n) => [join(process.cwd(), 'test', `snippet-${n}.ts`), `${header}\n${text}\n`]),
);

/** What TypeScript says of each snippet, as `line: message`. One program for all: most of its time is for what they import. */
function compile(): Map<string, { line: number; said: string }[]> {
  const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as { config: object };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd());
  const settings = { ...options, noEmit: true, incremental: false, types: ['node'] };
  const host = ts.createCompilerHost(settings);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.readFile = (path) => texts.get(path) ?? readFile(path);
  host.getSourceFile = (path, ...rest) => {
    const text = texts.get(path);
    return text === undefined ? getSourceFile(path, ...rest) : ts.createSourceFile(path, text, ts.ScriptTarget.ES2024);
  };
  const program = ts.createProgram([...texts.keys()], settings, host);
  return new Map(
    [...texts.keys()].map((path) => {
      const found = program.getSemanticDiagnostics(program.getSourceFile(path)).map(({ file, start, messageText }) => ({
        line: (file?.getLineAndCharacterOfPosition(start ?? 0).line ?? 0) + 1,
        said: ts.flattenDiagnosticMessageText(messageText, '\n'),
      }));
      return [path, found];
    }),
  );
}

let said: ReturnType<typeof compile>;
beforeAll(() => {
  said = compile();
});

describe('what does not compile:', () => {
  it.each(Object.keys(snippets).map((name, n) => [name, n] as const))('%s', (_, n) => {
    const [path, text] = [...texts][n] ?? ['', ''];
    const lines = text.split('\n');
    const marked = lines.flatMap((line, at) => {
      const part = /\/\/ error: (.*)$/.exec(line)?.[1];
      return part === undefined ? [] : [{ line: at + 2, part, text: lines[at + 1]?.trim() }];
    });
    // TypeScript may have more than one thing to say of a line.
    const found = Map.groupBy(said.get(path) ?? [], ({ line }) => line);
    const unexpected = [...found.values()].flat().filter(({ line }) => !marked.some((one) => one.line === line));
    expect(unexpected).toEqual([]);
    for (const one of marked) {
      const messages = (found.get(one.line) ?? []).map((message) => message.said).join('\n');
      expect({ ...one, messages }).toEqual({ ...one, messages: expect.stringContaining(one.part) });
    }
  });
});
