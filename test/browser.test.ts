/** @servers any */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startApp, type TestApp } from './support/app.ts';
import { type Browser, hasBrowser, type Page, startBrowser } from './support/browser.ts';
import { fullCount } from './support/counts.ts';
import { makers } from './support/make.ts';

// A front end on another origin, in a real browser: what it may send and read is decided there (the CORS protocol of the Fetch standard).

if (!hasBrowser)
  process.stderr.write('Chromium is not there: the tests in a browser are skipped (apt-get install chromium).\n');

interface Answer {
  readonly status: number;
  // Whatever came: expect() says what it must be.
  readonly body: ReturnType<typeof JSON.parse>;
  readonly headers: Record<string, string>;
}
interface Sent {
  readonly token?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly text?: string;
}

(hasBrowser ? describe : describe.skip)('in a browser', () => {
  let pages: Server;
  let service: TestApp;
  let browser: Browser;
  let shop: Page;
  let skuId: string;
  beforeAll(async () => {
    pages = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<title>A shop</title>'));
    pages.listen(0, '127.0.0.1');
    await once(pages, 'listening');
    service = await startApp({
      HTTP_CORS_ORIGINS: addressOf('127.0.0.1'),
      HTTP_BODY_LIMIT_BYTES: '20000',
      RATE_LIMIT_LOG_INS_PER_PAIR: '5',
    });
    skuId = (await makers(service).product({ onHand: [10], price: 100 })).skus[0]!.id;
    browser = await startBrowser();
    shop = await browser.newPage(addressOf('127.0.0.1'));
  });
  afterAll(async () => {
    await browser.close();
    await service.close();
    pages.close();
    pages.closeAllConnections();
  });

  const addressOf = (host: string): string => `http://${host}:${(pages.address() as AddressInfo).port}`;
  /** As the code of a front end does it. */
  const send = (page: Page, method: string, path: string, sent: Sent = {}): Promise<Answer> =>
    page.run(
      async (url, verb, { token, headers, body, text }) => {
        const response = await fetch(url, {
          method: verb,
          headers: {
            ...(body !== undefined && { 'content-type': 'application/json' }),
            ...(token !== undefined && { authorization: `Bearer ${token}` }),
            ...headers,
          },
          ...(body !== undefined && { body: JSON.stringify(body) }),
          ...(text !== undefined && { body: text }),
        });
        const received = await response.text();
        return {
          status: response.status,
          body: received === '' ? null : JSON.parse(received),
          headers: Object.fromEntries(response.headers),
        };
      },
      service.url + path,
      method,
      sent,
    );
  const key = () => ({ 'idempotency-key': crypto.randomUUID() });
  const email = 'ada@shop.example';
  const password = 'a shop in a browser';

  it('a front end of a named origin signs up, buys and edits, and reads all that it needs of the answers', async () => {
    const person = { email, password, profile: { displayName: 'Ada' } };
    const signedUp = await send(shop, 'POST', '/v1/users', { body: person, headers: key() });
    expect([signedUp.status, signedUp.headers['location'], signedUp.headers['request-id']]).toEqual([
      201,
      `/v1/users/${signedUp.body.id}`,
      expect.stringMatching(/^req_/),
    ]);
    const { body: session } = await send(shop, 'POST', '/v1/sessions', { body: { email, password } });
    const token = session.accessToken as string;
    const { api: operator } = await makers(service).operator();
    const accountId = signedUp.body.accounts[0].id as string;
    await operator.post('/v1/deposits', { accountId, amount: { amount: 1000, currency: 'EUR' } }).expect(201);

    const order = { body: { items: [{ skuId, quantity: 2 }], payment: { accountId } }, token, headers: key() };
    const [first, again] = [
      await send(shop, 'POST', '/v1/orders', order),
      await send(shop, 'POST', '/v1/orders', order),
    ];
    expect([first.status, again.status, again.body]).toEqual([201, 201, first.body]);
    expect([first.headers['idempotent-replayed'], again.headers['idempotent-replayed']]).toEqual([undefined, 'true']);
    const consistency = first.headers['consistency-token'] ?? '';
    expect(consistency).not.toBe('');

    const path = `/v1/orders/${first.body.id}`;
    const read = await send(shop, 'GET', path, { token, headers: { 'consistency-token': consistency } });
    expect([read.status, read.body.status, read.headers['etag']]).toEqual([200, 'placed', expect.stringMatching(/^"/)]);
    const same = await send(shop, 'GET', path, { token, headers: { 'if-none-match': read.headers['etag'] ?? '' } });
    expect([same.status, same.body]).toEqual([304, null]);
    const me = await send(shop, 'GET', '/v1/users/me', { token });
    const patch = {
      body: { profile: { displayName: 'Ada L.' } },
      token,
      headers: { 'if-match': me.headers['etag'] ?? '' },
    };
    const edited = await send(shop, 'PATCH', `/v1/users/${me.body.id}`, patch);
    expect([edited.status, edited.body.profile.displayName]).toEqual([200, 'Ada L.']);
    expect((await send(shop, 'PATCH', `/v1/users/${me.body.id}`, patch)).status).toBe(412);
    const head = await send(shop, 'HEAD', '/v1/products');
    expect([head.status, head.body, Number(head.headers['content-length']) >= 0]).toEqual([200, null, true]);
    // More than is sent in clear, so it comes compressed.
    expect((await send(shop, 'GET', '/openapi.json')).body.openapi).toMatch(/^3\./);
  });

  it('two tabs refresh at once, and a log-out in one ends the session of both', async () => {
    const other = await browser.newPage(addressOf('127.0.0.1'));
    let { body: session } = await send(shop, 'POST', '/v1/sessions', { body: { email, password } });
    for (let turn = 0; turn < fullCount(3, 100); turn++) {
      const refresh = { body: { refreshToken: session.refreshToken } };
      const both = await Promise.all([shop, other].map((page) => send(page, 'POST', '/v1/sessions/refresh', refresh)));
      expect(both.map(({ status }) => status)).toEqual([201, 201]);
      expect(both[0]!.body.refreshToken).toBe(both[1]!.body.refreshToken);
      session = both[turn % 2]!.body;
    }
    const ended = await send(shop, 'DELETE', '/v1/sessions/current', { token: session.accessToken });
    expect(ended.status).toBe(204);
    const late = await send(other, 'POST', '/v1/sessions/refresh', { body: { refreshToken: session.refreshToken } });
    expect([late.status, late.body.status]).toEqual([401, 401]);
  });

  const json = { 'content-type': 'application/json' };
  it.each<[number, string, string, Sent]>([
    [400, 'POST', '/v1/users', { text: '{', headers: json }],
    [401, 'GET', '/v1/users/me', {}],
    [401, 'GET', '/v1/orders', { token: 'nonsense' }],
    [404, 'GET', '/v1/nothing', {}],
    [405, 'DELETE', '/v1/orders', {}],
    [406, 'GET', '/v1/products', { headers: { accept: 'text/html' } }],
    [413, 'POST', '/v1/users', { body: { email: 'x'.repeat(500_000) } }],
    [415, 'POST', '/v1/users', { text: 'email', headers: { 'content-type': 'text/plain' } }],
    [422, 'POST', '/v1/users', { body: {}, headers: { 'idempotency-key': 'empty' } }],
  ])('a refusal with %i can be read: %s %s', async (status, method, path, sent) => {
    const answer = await send(shop, method, path, sent);
    expect([answer.status, answer.body.status]).toEqual([status, status]);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  });

  it('one who asks too often can read until when', async () => {
    const wrong = { body: { email: 'nobody@shop.example', password: 'wrong' } };
    let answer = await send(shop, 'POST', '/v1/sessions', wrong);
    for (let times = 0; times < 10 && answer.status !== 429; times++)
      answer = await send(shop, 'POST', '/v1/sessions', wrong);
    expect([answer.status, Number(answer.headers['retry-after']) > 0]).toEqual([429, true]);
  });

  it('a page of another origin reads nothing and stores nothing', async () => {
    const strange = await browser.newPage(addressOf('localhost'));
    const users = async () => (await service.database.query('SELECT FROM "user"')).length;
    const before = await users();
    const person = { email: 'eve@shop.example', password, profile: { displayName: 'Eve' } };
    await expect(send(strange, 'GET', '/v1/products')).rejects.toThrow('Failed to fetch');
    await expect(send(strange, 'POST', '/v1/users', { body: person, headers: key() })).rejects.toThrow(
      'Failed to fetch',
    );
    // What a page may send anywhere without asking first: it is not told what came of it, and nothing did.
    const silent = strange.run(
      async (url, text) => (await fetch(url, { method: 'POST', mode: 'no-cors', body: text })).type,
      `${service.url}/v1/users`,
      JSON.stringify(person),
    );
    await expect(silent).rejects.toThrow('Failed to fetch');
    expect(await users()).toBe(before);
  });

  it('the documentation is shown, and its own rules of what it may load keep nothing from it', async () => {
    const docs = await browser.newPage(`${service.url}/docs`);
    const text = await docs.run(async () => {
      for (let times = 0; times < 100 && !document.body.innerText.includes('/v1/orders'); times++)
        await new Promise((resolve) => setTimeout(resolve, 50));
      return document.body.innerText;
    });
    expect(text).toContain('/v1/orders');
    expect(docs.problems()).toEqual([]);
  });
});
