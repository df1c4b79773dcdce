/** @servers any */
import { connect } from 'node:net';
import pg from 'pg';
import request, { type Response } from 'supertest';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { expectProblem } from './support/problem.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
let ada: Person;
beforeAll(async () => {
  service = await startApp({ DATABASE_LOCK_TIMEOUT_MS: '100' });
  make = makers(service);
  [operator, ada] = [await make.operator(), await make.user({ balance: 1000 })];
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const anybody = () => request(service.url);
const unknown = (prefix: string): string => `${prefix}_01h455vb4pex5vsknk084sn02q`;
const eur = (amount: number) => ({ amount, currency: 'EUR' });

type Call = () => PromiseLike<Response>;
/** One way to each kind of problem. */
const problems: [status: number, code: string, call: Call][] = [
  [400, 'malformed-json', () => anybody().post('/v1/users').type('json').send('{')],
  [400, 'malformed-url', () => anybody().get('/v1/products/%zz')],
  [400, 'malformed-cursor', () => anybody().get('/v1/products?cursor=abc')],
  [400, 'malformed-if-match', () => ada.api.patch(`/v1/users/${ada.id}`, {}).set('if-match', 'abc')],
  [401, 'token-missing', () => anybody().get('/v1/users/me')],
  [401, 'invalid-token', () => anybody().get('/v1/users/me').auth('abc', { type: 'bearer' })],
  [401, 'wrong-credentials', () => anybody().post('/v1/sessions').send({ email: ada.email, password: 'wrong' })],
  [401, 'invalid-refresh-token', () => anybody().post('/v1/sessions/refresh').send({ refreshToken: 'wrong' })],
  [403, 'not-allowed', () => ada.api.post('/v1/products')],
  [404, 'route-not-found', () => anybody().get('/v1/nothing')],
  [404, 'not-found', () => anybody().get('/v1/products/1')],
  [404, 'not-found', () => anybody().get(`/v1/products/${'1'.repeat(1000)}`)],
  [404, 'user-not-found', () => ada.api.get(`/v1/users/${unknown('usr')}`)],
  [404, 'account-not-found', () => ada.api.get(`/v1/accounts/${unknown('acct')}`)],
  [404, 'transfer-not-found', () => ada.api.get(`/v1/transfers/${unknown('tr')}`)],
  [404, 'product-not-found', () => ada.api.get(`/v1/products/${unknown('prd')}`)],
  [404, 'sku-not-found', () => ada.api.get(`/v1/skus/${unknown('sku')}`)],
  [404, 'order-not-found', () => ada.api.get(`/v1/orders/${unknown('ord')}`)],
  [
    409,
    'email-taken',
    () =>
      anybody()
        .post('/v1/users')
        .send({ email: ada.email, password: 'long enough', profile: { displayName: 'Again' } }),
  ],
  [409, 'out-of-stock', async () => ada.api.post('/v1/orders', make.orderOf(ada, [await make.sku(0)]))],
  [412, 'version-mismatch', () => ada.api.patch(`/v1/users/${ada.id}`, {}).set('if-match', '"999"')],
  [
    413,
    'body-too-large',
    () =>
      anybody()
        .post('/v1/users')
        .send({ email: 'x'.repeat(1_100_000) }),
  ],
  [415, 'unsupported-media-type', () => anybody().post('/v1/users').type('text').send('a')],
  [422, 'validation-failed', () => anybody().post('/v1/users').send({})],
  [422, 'insufficient-funds', async () => ada.api.post('/v1/orders', make.orderOf(ada, [await make.sku(1, 100_000)]))],
  [428, 'precondition-required', () => ada.api.patch(`/v1/users/${ada.id}`, {})],
];

describe('a problem', () => {
  it.each(problems)('%i %s has the members that are documented, and no others', async (status, code, call) => {
    const response = await call();
    expect([response.status, response.body.code]).toEqual([status, code]);
    expectProblem(response, code);
    const asksForToken = response.headers['www-authenticate'];
    const challenge = code === 'invalid-token' ? 'Bearer error="invalid_token"' : 'Bearer';
    expect(asksForToken).toBe(status === 401 ? challenge : undefined);
    expect(response.headers['cache-control']).toBe('no-store');
  });

  it('names the path of the request without its query', async () => {
    const { body } = await anybody().get('/v1/nothing/here?token=secret').expect(404);
    expect(body.instance).toBe('/v1/nothing/here');
    expect(JSON.stringify(body)).not.toContain('secret');
  });

  it('is what an unknown method is answered with', async () => {
    for (const method of ['put', 'delete', 'options', 'patch'] as const) {
      const response = await anybody()[method]('/v1/orders').expect(405);
      expectProblem(response, 'method-not-allowed');
      expect(response.headers['allow']).toBe('GET, HEAD, POST');
    }
    await anybody().head('/v1/nothing').expect(404);
  });

  it('tells the same to whoever asks for another’s thing as for one that is not there', async () => {
    const bob = await make.user({ balance: 1000 });
    const { id } = await make.order(bob, [await make.sku(1)]);
    const pairs = [
      [`/v1/users/${bob.id}`, `/v1/users/${unknown('usr')}`],
      [`/v1/accounts/${bob.accountId}`, `/v1/accounts/${unknown('acct')}`],
      [`/v1/accounts/${bob.accountId}/entries`, `/v1/accounts/${unknown('acct')}/entries`],
      [`/v1/orders/${id}`, `/v1/orders/${unknown('ord')}`],
    ];
    for (const [theirs = '', nobodys = ''] of pairs) {
      const [one, other] = [await ada.api.get(theirs).expect(404), await ada.api.get(nobodys).expect(404)];
      expect(one.body.instance).toBe(theirs);
      const without = ({ body }: Response) => ({ ...body, instance: '', requestId: '' });
      expect(without(one)).toEqual(without(other));
      expect(Object.keys(one.headers).sort()).toEqual(Object.keys(other.headers).sort());
    }
  });

  it('never repeats what was sent', async () => {
    const marker = 'a-secret-value-of-mine';
    const bodies = [
      {
        email: marker,
        password: marker,
        profile: { displayName: marker.repeat(10), locale: marker },
        currency: marker,
      },
      marker,
      [marker],
    ];
    for (const body of bodies) {
      const response = await anybody().post('/v1/users').type('json').send(JSON.stringify(body)).expect(422);
      expect(response.text).not.toContain(marker);
    }
    for (const path of ['/v1/products?limit=', '/v1/products?cursor=', '/v1/orders?status='])
      expect((await ada.api.get(`${path}${marker}`)).text).not.toContain(marker);
    const response = await anybody()
      .post('/v1/sessions')
      .send({ email: `${marker}@example.com`, password: marker });
    expect(response.text).not.toContain(marker);
  });

  it('of a database that is busy says that a retry makes sense, and when, and nothing is stored', async () => {
    const holder = new pg.Client({ connectionString: service.database.urls.owner });
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM account WHERE id = $1 FOR UPDATE', [uuidOf(ada.accountId)]);
    const transfer = { fromAccountId: ada.accountId, toAccountId: unknown('acct'), amount: eur(1) };
    const response = await ada.api.post('/v1/transfers', transfer);
    await holder.end();
    expect(response.status).toBe(503);
    expectProblem(response, 'transient-contention');
    expect(response.body.retryable).toBe(true);
    expect(response.headers['retry-after']).toBe('1');
    expect(await make.balanceOf(ada)).toBe(1000);
  });

  it('of our own making tells nothing of what went wrong', async () => {
    await service.database.query(`
      CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'secret of %', NEW; END $$;
      CREATE TRIGGER fail BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION fail()`);
    const response = await ada.api.post('/v1/accounts', { currency: 'EUR' });
    await service.database.query('DROP TRIGGER fail ON account');
    expect(response.status).toBe(500);
    expectProblem(response, 'internal-error');
    expect(response.body.detail).toBe('Something went wrong on our side.');
    expect(response.text).not.toMatch(/secret|account_|trigger/);
  });

  it('of a rule of the books that only we can break is our own, and names no rule', async () => {
    await service.database.query(`ALTER TABLE account ADD CONSTRAINT account_test_rule CHECK (name <> 'Forbidden')`);
    const response = await ada.api.post('/v1/accounts', { currency: 'EUR', name: 'Forbidden' });
    await service.database.query('ALTER TABLE account DROP CONSTRAINT account_test_rule');
    expect([response.status, response.body.code]).toEqual([500, 'internal-error']);
    expect(response.text).not.toContain('account_test_rule');
  });

  it('is not mistaken for a lost database because the request says so', async () => {
    const words = 'ECONNREFUSED';
    expectProblem(await anybody().get(`/v1/products/%zz-${words}`).expect(400), 'malformed-url');
    expectProblem(
      await anybody().post('/v1/users').type(`${words}/json`).send('{}').expect(415),
      'unsupported-media-type',
    );
    expectProblem(await anybody().get(`/v1/${words}`).expect(404), 'route-not-found');
  });
});

describe('what is not even HTTP', () => {
  it('is refused without a word about us, and harms nobody else', async () => {
    for (const text of [
      'nonsense\r\n\r\n',
      'GET / HTTP/1.1\r\nhost: a\r\nx y: z\r\n\r\n',
      `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    ]) {
      const answer = await sendRaw(text);
      expect(answer).toMatch(/^HTTP\/1\.1 4(00|31) /);
      expect(answer).not.toMatch(/node_modules|\.js|at .*\(/);
    }
    await anybody().get('/livez').expect(200);
  });
});

describe('the id of a request', () => {
  const get = (id: string) => anybody().get('/v1/nothing').set('request-id', id);

  it('is on every answer, good or bad, and each has its own', async () => {
    const answers = [
      await anybody().get('/v1/products').expect(200),
      await anybody().get('/v1/nothing').expect(404),
      await anybody().get('/%zz').expect(400),
      await anybody().get('/livez').expect(200),
      await ada.api.delete('/v1/sessions/current').expect(204),
      await operator.api.post('/v1/products').expect(422),
    ];
    const ids = answers.map(({ headers }) => headers['request-id']);
    for (const id of ids) expect(id).toMatch(/^req_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each(['a', 'a-b_c.d:e', '0123456789', '4bf92f3577b34da6a3ce929d0e0e4736', 'x'.repeat(100)])(
    'is ours, whatever the caller’s own is: %s',
    async (id) => {
      const response = await get(id).expect(404);
      expectProblem(response);
      for (const { headers } of [
        response,
        await anybody().get('/v1/products').set('request-id', id),
        await anybody().get('/%zz').set('request-id', id),
      ])
        expect(headers['request-id']).toMatch(/^req_/);
    },
  );

  it.each(['', ' ', 'a b', 'x'.repeat(101), '<script>', '"', 'a\tb', 'é', '{"a":1}', 'a,b', 'a;b', '%0a', '${jndi}'])(
    'is not the caller’s own when it is not harmless: %j',
    async (id) => {
      const response = await get(id).expect(404);
      expect(response.headers['request-id']).toMatch(/^req_/);
      expectProblem(response);
    },
  );

  it('is not taken over when there are two', async () => {
    const answer = await sendRaw(
      'GET /v1/nothing HTTP/1.1\r\nhost: a\r\nrequest-id: a\r\nrequest-id: b\r\nconnection: close\r\n\r\n',
    );
    expect(answer).toMatch(/request-id: req_/i);
  });
});

/** Sends bytes as they are and gives all that comes back. */
function sendRaw(text: string): Promise<string> {
  const { hostname, port } = new URL(service.url);
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => (answer += chunk));
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
  });
}
