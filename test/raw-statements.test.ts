import { Prisma } from '../src/database/generated/client.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { RawStatements } from '../src/transactions/wire/raw-statements.ts';
import { startApp, type TestApp } from './support/app.ts';

// Inside a boundary raw statements do not go through Prisma's query engine; outside they do. What comes of them must be the same.

let service: TestApp;
let transactions: Transactions;
beforeAll(async () => {
  service = await startApp();
  transactions = service.app.get(Transactions);
});
afterAll(() => service.close());
afterEach(() => jest.restoreAllMocks());

/** As Prisma answers it, and as a boundary does; and whether the boundary asked without the engine. */
async function both(sql: Prisma.Sql, operation: '$queryRaw' | '$executeRaw' = '$queryRaw') {
  jest.restoreAllMocks();
  const direct = [jest.spyOn(RawStatements.prototype, 'query'), jest.spyOn(RawStatements.prototype, 'execute')];
  const settled = (asked: Promise<unknown>) => asked.catch((error: unknown) => describeError(error));
  const prismas = await settled(transactions.client[operation](sql));
  expect(direct.flatMap(({ mock }) => mock.calls)).toHaveLength(0);
  const ours = await settled(transactions.run({ name: 'raw' }, (db) => db[operation](sql)));
  return { prismas, ours, isDirect: direct.some(({ mock }) => mock.calls.length > 0) };
}

const describeError = (error: unknown) => {
  const { name, code, meta, message, clientVersion } = error as Prisma.PrismaClientKnownRequestError;
  const { driverAdapterError } = (meta ?? {}) as { driverAdapterError?: Error };
  const cause = driverAdapterError?.cause as { kind: string } | undefined;
  // Prisma says before it which call of the client it was; and has words of its own for a type that it does not know.
  const said = cause?.kind === 'UnsupportedNativeDataType' ? null : message.split('\n').at(-1);
  return { name, code, said, clientVersion, meta, cause, class: error?.constructor };
};

/** One column of each type that a table can have, with a value at either end of what it holds. */
const values = [
  ["'t'::bool", 'false'],
  ['-32768::int2', '32767::int2'],
  ['(-2147483648)::int4', '2147483647'],
  ['(-9223372036854775808)::int8', '9223372036854775807', 'count(*)'],
  ["'-1.5'::float4", "'NaN'::float4", "'3e38'::float4", "'Infinity'::float8", '0.1::float8', "'-1e-300'::float8"],
  ['0.1000::numeric', '-123456789012345678901234567890.123456789::numeric', "'NaN'::numeric", 'sum(1::int8)'],
  ["'a'::text", "''", "'€ 😀'::varchar", "'ab '::char(5)", '\'a\'::"char"', "'a'::name"],
  ["'01890a5d-ac96-774b-bcce-b302099a8057'::uuid"],
  ["'2026-11-21 09:30:00.123456+01'::timestamptz", "'0099-01-01 00:00:00+00'::timestamptz"],
  ["'2026-11-21 09:30:00.123'::timestamp", "'2026-11-21'::date", "'09:30:00.5'::time", "'09:30:00+02'::timetz"],
  [`'{"a":[1,null,"x"]}'::jsonb`, "'[]'::json", "'null'::jsonb", "'1'::jsonb", `'"text"'::json`],
  ["'\\xdeadbeef'::bytea", "''::bytea"],
  ['12::oid', "B'101'::bit(3)", "B'1'::varbit", "'10.0.0.1'::inet", "'10.0.0.0/8'::cidr", "'<a/>'::xml"],
  ['ARRAY[1,2,NULL]::int4[]', 'ARRAY[1]::int2[]', 'ARRAY[9223372036854775807,NULL]::int8[]', "'{}'::int8[]"],
  ['ARRAY[0.1,NULL]::numeric[]', 'ARRAY[0.5]::float8[]', 'ARRAY[0.5]::float4[]', 'ARRAY[true,NULL]'],
  [
    "ARRAY['a',NULL,'\"b\"','c,d']::text[]",
    "ARRAY['a']::varchar[]",
    "ARRAY['01890a5d-ac96-774b-bcce-b302099a8057']::uuid[]",
  ],
  ["ARRAY['2026-11-21 09:30:00+00']::timestamptz[]", "ARRAY['2026-11-21']::date[]", "ARRAY['09:30']::time[]"],
  [`ARRAY['{"a":1}']::jsonb[]`, "ARRAY['\\x01']::bytea[]", "ARRAY['2026-11-21 09:30:00']::timestamp[]"],
  [
    "'12.50'::money",
    "'1 day'::interval",
    "'(1,2)'::point",
    "'a'::tsvector",
    "'[1,2]'::int4range",
    'ROW(1,2)',
    "'0/0'::pg_lsn",
  ],
].flat();

