// One peer of bench/boundaries.mts, in a process of its own: `<name> <url of the primary> <url of the replica>`. Does what it is told by message.
import { randomBytes } from 'node:crypto';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { PrismaPg } from '@prisma/adapter-pg';
import { Inject, Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClsPluginTransactional,
  Transactional as StockTransactional,
  type TransactionalAdapter,
  TransactionHost,
} from '@nestjs-cls/transactional';
import { TransactionalAdapterPrisma } from '@nestjs-cls/transactional-adapter-prisma';
import { ClsModule } from 'nestjs-cls';
import pg from 'pg';
import type * as Configs from '../src/config/config.ts';
import type * as Slices from '../src/config/slices.ts';
import type * as Environments from '../src/config/environment.ts';
import type * as Clients from '../src/database/generated/client.ts';
import type * as TablesModule from '../src/transactions/tables.ts';
import type * as Decorators from '../src/transactions/transactional.ts';
import type * as Modules from '../src/transactions/transactions.module.ts';

export const peerNames = ['holdfast', 'nestjs-cls', '$transaction', 'pg', 'pg, named'] as const;
export type PeerName = (typeof peerNames)[number];
export const workNames = ['one', 'four', 'raw', 'fourRaw'] as const;
export type WorkName = (typeof workNames)[number];

/** First the ids of rows to read and update; then work, for a number of times or of seconds. */
export interface Order {
  readonly seeds?: readonly string[];
  readonly work?: WorkName;
  readonly callers?: number;
  readonly times?: number;
  readonly seconds?: number;
}

export interface Measured {
  /** Per boundary. */
  readonly cpuMicros: number;
  readonly perSecond: number;
}

export interface Answer extends Measured {
  /** How many were run, the unmeasured ones included. */
  readonly boundaries: number;
}

/** What a boundary is given: the row to insert, a row to update, another to read. */
interface Task {
  readonly id: string;
  readonly slug: string;
  readonly mine: string;
  readonly other: string;
}
type Boundaries = Record<WorkName, (task: Task) => Promise<unknown>>;
type Client = Pick<Clients.PrismaClient, 'product' | '$queryRaw'>;
interface StockHost {
  readonly tx: Client;
}

const poolSize = 10;
// Before the measure: connections that idled too long are opened again.
const settleMs = 150;
const [name, url, readUrl] = process.argv.slice(2) as [PeerName, string, string];

/** A file of the build: Nest's decorators are not in a language that Node runs. */
const built = async (path: string): Promise<unknown> =>
  import(new URL(`../dist/src/${path}.js`, import.meta.url).href) as Promise<unknown>;

const statements = {
  read: 'SELECT id, slug, name, description, version, created_at, updated_at FROM product WHERE id = $1',
  update:
    'UPDATE product SET version = version + 1, updated_at = $2 WHERE id = $1 RETURNING id, slug, name, description, version, created_at, updated_at',
  insert:
    'INSERT INTO product (id, slug, name) VALUES ($1, $2, $3) RETURNING id, slug, name, description, version, created_at, updated_at',
};

const works: Record<WorkName, (client: Client, task: Task) => Promise<unknown>> = {
  one: ({ product }, { id, slug }) => product.create({ data: { id, slug, name: slug } }),
  four: async ({ product }, { id, slug, mine, other }) => {
    await product.findUnique({ where: { id: mine } });
    await product.findUnique({ where: { id: other } });
    await product.update({ where: { id: mine }, data: { version: { increment: 1 } } });
    return product.create({ data: { id, slug, name: slug } });
  },
  raw: (client, { id, slug }) => insertRaw(client, id, slug),
  fourRaw: async (client, { id, slug, mine, other }) => {
    await readRaw(client, mine);
    await readRaw(client, other);
    await client.$queryRaw`
      UPDATE product SET version = version + 1, updated_at = ${new Date()} WHERE id = ${mine}::uuid
      RETURNING id, slug, name, description, version, created_at, updated_at`;
    return insertRaw(client, id, slug);
  },
};

