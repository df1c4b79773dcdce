import { randomUUID } from 'node:crypto';
import type { Response } from 'supertest';
import { Prisma } from '../src/database/generated/client.ts';
import { startApp, type TestApp } from './support/app.ts';
import { type Bare, startBare } from './support/bare.ts';
import { fullCount } from './support/counts.ts';
import { crowd, tally, underLoad } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';

// A session that is not what the code believes: its statements were prepared for tables that have changed since.

let service: TestApp;
let alice: Person;
let bob: Person;
let core: Bare;
let order: object;

beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '5' });
  [alice, bob] = (await crowd(service, 2, { balance: 1_000_000 })) as [Person, Person];
  const make = makers(service);
  const sku = await make.sku(100_000, 1);
  order = make.orderOf(alice, [sku]);
  core = await startBare({ app: service.database.urls.app }, { DATABASE_POOL_SIZE: '2' });
});
afterAll(async () => {
  await core.close();
  await service.close();
});

const transfer = () =>
  alice.api.post('/v1/transfers', {
    fromAccountId: alice.accountId,
    toAccountId: bob.accountId,
    amount: { amount: 1, currency: 'EUR' },
  });
const alter = (sql: string) => service.database.query(sql);

/** Each changes nothing that the code could mind, and takes away what a prepared statement takes or gives. */
const changes: [what: string, there: string, back: string][] = [
  [
    'the type of a column that is read and written',
    'ALTER TABLE "user" ALTER COLUMN email TYPE varchar(300)',
    'ALTER TABLE "user" ALTER COLUMN email TYPE text',
  ],
  [
    'the type of a column of transfers',
    'ALTER TABLE transfer ALTER COLUMN note TYPE varchar(900)',
    'ALTER TABLE transfer ALTER COLUMN note TYPE text',
  ],
  [
    'the type of a column of orders',
    'ALTER TABLE "order" ALTER COLUMN note TYPE varchar(900)',
    'ALTER TABLE "order" ALTER COLUMN note TYPE text',
  ],
];

describe('while requests run, a change of', () => {
  it.each(changes)(
    '%s fails none of them',
    async (_, there, back) => {
      const answers: Response[] = [];
      const requests = [
        transfer,
        () => alice.api.get('/v1/users/me'),
        () => alice.api.get('/v1/transfers'),
        () => alice.api.post('/v1/orders', order).set('idempotency-key', randomUUID()),
      ];
      let n = 0;
      const work = async (): Promise<unknown> => answers.push(await requests[n++ % requests.length]!());
      await underLoad(6, work, async () => {
        for (let round = 0; round < fullCount(2, 20); round++)
          for (const sql of [there, back]) {
            const before = answers.length;
            await alter(sql);
            while (answers.length < before + 30) await new Promise((resolve) => setTimeout(resolve, 10));
          }
      });
      expect(Object.keys(tally(answers)).filter((status) => !/^20[01]$/.test(status))).toEqual([]);
    },
    600_000,
  );
});

describe('a statement that its session refuses', () => {
  const makeTable = async (): Promise<string> => {
    const name = `stale_${randomUUID().slice(0, 8)}`;
    await alter(`CREATE TABLE ${name} (id int PRIMARY KEY, value int)`);
    await alter(`GRANT ALL ON ${name} TO holdfast_app; INSERT INTO ${name} VALUES (1, 1)`);
    return name;
  };
  /** As a repository would, by Prisma, which prepares it by name. */
  const statements = {
    'outside any boundary': (sql: string) => core.db.$queryRaw(Prisma.sql([sql])),
    'in a boundary': (sql: string) => core.run({ name: 'Stale' }, () => core.db.$queryRaw(Prisma.sql([sql]))),
  };

  it.each(Object.entries(statements))('%s is done again on a fresh one when its result has changed', async (_, run) => {
    const table = await makeTable();
    const sql = `SELECT * FROM ${table}`;
    for (let n = 0; n < 8; n++) await run(sql);
    await alter(`ALTER TABLE ${table} ALTER COLUMN value TYPE bigint`);
    // Every connection of the pool has it prepared.
    for (let n = 0; n < 8; n++) expect(await run(sql)).toEqual([{ id: 1, value: 1n }]);
  });

  it.each(Object.entries(statements))('%s is done again when its table was made anew', async (_, run) => {
    const table = await makeTable();
    const sql = `SELECT value FROM ${table}`;
    for (let n = 0; n < 8; n++) await run(sql);
    await alter(
      `DROP TABLE ${table}; CREATE TABLE ${table} (id int, value text); INSERT INTO ${table} VALUES (1, 'a')`,
    );
    await alter(`GRANT ALL ON ${table} TO holdfast_app`);
    for (let n = 0; n < 8; n++) expect(await run(sql)).toEqual([{ value: 'a' }]);
  });

  it.each(Object.entries(statements))('%s is done again when its session has forgotten it', async (_, run) => {
    const table = await makeTable();
    const sql = `SELECT value FROM ${table}`;
    for (let n = 0; n < 8; n++) await run(sql);
    // What DISCARD ALL of a pooler does: the session lives on without its statements.
    await core.run({ name: 'Forgetting' }, () => core.db.$executeRaw`DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$`);
    for (let n = 0; n < 8; n++) expect(await run(sql)).toEqual([{ value: 1 }]);
  });

  it.each(['26000', '42P05'])('in a boundary, with %s, leaves nothing of what came before it', async (sqlState) => {
    const slug = randomUUID();
    let runs = 0;
    const planted = `DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '${sqlState}'; END $$`;
    await core.run({ name: 'Again' }, async () => {
      runs++;
      await core.write(slug);
      if (runs === 1) await core.db.$executeRaw(Prisma.sql([planted]));
    });
    expect(runs).toBe(2);
    expect(await core.db.product.count({ where: { slug } })).toBe(1);
  });

  it('by its own fault is not done again', async () => {
    let runs = 0;
    const work = core.run({ name: 'Wrong' }, async () => {
      runs++;
      await core.db.$queryRaw`SELECT no_such_column FROM product`;
    });
    await expect(work).rejects.toThrow(/42703/);
    expect(runs).toBe(1);
  });
});
