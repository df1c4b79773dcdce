/** @servers any */
import { lint } from './support/lint.ts';

const service = 'src/modules/orders/orders.service.ts';
const repository = 'src/modules/orders/orders.repository.ts';
const controller = 'src/modules/orders/orders.controller.ts';
const kernel = 'src/kernel/money.ts';
const database = 'src/database/database-clients.ts';
// The one file that a rule names.
const locks = 'src/transactions/locks.ts';

const lines = (count: number, line: string): string => `${line}\n`.repeat(count);
const syntax = 'no-restricted-syntax';
const imports = 'no-restricted-imports';
const prisma = 'declare const db: { $transaction(work: string): unknown };\n';
const unsafe = (verb: string): string => `declare const db: { $${verb}RawUnsafe(sql: string): unknown };\n`;
const step = 'declare const step: (value?: unknown) => Promise<void>;\n';

const mistakes: [what: string, rule: string, file: string, code: string][] = [
  [
    'a promise nobody waits for',
    '@typescript-eslint/no-floating-promises',
    service,
    `${step}export function go() { step(); }`,
  ],
  [
    'a promise taken for a truth',
    '@typescript-eslint/no-misused-promises',
    service,
    `${step}export const isOver = (): boolean => { if (step()) return true; return false; };`,
  ],
  [
    'an async callback that nobody waits for',
    '@typescript-eslint/no-misused-promises',
    service,
    `${step}export const all = (): void => { [1].forEach(async (one) => { await step(one); }); };`,
  ],
  [
    'await on what is no promise',
    '@typescript-eslint/await-thenable',
    service,
    'export async function go() { await 1; }',
  ],
  ['any', '@typescript-eslint/no-explicit-any', service, 'export const go = (value: any): boolean => value === 1;'],
  [
    'an import of types that stays in the build',
    '@typescript-eslint/consistent-type-imports',
    kernel,
    "import { Clock } from './clock.ts';\nexport type Watch = Clock;",
  ],
  [
    'an error whose message production leaves out',
    syntax,
    service,
    "export const go = (): never => { throw new Error('There is no payment.'); };",
  ],
  ['console', 'no-console', service, "export const go = (): void => { console.log('here'); };"],
  [
    'a case left out',
    '@typescript-eslint/switch-exhaustiveness-check',
    kernel,
    "export function say(state: 'placed' | 'cancelled') { switch (state) { case 'placed': return 1; } }",
  ],
  ['a file of 251 lines', 'max-lines', kernel, `${lines(250, '// a line')}export const last = 251;`],
  [
    'a function of 31 lines',
    'max-lines-per-function',
    kernel,
    `${step}export async function go() {\n${lines(29, '  await step();')}}`,
  ],
  [
    'three levels of nesting',
    'max-depth',
    kernel,
    'export function go(rows: number[][]) { for (const row of rows) for (const cell of row) if (cell > 1) { if (cell > 2) return cell; } return 0; }',
  ],
  [
    'a function with eleven ways',
    'complexity',
    kernel,
    `export const go = (a: number): boolean => ${Array.from({ length: 11 }, (_, i) => `a === ${i}`).join(' || ')};`,
  ],
  [
    'six parameters',
    'max-params',
    kernel,
    'export const go = (a: number, b: number, c: number, d: number, e: number, f: number) => a + b + c + d + e + f;',
  ],
  ...['Body', 'Query', 'Param', 'Headers'].map((name): (typeof mistakes)[number] => [
    `Nest's own @${name}()`,
    imports,
    controller,
    `import { ${name} } from '@nestjs/common';\nexport const use = ${name};`,
  ]),
  [
    "the package's own @Transactional()",
    imports,
    service,
    "import { Transactional } from '@nestjs-cls/transactional';\nexport const use = Transactional;",
  ],
  [
    'ambient state in http',
    imports,
    'src/http/pages/page.ts',
    "import { ClsService } from 'nestjs-cls';\nexport const use = ClsService;",
  ],
  [
    'the whole client in a repository',
    imports,
    repository,
    "import type { PrismaClient } from '../../database/generated/client.ts';\nexport type Use = PrismaClient;",
  ],
  [
    'SQL put together',
    syntax,
    repository,
    `${unsafe('query')}export const go = (): unknown => db.$queryRawUnsafe('SELECT 1');`,
  ],
  [
    'SQL put together by another way',
    syntax,
    'tools/check.mts',
    "export const go = (db: Record<string, (sql: string) => unknown>): unknown => db['$executeRawUnsafe']?.('SELECT 1');",
  ],
  ['a transaction of its own', syntax, repository, `${prisma}export const go = (): unknown => db.$transaction('x');`],
  [
    'a transaction of its own in the database room',
    syntax,
    database,
    `${prisma}export const go = (): unknown => db.$transaction('x');`,
  ],
  ['a row lock of its own', syntax, repository, "export const sql = 'SELECT id FROM account FOR UPDATE';"],
  [
    'a row lock of its own in a template',
    syntax,
    'src/transactions/reads/router.ts',
    'export const sql = (table: string) => `SELECT id FROM ${table}\n  for no key update`;',
  ],
  ['new Date()', syntax, service, 'export const now = (): Date => new Date();'],
  ['Date.now()', syntax, repository, 'export const now = (): number => Date.now();'],
  ['process.env', syntax, service, "export const port = (): string | undefined => process.env['PORT'];"],
  ...['OrderDto', 'OrderEntity', 'OrdersServiceImpl', 'OrdersManager', 'OrdersHelper', 'OrderUtils'].map(
    (name): (typeof mistakes)[number] => [
      `the name ${name}`,
      '@typescript-eslint/naming-convention',
      kernel,
      `export class ${name} { readonly value = 1; }`,
    ],
  ),
  ...(
    ['src/kernel/clock.ts', 'src/http/limits/rate-limits.ts', 'src/transactions/boundary/retry.ts', locks] as const
  ).map((file): (typeof mistakes)[number] => [
    'the time in ' + file,
    syntax,
    file,
    'export const now = (): number => Date.now();',
  ]),
  [
    'the time at which a transaction began',
    syntax,
    service,
    'export const sql = (given: Date): string => `SELECT ${given.toString()} > now()`;',
  ],
  [
    'the name of a function that ends in Helper',
    '@typescript-eslint/naming-convention',
    kernel,
    'export function moneyHelper() { return 1; }',
  ],
];

