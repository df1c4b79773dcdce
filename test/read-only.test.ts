import { Injectable } from '@nestjs/common';
import { newId } from '../src/kernel/ids.ts';
import {
  InjectDatabase,
  InjectReads,
  type Reads,
  type ReadSql,
  type Sql,
  type Tables,
} from '../src/transactions/tables.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { TransactionControlError } from '../src/transactions/wire/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Core, startCore } from './support/core.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

@Injectable()
class Catalogue {
  constructor(@InjectReads() readonly db: Reads<'product'>) {}
}

@Injectable()
class Writer {
  constructor(@InjectDatabase() readonly db: Tables<'product'> & Sql) {}
}

@Injectable()
class Reports {
  constructor(private readonly catalogue: Catalogue) {}

  @Transactional({ readOnly: true })
  async names(): Promise<string[]> {
    return (await this.catalogue.db.product.findMany()).map(({ name }) => name);
  }
}

let database: TestDatabase;
const cores: Core[] = [];
beforeAll(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  for (const core of cores.splice(0)) await core.close();
});
afterAll(() => database.drop());

async function start(reader = database.urls.reader): Promise<Core> {
  const core = await startCore(database, [Catalogue, Writer, Reports], { urls: { reader } });
  cores.push(core);
  return core;
}
const product = (name: string) => ({ id: newId(), slug: newId(), name });
const sqlStateOf = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => 'done',
    (error: unknown) => databaseFailure(error)?.sqlState ?? String(error),
  );
const stored = async (name: string): Promise<number> =>
  (await database.query('SELECT FROM product WHERE name = $1', [name])).length;

// That its type has no method which writes is in types.test.ts.
describe('a repository that only reads', () => {
  it('reads what was written, inside and outside of boundaries', async () => {
    const core = await start();
    const name = newId();
    await core.run({}, async () => {
      await core.get(Writer).db.product.create({ data: product(name) });
      expect(await core.get(Catalogue).db.product.count({ where: { name } })).toBe(1);
    });
    expect(await core.get(Catalogue).db.product.count({ where: { name } })).toBe(1);
    expect(await core.get(Reports).names()).toContain(name);
  });

  it.each(['create', 'createMany', 'update', 'updateMany', 'upsert', 'delete', 'deleteMany', 'createManyAndReturn'])(
    'is refused %s before any statement, also when it got round its type',
    async (operation) => {
      const core = await start();
      const name = newId();
      const { db } = core.get(Catalogue) as unknown as Record<
        string,
        Record<string, Record<string, (args: object) => Promise<unknown>>>
      >;
      const call = () => db?.['product']?.[operation]?.({ data: product(name), where: {} }) as Promise<unknown>;
      const error = new TypeError(
        `product.${operation} writes, and this repository only reads: it uses @InjectReads().`,
      );
      await expect(call()).rejects.toThrow(error);
      await expect(core.run({}, call)).rejects.toThrow(error);
      expect(await stored(name)).toBe(0);
    },
  );

  it('has no raw statements, which could write outside a boundary', async () => {
    const { db } = (await start()).get(Catalogue) as unknown as { db: Record<string, unknown> };
    for (const name of ['$queryRaw', '$executeRaw', '$queryRawTyped', '$transaction', '$queryRawUnsafe'])
      expect(db[name]).toThrow(/not there with @InjectReads\(\)|is not offered/);
  });
});

