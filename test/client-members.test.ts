/** @servers any */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import * as cls from '@nestjs-cls/transactional';
import { Injectable } from '@nestjs/common';
import { DatabaseClients } from '../src/database/database-clients.ts';
import { Prisma, PrismaClient } from '../src/database/generated/client.ts';
import { newId } from '../src/kernel/ids.ts';
import { MisuseError } from '../src/kernel/loggable-error.ts';
import { DATABASE, InjectReads, type Reads, READS } from '../src/transactions/tables.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { errorOf, fresh } from './support/bare.ts';
import { type Core, startCore } from './support/core.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { Marks, marksLike } from './support/marks.ts';

type Members = Record<string, unknown>;
type Refusing = () => unknown;

const tag = Symbol('tag');
const Tagged: MethodDecorator = (_, __, descriptor) => {
  Object.assign(descriptor.value as object, { [tag]: 'kept', cached: 60 });
};

@Injectable()
class Catalog {
  constructor(readonly marks: Marks) {}

  @Transactional()
  @Tagged
  async add(...slugs: string[]): Promise<void> {
    await Promise.all(slugs.map((slug) => this.marks.write(slug)));
  }
}

@Injectable()
class Pages {
  constructor(@InjectReads() readonly reads: Reads<'product'>) {}

  @Transactional({ readOnly: true, isolation: 'repeatable-read' })
  async page(slug: string) {
    const where = { slug: { startsWith: slug } };
    return { rows: await this.reads.product.findMany({ where }), total: await this.reads.product.count({ where }) };
  }
}

let database: TestDatabase;
let core: Core;
let db: PrismaClient;
let reads: Members;
let real: PrismaClient;
beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [Marks, Catalog, Pages]);
  db = core.app.get<PrismaClient>(DATABASE);
  reads = core.app.get<Members>(READS);
  real = core.app.get(DatabaseClients).write.prisma;
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

const members = (client: object): string[] => {
  const names = new Set<string>();
  for (let one: object | null = client; one !== null && one !== Object.prototype; one = Object.getPrototypeOf(one))
    for (const name of Reflect.ownKeys(one)) if (typeof name === 'string') names.add(name);
  return [...names].filter((name) => !name.startsWith('_') && name !== 'constructor');
};
const given = (client: object, name: string): unknown => (client as Members)[name];
const models = (): string[] =>
  Object.keys(Prisma.ModelName).map((name) => name.charAt(0).toLowerCase() + name.slice(1));
