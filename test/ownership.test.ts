/** @servers any */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lockableTables } from '../src/transactions/lockable-tables.ts';
import '../src/app.module.ts';
import { filesToSurvey, readModels, survey, type Trespass } from './support/ownership.ts';

/** Which tables a module reaches that are another's, by which ways, and why. There is no other list. */
const exceptions: { module: string; by: Trespass['by'][]; tables: string[]; why: string }[] = [
  {
    module: 'users',
    by: ['relation', 'typed client'],
    tables: ['account'],
    why: 'A sign-up opens the first account with the profile, and a user is shown with the ids of the accounts.',
  },
  {
    module: 'sessions',
    by: ['raw SQL'],
    tables: ['user'],
    why: 'A session begins, goes on and is believed only while its person may be let in: one statement asks both.',
  },
  {
    module: 'passwords',
    by: ['raw SQL'],
    tables: ['user', 'profile'],
    why: 'A reset is shown before any boundary, and found with its person in one look-up.',
  },
  {
    module: 'webhooks',
    by: ['raw SQL'],
    tables: ['user'],
    why: 'Events go to endpoints of people who may be let in, and all of them to those of operators: one statement asks both.',
  },
  {
    module: 'accounts',
    by: ['typed client', 'raw SQL', 'raw SQL that writes'],
    tables: ['account'],
    why: 'An account is opened and set here: the row is one with what the ledger counts on it, as both are locked and checked together.',
  },
  {
    module: 'accounts',
    by: ['reading client', 'raw SQL'],
    tables: ['entry'],
    why: 'The entries of an account are listed and searched with it.',
  },
  {
    module: 'settlements',
    by: ['reading client', 'relation', 'raw SQL'],
    tables: ['transfer', 'settlement', 'reservation'],
    why: 'What is pending is read here, and written by the ledger alone, in one statement with the balances.',
  },
  {
    module: 'transfers',
    by: ['reading client', 'relation', 'raw SQL'],
    tables: ['transfer', 'settlement', 'reservation', 'account'],
    why: 'Transfers are listed by the accounts of whoever asks. The ledger alone writes them, in one statement with the balances.',
  },
  {
    module: 'audit',
    by: ['typed client', 'relation', 'raw SQL'],
    tables: ['transfer', 'settlement', 'entry', 'account'],
    why: 'Who audits reads what others have written, past their services. It writes links of its own table alone.',
  },
];

const repository = (db: string, body: string): string => `
  import { InjectDatabase, type Reads, type Sql, type Tables } from '../../transactions/tables.ts';
  import { lockAndLoad, lockRows } from '../../transactions/locks.ts';
  export const used = [InjectDatabase, lockAndLoad, lockRows];
  export type Used = [Reads<'order'>, Sql, Tables<'order'>];
  const whole = { payment: { include: { account: true } } } as const;
  const columns = 'p.id, p.slug FROM product p';
  export class Trespassing {
    constructor(private readonly db: ${db}) {}
    work = (id: string, flag: boolean) => ${body};
    keep = [whole, columns];
  }`;

