import pg from 'pg';
import { AccessTokens } from '../src/http/access/access-tokens.ts';
import { showId } from '../src/kernel/ids.ts';
import { type Api, startApp, type TestApp } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { recordStatements, type Statement } from './support/statements.ts';

// Rows of each table. PostgreSQL decides by statistics: with too few it rightly reads the whole table.
const many = 20_000;
/** A sort of so many rows is one of a page or of the parts of a thing, not of a table. */
const fewRows = 1500;
/** So many rows may be read and left out again. */
const fewRead = 100;

interface Plan {
  readonly 'Node Type': string;
  readonly 'Plan Rows': number;
  readonly 'Relation Name'?: string;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: Plan[];
}

let service: TestApp;
let superuser: pg.Client;
let alice: Api;
let operator: Api;
/** Somebody whose session may end. */
let leaver: Api;
const ids: Record<string, string> = {};

beforeAll(async () => {
  service = await startApp();
  superuser = new pg.Client({ connectionString: service.database.urls.superuser });
  await superuser.connect();
  await fill();
  const sign = (who: 'user' | 'operator' | 'leaver') => {
    const role = who === 'operator' ? who : 'customer';
    const principal = { userId: ids[who] as string, sessionId: ids[`${who}Session`] as string, role } as const;
    return service.as(service.app.get(AccessTokens).sign(principal, new Date()));
  };
  [alice, operator, leaver] = [sign('user'), sign('operator'), sign('leaver')];
  // The replica has all of it.
  await eventually(
    () => alice.get('/v1/users/me'),
    ({ status }) => status === 200,
  );
});
afterAll(async () => {
  await superuser.end();
  await service.close();
});