describe('a raw statement in a boundary', () => {
  it.each(values)('reads %s as Prisma does', async (value) => {
    const { prismas, ours, isDirect } = await both(Prisma.raw(`SELECT ${value} AS value, NULL AS nothing`));
    expect(isDirect).toBe(true);
    expect(ours).toStrictEqual(prismas);
  });

  const id = '01890a5d-ac96-774b-bcce-b302099a8057';
  const sent: [what: string, type: string, value: unknown, isDirect?: boolean][] = [
    ['null', 'text', null],
    ['text', 'text', 'a € 😀 \' " \\ \n'],
    ['an id', 'uuid', id],
    ['an integer', 'int4', -5],
    ['a large integer', 'int8', 2 ** 53 - 1],
    ['a fraction', 'float8', 0.1],
    ['a fraction for a numeric', 'numeric', 1e21],
    ['no number', 'float8', NaN, false],
    ['what is no integer', 'int4', 0.5],
    ['a bigint', 'int8', -9_223_372_036_854_775_808n],
    ['a bigint that is too large', 'int8', 9_223_372_036_854_775_808n],
    ['a truth', 'boolean', false],
    ['text for a truth', 'boolean', 'perhaps'],
    ['a moment', 'timestamptz', new Date('2026-11-21T09:30:00.120Z')],
    ['a moment long ago', 'timestamptz', new Date('0099-01-01T00:00:00Z')],
    ['a moment for a time without a zone', 'timestamp', new Date('2026-11-21T09:30:00.120Z')],
    ['a moment for a day', 'date', new Date('2026-11-21T23:30:00Z')],
    ['no moment', 'timestamptz', new Date(NaN), false],
    ['a list of integers', 'int4[]', [1, 2, 3]],
    ['a list of bigints', 'int8[]', [1n, 2n]],
    ['a list of texts, some of them odd', 'text[]', ['a', '', null, 'NULL', '"', '{},\\']],
    ['a list of ids', 'uuid[]', [id, id]],
    ['a list of moments', 'timestamptz[]', [new Date('2026-11-21T09:30:00.120Z'), null]],
    ['a list of truths', 'boolean[]', [true, false, null]],
    ['an empty list', 'text[]', []],
    [
      'a list of lists',
      'int4[]',
      [
        [1, 2],
        [3, 4],
      ],
      false,
    ],
    ['an object', 'jsonb', { a: [1, null, { b: 'c' }] }, false],
    ['bytes', 'bytea', new Uint8Array([0, 1, 255])],
    ['a part of a buffer', 'bytea', Buffer.from('abcdef').subarray(2, 4)],
    ['a list of bytes', 'bytea[]', [new Uint8Array([1]), null]],
    ['a decimal', 'numeric', new Prisma.Decimal('0.10'), false],
    ['what is not there', 'text', undefined, false],
  ];
  it.each(sent)('sends %s for %s as Prisma does', async (_, type, value, expected = true) => {
    const { prismas, ours, isDirect } = await both(Prisma.sql`SELECT ${value}::${Prisma.raw(type)} AS value`);
    expect(isDirect).toBe(expected);
    expect(ours).toStrictEqual(prismas);
  });

  const statements: [what: string, sql: Prisma.Sql][] = [
    ['no rows', Prisma.sql`SELECT 1 AS one WHERE false`],
    ['many rows', Prisma.sql`SELECT n, n::int8 AS large FROM generate_series(1, ${50}) AS n ORDER BY n DESC`],
    ['no columns', Prisma.sql`SELECT`],
    ['two columns of one name', Prisma.sql`SELECT 1 AS a, 2 AS a`],
    ['a joined text', Prisma.sql`SELECT ${1}::int + ${Prisma.sql`${2}::int`} AS sum, ${Prisma.join([1, 2])}`],
    ['a value of a table', Prisma.sql`SELECT id, balance, created_at, house FROM account ORDER BY id LIMIT 3`],
    ['a mistake in the text', Prisma.sql`SELECT FROM WHERE`],
    ['a table that is not there', Prisma.sql`SELECT * FROM nothing`],
    ['a column that is not there', Prisma.sql`SELECT nothing FROM account`],
    ['a division by zero', Prisma.sql`SELECT 1 / ${0}::int AS value`],
    ['a value that does not fit', Prisma.sql`SELECT ${'x'}::uuid AS value`],
    ['a number that is too large', Prisma.sql`SELECT ${70_000}::int2 AS value`],
    ['what the role may not', Prisma.sql`DELETE FROM entry RETURNING seq`],
    [
      'a broken CHECK',
      Prisma.sql`INSERT INTO account (id, currency, balance, created_at) VALUES (${id}::uuid, 'EUR', ${-1n}, 'epoch') RETURNING id`,
    ],
    ['a broken key', Prisma.sql`INSERT INTO account SELECT * FROM account LIMIT 1 RETURNING id`],
    ['nothing where something must be', Prisma.sql`INSERT INTO account (id) VALUES (${null}::uuid) RETURNING id`],
    [
      'what refers to nothing',
      Prisma.sql`INSERT INTO account (id, user_id, currency) VALUES (${id}::uuid, ${id}::uuid, 'EUR') RETURNING id`,
    ],
    [
      'an error that a block raises',
      Prisma.sql`DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '23514'; END $$`,
    ],
  ];
  it.each(statements)('answers %s as Prisma does, to either operation', async (_, sql) => {
    for (const operation of ['$queryRaw', '$executeRaw'] as const) {
      const { prismas, ours, isDirect } = await both(sql, operation);
      expect(isDirect).toBe(true);
      expect(ours).toStrictEqual(prismas);
    }
  });

  it('is counted among what is under way', async () => {
    const ended = transactions.run({ name: 'ends too early' }, async (db) => {
      db.$queryRaw`SELECT pg_sleep(0.2)`.catch(() => undefined);
      await Promise.resolve();
    });
    await expect(ended).rejects.toThrow('ended while $queryRaw was under way');
  });

  it('may come at any moment while the one before it makes the transaction begin', async () => {
    for (let later = 0; later < 60; later++) {
      const answers = await transactions.run({ name: 'two at once' }, async (db) => {
        const first = db.$queryRaw`SELECT 1 AS n`;
        // The pool gives an idle connection in the next tick; a few microtasks later the transaction has begun with it.
        await new Promise<void>((resolve) => process.nextTick(resolve));
        for (let turn = 0; turn < later; turn++) await Promise.resolve();
        return Promise.all([first, db.$queryRaw`SELECT 2 AS n`]);
      });
      expect(answers).toEqual([[{ n: 1 }], [{ n: 2 }]]);
    }
  });
});
