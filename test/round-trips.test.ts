/** @servers any */
import { createServer, connect, type AddressInfo } from 'node:net';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { makeConfig } from '../src/config/config.ts';
import { configModule } from '../src/config/slices.ts';
import { readEnvironment } from '../src/config/environment.ts';
import { DatabaseClients } from '../src/database/database-clients.ts';
import { newId } from '../src/kernel/ids.ts';
import type { TransactionOptions } from '../src/transactions/boundary/options.ts';
import { boundaryOfContext } from '../src/transactions/current.ts';
import { InjectDatabase, type Sql, type Tables } from '../src/transactions/tables.ts';
import { TransactionsModule } from '../src/transactions/transactions.module.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { defaultTerms } from '../src/transactions/wire/transaction-handle.ts';
import { startBare } from './support/bare.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { testSecret } from './support/secret.ts';

const holdMs = 20;

@Injectable()
class Marks {
  constructor(@InjectDatabase() readonly db: Tables<'product' | 'sku'> & Sql) {}
}

let database: TestDatabase;
let proxy: Awaited<ReturnType<typeof startCountingProxy>>;
let marks: Marks;
let transactions: Transactions;
let databases: DatabaseClients;
let close: () => Promise<void>;

beforeAll(async () => {
  database = await createDatabase();
  proxy = await startCountingProxy(database.urls.app);
  const environment = readEnvironment({
    DATABASE_WRITE_URL: proxy.url,
    AUTH_SECRET: testSecret,
    DATABASE_POOL_SIZE: '2',
  });
  const config = makeConfig(environment as Parameters<typeof makeConfig>[0]);
  @Module({ imports: [configModule(config), TransactionsModule], providers: [Marks] })
  class ProbeModule {}
  const app = await NestFactory.createApplicationContext(ProbeModule, { logger: false, abortOnError: false });
  [marks, transactions, databases] = [app.get(Marks), app.get(Transactions), app.get(DatabaseClients)];
  close = () => app.close();
  // Both connections are there.
  await Promise.all([run({}, show), run({}, show)]);
});
afterAll(async () => {
  await close();
  proxy.close();
  await database.drop();
});