// Those that the types of the generated client have.
const documented = new Set(
  readFileSync('src/database/generated/internal/class.ts', 'utf8')
    .match(/^ +\$\w+(?=[<(:])/gm)
    ?.map((one) => one.trim()),
);

describe("each member of Prisma's client", () => {
  it('works, or says what to write instead', () => {
    const works = new Set(['$queryRaw', '$executeRaw', '$queryRawTyped']);
    const dollars = [...new Set([...members(real), ...members(PrismaClient.prototype)])].filter((one) =>
      one.startsWith('$'),
    );
    expect(dollars.length).toBeGreaterThan(8);
    for (const name of dollars) {
      expect([name, typeof given(db, name)]).toEqual([name, 'function']);
      if (works.has(name)) continue;
      expect(given(db, name)).toThrow(MisuseError);
      expect(given(db, name)).toThrow(`db.${name} is not offered. `);
    }
  });

  it('a transaction of its own begins nothing and names the boundary', () => {
    const begin = (db as unknown as Record<string, Refusing>)['$transaction'] as Refusing;
    expect(begin).toThrow('Draw a boundary: @Transactional() on the method of the service, or transactions.run(');
  });

  it('each table has each operation, and its columns to compare with', async () => {
    expect(models().length).toBeGreaterThan(15);
    for (const model of models()) {
      const delegate = given(db, model) as Members;
      for (const name of members(given(real, model) as object).filter((one) => /^[a-z]/.test(one) && one !== 'name'))
        expect([model, name, typeof delegate[name]]).toEqual([model, name, name === 'fields' ? 'object' : 'function']);
      const unknown = (delegate['createWithEmail'] as () => Promise<unknown>)();
      expect((await errorOf(unknown)).message).toMatch(
        `There is no operation ${model}.createWithEmail. There are findUnique,`,
      );
    }
    expect(await db.sku.findMany({ where: { version: { gt: db.sku.fields.version } } })).toEqual([]);
  });

  it('what a client that reads has not says so', () => {
    for (const name of ['$queryRaw', '$executeRaw', '$transaction', '$extends'])
      expect(reads[name]).toThrow(/not there with @InjectReads\(\)|is not offered/);
  });

  it('is shown by console.log, and is looked at by whoever gets it without harm', async () => {
    expect(inspect(db)).toMatch(/^Holdfast client \{ (?=.*\baccount, ).*\border, .*\$queryRaw/);
    expect(inspect(reads)).toMatch(/^Holdfast client that reads \{ .*\baccount, /);
    expect(inspect({ db: db.order })).toMatch(/db: order \{ findUnique, .*create, /);
    expect(await Promise.resolve(db)).toBe(db);
    expect(await Promise.resolve(db.order)).toBe(db.order);
    expect([given(db, 'toJSON'), given(db, 'nonsense'), given(db.order, 'then')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('what others have words for', () => {
  const page = readFileSync('docs/transactions-reference.md', 'utf8');

  it("each export of nestjs-cls' transactional package is on the page, with what stands in its place", () => {
    const exported = Object.keys(cls).filter((name) => !['__esModule', 'default', 'module.exports'].includes(name));
    expect(exported.length).toBeGreaterThan(8);
    for (const name of exported) expect(page).toContain(`\`${name}\``);
  });

  it("each member of Prisma's client that is refused is on the page", () => {
    expect(documented.size).toBeGreaterThan(6);
    for (const name of documented) expect(page).toContain(`\`${name}\``);
  });

  it('their host says where boundaries are drawn, and gives no client', async () => {
    const host = core.app.get(cls.TransactionHost);
    const error = await errorOf(host.withTransaction(async () => undefined));
    expect(error.message).toContain('Draw the boundary with @Transactional() of src/transactions/transactional.ts');
    expect(() => host.tx as unknown).toThrow('@InjectDatabase()');
  });
});

describe("@Transactional() on what others' decorators stand on", () => {
  it('keeps the properties that they have put on the method', () => {
    const { add } = Catalog.prototype as unknown as { add: Members & { [tag]: string } };
    expect([add[tag], add['cached']]).toEqual(['kept', 60]);
  });

  it('says of an object that Nest has not made what to do', async () => {
    const error = await errorOf(new Catalog(new Marks(db)).add('none'));
    expect(error).toBeInstanceOf(MisuseError);
    expect(error.message).toMatch(
      /^Catalog\.add draws a boundary, and its object was not made by Nest: .*import TransactionsModule/,
    );
  });
});

describe('from Prisma: what was written there is written here', () => {
  it('independent writes, $transaction([…]): a boundary, with ids that were made before', async () => {
    const name = fresh('independent');
    await core.get(Catalog).add(`${name}-1`, `${name}-2`);
    await expect(core.get(Catalog).add(`${name}-3`, `${name}-1`)).rejects.toThrow();
    expect(await marksLike(database, name)).toEqual([`${name}-1`, `${name}-2`]);
  });

  it('a nested write is one statement more, and needs no boundary', async () => {
    const slug = fresh('nested');
    const skus = { create: { id: newId(), code: slug, name: slug, price: 1n, currency: 'EUR' } };
    const product = await db.product.create({ data: { id: newId(), slug, name: slug, skus }, include: { skus: true } });
    expect(product.skus.map(({ code }) => code)).toEqual([slug]);
  });

  it('$transaction(async (tx) => …): run, whose work is given the client', async () => {
    const name = fresh('interactive');
    const failing = core.run({ timeout: '2s' }, async (tx) => {
      await tx.product.create({ data: { id: newId(), slug: name, name } });
      throw new TypeError('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await marksLike(database, name)).toEqual([]);
  });

  it('list and count from one snapshot: a read-only boundary at repeatable-read', async () => {
    const name = fresh('page');
    await core.get(Catalog).add(`${name}-1`, `${name}-2`);
    const { rows, total } = await core.get(Pages).page(name);
    expect([rows.length, total]).toEqual([2, 2]);
  });
});