const readRaw = (client: Client, id: string) =>
  client.$queryRaw`SELECT id, slug, name, description, version, created_at, updated_at FROM product WHERE id = ${id}::uuid`;
const insertRaw = (client: Client, id: string, slug: string) =>
  client.$queryRaw`
    INSERT INTO product (id, slug, name) VALUES (${id}::uuid, ${slug}, ${slug})
    RETURNING id, slug, name, description, version, created_at, updated_at`;

const peers: Record<PeerName, () => Promise<Boundaries>> = {
  holdfast: async () => {
    const { Transactional } = (await built('transactions/transactional')) as typeof Decorators;
    const { TransactionsModule } = (await built('transactions/transactions.module')) as typeof Modules;
    const { InjectDatabase } = (await built('transactions/tables')) as typeof TablesModule;
    const { makeConfig } = (await built('config/config')) as typeof Configs;
    const { configModule } = (await built('config/slices')) as typeof Slices;
    const { readEnvironment } = (await built('config/environment')) as typeof Environments;
    class Service implements Boundaries {
      readonly db: Client;
      constructor(db: Client) {
        this.db = db;
      }
      one(task: Task) {
        return works.one(this.db, task);
      }
      four(task: Task) {
        return works.four(this.db, task);
      }
      raw(task: Task) {
        return works.raw(this.db, task);
      }
      fourRaw(task: Task) {
        return works.fourRaw(this.db, task);
      }
    }
    Injectable()(Service);
    InjectDatabase()(Service, undefined, 0);
    decorate(Service.prototype, Transactional());
    const environment = readEnvironment({
      DATABASE_WRITE_URL: url,
      DATABASE_READ_URL: readUrl,
      DATABASE_POOL_SIZE: String(poolSize),
      AUTH_SECRET: randomBytes(32).toString('base64'),
    });
    const config = configModule(makeConfig(environment as Parameters<typeof makeConfig>[0]));
    return startNest(Service, [config, TransactionsModule]);
  },
  'nestjs-cls': async () => {
    const prisma = await newClient();
    class Service implements Boundaries {
      readonly host: StockHost;
      constructor(host: StockHost) {
        this.host = host;
      }
      one(task: Task) {
        return works.one(this.host.tx, task);
      }
      four(task: Task) {
        return works.four(this.host.tx, task);
      }
      raw(task: Task) {
        return works.raw(this.host.tx, task);
      }
      fourRaw(task: Task) {
        return works.fourRaw(this.host.tx, task);
      }
    }
    Injectable()(Service);
    Inject(TransactionHost)(Service, undefined, 0);
    decorate(Service.prototype, StockTransactional());
    const PrismaModule = moduleOf({ providers: [{ provide: 'prisma', useValue: prisma }], exports: ['prisma'] });
    const adapter = new TransactionalAdapterPrisma({
      prismaInjectionToken: 'prisma',
    }) as unknown as TransactionalAdapter<unknown, unknown, unknown>;
    const plugin = new ClsPluginTransactional({ imports: [PrismaModule], adapter });
    return startNest(Service, [ClsModule.forRoot({ global: true, plugins: [plugin] })]);
  },
  $transaction: async () => {
    const prisma = await newClient();
    return {
      one: (task) => prisma.$transaction((tx) => works.one(tx, task)),
      four: (task) => prisma.$transaction((tx) => works.four(tx, task)),
      raw: (task) => prisma.$transaction((tx) => works.raw(tx, task)),
      fourRaw: (task) => prisma.$transaction((tx) => works.fourRaw(tx, task)),
    };
  },
  pg: async () => byHand((text, values) => ({ text, values })),
  'pg, named': async () => {
    const names = new Map(Object.entries(statements).map(([key, text]) => [text, key]));
    return byHand((text, values) => ({ name: names.get(text) ?? '', text, values }));
  },
};