/** Set by set, past the rules, which would be asked twenty thousand times each. */
async function fill(): Promise<void> {
  // An id for the n-th row of a kind, which sorts by n as a UUIDv7 does by time.
  const id = (kind: number, n: string) => `(lpad(to_hex(${n}), 8, '0') || '-0000-7000-8000-00000000000${kind}')::uuid`;
  const n = `generate_series(1, ${many}) AS n`;
  await superuser.query(`
    SET session_replication_role = replica;
    INSERT INTO "user" (id, email, password_hash) SELECT ${id(1, 'n')}, 'u' || n || '@example.com', 'x' FROM ${n};
    UPDATE "user" SET role = 'operator' WHERE id = ${id(1, String(many))};
    INSERT INTO profile (user_id, display_name) SELECT ${id(1, 'n')}, 'U' || n FROM ${n};
    INSERT INTO session (id, user_id, expires_at) SELECT ${id(2, 'n')}, ${id(1, 'n')}, now() + interval '1 day' FROM ${n};
    INSERT INTO refresh_token (hash, session_id) SELECT sha256(n::text::bytea), ${id(2, 'n')} FROM ${n};
    -- Five accounts each; the first person has a thousand orders, the others one each.
    INSERT INTO account (id, user_id, currency, balance, entry_count)
      SELECT ${id(3, 'n')}, ${id(1, 'n / 5 + 1')}, 'EUR', 1000, 1 FROM ${n};
    INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id)
      SELECT ${id(4, 'n')}, 'transfer', ${id(3, 'n')}, ${id(3, `${many} - n + 1`)}, 5, 'EUR', ${id(1, '1')} FROM ${n};
    INSERT INTO entry (account_id, seq, transfer_id, amount, balance_after)
      SELECT CASE WHEN n <= 2000 THEN ${id(3, '1')} ELSE ${id(3, 'n')} END, n, ${id(4, 'n')}, 5, 5 FROM ${n};
    -- Of the transfers every other was pending; what became of most of them is known.
    UPDATE transfer SET expires_at = '2100-01-01' WHERE id IN (SELECT ${id(4, 'n * 2')} FROM ${n});
    INSERT INTO settlement (transfer_id, outcome, created_by_id)
      SELECT id, 'voided', created_by_id FROM transfer WHERE expires_at IS NOT NULL ORDER BY id OFFSET 4000;
    INSERT INTO reservation (transfer_id, account_id, side, amount, expires_at)
      SELECT t.id, CASE side WHEN 'out' THEN from_account_id ELSE to_account_id END, side, amount, expires_at
      FROM transfer t, unnest(enum_range(NULL::reservation_side)) AS side WHERE expires_at IS NOT NULL ORDER BY t.id LIMIT 8000;
    -- The first account has sent two thousand of them.
    UPDATE transfer SET from_account_id = ${id(3, '1')} WHERE id > (SELECT id FROM transfer ORDER BY id OFFSET 17999 LIMIT 1) AND to_account_id <> ${id(3, '1')};
    UPDATE account SET entry_count = 2000, pending_out = 1 WHERE id = ${id(3, '1')};
    INSERT INTO idempotency_record (principal_id, route, key, fingerprint, status, headers, body, expires_at)
      SELECT ${id(1, 'n % 100 + 1')}, 'POST /v1/transfers', n::text, sha256(''), 201, '{}', '{}', now() + n * interval '1 second' FROM ${n};
    INSERT INTO product (id, slug, name) SELECT ${id(5, 'n')}, 'p' || n, 'P' || n FROM ${n};
    INSERT INTO image (id, product_id, url, position) SELECT ${id(6, 'n')}, ${id(5, 'n')}, 'u', 0 FROM ${n};
    INSERT INTO sku (id, product_id, code, name, price, currency)
      SELECT ${id(7, 'n')}, ${id(5, 'n / 2 + 1')}, 'S' || n, 'S', 5, 'EUR' FROM ${n};
    INSERT INTO stock (sku_id, on_hand, movement_count) SELECT ${id(7, 'n')}, 5, CASE n WHEN 1 THEN 2001 ELSE 1 END FROM ${n};
    INSERT INTO stock_movement (sku_id, seq, quantity, on_hand_after, reason, order_id, created_by_id)
      SELECT ${id(7, 'n')}, 1, 5, 5, 'restocked', ${id(8, 'n')}, ${id(1, '1')} FROM ${n};
    -- One SKU has been sold two thousand times.
    INSERT INTO stock_movement (sku_id, seq, quantity, on_hand_after, reason, order_id, created_by_id)
      SELECT ${id(7, '1')}, n + 1, 5, 5, 'restocked', ${id(8, 'n')}, ${id(1, '1')} FROM generate_series(1, 2000) AS n;
    INSERT INTO "order" (id, user_id, status, currency, total)
      SELECT ${id(8, 'n')}, ${id(1, 'CASE WHEN n % 20 = 0 THEN 1 ELSE n END')},
        (CASE WHEN n % 200 = 0 THEN 'cancelled' ELSE 'placed' END)::order_status, 'EUR', 5 FROM ${n};
    INSERT INTO order_line (order_id, position, sku_id, name, quantity, unit_price)
      SELECT ${id(8, 'n')}, p, ${id(7, '(n + p) % 20000 + 1')}, 'S', 1, 5 FROM ${n}, generate_series(0, 1) AS p;
    INSERT INTO payment (id, order_id, account_id, transfer_id, amount)
      SELECT ${id(9, 'n')}, ${id(8, 'n')}, ${id(3, '1')}, ${id(4, 'n')}, 5 FROM ${n};
    INSERT INTO refund (id, payment_id, transfer_id, amount) SELECT ${id(6, 'n')}, ${id(9, 'n')}, ${id(4, 'n')}, 5 FROM ${n} WHERE n % 3 = 0;
    INSERT INTO cancellation (order_id, cancelled_by_id) SELECT ${id(8, 'n')}, ${id(1, '1')} FROM ${n} WHERE n % 3 = 0;
    INSERT INTO reservation_total (account_id, outgoing, incoming, outgoing_count, incoming_count, expired_through)
      SELECT id, 0, 0, 0, 0, '-infinity' FROM account ON CONFLICT DO NOTHING;
    SET session_replication_role = origin;
    ANALYZE;`);
  const first = (kind: number): string => `00000001-0000-7000-8000-00000000000${kind}`;
  const second = (kind: number): string => `00000002-0000-7000-8000-00000000000${kind}`;
  const last = (kind: number): string => `${many.toString(16).padStart(8, '0')}-0000-7000-8000-00000000000${kind}`;
  Object.assign(ids, {
    user: first(1),
    userSession: first(2),
    leaver: second(1),
    leaverSession: second(2),
    operator: last(1),
    operatorSession: last(2),
    account: first(3),
    transfer: first(4),
    product: first(5),
    sku: first(7),
    order: '00000014-0000-7000-8000-000000000008', // the twentieth: the first person's
  });
}

