// What the peers on Fastify and pg have in common: the routes with their schemas, the pool, and how they say that they listen.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import Fastify from 'fastify';
import pg from 'pg';

export interface NewTransfer {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}
export interface NewOrder {
  readonly accountId: string;
  readonly lines: readonly Line[];
}
export interface Line {
  readonly skuId: string;
  readonly quantity: number;
}

/** Who asks, under which key, and the id that the new row gets. */
export interface Asked {
  readonly principal: string;
  readonly key: string;
  readonly id: string;
}

export interface Works {
  readonly transfer: (asked: Asked, transfer: NewTransfer) => Promise<void>;
  /** The lines in the order of their SKUs: so that two orders do not wait for each other in a circle. */
  readonly order: (asked: Asked, order: NewOrder) => Promise<void>;
}

export class Refusal extends Error {
  readonly statusCode: number;
  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

/** The account that every order pays. */
export const house = '00000000-0000-4000-8000-000000000000';
const [url] = process.argv.slice(2);
const size = Number(process.env['POOL_SIZE'] ?? 16);

export async function openPool(): Promise<pg.Pool> {
  pg.types.setTypeParser(pg.types.builtins.INT8, Number);
  const pool = new pg.Pool({ connectionString: url, max: size });
  await Promise.all(Array.from({ length: size }, () => pool.query('SELECT pg_sleep(0.05)')));
  return pool;
}

export async function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
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

const uuid = { type: 'string', format: 'uuid' } as const;
const headers = {
  type: 'object',
  required: ['idempotency-key'],
  properties: { 'idempotency-key': { type: 'string', minLength: 1, maxLength: 200 } },
} as const;
const newTransfer = {
  type: 'object',
  required: ['from', 'to', 'amount'],
  properties: { from: uuid, to: uuid, amount: { type: 'integer', minimum: 1 } },
} as const;
const newOrder = {
  type: 'object',
  required: ['accountId', 'lines'],
  properties: {
    accountId: uuid,
    lines: {
      type: 'array',
      minItems: 1,
      maxItems: 100,
      items: {
        type: 'object',
        required: ['skuId', 'quantity'],
        properties: { skuId: uuid, quantity: { type: 'integer', minimum: 1, maximum: 1000 } },
      },
    },
  },
} as const;
const response = { 201: { type: 'object', properties: { id: { type: 'string' } } } } as const;

/** Serves until the bench ends it. */
export async function serve({ transfer, order }: Works): Promise<void> {
  const app = Fastify({ logger: false });
  app.post<{ Body: NewTransfer }>(
    '/v1/transfers',
    { schema: { headers, body: newTransfer, response } },
    async (request, reply) => {
      if (request.body.from === request.body.to) throw new Refusal(400, 'from and to are the same');
      const asked = askedBy(request.headers);
      await transfer(asked, request.body);
      return reply.code(201).send({ id: asked.id });
    },
  );
  app.post<{ Body: NewOrder }>(
    '/v1/orders',
    { schema: { headers, body: newOrder, response } },
    async (request, reply) => {
      const asked = askedBy(request.headers);
      const lines = request.body.lines.toSorted((a, b) => (a.skuId < b.skuId ? -1 : 1));
      await order(asked, { ...request.body, lines });
      return reply.code(201).send({ id: asked.id });
    },
  );
  await sayReady(await app.listen({ host: '127.0.0.1', port: 0 }));
}

const askedBy = (given: NodeJS.Dict<string | string[]>): Asked => ({
  principal: String(given['x-principal'] ?? 'anonymous'),
  key: String(given['idempotency-key']),
  id: randomUUID(),
});

/** Tells the bench where this process listens, and ends with it. */
export async function sayReady(address: string): Promise<void> {
  process.send?.({ url: address });
  await once(process, 'disconnect');
  process.exit(0);
}
