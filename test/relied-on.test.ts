import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTo, createServer, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClsPluginTransactional, Propagation, TransactionHost } from '@nestjs-cls/transactional';
import { TransactionalAdapterPrisma } from '@nestjs-cls/transactional-adapter-prisma';
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PrismaPg } from '@prisma/adapter-pg';
import { ClsModule, ClsService, ClsServiceManager } from 'nestjs-cls';
import pg from 'pg';
import { PrismaClient } from '../src/database/generated/client.ts';
import { newId } from '../src/kernel/ids.ts';
import { Connection } from '../src/transactions/wire/connection.ts';
import { Flight } from '../src/transactions/wire/flight.ts';
import { databaseFailure, isOutcomeUnknown, isUnreachable } from '../src/transactions/wire/postgres-errors.ts';
import { errorOf } from './support/bare.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

// What the core relies on in packages of others without its being promised. Each test asks the package itself, with nothing of the core
// between; its name is the assumption that an upgrade has broken when it fails.

let database: TestDatabase;
const closing: (() => unknown)[] = [];
beforeAll(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});
afterAll(() => database.drop());

/** A pool that writes down what is asked of it. Whoever connects is given the four members that our connections have, and no other. */
class Told extends pg.Pool {
  readonly told: string[] = [];
  /** Instead of sending the statement. */
  answer: (text: string) => Promise<pg.QueryResult> | null = () => null;
  readonly queries: pg.QueryConfig[] = [];
  /** Told of each promised connection. */
  connecting: () => void = () => undefined;

  override connect(): Promise<pg.PoolClient>;
  override connect(taken: Parameters<pg.Pool['connect']>[0]): void;
  override connect(taken?: Parameters<pg.Pool['connect']>[0]): Promise<pg.PoolClient> | void {
    this.told.push(taken === undefined ? 'connect()' : 'connect(callback)');
    if (taken !== undefined) return super.connect(taken);
    this.connecting();
    return super.connect().then((client) => this.lend(client));
  }

  private lend(client: pg.PoolClient): pg.PoolClient {
    const note = (what: string): void => void this.told.push(what);
    const members: Record<string, unknown> = {
      query: (query: pg.QueryConfig, ...more: unknown[]) => {
        if (typeof query.text !== 'string' || more.length > 0) throw new TypeError('not query({ text })');
        note(query.text.split(' ', 1)[0]!);
        this.queries.push(query);
        return this.answer(query.text) ?? client.query(query);
      },
      on: (event: string) => note(`on ${event}`),
      removeListener: (event: string) => note(`removeListener ${event}`),
      release: (error: unknown) => {
        note(error === undefined ? 'release()' : 'release(error)');
        client.release();
      },
    };
    return new Proxy(members, {
      get: (_, name) => {
        if (typeof name === 'symbol' || name === 'then') return undefined;
        if (!(name in members)) throw new TypeError(`${name} was asked of a connection`);
        return members[name];
      },
    }) as unknown as pg.PoolClient;
  }
}

// Not by once(): that rejects with the error which comes first.
const endOf = (client: pg.Client | pg.PoolClient): Promise<void> =>
  new Promise((resolve) => void client.once('end', () => resolve()));
const product = (id = newId()) => ({ id, slug: newId(), name: 'a' });
const nothing = (): pg.QueryResult => ({ command: '', rowCount: null, oid: 0, fields: [], rows: [] });

