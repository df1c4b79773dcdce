import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Response } from 'supertest';
import type request from 'supertest';
import { startApp, type TestApp } from './support/app.ts';
import { makers, type Person } from './support/make.ts';
import { recordStatements, type Statement } from './support/statements.ts';

// What each endpoint costs in statements, BEGIN and COMMIT among them, and in round trips: messages to the server that are waited for, of
// which those that go on several connections at once count each. Those that take an Idempotency-Key are asked with one: it costs its lock,
// its look-up, its savepoint and its record.
// A figure that grows needs a reason; one that shrinks is good news. Both are written down here, and in docs/transactions-reference.md.
const figures = {
  'POST /v1/users': [12, 10],
  'POST /v1/sessions': [2, 2],
  'POST /v1/sessions/refresh': [5, 4],
  'GET /v1/sessions': [1, 1],
  'DELETE /v1/sessions': [1, 1],
  'DELETE /v1/sessions/:id': [1, 1],
  'DELETE /v1/sessions/current': [1, 1],
  'POST /v1/users/me/password': [7, 6],
  'POST /v1/users/:id/password-resets': [6, 5],
  'POST /v1/password-resets': [9, 8],
  'PATCH /v1/users/:id/access': [8, 6],
  'DELETE /v1/users/:id/sessions': [5, 4],
  'GET /v1/users/:id/changes': [4, 4],
  'GET /v1/users/me': [3, 3],
  'GET /v1/users/:id': [3, 3],
  'PATCH /v1/users/:id': [10, 8],
  'POST /v1/accounts': [5, 4],
  'GET /v1/accounts': [1, 1],
  'GET /v1/accounts/:id': [1, 1],
  'GET /v1/accounts/:id, with asOf': [2, 2],
  'GET /v1/accounts/:id/entries': [2, 2],
  'GET /v1/accounts/:id/changes': [2, 2],
  'PATCH /v1/accounts/:id': [5, 4],
  // Whose it is, and what is pending to it, is asked before it is locked: behind a savepoint, so that the locks can be given up.
  'POST /v1/accounts/:id/close': [9, 6],
  'POST /v1/deposits': [6, 5],
  'POST /v1/transfers': [6, 5],
  // Others of the same sender are kept out, and what there is counted.
  'POST /v1/transfers, pending': [8, 7],
  'POST /v1/transfers/batch, one': [6, 5],
  'POST /v1/transfers/batch, fifty': [6, 5],
  'POST /v1/transfers/preview': [3, 2],
  // Whether it is over is asked before its accounts are locked, and again when they are.
  'POST /v1/transfers/:id/post': [9, 8],
  'POST /v1/transfers/:id/void': [9, 8],
  'POST /v1/transfers/void': [9, 8],
  'POST /v1/transfers/:id/reversals': [8, 7],
  'GET /v1/transfers': [3, 3],
  'GET /v1/transfers, with both accounts': [7, 6],
  'GET /v1/transfers, with both accounts and their owners': [10, 8],
  'GET /v1/transfers/:id': [1, 1],
  'GET /v1/transfers/:id, pending': [2, 2],
  'GET /v1/ledger/trial-balance': [6, 5],
  'GET /v1/ledger/chain': [1, 1],
  'POST /v1/products': [15, 13],
  'GET /v1/products': [4, 4],
  'GET /v1/products/:id': [4, 4],
  'PATCH /v1/products/:id': [7, 5],
  'POST /v1/products/:id/skus': [14, 12],
  'GET /v1/skus/:id': [2, 2],
  'PATCH /v1/skus/:id': [5, 4],
  'GET /v1/skus/:id/stock': [1, 1],
  'POST /v1/skus/:id/stock-adjustments': [7, 6],
  'POST /v1/orders, one item': [20, 17],
  'POST /v1/orders, five items': [20, 17],
  'GET /v1/orders': [6, 6],
  'GET /v1/orders, with SKUs, transfer and its accounts': [13, 10],
  'GET /v1/orders/:id': [5, 5],
  'POST /v1/orders/:id/cancel': [24, 19],
  'GET /livez': [0, 0],
} as const;
type Endpoint = keyof typeof figures;

let service: TestApp;
let make: ReturnType<typeof makers>;
let alice: Person;
let bob: Person;
let operator: Person;
let skus: { id: string; version: number }[];
let productId: string;