describe('a repository that only reads, in a boundary that only reads,', () => {
  it('has $queryRaw, and what writes by it is refused; in a boundary that may write it has not', async () => {
    const core = await start();
    const name = newId();
    const { db } = core.get(Catalogue) as unknown as { db: ReadSql };
    expect(await core.run({ readOnly: true }, () => db.$queryRaw`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
    const write = async () =>
      db.$queryRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${name}, ${name})`;
    await expect(core.run({ readOnly: true }, write)).rejects.toThrow();
    await expect(core.run({}, write)).rejects.toThrow(
      /not there with @InjectReads\(\) but in a boundary that only reads/,
    );
    expect(await stored(name)).toBe(0);
  });
});

describe('a read-only boundary', () => {
  it('is READ ONLY for PostgreSQL, also where the role may write', async () => {
    // On the primary, as holdfast_app: the level keeps it off the replica.
    const core = await start();
    const [name, { db }] = [newId(), core.get(Writer)];
    const write = () => db.$queryRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${name}, ${name})`;
    expect(await sqlStateOf(core.run({ readOnly: true, isolation: 'serializable' }, write))).toBe('25006');
    expect(await stored(name)).toBe(0);
    expect(await sqlStateOf(core.run({ isolation: 'serializable' }, write))).toBe('done');
  });

  it('belongs to a role that may only read, also where the transaction is talked into writing', async () => {
    // A replica refuses by itself before it looks at rights; that the primary refuses this role too is in database-roles.test.ts.
    const core = await start();
    const [name, { db }] = [newId(), core.get(Writer)];
    const who = () => db.$queryRaw`SELECT current_user::text AS role, pg_is_in_recovery() AS "isStandby",
      has_table_privilege('product', 'INSERT, UPDATE, DELETE, TRUNCATE') AS "mayWrite"`;
    const talk = () => db.$queryRaw`SET TRANSACTION READ WRITE`;
    const write = () => db.$queryRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${name}, ${name})`;
    expect(await core.run({ readOnly: true }, who)).toEqual([
      { role: 'holdfast_reader', isStandby: true, mayWrite: false },
    ]);
    expect(await sqlStateOf(core.run({ readOnly: true }, talk))).toContain('TransactionControlError');
    expect(await sqlStateOf(core.run({ readOnly: true }, write))).toBe('25006');
    expect(await stored(name)).toBe(0);
  });
});

it('a read-only boundary that joins one that writes is refused a raw write too', async () => {
  const core = await start();
  const name = newId();
  const { db } = core.get(Writer);
  const write = () =>
    db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${newId()}, ${name})`;
  await core.run({ name: 'Writes' }, async () => {
    await write();
    const reading = core.run({ name: 'Reads', readOnly: true }, write);
    await expect(reading).rejects.toThrow('$executeRaw writes, and Reads is a boundary that only reads.');
  });
  expect(await stored(name)).toBe(1);
});

describe('a raw query in a read-only boundary that joined one that writes', () => {
  const sql = (text: string) => Object.assign([text], { raw: [text] }) as unknown as TemplateStringsArray;
  const columns = '(id, slug, name, updated_at)';
  const row = () => `'${newId()}', '${newId()}', 'raw', now()`;
  const inside = async (text: string): Promise<unknown> => {
    const core = await start();
    const { db } = core.get(Writer);
    return core.run({ name: 'Writes' }, async () =>
      core.run({ name: 'Reads', readOnly: true }, async () => db.$queryRaw(sql(text))),
    );
  };

  it.each([
    `INSERT INTO product ${columns} VALUES (${row()}) RETURNING name`,
    `-- first\n /* then */ insert into product ${columns} SELECT ${row()} RETURNING name`,
    `UPDATE product SET name = name RETURNING name`,
    `MERGE INTO product USING (SELECT 1) AS a ON false WHEN NOT MATCHED THEN DO NOTHING`,
    `WITH added AS (INSERT INTO product ${columns} VALUES (${row()}) RETURNING name) SELECT name FROM added`,
    `WITH changed AS (UPDATE ONLY "public"."product" AS p SET name = name RETURNING name) SELECT name FROM changed`,
    `WITH gone AS (DELETE FROM image RETURNING id) SELECT id::text FROM gone`,
  ])('is refused before it is sent when it says that it writes: %s', async (text) => {
    await expect(inside(text)).rejects.toThrow('$queryRaw writes, and Reads is a boundary that only reads.');
    expect(await stored('raw')).toBe(0);
  });

  it.each([
    `SELECT 'INSERT INTO product' AS name`,
    `SELECT name FROM product WHERE name = 'raw' FOR NO KEY UPDATE`,
    `WITH update_set AS (SELECT id FROM product FOR UPDATE) SELECT id::text FROM update_set LIMIT 0`,
    `VALUES (1)`,
  ])('is let through when it reads: %s', async (text) => {
    expect(await inside(text)).toEqual(expect.any(Array));
  });
});

it.each(['SET statement_timeout = 1', 'reset all', 'DISCARD ALL', 'SET SESSION lock_timeout = 1', '/* */ SET ROLE x'])(
  'the session is not changed for those after: %s is refused before it is sent',
  async (sql) => {
    const core = await start();
    const { db } = core.get(Writer);
    const template = Object.assign([sql], { raw: [sql] }) as unknown as TemplateStringsArray;
    await expect(db.$executeRaw(template)).rejects.toThrow(TransactionControlError);
    await expect(core.run({}, () => db.$executeRaw(template))).rejects.toThrow(TransactionControlError);
    expect(await core.run({}, () => db.$executeRaw`SET LOCAL statement_timeout = 50`)).toBe(0);
  },
);