/** Each way to a row of another module, tried by a repository of the orders. */
const ways: Record<string, [db: string, body: string, by: Trespass['by'], table: string]> = {
  'a client with a table that is not its own': ["Tables<'order' | 'account'>", '[id, flag]', 'typed client', 'account'],
  'the same for reading, behind a name': [
    "Reads<Extract<'sku' | 'order', 'sku'>>",
    '[id, flag]',
    'reading client',
    'sku',
  ],
  include: ["Tables<'order'>", 'this.db.order.findMany({ include: { user: flag } })', 'relation', 'user'],
  'include of a constant': ["Tables<'order'>", 'this.db.order.findMany({ include: whole })', 'relation', 'account'],
  select: [
    "Tables<'order'>",
    'this.db.order.findMany({ select: { id: true, user: { select: { email: true } } } })',
    'relation',
    'user',
  ],
  'a filter over a relation': [
    "Tables<'order'>",
    'this.db.order.count({ where: { AND: [{ user: { email: id } }] } })',
    'relation',
    'user',
  ],
  'an order by a relation': [
    "Tables<'order'>",
    "this.db.order.findMany({ orderBy: [{ user: { email: 'asc' } }] })",
    'relation',
    'user',
  ],
  'a nested write': [
    "Tables<'order'>",
    'this.db.order.update({ where: { id }, data: { user: { update: { email: id } } } })',
    'relation',
    'user',
  ],
  'a nested write under a condition': [
    "Tables<'order'>",
    "this.db.order.update({ where: { id }, data: { ...(flag && { user: { update: { email: 'a@example.com' } } }) } })",
    'relation',
    'user',
  ],
  'SELECT with a join': [
    'Sql',
    'this.db.$queryRaw`SELECT o.id FROM "order" o JOIN account a ON a.user_id = o.user_id WHERE o.id = ${id}::uuid`',
    'raw SQL',
    'account',
  ],
  'a subquery': [
    'Sql',
    'this.db.$queryRaw`SELECT id FROM "order" WHERE EXISTS (SELECT FROM public.session)`',
    'raw SQL',
    'session',
  ],
  'UPDATE in WITH': [
    'Sql',
    'this.db.$queryRaw`WITH made AS (UPDATE stock SET on_hand = 0 RETURNING sku_id) SELECT * FROM made`',
    'raw SQL that writes',
    'stock',
  ],
  INSERT: ['Sql', 'this.db.$executeRaw`INSERT INTO image (url) VALUES (${id})`', 'raw SQL that writes', 'image'],
  'a statement that leaves with COMMIT': [
    'Sql',
    "finalStatement('move')`UPDATE stock SET on_hand = 0 WHERE sku_id = ${id}`",
    'raw SQL that writes',
    'stock',
  ],
  'a statement that leaves with the first one': [
    'Sql',
    "firstStatement('move')`UPDATE stock SET on_hand = 0 WHERE sku_id = ${id}`",
    'raw SQL that writes',
    'stock',
  ],
  'DELETE with USING': [
    'Sql',
    'this.db.$executeRaw`DELETE FROM "order" o USING entry e WHERE e.account_id = o.user_id`',
    'raw SQL',
    'entry',
  ],
  TRUNCATE: ['Sql', 'this.db.$executeRaw`TRUNCATE refresh_token`', 'raw SQL that writes', 'refresh_token'],
  'DELETE of it': ['Sql', 'this.db.$executeRaw`DELETE FROM entry`', 'raw SQL that writes', 'entry'],
  'a statement that is put together': [
    '{ query(sql: string): unknown }',
    'this.db.query(`SELECT ${columns} WHERE p.slug = ${id}`)',
    'raw SQL',
    'product',
  ],
  'a table that nobody owns': ['Sql', 'this.db.$queryRaw`SELECT * FROM nobodys`', 'unknown table', 'nobodys'],
  lockRows: ['Sql', 'lockRows(this.db, { order: [id], stock: [id] })', 'lock', 'stock'],
  lockAndLoad: ['Sql', "lockAndLoad<{ id: string }>(this.db, 'account', [id], { id: 'id' })", 'lock', 'account'],
};
const fileOf = (n: number): string => join(process.cwd(), 'src/modules/orders', `trespass-${n}.repository.ts`);
const service = join(process.cwd(), 'src/modules/orders/trespass.service.ts');
const texts = new Map([
  ...Object.values(ways).map(([db, body], n): [string, string] => [fileOf(n), repository(db, body)]),
  [
    service,
    `import type { Transactions } from '../../transactions/transactions.ts';
     export const f = (transactions: Transactions) => transactions.run({}, (db) => db.product.deleteMany());`,
  ],
]);

let found: Trespass[];
beforeAll(async () => {
  found = await survey(filesToSurvey(), texts);
});
const at = (path: string) => found.filter(({ file }) => join(process.cwd(), file) === path);

describe('a table of another module', () => {
  it('is reached by nobody, but for the exceptions', () => {
    const allowed = (one: Trespass): boolean =>
      exceptions.some(
        ({ module, by, tables }) => module === one.module && by.includes(one.by) && tables.includes(one.table),
      );
    expect(found.filter((one) => !one.file.includes('trespass') && !allowed(one))).toEqual([]);
  });

  it.each(
    exceptions.flatMap(({ module, by, tables }) => [
      ...by.map((way) => ({ module, name: way, key: 'by' as const })),
      ...tables.map((name) => ({ module, name, key: 'table' as const })),
    ]),
  )('is an exception of $module only as long as it is used: $name', ({ module, name, key }) => {
    expect(found.some((one) => one.module === module && one[key] === name)).toBe(true);
  });

  it.each(Object.entries(ways).map(([name, [, , by, table]], n) => ({ name, by, table, n })))(
    'is found behind $name',
    ({ by, table, n }) => {
      expect(at(fileOf(n))).toContainEqual(expect.objectContaining({ module: 'orders', by, table }));
    },
  );

  it('is found behind the client that a boundary hands out, which has all tables', () => {
    expect(at(service)).toContainEqual(expect.objectContaining({ by: 'typed client', table: 'product' }));
  });
});

/** The modules that a module imports, and those that these import. */
function importedBy(module: string, found = new Set<string>()): Set<string> {
  const text = readFileSync(join('src', 'modules', module, `${module}.module.ts`), 'utf8');
  for (const [, name = ''] of text.matchAll(/from '\.\.\/([^/']+)\/[^']+[.]module[.]ts'/g))
    if (!found.has(name)) importedBy(name, found.add(name));
  return found;
}

describe('the stages of locks', () => {
  const owners = new Map([...readModels().values()].map(({ table, owner }) => [table, owner]));
  const order = lockableTables().map(({ table }) => owners.get(table) ?? '');

  // Whoever ends the sessions of a person holds the person first, so that no log-in begins another one meanwhile.
  // Whoever adds an endpoint of webhooks counts those of the person, who is held so that they stay as many.
  // Orders know users by the mail that they have sent, which locks nobody.
  const behind = [
    ['bookings', 'users'],
    ['orders', 'users'],
    ['sessions', 'users'],
    ['webhooks', 'users'],
  ];

  it('follow the imports of the modules: who imports another one, at whatever distance, locks before it', () => {
    const pairs = [...new Set(order)].flatMap((module) =>
      [...importedBy(module)].filter((other) => order.includes(other)).map((other) => [module, other]),
    );
    const wrong = pairs.filter(([module = '', other = '']) => order.lastIndexOf(module) > order.indexOf(other));
    expect(wrong).toEqual(behind);
    expect(pairs.length).toBeGreaterThan(behind.length);
  });
});
