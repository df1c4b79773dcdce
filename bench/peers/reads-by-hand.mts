// Two reads by hand, on Fastify and pg, from the service's own tables on its replica: an account by id, and a page of products. They check the
// token, and answer what the service answers; the bench compares the two. `<url of the replica> <secret of the tokens>`.
import Fastify from 'fastify';
import type pg from 'pg';
import { readId, showId } from '../../src/kernel/ids.ts';
import { openPool, Refusal, sayReady } from './peer.mts';
import { verifierOf } from './tokens.mts';

const pool = await openPool();
const verify = verifierOf(process.argv[3] ?? '');

interface Account {
  readonly id: string;
  readonly user_id: string;
  readonly name: string;
  readonly currency: string;
  readonly balance: number;
  readonly pending_out: number;
  readonly pending_in: number;
  readonly overdraft_limit: number;
  readonly max_balance: number | null;
  readonly frozen_at: Date | null;
  readonly closed_at: Date | null;
  readonly version: number;
  readonly balance_version: number;
  readonly created_at: Date;
}
interface Product {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly prices: readonly { readonly currency: string; readonly lowest: number; readonly highest: number }[];
  readonly in_stock: boolean;
  readonly image: Image | null;
  readonly version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
}
interface Image {
  readonly id: string;
  readonly url: string;
  readonly alt: string;
  readonly position: number;
}

const statements = {
  account: `SELECT id, user_id, name, currency, balance, pending_out, pending_in, overdraft_limit, max_balance, frozen_at, closed_at, version,
    balance_version, created_at FROM account WHERE id = $1`,
  products: `SELECT p.id, p.slug, p.name, p.version, p.created_at, p.updated_at,
      (SELECT json_agg(r ORDER BY currency) FROM (
         SELECT currency, min(price) AS lowest, max(price) AS highest FROM sku WHERE product_id = p.id GROUP BY currency) AS r) AS prices,
      coalesce((SELECT true FROM sku JOIN stock ON sku_id = id WHERE product_id = p.id AND on_hand > 0 LIMIT 1), false) AS in_stock,
      (SELECT row_to_json(i) FROM (SELECT id, url, alt, position FROM image WHERE product_id = p.id ORDER BY position LIMIT 1) AS i) AS image
    FROM product AS p ORDER BY p.id DESC LIMIT $1 + 1`,
};

const find = async <Row extends pg.QueryResultRow>(name: keyof typeof statements, value: unknown): Promise<Row[]> =>
  (await pool.query<Row>({ name, text: statements[name], values: [value] })).rows;

const text = { type: 'string' } as const;
const whole = { type: 'integer' } as const;
const money = { type: ['object', 'null'], properties: { amount: whole, currency: text } } as const;
const accountView = {
  type: 'object',
  properties: {
    ...{ object: text, id: text, userId: text, name: text, currency: text, balance: money, pending: money },
    ...{ available: money, overdraftLimit: money, maxBalance: money, status: text, version: whole },
    ...{ balanceVersion: whole, createdAt: text },
  },
} as const;
const times = { version: whole, createdAt: text, updatedAt: text } as const;
const rangeView = { type: 'object', properties: { lowest: money, highest: money } } as const;
const imageView = {
  type: ['object', 'null'],
  properties: { id: text, url: text, alt: text, position: whole },
} as const;
const productView = {
  type: 'object',
  properties: {
    ...{ object: text, id: text, slug: text, name: text, prices: { type: 'array', items: rangeView } },
    ...{ inStock: { type: 'boolean' }, image: imageView, ...times },
  },
} as const;
const pageView = {
  type: 'object',
  properties: { object: text, data: { type: 'array', items: productView }, hasMore: { type: 'boolean' } },
} as const;

const timesOf = (row: Product) => ({
  version: row.version,
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
});

function showAccount(row: Account) {
  const amount = (value: number) => ({ amount: value, currency: row.currency });
  return {
    object: 'account',
    id: showId('acct', row.id),
    userId: showId('usr', row.user_id),
    name: row.name,
    currency: row.currency,
    balance: amount(row.balance),
    pending: amount(row.balance + row.pending_in - row.pending_out),
    available: amount(row.balance - row.pending_out + row.overdraft_limit),
    overdraftLimit: amount(row.overdraft_limit),
    maxBalance: row.max_balance === null ? null : amount(row.max_balance),
    status: row.closed_at !== null ? 'closed' : row.frozen_at === null ? 'active' : 'frozen',
    version: row.version,
    balanceVersion: row.balance_version,
    createdAt: row.created_at.toISOString(),
  };
}

const showProduct = (row: Product) => ({
  object: 'product',
  id: showId('prd', row.id),
  slug: row.slug,
  name: row.name,
  prices: row.prices.map(({ currency, lowest, highest }) => ({
    lowest: { amount: lowest, currency },
    highest: { amount: highest, currency },
  })),
  inStock: row.in_stock,
  image: row.image === null ? null : { ...row.image, id: showId('img', row.image.id) },
  ...timesOf(row),
});

const app = Fastify({ logger: false });
app.addHook('onRequest', (request, _, done) =>
  done(verify(request.headers.authorization) ? undefined : new Refusal(401, 'Unauthorized')),
);

const accountId = { type: 'string', pattern: '^acct_[0-7][0-9a-hjkmnp-tv-z]{25}$' } as const;
const params = { type: 'object', required: ['id'], properties: { id: accountId } } as const;
app.get<{ Params: { id: string } }>(
  '/v1/accounts/:id',
  { schema: { params, response: { 200: accountView } } },
  async (request) => {
    const [row] = await find<Account>('account', readId(request.params.id));
    if (row === undefined) throw new Refusal(404, 'No such account');
    return showAccount(row);
  },
);

const querystring = {
  type: 'object',
  properties: { limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 } },
} as const;
app.get<{ Querystring: { limit: number } }>(
  '/v1/products',
  { schema: { querystring, response: { 200: pageView } } },
  async ({ query: { limit } }) => {
    const rows = await find<Product>('products', limit);
    return { object: 'list', data: rows.slice(0, limit).map(showProduct), hasMore: rows.length > limit };
  },
);
await sayReady(await app.listen({ host: '127.0.0.1', port: 0 }));