const allowed: [what: string, file: string, code: string][] = [
  [
    'a transaction in src/transactions',
    'src/transactions/boundary/adapter.ts',
    `${prisma}export const go = (): unknown => db.$transaction('x');`,
  ],
  ['a row lock in locks.ts', locks, "export const sql = 'SELECT id FROM account FOR NO KEY UPDATE';"],
  ['a given time in a module', service, 'export const read = (text: string): Date => new Date(text);'],
  ['our own @Body()', controller, "import { Body } from '../../http/input/input.ts';\nexport const use = Body;"],
  ['a promise that is waited for', service, `${step}export async function go() { await step(); }`],
  ['a function of 30 lines', kernel, `${step}export async function go() {\n${lines(28, '  await step();')}}`],
];

describe('the rules of the code', () => {
  let told: string[][];
  beforeAll(() => {
    const texts = [
      ...mistakes.map(([, , like, code]) => ({ like, code: `${code}\n` })),
      ...allowed.map(([, like, code]) => ({ like, inPlace: like === locks, code: `${code}\n` })),
    ];
    ({ told } = lint(texts));
  });

  const rulesOf = (index: number) => [...new Set(told[index])];

  it.each(mistakes.map(([what, rule], index) => ({ what, rule, index })))('refuse $what', ({ rule, index }) => {
    // What nobody waits for is refused by a rule of ours as well: test/lint-promises.test.ts.
    const told = rulesOf(index).filter((one) => one === rule || one !== 'promises/no-dropped-promise');
    expect(told).toEqual([rule]);
  });

  it.each(allowed.map(([what], index) => ({ what, index })))('allow $what', ({ index }) => {
    expect(rulesOf(mistakes.length + index)).toEqual([]);
  });
});