/** Holds back everything for a while, and counts how often the client speaks after the server has spoken: round trips. */
async function startCountingProxy(target: string) {
  const { hostname, port } = new URL(target);
  let turns = 0;
  let isServersTurn = false;
  const server = createServer((client) => {
    const upstream = connect({ host: hostname, port: Number(port) });
    client.on('data', (chunk) => {
      if (!isServersTurn) turns++;
      isServersTurn = true;
      setTimeout(() => upstream.write(chunk), holdMs);
    });
    upstream.on('data', (chunk) => {
      isServersTurn = false;
      setTimeout(() => client.write(chunk), holdMs);
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const)
      socket.on('error', () => undefined).on('close', () => other.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = Object.assign(new URL(target), { port: String((server.address() as AddressInfo).port) }).href;
  return { url, turns: () => turns, close: () => void server.close() };
}

/** The fewest of three runs: a server that is held up in the middle of an answer looks as if it had been asked twice. */
async function tripsOf(work: () => Promise<unknown>): Promise<number> {
  const trips: number[] = [];
  for (let n = 0; n < 3; n++) {
    const before = proxy.turns();
    await work();
    trips.push(proxy.turns() - before);
  }
  return Math.min(...trips);
}

const run = (options: TransactionOptions, work: () => Promise<unknown>) => transactions.run(options, work);
const show = () => marks.db.$queryRaw`SELECT current_setting('transaction_isolation')`;
const setting = async (name: string): Promise<string | undefined> =>
  (await marks.db.$queryRaw<{ value: string }[]>`SELECT current_setting(${name}) AS value`)[0]?.value;

describe('a boundary', () => {
  it('of one statement costs two round trips, whatever it asks for', async () => {
    for (const options of [
      {},
      { isolation: 'serializable' },
      { readOnly: true },
      { timeout: '2s' },
      { lockTimeout: '700ms' },
      { isolation: 'serializable', timeout: '2s', lockTimeout: '700ms' },
      { isolation: 'repeatable-read', readOnly: true, timeout: '2s' },
    ] satisfies TransactionOptions[])
      expect([options, await tripsOf(() => run(options, show))]).toEqual([options, 2]);
  });

  it('that writes costs two as well, although the id of the transaction is asked for', async () => {
    let n = 0;
    const write = () => {
      const slug = `trip-${++n}`;
      return marks.db.product.createMany({ data: [{ id: newId(), slug, name: slug }] });
    };
    const raw = () => {
      const slug = `trip-${++n}`;
      return marks.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${slug}, ${slug})`;
    };
    for (const work of [write, raw]) {
      expect(await tripsOf(() => run({}, work))).toBe(2);
      expect(await tripsOf(() => run({ isolation: 'serializable', timeout: '2s' }, work))).toBe(2);
    }
    // Three writes, each behind the last.
    expect(
      await tripsOf(() =>
        run({}, async () => {
          for (let k = 0; k < 3; k++) await raw();
        }),
      ),
    ).toBe(4);
    expect(await database.query(`SELECT FROM product WHERE slug LIKE 'trip-%'`)).toHaveLength(n);
  });

  it('with a replica, which makes it ask for its position behind COMMIT, costs no more', async () => {
    const withReplica = await startBare({ app: proxy.url, reader: database.urls.reader }, { DATABASE_POOL_SIZE: '1' });
    try {
      const positions: (string | null)[] = [];
      const write = (slug: string) =>
        withReplica.run({}, async () => {
          await withReplica.db
            .$executeRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${slug}, ${slug})`;
          const wire = boundaryOfContext()?.transaction.beginning.wire;
          return () => positions.push(wire?.position ?? null);
        });
      let n = 0;
      const writeOne = async (): Promise<unknown> => (await write(`replica-${++n}`))();
      await writeOne();
      expect(await tripsOf(writeOne)).toBe(2);
      for (const position of positions) expect(position).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    } finally {
      await withReplica.close();
    }
  });

  it('that has nested ones pays for their statements alone', async () => {
    const nested = (work: () => Promise<unknown>) => run({ propagation: 'nested' }, work);
    const twoNested = () =>
      run({}, async () => {
        await nested(show);
        await nested(() => nested(show));
      });
    const flat = () =>
      run({}, async () => {
        await show();
        await show();
      });
    expect([await tripsOf(flat), await tripsOf(twoNested)]).toEqual([3, 3]);
    // One that fails has to go back, which is a message of its own; without a statement in it there is nothing to go back to.
    const failing = (work: () => Promise<unknown>) => () =>
      run({}, async () => {
        await show();
        await nested(async () => {
          await work();
          throw new Error('thrown');
        }).catch(() => undefined);
        await show();
      });
    expect(await tripsOf(failing(show))).toBe(5);
    expect(await tripsOf(failing(async () => undefined))).toBe(3);
  });

  it('that says nothing takes no connection: it does not wait for one that somebody keeps', async () => {
    const single = await startBare(
      { app: database.urls.app },
      { DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: '9000' },
    );
    try {
      await single.run({}, async () => {
        await single.pid();
        const from = performance.now();
        const empty = { isolation: 'serializable', timeout: '5s' } as const;
        expect(await single.run({ ...empty, propagation: 'requires-new' }, async () => 1)).toBe(1);
        expect(
          await single.run({ ...empty, propagation: 'requires-new' }, () =>
            single.run({ propagation: 'nested' }, async () => 2),
          ),
        ).toBe(2);
        await single
          .run({ propagation: 'requires-new' }, () => Promise.reject(new Error('thrown')))
          .catch(() => undefined);
        expect(performance.now() - from).toBeLessThan(3000);
        expect(single.databases.write.pool.totalCount).toBe(1);
      });
    } finally {
      await single.close();
    }
  });

  it('of three statements costs four', async () => {
    const three = async () => {
      for (let n = 0; n < 3; n++) await show();
    };
    expect(await tripsOf(() => run({ isolation: 'serializable', timeout: '2s' }, three))).toBe(4);
  });

  it('that says nothing to the database costs none, also when it fails', async () => {
    expect(await tripsOf(() => run({ isolation: 'serializable' }, async () => 1))).toBe(0);
    const failing = () => run({}, () => Promise.reject(new Error('thrown'))).catch(() => undefined);
    expect(await tripsOf(failing)).toBe(0);
    expect(await tripsOf(() => run({}, show))).toBe(2);
  });

  it('has what it asks for from its first statement on, and the next one on the connection does not', async () => {
    const asked = await run(
      { isolation: 'repeatable-read', readOnly: true, timeout: '1500ms' },
      async () =>
        [
          await setting('transaction_isolation'),
          await setting('transaction_read_only'),
          Number.parseInt((await setting('statement_timeout')) ?? '', 10),
        ] as const,
    );
    expect(asked).toEqual(['repeatable read', 'on', expect.any(Number)]);
    expect((asked as [string, string, number])[2]).toBeLessThanOrEqual(1500);
    expect(
      await run({}, async () => [await setting('transaction_isolation'), await setting('transaction_read_only')]),
    ).toEqual(['read committed', 'off']);
  });

  it('keeps its settings to itself: what it begins outside itself has none of them', async () => {
    const slug = 'beside';
    const sku = { id: newId(), code: 'BESIDE', name: 'Beside', price: 1n, currency: 'EUR' };
    // A nested write outside the boundary is a transaction of Prisma's own, on another connection.
    const wide = await transactions.run({ readOnly: true, isolation: 'serializable' }, async () =>
      run({ propagation: 'not-supported' }, () =>
        marks.db.product.create({ data: { id: newId(), slug, name: slug, skus: { create: sku } } }),
      ),
    );
    expect(wide).toMatchObject({ slug });
  });
});

describe('a beginning that fails', () => {
  it('is reported as itself by the first statement, and nothing is stored', async () => {
    const slug = 'never';
    const opening = () => ['BEGIN', "SET LOCAL statement_timeout = 'nonsense'"];
    const wire = databases.write.pool.begin({ ...defaultTerms(), opening });
    const text = 'INSERT INTO product (id, slug, name) VALUES ($1, $2, $2)';
    const error: unknown = await wire.statement({ text, values: [newId(), slug] }).catch((thrown: unknown) => thrown);
    await wire.rollback();
    wire.release();
    expect(databaseFailure(error)?.sqlState).toBe('22023'); // invalid_parameter_value, not 25P02
    expect(await database.query('SELECT 1 FROM product WHERE slug = $1', [slug])).toEqual([]);
    expect(await tripsOf(() => run({}, show))).toBe(2);
  });
});