/** The plan of a statement as the service sends it, and what came of it. What it writes is undone. */
async function explain({ text, values }: Pick<Statement, 'text' | 'values'>): Promise<Plan> {
  await superuser.query('BEGIN');
  try {
    const { rows } = await superuser.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
      [...values],
    );
    return rows[0]!['QUERY PLAN'][0].Plan;
  } finally {
    await superuser.query('ROLLBACK');
  }
}

const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

/** What in the plan reads or sorts a whole table, or reads much more of it than is asked for. */
function wasteIn(plan: Plan): string[] {
  return nodes(plan).flatMap((node) => {
    const name = `${node['Node Type']} ${node['Relation Name'] ?? ''}`.trim();
    if (node['Node Type'] === 'Seq Scan') return [name];
    if ((node['Rows Removed by Filter'] ?? 0) > fewRead) return [`${name} for nothing`];
    const [input] = node.Plans ?? [];
    return node['Node Type'].includes('Sort') && (input?.['Plan Rows'] ?? 0) > fewRows ? [name] : [];
  });
}

async function plansOf(
  ask: () => PromiseLike<{ status: number; body: unknown }>,
): Promise<{ text: string; plan: Plan }[]> {
  const statements = recordStatements();
  const { status, body } = await ask();
  statements.stop();
  expect({ status, body: status < 300 ? null : body }).toEqual({ status: expect.any(Number), body: null });
  const sent = statements
    .take()
    .filter(({ text }) => /^\s*(SELECT|UPDATE|DELETE)\b/.test(text) && !/_lsn\(|pg_is_in_recovery/.test(text));
  expect(sent.length).toBeGreaterThan(0);
  const plans = [];
  for (const statement of sent) plans.push({ text: statement.text, plan: await explain(statement) });
  return plans;
}

const shown = (prefix: Parameters<typeof showId>[0], kind: string): string => showId(prefix, ids[kind] as string);
const next = async (api: Api, path: string): Promise<string> =>
  `${path}${path.includes('?') ? '&' : '?'}cursor=${(await api.get(path).expect(200)).body.nextCursor}`;

const requests: [string, () => Promise<{ status: number; body: unknown }>][] = [
  ['GET /v1/users/me', async () => alice.get('/v1/users/me')],
  ['GET /v1/accounts', async () => alice.get('/v1/accounts')],
  ['GET /v1/accounts, the next page', async () => alice.get(await next(alice, '/v1/accounts?limit=2'))],
  ['GET /v1/accounts/:id', async () => alice.get(`/v1/accounts/${shown('acct', 'account')}`)],
  ['GET /v1/accounts/:id/entries', async () => alice.get(`/v1/accounts/${shown('acct', 'account')}/entries`)],
  [
    'GET /v1/accounts/:id/entries, the next page',
    async () => alice.get(await next(alice, `/v1/accounts/${shown('acct', 'account')}/entries`)),
  ],
  [
    'GET /v1/accounts/:id, as of a moment',
    async () => alice.get(`/v1/accounts/${shown('acct', 'account')}?asOf=2020-01-01T00:00:00Z`),
  ],
  ['GET /v1/transfers', async () => alice.get('/v1/transfers')],
  ['GET /v1/transfers, the next page', async () => alice.get(await next(alice, '/v1/transfers?limit=20'))],
  ['GET /v1/transfers that are posted', async () => alice.get('/v1/transfers?status=posted')],
  ['GET /v1/transfers that are pending', async () => alice.get('/v1/transfers?status=pending')],
  ['GET /v1/transfers that were voided', async () => alice.get('/v1/transfers?status=voided')],
  [
    'GET /v1/transfers of an account, by an operator',
    async () => operator.get(`/v1/transfers?accountId=${shown('acct', 'account')}`),
  ],
  ['GET /v1/transfers/:id', async () => alice.get(`/v1/transfers/${shown('tr', 'transfer')}`)],
  ['GET /v1/transfers/:id by an operator', async () => operator.get(`/v1/transfers/${shown('tr', 'transfer')}`)],
  ['GET /v1/products', async () => alice.get('/v1/products')],
  ['GET /v1/products, the next page', async () => alice.get(await next(alice, '/v1/products?limit=20'))],
  ['GET /v1/products with their SKUs', async () => alice.get('/v1/products?expand=skus')],
  ['GET /v1/products/:id', async () => alice.get(`/v1/products/${shown('prd', 'product')}`)],
  ['GET /v1/skus/:id', async () => alice.get(`/v1/skus/${shown('sku', 'sku')}`)],
  ['GET /v1/skus/:id/stock', async () => alice.get(`/v1/skus/${shown('sku', 'sku')}/stock`)],
  ['GET /v1/orders', async () => alice.get('/v1/orders')],
  ['GET /v1/orders, the next page', async () => alice.get(await next(alice, '/v1/orders?limit=20'))],
  ['GET /v1/orders by status', async () => alice.get('/v1/orders?status=placed')],
  ['GET /v1/orders by a rare status', async () => alice.get('/v1/orders?status=cancelled')],
  ['GET /v1/orders by status, the next page', async () => alice.get(await next(alice, '/v1/orders?status=placed'))],
  ['GET /v1/orders by an operator', async () => operator.get('/v1/orders?limit=20')],
  ['GET /v1/orders by an operator, the next page', async () => operator.get(await next(operator, '/v1/orders'))],
  ['GET /v1/orders by status, by an operator', async () => operator.get('/v1/orders?status=cancelled')],
  [
    'GET /v1/orders by status, by an operator, the next page',
    async () => operator.get(await next(operator, '/v1/orders?status=cancelled')),
  ],
  ['GET /v1/orders/:id', async () => alice.get(`/v1/orders/${shown('ord', 'order')}`)],
  ['DELETE /v1/sessions/current', async () => leaver.delete('/v1/sessions/current')],
  [
    'PATCH /v1/users/:id',
    async () =>
      alice.patch(`/v1/users/${shown('usr', 'user')}`, { profile: { displayName: 'A' } }).set('if-match', '*'),
  ],
  [
    'PATCH /v1/skus/:id',
    async () => operator.patch(`/v1/skus/${shown('sku', 'sku')}`, { name: 'Other' }).set('if-match', '*'),
  ],
  [
    'PATCH /v1/products/:id',
    async () =>
      operator.patch(`/v1/products/${shown('prd', 'product')}`, { name: 'O', images: [] }).set('if-match', '*'),
  ],
  [
    'POST /v1/skus/:id/stock-adjustments',
    async () => operator.post(`/v1/skus/${shown('sku', 'sku')}/stock-adjustments`, { quantity: 5 }),
  ],
];

describe(`with ${many} rows in every table`, () => {
  it.each(requests)('%s reads no table from end to end', async (_, ask) => {
    for (const { text, plan } of await plansOf(ask))
      expect({ text, waste: wasteIn(plan) }).toEqual({ text, waste: [] });
  });

  it('a log-in, a refresh, a transfer and an order do not either', async () => {
    const sent: Statement[] = [];
    const statements = recordStatements();
    await service.as().post('/v1/sessions', { email: 'nobody@example.com', password: 'wrong but long' }).expect(401);
    await service.as().post('/v1/sessions/refresh', { refreshToken: 'unknown' }).expect(401);
    const account = await alice.post('/v1/accounts', { currency: 'EUR' }).expect(201);
    await operator
      .post('/v1/deposits', { accountId: account.body.id, amount: { amount: 500, currency: 'EUR' } })
      .expect(201);
    const other = await alice.post('/v1/accounts', { currency: 'EUR' }).expect(201);
    const transfer = {
      fromAccountId: account.body.id,
      toAccountId: other.body.id,
      amount: { amount: 5, currency: 'EUR' },
    };
    const pending = () => alice.post('/v1/transfers', { ...transfer, type: 'pending' }).expect(201);
    const [posting, voiding] = [(await pending()).body.id, (await pending()).body.id];
    await alice.post(`/v1/transfers/${posting}/post`).expect(200);
    await alice.post(`/v1/transfers/${voiding}/void`).expect(200);
    await alice.post(`/v1/transfers/${posting}/reversals`).expect(201);
    await alice.post('/v1/transfers/batch', { mode: 'atomic', transfers: [transfer, transfer] }).expect(201);
    await alice
      .post('/v1/transfers/batch', {
        mode: 'atomic',
        transfers: [
          {
            ...transfer,
            fromAccountId: other.body.id,
            toAccountId: account.body.id,
            amount: { amount: 10, currency: 'EUR' },
          },
        ],
      })
      .expect(201);
    await alice.post(`/v1/accounts/${other.body.id}/close`).set('if-match', '*').expect(200);
    const sku = { code: 'NEW', name: 'New', price: { amount: 5, currency: 'EUR' }, onHand: 5 };
    const product = await operator.post('/v1/products', { slug: 'new', name: 'New', skus: [sku] }).expect(201);
    const order = { items: [{ skuId: product.body.skus[0].id, quantity: 1 }], payment: { accountId: account.body.id } };
    const placed = await alice.post('/v1/orders', order).expect(201);
    await alice.post(`/v1/orders/${placed.body.id}/cancel`).expect(200);
    statements.stop();
    sent.push(...statements.take());
    for (const statement of sent.filter(
      ({ text }) => /^\s*(SELECT|UPDATE|DELETE)\b/.test(text) && !text.includes('_lsn('),
    ))
      expect({ text: statement.text, waste: wasteIn(await explain(statement)) }).toEqual({
        text: statement.text,
        waste: [],
      });
  });

  it.each([
    ['SELECT count(*) FROM entry WHERE transfer_id = $1', 'transfer'],
    ['SELECT sum(amount) FROM reservation WHERE account_id = $1', 'account'],
    ['SELECT count(*) FROM reservation WHERE transfer_id = $1', 'transfer'],
    ['SELECT outcome FROM settlement WHERE transfer_id = $1', 'transfer'],
    ['SELECT reversed_total FROM transfer WHERE reverses_id = $1 AND reversal_seq = 5', 'transfer'],
    ['SELECT balance_after, seq FROM entry WHERE account_id = $1 ORDER BY seq DESC LIMIT 1', 'account'],
    ['SELECT on_hand_after, seq FROM stock_movement WHERE sku_id = $1 ORDER BY seq DESC LIMIT 1', 'sku'],
    ['SELECT sum(quantity * unit_price) FROM order_line l WHERE l.order_id = $1', 'order'],
    ['SELECT sum(quantity) FROM stock_movement m WHERE m.order_id = $1 AND m.sku_id = $2', 'order', 'sku'],
    ['SELECT FROM payment p JOIN transfer t ON t.id = p.transfer_id WHERE p.order_id = $1', 'order'],
    ['SELECT FROM refund r JOIN payment p ON p.id = r.payment_id WHERE p.order_id = $1', 'order'],
    ['SELECT FROM payment WHERE transfer_id = $1', 'transfer'],
    ['SELECT FROM refund WHERE transfer_id = $1', 'transfer'],
    ['SELECT FROM cancellation c WHERE c.order_id = $1', 'order'],
  ])('what the rules ask at COMMIT does not: %s', async (text, ...of) => {
    expect(wasteIn(await explain({ text, values: of.map((kind) => ids[kind]) }))).toEqual([]);
  });

  it('and the test would see one that does', async () => {
    const waste = async (text: string, ...values: unknown[]) => wasteIn(await explain({ text, values }));
    expect(await waste('SELECT * FROM "order" WHERE note = $1', 'x')).toEqual(['Seq Scan order']);
    expect(await waste('SELECT * FROM product ORDER BY name')).toContain('Sort');
  });
});