function byHand(statement: (text: string, values: unknown[]) => pg.QueryConfig): Boundaries {
  const pool = new pg.Pool({ connectionString: url, max: poolSize });
  const { read, update, insert } = statements;
  async function transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      client.release();
      return result;
    } catch (error) {
      await client.query('ROLLBACK').then(
        () => client.release(),
        () => client.release(true),
      );
      throw error;
    }
  }
  const one: Boundaries['one'] = ({ id, slug }) =>
    transaction((client) => client.query(statement(insert, [id, slug, slug])));
  const four: Boundaries['four'] = ({ id, slug, mine, other }) =>
    transaction(async (client) => {
      await client.query(statement(read, [mine]));
      await client.query(statement(read, [other]));
      await client.query(statement(update, [mine, new Date()]));
      return client.query(statement(insert, [id, slug, slug]));
    });
  return { one, four, raw: one, fourRaw: four };
}

async function newClient(): Promise<Clients.PrismaClient> {
  const { PrismaClient } = (await built('database/generated/client')) as typeof Clients;
  return new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: poolSize }) });
}

/** `@decorator` on every method. */
function decorate(prototype: object, decorator: unknown): void {
  for (const key of workNames) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, key) ?? {};
    (decorator as MethodDecorator)(prototype, key, descriptor as TypedPropertyDescriptor<never>);
    Object.defineProperty(prototype, key, descriptor);
  }
}

async function startNest(
  Service: new (...given: never[]) => Boundaries,
  imports: NonNullable<ModuleMetadata['imports']>,
): Promise<Boundaries> {
  const root = moduleOf({ imports, providers: [Service] });
  const app = await NestFactory.createApplicationContext(root, { logger: false, abortOnError: false });
  return app.get(Service);
}

function moduleOf(metadata: ModuleMetadata): new () => unknown {
  class Made {
    readonly of = name;
  }
  Module(metadata)(Made);
  return Made;
}

async function serve(): Promise<void> {
  const boundaries = await peers[name]();
  let seeds: readonly string[] = [];
  process.on('message', (order: Order) => {
    seeds = order.seeds ?? seeds;
    const { work } = order;
    const answer = work === undefined ? ready() : perform(boundaries[work].bind(boundaries), order, seeds);
    void answer.then((figures) => process.send?.(figures));
  });
  await once(process, 'disconnect');
  process.exit(0);
}

const ready = async (): Promise<Answer> => ({ boundaries: 0, cpuMicros: 0, perSecond: 0 });

async function perform(
  boundary: (task: Task) => Promise<unknown>,
  { callers = 1, times = Infinity, seconds = 0 }: Order,
  seeds: readonly string[],
): Promise<Answer> {
  let begun = 0;
  let ended = 0;
  let isOver = false;
  const caller = async (number: number): Promise<void> => {
    // A row is updated by one caller only: nobody waits for a lock.
    for (let n = number; !isOver && begun < times; n = (n + callers) % seeds.length) {
      begun++;
      const id = randomUUID();
      const [mine = '', other = ''] = [seeds[n], seeds[(n + 1) % seeds.length]];
      await boundary({ id, slug: `${name} made ${id}`, mine, other });
      ended++;
    }
  };
  const all = Promise.all(Array.from({ length: callers }, (_, number) => caller(number)));
  if (seconds === 0) await all;
  else await Promise.race([sleep(settleMs), all]);
  const [from, since, before] = [process.cpuUsage(), performance.now(), ended];
  await Promise.race([sleep(seconds * 1000), all]);
  const { user, system } = process.cpuUsage(from);
  const [elapsed, measured] = [performance.now() - since, ended - before];
  isOver = true;
  await all;
  return { boundaries: ended, cpuMicros: (user + system) / measured, perSecond: (measured / elapsed) * 1000 };
}

if (import.meta.main) await serve();