describe('Prisma, with @prisma/adapter-pg on a pool of ours,', () => {
  let pool: Told;
  let prisma: PrismaClient;
  const named: { readonly sql: string }[] = [];
  beforeEach(() => {
    pool = new Told({ connectionString: database.urls.app, max: 4 });
    const statementNameGenerator = (query: { readonly sql: string }): string => {
      named.push(query);
      return query.sql.startsWith('SELECT') ? `named ${query.sql.length}` : '';
    };
    const adapter = new PrismaPg(pool, { statementNameGenerator, disposeExternalPool: true });
    prisma = new PrismaClient({ adapter, errorFormat: 'minimal' });
    closing.push(() => prisma.$disconnect());
  });
  /** Keeps a transaction of Prisma's open. */
  const open = () => {
    const end = Promise.withResolvers<null>();
    const begun = Promise.withResolvers<Parameters<Parameters<PrismaClient['$transaction']>[0]>[0]>();
    const options = { maxWait: 5000, timeout: 2 ** 31 - 1 };
    const ended = prisma.$transaction((tx) => (begun.resolve(tx), end.promise), options);
    ended.catch((error: unknown) => begun.reject(error as Error));
    return { begun: begun.promise, end: () => end.resolve(null), fail: end.reject, ended };
  };

  it('begins a transaction with connect(), says BEGIN and COMMIT as query({ text }), and uses nothing else of a connection', async () => {
    await prisma.$transaction((tx) => tx.product.create({ data: product() }));
    const ends = ['COMMIT', 'removeListener error', 'release()'];
    expect(pool.told).toEqual(['connect()', 'on error', 'BEGIN', 'INSERT', ...ends]);
    expect(pool.queries.map(({ text }) => text).filter((text) => !text.startsWith('INSERT'))).toEqual([
      'BEGIN',
      'COMMIT',
    ]);
  });

  it('ends one that failed with ROLLBACK, and releases it without an error', async () => {
    const failing = prisma.$transaction(() => Promise.reject(new Error('thrown')));
    await expect(failing).rejects.toThrow('thrown');
    expect(pool.told).toEqual(['connect()', 'on error', 'BEGIN', 'ROLLBACK', 'removeListener error', 'release()']);
    expect(pool.queries.map(({ text }) => text)).toEqual(['BEGIN', 'ROLLBACK']);
  });

  it('needs nothing of the answers to BEGIN, COMMIT and ROLLBACK', async () => {
    pool.answer = (text) => (/^(BEGIN|COMMIT|ROLLBACK)$/.test(text) ? Promise.resolve(nothing()) : null);
    expect(await prisma.$transaction((tx) => tx.product.count({ where: { slug: '' } }))).toBe(0);
    const failing = prisma.$transaction(() => Promise.reject(new Error('thrown')));
    await expect(failing).rejects.toThrow('thrown');
  });

  it('does the writes of one call that has several in a transaction of the same kind', async () => {
    const sku = { id: newId(), code: newId(), name: 'a', price: 1n, currency: 'EUR' };
    await prisma.product.create({ data: { ...product(), skus: { create: sku } } });
    expect(pool.told.slice(0, 5)).toEqual(['connect()', 'on error', 'BEGIN', 'INSERT', 'INSERT']);
    expect(pool.told.slice(-3)).toEqual(['COMMIT', 'removeListener error', 'release()']);
  });

  it('sends a statement outside a transaction by pool.query, which pg turns into connect(callback)', async () => {
    await prisma.product.findMany({ take: 1 });
    await prisma.$queryRaw`SELECT 1`;
    expect(pool.told).toEqual(['connect(callback)', 'connect(callback)']);
  });

  it('calls connect() in the asynchronous context in which $transaction was called', async () => {
    const context = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    pool.connecting = () => seen.push(context.getStore());
    await Promise.all(
      ['one', 'two'].map((name) => context.run(name, () => prisma.$transaction(() => Promise.resolve()))),
    );
    expect(seen.toSorted()).toEqual(['one', 'two']);
  });

  it('runs the statements of an open transaction also for whoever calls from outside its callback, and says nothing between them', async () => {
    const elsewhere = new AsyncLocalStorage<string>();
    const { begun, end, ended } = open();
    const tx = await begun;
    const data = product();
    await elsewhere.run('elsewhere', () => tx.product.create({ data }));
    await sleep(50);
    expect(await tx.product.count({ where: { id: data.id } })).toBe(1);
    expect(await prisma.product.count({ where: { id: data.id } })).toBe(0);
    end();
    await ended;
    expect(pool.told.filter((what) => /^[A-Z]/.test(what))).toEqual(['BEGIN', 'INSERT', 'SELECT', 'COMMIT']);
  });

  it('never merges the statements of two open transactions, though it merges those of one', async () => {
    const ids = [newId(), newId()];
    await prisma.product.createMany({ data: ids.map((id) => product(id)) });
    const two = [open(), open()];
    const [one, other] = await Promise.all(two.map(({ begun }) => begun));
    const read = (...clients: unknown[]) =>
      Promise.all(ids.map((id, n) => (clients[n] as PrismaClient).product.findUnique({ where: { id } })));
    const sent = async (...clients: unknown[]): Promise<number> => {
      const before = pool.queries.length;
      expect((await read(...clients)).map((row) => row?.id)).toEqual(ids);
      return pool.queries.length - before;
    };
    expect([await sent(one, one), await sent(one, other)]).toEqual([1, 2]);
    for (const { end, ended } of two) {
      end();
      await ended;
    }
  });

  it('disconnecting says ROLLBACK for a transaction that is open, and ends the pool that it was given', async () => {
    const { begun, end, ended } = open();
    await begun;
    const failed = errorOf(ended);
    await prisma.$disconnect();
    end();
    await failed;
    expect(pool.queries.map(({ text }) => text)).toEqual(['BEGIN', 'ROLLBACK']);
    expect([pool.ending, pool.totalCount]).toEqual([true, 0]);
  });

  it('asks statementNameGenerator with the text, and gives its answer to pg as the name of the statement', async () => {
    named.length = 0;
    await prisma.$transaction(async (tx) => {
      await tx.product.findMany({ take: 1 });
      await tx.product.create({ data: product() });
    });
    const names = pool.queries.map(({ text, name }) => [text.split(' ', 1)[0], name]);
    expect(names).toEqual([
      ['BEGIN', ''],
      ['SELECT', expect.stringMatching(/^named \d+$/)],
      ['INSERT', ''],
      ['COMMIT', ''],
    ]);
    expect(named.map(({ sql }) => sql)).toEqual(pool.queries.map(({ text }) => text));
  });

  it('begins its own reads with SELECT COUNT(, SELECT "t0". or, with a statement for each relation, SELECT "public"., and its writes with their verb', async () => {
    const data = product();
    await prisma.$transaction(async (tx) => {
      await tx.product.create({ data });
      await tx.product.count();
      await tx.product.findFirst();
      await tx.product.findUnique({ where: { id: data.id }, include: { skus: true } });
      await tx.product.findUnique({ where: { id: data.id }, include: { skus: true }, relationLoadStrategy: 'query' });
      await tx.product.updateMany({ where: { id: data.id }, data: { name: 'b' } });
      await tx.image.deleteMany({ where: { productId: data.id } });
    });
    const known = /^(INSERT|SELECT COUNT\(|SELECT "public"\.|SELECT "t0"\.|UPDATE|DELETE)/;
    const beginnings = pool.queries.slice(1, -1).map(({ text }) => known.exec(text)?.[1] ?? text);
    const [joined, read] = ['SELECT "t0".', 'SELECT "public".'];
    expect(beginnings).toEqual(['INSERT', 'SELECT COUNT(', joined, joined, read, read, 'UPDATE', 'DELETE']);
  });

  describe('hands on what PostgreSQL said, so that the SQLSTATE is found', () => {
    const raise = (sqlState: string) => (text: string) => {
      if (/^(BEGIN|ROLLBACK)$/.test(text)) return null;
      const error = Object.assign(new pg.DatabaseError('raised', 6, 'error'), { code: sqlState, severity: 'ERROR' });
      return Promise.reject(error);
    };
    const ways: [string, (tx: PrismaClient) => Promise<unknown>][] = [
      ['a model query', (tx) => tx.product.create({ data: product() })],
      ['a raw query', (tx) => tx.$queryRaw`SELECT 1`],
      ['a raw command', (tx) => tx.$executeRaw`SELECT 1`],
      ['COMMIT', () => Promise.resolve()],
    ];
    const states = ['40001', '40P01', '23505', '57014', '57P01', '25006', '42501'];
    it.each(ways)('from %s', async (_, work) => {
      for (const state of states) {
        pool.answer = raise(state);
        const error = await errorOf(prisma.$transaction((tx) => work(tx as PrismaClient)));
        expect(databaseFailure(error)).toMatchObject({ sqlState: state });
      }
    });

    it('and the name of the constraint, be it unique, foreign or a CHECK', async () => {
      const taken = product();
      await prisma.product.create({ data: taken });
      const sku = { id: newId(), code: newId(), name: 'a', price: -1n, currency: 'EUR', productId: taken.id };
      const constraintOf = async (work: Promise<unknown>) => databaseFailure(await errorOf(work))?.constraint;
      expect([
        await constraintOf(prisma.product.create({ data: { ...product(), slug: taken.slug } })),
        await constraintOf(prisma.sku.create({ data: sku })),
        await constraintOf(prisma.sku.create({ data: { ...sku, price: 1n, productId: newId() } })),
      ]).toEqual(['slug-taken', expect.stringMatching(/price/), expect.stringMatching(/product_?id/i)]);
    });

    it('and that it said nothing, when the connection is gone or there is none', async () => {
      const error = await errorOf(prisma.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())`);
      expect([databaseFailure(error)?.sqlState ?? null, isUnreachable(error)]).toEqual(['57P01', true]);
      const config = { connectionString: 'postgresql://nobody@127.0.0.1:1/nothing' };
      const nowhere = new PrismaClient({ adapter: new PrismaPg(config) });
      closing.push(() => nowhere.$disconnect());
      const refused = await errorOf(nowhere.product.findMany());
      const facts = [databaseFailure(refused), isUnreachable(refused), isOutcomeUnknown(refused)];
      expect(facts).toEqual([null, true, false]);
    });
  });
});

describe('pg', () => {
  /** Where what a connection sends is seen packet by packet. */
  async function overWire(): Promise<{ url: string; packets: string[] }> {
    const { hostname, port } = new URL(database.urls.app);
    const packets: string[] = [];
    const server = createServer((socket) => {
      const upstream = connectTo(Number(port), hostname);
      socket.on('data', (chunk) => packets.push(chunk.toString('latin1')));
      for (const side of [socket, upstream]) side.on('error', () => undefined);
      socket.pipe(upstream).pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => server.close());
    const { port: own } = server.address() as AddressInfo;
    return { url: Object.assign(new URL(database.urls.app), { host: `127.0.0.1:${own}` }).href, packets };
  }
  const connected = async (config: pg.ClientConfig = {}) => {
    const socket = new Socket();
    const client = new pg.Client({
      connectionString: database.urls.app,
      pipeline: true,
      ...config,
      stream: () => socket,
    });
    client.on('error', () => undefined);
    await client.connect();
    closing.push(() => (socket.destroyed ? undefined : client.end()));
    return { client, socket };
  };

  it('speaks over the socket that `stream` hands out, and connects it itself', async () => {
    const { client, socket } = await connected();
    expect(socket.remotePort).toBe(Number(new URL(database.urls.app).port));
    const { bytesRead } = socket;
    await client.query('SELECT 1');
    expect(socket.bytesRead).toBeGreaterThan(bytesRead);
  });

  it('takes the death of its socket for the end: what waits is rejected, `end` is told', async () => {
    const { client, socket } = await connected();
    const waiting = [client.query('SELECT pg_sleep(10)'), client.query('SELECT 1')].map(errorOf);
    const ended = endOf(client);
    socket.destroy();
    for (const error of await Promise.all(waiting))
      expect([error.message, isUnreachable(error), databaseFailure(error)]).toEqual([
        expect.stringMatching(/Connection terminated/),
        true,
        null,
      ]);
    await ended;
    expect(isUnreachable(await errorOf(client.query('SELECT 1')))).toBe(true);
  });

  it('with `pipeline`, sends a statement before the one in front of it is answered, and each gets its own answer', async () => {
    const { url, packets } = await overWire();
    const { client } = await connected({ connectionString: url });
    const slow = client.query('SELECT pg_sleep(0.3)');
    const failing = errorOf(client.query('SELECT 1 / 0 AS failing'));
    const quick = client.query(`SELECT 'quick' AS answer`);
    const first = await Promise.race([slow.then(() => 'answered'), sleep(100).then(() => 'waiting')]);
    expect([first, packets.join('').includes('quick')]).toEqual(['waiting', true]);
    expect(databaseFailure(await failing)?.sqlState).toBe('22012');
    expect((await quick).rows).toEqual([{ answer: 'quick' }]);
  });

  it('writes at once what is asked, so that all between cork and uncork of its socket leaves in one packet', async () => {
    const { url, packets } = await overWire();
    const { client, socket } = await connected({ connectionString: url });
    await client.query('SELECT 1');
    packets.length = 0;
    socket.cork();
    const asked = [
      client.query('BEGIN; SELECT 1'),
      client.query({ text: 'SELECT $1::int AS two', values: [2], queryMode: 'extended' } as pg.QueryConfig),
      client.query({ name: 'third', text: 'SELECT 3' }),
    ];
    const held = socket.writableLength;
    socket.uncork();
    await Promise.all(asked);
    expect(packets.map(({ length }) => length)).toEqual([held]);
    for (const text of ['BEGIN; SELECT 1', 'AS two', 'SELECT 3']) expect(packets[0]).toContain(text);
  });

  it('answers a message of several statements with an array of results in their order, and one statement with one', async () => {
    const { client } = await connected();
    const many = (await client.query(`BEGIN; SET LOCAL lock_timeout = 7; SELECT 1 AS answer; COMMIT`)) as unknown;
    expect((many as pg.QueryResult[]).map(({ command }) => command)).toEqual(['BEGIN', 'SET', 'SELECT', 'COMMIT']);
    expect((many as pg.QueryResult[])[2]?.rows).toEqual([{ answer: 1 }]);
    expect(Array.isArray(await client.query('SELECT 1'))).toBe(false);
  });

  it('rejects a message of several statements with the error of the one that failed, and those behind it are not done', async () => {
    const { client } = await connected();
    const failed = await errorOf(client.query('BEGIN; SELECT 1 / 0; COMMIT'));
    expect(databaseFailure(failed)?.sqlState).toBe('22012');
    expect(databaseFailure(await errorOf(client.query('SELECT 1')))?.sqlState).toBe('25P02');
    expect((await client.query('COMMIT')).command).toBe('ROLLBACK');
  });

  it('tells the command and the number of rows, also of a command behind WITH', async () => {
    const { client } = await connected();
    const insert = (id: string) =>
      `INSERT INTO product (id, slug, name, updated_at) VALUES ('${id}', '${id}', 'a', statement_timestamp())`;
    const told = async (text: string) => {
      const { command, rowCount } = await client.query({ text, queryMode: 'extended' } as pg.QueryConfig);
      return [command, rowCount];
    };
    expect(await told(insert(newId()))).toEqual(['INSERT', 1]);
    expect(await told(`WITH a AS (SELECT 1) UPDATE product SET name = 'b'`)).toEqual(['UPDATE', expect.any(Number)]);
    expect(await told(`SELECT 1`)).toEqual(['SELECT', 1]);
    expect(await told(`BEGIN`)).toEqual(['BEGIN', null]);
    expect(await told(`ROLLBACK AND CHAIN`)).toEqual(['ROLLBACK', null]);
  });

  it('sends statements as one that are put in front of a Query before its Sync, and keeps their names apart', async () => {
    const client = new Connection({ connectionString: database.urls.app, pipeline: true });
    closing.push(() => client.end());
    await client.connect();
    const fly = (ahead: string[], text: string, name = 'shared') =>
      client.fly(new Flight(ahead, { name, text, values: [1] } as pg.QueryConfig));
    const one = 'SELECT $1::int AS one';
    // What was skipped has not been prepared, and is when it comes again.
    expect(databaseFailure(await errorOf(fly(['BEGIN', 'SELECT 1 / 0'], one)))?.sqlState).toBe('22012');
    expect(client.isIdle).toBe(false);
    await client.query('ROLLBACK');
    expect(databaseFailure(await errorOf(fly(['SELECT nonsense', 'BEGIN'], one)))?.sqlState).toBe('42703');
    expect(client.isIdle).toBe(true);
    for (let times = 0; times < 2; times++) expect((await fly(['BEGIN', 'ROLLBACK'], one)).rows).toEqual([{ one: 1 }]);
    const broken = fly(['BEGIN'], 'SELECT $1::int / 0', 'divides');
    expect(databaseFailure(await errorOf(broken))?.sqlState).toBe('22012');
    await client.query('ROLLBACK');
    const asking = new Flight([], { text: '' }, { name: 'asks', text: `SELECT 'answered'` });
    await client.fly(asking);
    expect(asking).toMatchObject({ done: 2, command: null, answer: 'answered' });
    expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
  });

  it('with queryMode `extended`, sends one statement only: a second one in the same text is refused', async () => {
    const { client } = await connected();
    const two = client.query({ text: 'SELECT 1; COMMIT', queryMode: 'extended' } as pg.QueryConfig);
    expect(databaseFailure(await errorOf(two))?.sqlState).toBe('42601');
  });

  it('keeps to the query_timeout of one query before that of the connection, and then ends the connection', async () => {
    const { client, socket } = await connected({ query_timeout: 60_000 });
    const ended = endOf(client);
    const slow = client.query({ text: 'SELECT pg_sleep(10)', query_timeout: 50 } as pg.QueryConfig);
    const error = await errorOf(slow);
    expect([error.message, isUnreachable(error), isOutcomeUnknown(error)]).toEqual(['Query read timeout', true, true]);
    await ended;
    expect(socket.destroyed).toBe(true);
  });

  it('sends its settings when it connects', async () => {
    const { client } = await connected({
      application_name: 'relied on',
      statement_timeout: 1234,
      lock_timeout: 567,
      idle_in_transaction_session_timeout: 8901,
      options: '-c work_mem=5MB',
    });
    const settings = ['application_name', 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];
    const shown = [];
    for (const name of [...settings, 'work_mem']) shown.push((await client.query(`SHOW ${name}`)).rows[0][name]);
    expect(shown).toEqual(['relied on', '1234ms', '567ms', '8901ms', '5MB']);
  });

  describe('has a pool that', () => {
    const made = (config: pg.PoolConfig = {}): pg.Pool => {
      const pool = new pg.Pool({ connectionString: database.urls.app, max: 2, ...config });
      pool.on('error', () => undefined);
      closing.push(() => pool.end());
      return pool;
    };

    it('makes its connections of the class `Client`, with its own configuration', async () => {
      const configs: (pg.ClientConfig | undefined)[] = [];
      class Own extends pg.Client {
        constructor(config?: pg.ClientConfig) {
          super(config);
          configs.push(config);
        }
      }
      const pool = made({ Client: Own, application_name: 'own' });
      const client = await pool.connect();
      client.release();
      expect(client).toBeInstanceOf(Own);
      expect(configs).toMatchObject([{ application_name: 'own' }]);
      expect(pool.options.max).toBe(2);
    });

    it('tells `connect` once for each new connection, before whoever asked is given it', async () => {
      const pool = made();
      const events: string[] = [];
      pool.on('connect', () => events.push('connect'));
      for (let n = 0; n < 2; n++) {
        const client = await pool.connect();
        events.push('given');
        client.release();
      }
      expect(events).toEqual(['connect', 'given', 'given']);
    });

    it('tells `release` of each connection that is given back, also by pool.query and with an error', async () => {
      const pool = made();
      const released: unknown[] = [];
      pool.on('release', (error, client) => released.push([Boolean(error), client]));
      const client = await pool.connect();
      client.release();
      expect(released).toEqual([[false, client]]);
      await pool.query('SELECT 1');
      await errorOf(pool.query('SELECT 1 / 0'));
      expect(released).toHaveLength(3);
    });

    it('asks connect(callback) of itself for pool.query, and hands over the connection and how to give it back', async () => {
      const told: string[] = [];
      class Asked extends pg.Pool {
        override connect(): Promise<pg.PoolClient>;
        override connect(taken: Parameters<pg.Pool['connect']>[0]): void;
        override connect(taken?: Parameters<pg.Pool['connect']>[0]): Promise<pg.PoolClient> | void {
          if (taken === undefined) return super.connect();
          super.connect((error, client, done) => {
            told.push(`${error}, ${client instanceof pg.Client}, ${typeof done}`);
            taken(error, client, done);
          });
        }
      }
      const pool = new Asked({ connectionString: database.urls.app });
      closing.push(() => pool.end());
      await pool.query('SELECT 1');
      expect(told).toEqual(['undefined, true, function']);
    });

    it('throws a connection away that is released with true, and lends one that is not again', async () => {
      const pool = made();
      const first = await pool.connect();
      first.release();
      const second = await pool.connect();
      second.release(true);
      const third = await pool.connect();
      third.release();
      expect([second === first, third === first]).toEqual([true, false]);
    });

    it('throws a connection away whose socket is gone when it is released', async () => {
      const sockets: Socket[] = [];
      const stream = () => sockets[sockets.push(new Socket()) - 1]!;
      const pool = made({ stream });
      const first = await pool.connect();
      first.on('error', () => undefined);
      const ended = endOf(first);
      sockets[0]!.destroy();
      await ended;
      first.release();
      const second = await pool.connect();
      second.release();
      expect(second).not.toBe(first);
    });

    it('tells the wait for a connection and a server that is not there apart from what PostgreSQL says', async () => {
      const pool = made({ max: 1, connectionTimeoutMillis: 1500 });
      const client = await pool.connect();
      const waited = await errorOf(pool.connect());
      client.release();
      expect([isUnreachable(waited), isOutcomeUnknown(waited)]).toEqual([true, false]);
    });
  });
});

describe('nestjs-cls and @nestjs-cls/transactional', () => {
  interface Options {
    readonly name: string;
  }
  type Work = () => Promise<unknown>;
  type SetClient = (client?: unknown) => void;
  const told: unknown[] = [];

  class ToldAdapter extends TransactionalAdapterPrisma {
    readonly extraProviderTokens = [Extra];
    constructor() {
      super({ prismaInjectionToken: Connection });
      this.optionsFactory = ((connection: unknown, [extra]: unknown[]) => {
        made.push(connection, extra);
        const wrap = (kind: string) => (options: Options, work: Work, setClient: SetClient) => {
          told.push([kind, options]);
          setClient(`client of ${kind} ${options.name}`);
          return work();
        };
        return {
          wrapWithTransaction: wrap('transaction'),
          wrapWithNestedTransaction: (options: Options, work: Work) => {
            told.push(['nested', options]);
            return work();
          },
          getFallbackInstance: () => 'fallback',
        };
      }) as unknown as TransactionalAdapterPrisma['optionsFactory'];
    }
  }
  class Connection {
    readonly kind = 'connection';
  }
  class Extra {
    readonly kind = 'extra';
  }
  const made: unknown[] = [];

  interface Host {
    readonly tx: unknown;
    withTransaction<T>(propagation: Propagation, work: () => Promise<T>): Promise<T>;
    withTransaction<T>(propagation: Propagation, options: Options, work: () => Promise<T>): Promise<T>;
    withoutTransaction<T>(work: () => Promise<T>): Promise<T>;
  }
  const apps: INestApplicationContext[] = [];
  let app: INestApplicationContext;
  let host: Host;
  const start = async (): Promise<INestApplicationContext> => {
    @Module({ providers: [Connection, Extra], exports: [Connection, Extra] })
    class Rooms {}
    const adapter = new ToldAdapter() as never;
    const plugins = [new ClsPluginTransactional({ imports: [Rooms], adapter })];
    @Module({ imports: [Rooms, ClsModule.forRoot({ global: true, plugins })] })
    class Root {}
    const started = await NestFactory.createApplicationContext(Root, { logger: false });
    apps.push(started);
    return started;
  };
  beforeAll(async () => {
    app = await start();
    host = app.get<Host>(TransactionHost);
  });
  beforeEach(() => told.splice(0));
  afterAll(async () => {
    for (const each of apps) await each.close();
  });
  const isNew = Propagation.RequiresNew;

  it('make the options of an adapter of its optionsFactory, with the connection and the extra providers that it asks for', () => {
    expect(made.slice(0, 2)).toEqual([app.get(Connection), app.get(Extra)]);
  });

  it('call wrapWithTransaction for RequiresNew, outside and inside of another one, with its options', async () => {
    const value = await host.withTransaction(isNew, { name: 'a' }, () =>
      host.withTransaction(isNew, { name: 'b' }, () => Promise.resolve(7)),
    );
    const options = [
      ['transaction', { name: 'a' }],
      ['transaction', { name: 'b' }],
    ];
    expect(told).toMatchObject(options);
    expect(value).toBe(7);
  });

  it('hand over the very error that the work has thrown', async () => {
    const error = new Error('thrown');
    const failing = host.withTransaction(isNew, { name: 'a' }, () => Promise.reject(error));
    expect(await errorOf(failing)).toBe(error);
  });

  it('have as `tx` what setClient was given, and the fallback before and after', async () => {
    const seen = [host.tx];
    await host.withTransaction(isNew, { name: 'a' }, async () => {
      seen.push(host.tx);
      await host.withTransaction(isNew, { name: 'b' }, async () => void seen.push(host.tx));
      seen.push(host.tx);
    });
    seen.push(host.tx);
    const [a, b] = ['client of transaction a', 'client of transaction b'];
    expect(seen).toEqual(['fallback', a, b, a, 'fallback']);
  });

  it('call wrapWithNestedTransaction for Nested inside a transaction, which keeps its `tx`', async () => {
    const seen: unknown[] = [];
    const value = await host.withTransaction(isNew, { name: 'a' }, async () => {
      const nested = await host.withTransaction(Propagation.Nested, async () => {
        seen.push(host.tx);
        return 'nested';
      });
      seen.push(host.tx);
      return nested;
    });
    expect(told.map((call) => (call as unknown[])[0])).toEqual(['transaction', 'nested']);
    expect([value, ...seen]).toEqual(['nested', 'client of transaction a', 'client of transaction a']);
  });

  it('hide `tx` in withoutTransaction, and only there', async () => {
    const seen: unknown[] = [];
    await host.withTransaction(isNew, { name: 'a' }, async () => {
      await host.withoutTransaction(async () => void seen.push(host.tx));
      seen.push(host.tx);
    });
    expect(seen).toEqual(['fallback', 'client of transaction a']);
  });

  it('have one ClsService for all applications of a process, which ClsServiceManager gives', async () => {
    const another = await start();
    const services = [app.get(ClsService), another.get(ClsService), ClsServiceManager.getClsService()];
    expect(new Set(services).size).toBe(1);
  });

  it('copy the context in cls.run with `inherit`: what is set inside, also by symbol, is not seen outside', async () => {
    const cls = ClsServiceManager.getClsService();
    const key = Symbol('key');
    expect(cls.isActive()).toBe(false);
    await cls.run(async () => {
      cls.set(key, 'outer');
      await cls.run({ ifNested: 'inherit' }, async () => {
        expect(cls.get(key)).toBe('outer');
        cls.set(key, 'inner');
        await sleep(1);
        expect(cls.get(key)).toBe('inner');
      });
      expect(cls.get(key)).toBe('outer');
    });
  });

  it('give every transaction, and what is outside one, a copy of the context', async () => {
    const cls = ClsServiceManager.getClsService();
    const key = Symbol('key');
    const set = async (value: string) => cls.set(key, value);
    const seen: unknown[] = [];
    await cls.run(async () => {
      await set('outer');
      await host.withTransaction(isNew, { name: 'a' }, async () => {
        seen.push(cls.get(key));
        await set('a');
        await host.withTransaction(Propagation.Nested, () => set('nested'));
        seen.push(cls.get(key));
        await host.withoutTransaction(() => set('without'));
        seen.push(cls.get(key));
      });
      seen.push(cls.get(key));
    });
    expect(seen).toEqual(['outer', 'a', 'a', 'outer']);
  });
});