beforeAll(async () => {
  // What is one's own is read by one look at the session for as long: none of it is the endpoint's.
  service = await startApp({ AUTH_RECHECK_SECONDS: '60' });
  make = makers(service);
  operator = await make.operator();
  [alice, bob] = [await make.user({ balance: 1_000_000 }), await make.user()];
  const product = await make.product({ onHand: [1000, 1000, 1000, 1000, 1000], price: 10 });
  [skus, productId] = [product.skus, product.id];
  // The service asks once for the accounts of the house, and once for whose an account is.
  await make.order(alice, [skus[0]!.id]);
  await sent();
});
afterAll(() => service.close());

/** The statements that a request sends. */
async function statementsOf(ask: () => PromiseLike<Response>): Promise<Statement[]> {
  // The first read after a write also asks the replica how far it is: that is over before we count.
  await alice.api.get('/v1/users/me').expect(200);
  await alice.api.get('/v1/users/me').expect(200);
  const statements = recordStatements({ isFar: true });
  const { status } = await ask();
  statements.stop();
  expect(status).toBeLessThan(300);
  return statements.take().filter(({ text }) => text.startsWith('COMMIT') || !isOfTheMoment.test(text));
}
// A replica that is slow today is asked again for its position, the id of a transaction where its answer is still on the way, and the server
// is told anew what time is left when some has passed, and a statement that leaves before BEGIN is answered demands a transaction: none of
// it is the endpoint's. Whose session is going on is asked once for all who ask.
const isOfTheMoment =
  /^SELECT s\.id, u\.role|_lsn\(|^SELECT pg_current_xact_id_if_assigned|^SET LOCAL statement_timeout = \d+$|^SAVEPOINT begun; RELEASE SAVEPOINT begun(?:; SET LOCAL statement_timeout = \d+)?$/;

const place = (items: number) =>
  alice.api.post(
    '/v1/orders',
    make.orderOf(
      alice,
      skus.slice(0, items).map(({ id }) => id),
    ),
  );
const eur = (amount: number) => ({ amount, currency: 'EUR' });
const money = { fromAccountId: '', toAccountId: '', amount: eur(5) };
const toBob = () => ({ ...money, fromAccountId: alice.accountId, toAccountId: bob.accountId });
const sent = async (more: object = {}): Promise<string> =>
  (await alice.api.post('/v1/transfers', { ...toBob(), ...more }).expect(201)).body.id;
const batchOf = (size: number) =>
  alice.api.post('/v1/transfers/batch', { mode: 'atomic', transfers: Array.from({ length: size }, toBob) });
const newSku = (code: string) => ({ code, name: 'One', price: eur(5), onHand: 5 });

// Where the key is left to the caller.
const keyed = (asked: request.Test): request.Test => asked.set('idempotency-key', randomUUID());

/** A request of each endpoint; what it needs is made before. */
const requests: Record<Endpoint, () => Promise<() => PromiseLike<Response>>> = {
  'POST /v1/users': async () => () =>
    keyed(
      service
        .as()
        .post('/v1/users', { email: 'n@example.com', password: 'long enough', profile: { displayName: 'N' } }),
    ),
  'POST /v1/sessions': async () => () =>
    service.as().post('/v1/sessions', { email: bob.email, password: bob.password }),
  'POST /v1/sessions/refresh': async () => () =>
    service.as().post('/v1/sessions/refresh', { refreshToken: bob.refreshToken }),
  'GET /v1/sessions': async () => () => alice.api.get('/v1/sessions'),
  'DELETE /v1/sessions': async () => () => alice.api.delete('/v1/sessions'),
  'DELETE /v1/sessions/:id': async () => {
    const { id } = (await service.as().post('/v1/sessions', { email: bob.email, password: bob.password })).body;
    return () => bob.api.delete(`/v1/sessions/${id}`);
  },
  'DELETE /v1/sessions/current': async () => {
    const { accessToken } = (await service.as().post('/v1/sessions', { email: bob.email, password: bob.password }))
      .body;
    return () => service.as(accessToken).delete('/v1/sessions/current');
  },
  'POST /v1/users/me/password': async () => {
    const { api, password } = await make.user();
    return () => api.post('/v1/users/me/password', { currentPassword: password, newPassword: 'another horse' });
  },
  'POST /v1/users/:id/password-resets': async () => () => operator.api.post(`/v1/users/${bob.id}/password-resets`),
  'POST /v1/password-resets': async () => {
    const { id } = await make.user();
    const { token } = (await operator.api.post(`/v1/users/${id}/password-resets`).expect(201)).body;
    return () => service.as().post('/v1/password-resets', { token, newPassword: 'another horse' });
  },
  'PATCH /v1/users/:id/access': async () => {
    const { id } = await make.user();
    const patch = { role: 'operator', reason: 'Asked for' };
    return () => operator.api.patch(`/v1/users/${id}/access`, patch).set('if-match', '*');
  },
  'DELETE /v1/users/:id/sessions': async () => {
    const { id } = await make.user();
    return () => operator.api.delete(`/v1/users/${id}/sessions`);
  },
  'GET /v1/users/:id/changes': async () => () => operator.api.get(`/v1/users/${bob.id}/changes`),
  'GET /v1/users/me': async () => () => alice.api.get('/v1/users/me'),
  'GET /v1/users/:id': async () => () => alice.api.get(`/v1/users/${alice.id}`),
  'PATCH /v1/users/:id': async () => () =>
    alice.api.patch(`/v1/users/${alice.id}`, { profile: { displayName: 'A' } }).set('if-match', '*'),
  'POST /v1/accounts': async () => () => keyed(alice.api.post('/v1/accounts', { currency: 'EUR' })),
  'GET /v1/accounts': async () => () => alice.api.get('/v1/accounts'),
  'GET /v1/accounts/:id': async () => () => alice.api.get(`/v1/accounts/${alice.accountId}`),
  'GET /v1/accounts/:id/entries': async () => () => alice.api.get(`/v1/accounts/${alice.accountId}/entries`),
  'GET /v1/accounts/:id, with asOf': async () => () =>
    alice.api.get(`/v1/accounts/${alice.accountId}?asOf=2100-01-01T00:00:00Z`),
  'GET /v1/accounts/:id/changes': async () => () => operator.api.get(`/v1/accounts/${alice.accountId}/changes`),
  'PATCH /v1/accounts/:id': async () => () =>
    operator.api.patch(`/v1/accounts/${alice.accountId}`, { overdraftLimit: eur(5) }).set('if-match', '*'),
  'POST /v1/accounts/:id/close': async () => {
    const { id } = (await alice.api.post('/v1/accounts', { currency: 'EUR' }).expect(201)).body;
    return () => alice.api.post(`/v1/accounts/${id}/close`).set('if-match', '"1"');
  },
  'POST /v1/deposits': async () => () =>
    operator.api.post('/v1/deposits', { accountId: alice.accountId, amount: eur(5) }),
  'POST /v1/transfers': async () => () =>
    alice.api.post('/v1/transfers', { ...money, fromAccountId: alice.accountId, toAccountId: bob.accountId }),
  'POST /v1/transfers, pending': async () => () => alice.api.post('/v1/transfers', { ...toBob(), type: 'pending' }),
  'POST /v1/transfers/batch, one': async () => () => batchOf(1),
  'POST /v1/transfers/batch, fifty': async () => () => batchOf(50),
  'POST /v1/transfers/preview': async () => () => alice.api.post('/v1/transfers/preview', toBob()),
  // Whether it is over is asked before its accounts are locked, and again when they are.
  'POST /v1/transfers/:id/post': async () => {
    const id = await sent({ type: 'pending' });
    return () => alice.api.post(`/v1/transfers/${id}/post`);
  },
  'POST /v1/transfers/:id/void': async () => {
    const id = await sent({ type: 'pending' });
    return () => alice.api.post(`/v1/transfers/${id}/void`);
  },
  'POST /v1/transfers/void': async () => {
    const id = await sent({ type: 'pending' });
    return () => alice.api.post('/v1/transfers/void', { transferIds: [id] });
  },
  'POST /v1/transfers/:id/reversals': async () => {
    const id = await sent();
    return () => bob.api.post(`/v1/transfers/${id}/reversals`);
  },
  'GET /v1/transfers': async () => () => alice.api.get('/v1/transfers'),
  'GET /v1/transfers, with both accounts': async () => () =>
    alice.api.get('/v1/transfers?expand=fromAccount,toAccount'),
  'GET /v1/transfers, with both accounts and their owners': async () => () =>
    alice.api.get('/v1/transfers?expand=fromAccount.user,toAccount.user'),
  'GET /v1/transfers/:id': async () => {
    const id = await sent();
    return () => alice.api.get(`/v1/transfers/${id}`);
  },
  'GET /v1/transfers/:id, pending': async () => {
    const id = await sent({ type: 'pending' });
    return () => alice.api.get(`/v1/transfers/${id}`);
  },
  'GET /v1/ledger/trial-balance': async () => () => operator.api.get('/v1/ledger/trial-balance'),
  'GET /v1/ledger/chain': async () => () => operator.api.get('/v1/ledger/chain'),
  'POST /v1/products': async () => () =>
    keyed(operator.api.post('/v1/products', { slug: 'two', name: 'Two', skus: [newSku('TWO-1'), newSku('TWO-2')] })),
  'GET /v1/products': async () => () => service.as().get('/v1/products'),
  'GET /v1/products/:id': async () => () => service.as().get(`/v1/products/${productId}`),
  'PATCH /v1/products/:id': async () => () =>
    operator.api.patch(`/v1/products/${productId}`, { name: 'Other' }).set('if-match', '*'),
  'POST /v1/products/:id/skus': async () => () =>
    keyed(operator.api.post(`/v1/products/${productId}/skus`, newSku('SIX'))),
  'GET /v1/skus/:id': async () => () => service.as().get(`/v1/skus/${skus[0]!.id}`),
  'PATCH /v1/skus/:id': async () => () =>
    operator.api.patch(`/v1/skus/${skus[0]!.id}`, { name: 'Other' }).set('if-match', '*'),
  'GET /v1/skus/:id/stock': async () => () => service.as().get(`/v1/skus/${skus[0]!.id}/stock`),
  'POST /v1/skus/:id/stock-adjustments': async () => () =>
    operator.api.post(`/v1/skus/${skus[0]!.id}/stock-adjustments`, { quantity: 5 }),
  'POST /v1/orders, one item': async () => () => place(1),
  'POST /v1/orders, five items': async () => () => place(5),
  'GET /v1/orders': async () => () => alice.api.get('/v1/orders'),
  'GET /v1/orders, with SKUs, transfer and its accounts': async () => () =>
    alice.api.get('/v1/orders?expand=items.sku,payment.transfer.fromAccount,payment.transfer.toAccount'),
  'GET /v1/orders/:id': async () => {
    const { id } = (await place(1).expect(201)).body;
    return () => alice.api.get(`/v1/orders/${id}`);
  },
  'POST /v1/orders/:id/cancel': async () => {
    const { id } = (await place(2).expect(201)).body;
    return () => alice.api.post(`/v1/orders/${id}/cancel`);
  },
  'GET /livez': async () => () => service.as().get('/livez'),
};

it('each endpoint sends just as many statements, in as many round trips, as are written down here', async () => {
  const counted: Record<string, [number, number]> = {};
  for (const [endpoint, prepare] of Object.entries(requests)) {
    const statements = await statementsOf(await prepare());
    counted[endpoint] = [statements.length, new Set(statements.map(({ trip }) => trip)).size];
  }
  expect(counted).toEqual(figures);
});

it('the documentation shows these figures', () => {
  const section = readFileSync('docs/transactions-reference.md', 'utf8').split(/<!-- \/?costs -->/)[1] ?? '';
  const shown = [...section.matchAll(/^\| `(.*?)` +\| +(\d+) +\| +(\d+) +\|$/gm)];
  expect(shown.map(([, endpoint, ...counts]) => [endpoint, counts.map(Number)])).toEqual(Object.entries(figures));
});

it('every documented endpoint is written down here', async () => {
  const { body } = await service.as().get('/openapi.json').expect(200);
  const documented = Object.entries(body.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
  );
  const known = new Set(Object.keys(figures).map((endpoint) => endpoint.split(',')[0]));
  expect(documented.filter((endpoint) => !known.has(endpoint))).toEqual([]);
});

it.each([
  ['/v1/orders', () => alice, () => place(2).expect(201)],
  ['/v1/products', () => alice, () => make.product({ onHand: [1, 1] })],
  ['/v1/accounts', () => alice, () => alice.api.post('/v1/accounts', { currency: 'EUR' }).expect(201)],
  ['/v1/transfers', () => alice, () => sent({ type: 'pending' })],
] as const)('a page of %s costs the same whatever its size', async (path, who, add) => {
  for (let i = 0; i < 6; i++) await add();
  const { api } = who();
  const small = await statementsOf(() => api.get(`${path}?limit=1`));
  const large = await statementsOf(() => api.get(`${path}?limit=100`));
  expect((await api.get(`${path}?limit=100`)).body.data.length).toBeGreaterThan(5);
  expect(large).toHaveLength(small.length);
});

it('a read costs no transaction, and a boundary no more than its BEGIN and COMMIT', async () => {
  const statements = await statementsOf(() => service.as().get(`/v1/skus/${skus[0]!.id}/stock`));
  expect(statements).toHaveLength(1);
  const edit = () => operator.api.patch(`/v1/skus/${skus[0]!.id}`, { name: 'Another' }).set('if-match', '*');
  const written = (await statementsOf(edit)).map(({ text }) => text);
  expect([written[0], written.at(-1)]).toEqual([expect.stringMatching(/^BEGIN; /), expect.stringMatching(/^COMMIT/)]);
  expect(written.filter((text) => /^(BEGIN|COMMIT|ROLLBACK|SET|SAVEPOINT|RELEASE)/.test(text))).toHaveLength(2);
});
