/** @servers any */
import { MailsService } from '../src/modules/mails/mails.service.ts';
import { startApp, type TestApp } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { makers } from './support/make.ts';

const quick = { EVENT_POLL_INTERVAL_MS: '50', MAIL_POLL_INTERVAL_MS: '50' };
let service: TestApp;
beforeAll(async () => {
  service = await startApp(quick);
});
afterAll(() => service.close());

const page = async (path: string, headers: Record<string, string> = {}, url = service.url) => {
  const response = await fetch(`${url}${path}`, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
};

it('mail without a server is caught in development, and shown at /dev/mail, the newest first', async () => {
  const make = makers(service);
  expect((await page('/dev/mail')).text).toContain('No mail was caught yet.');
  const buyer = await make.user({ balance: 100_000 });
  const { api } = await make.operator();
  const script = '<script>alert(1)</script>';
  const { body } = await api
    .post('/v1/products', {
      slug: 'mug',
      name: script,
      skus: [{ code: 'MUG', name: '"onload="x', price: { amount: 1299, currency: 'EUR' }, onHand: 10 }],
    })
    .expect(201);
  for (let n = 1; n <= 2; n++) {
    const { id } = await make.order(buyer, [body.skus[0].id]);
    await eventually(
      () => page('/dev/mail'),
      ({ text }) => text.includes(id),
    );
  }
  const list = await page('/dev/mail');
  const links = [...list.text.matchAll(/<li>.*?href="([^"]+)">Your order (ord_\w+)/g)];
  expect(links).toHaveLength(2);
  expect(links[0]![2]! > links[1]![2]!).toBe(true);
  expect(list.text).toContain(buyer.email);
  const one = await page(links[0]![1]!);
  expect(one.text).toContain(`<dd>User &lt;${buyer.email}&gt;</dd>`);
  expect(one.text).toContain('&lt;script&gt;alert(1)');
  expect(one.text).not.toMatch(/<script|" ?onload/);
  // What the mail has escaped is escaped once more, as the value of an attribute.
  expect(one.text).toMatch(/<iframe sandbox="" srcdoc="&lt;!doctype html&gt;.*&amp;lt;script&amp;gt;/s);
  for (const { headers } of [list, one]) {
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; (?!.*script).*frame-ancestors 'none'$/,
    );
    expect(headers.get('cache-control')).toBe('no-store');
  }
  const sent = await service.database.query(`SELECT FROM mail WHERE sent_at IS NOT NULL`);
  expect(sent).toHaveLength(2);
  expect((await page('/dev/mail/nothing')).status).toBe(404);
});

it('is shown neither to a page that has pointed its own name here, nor through a tunnel', async () => {
  const { app } = service;
  for (const headers of [{ host: 'evil.example' }, { host: 'localhost', 'x-forwarded-for': '203.0.113.9' }])
    expect((await app.inject({ url: '/dev/mail', headers })).statusCode).toBe(404);
  expect((await app.inject({ url: '/dev/mail', headers: { host: 'localhost:3000' } })).statusCode).toBe(200);
});

it('is no part of the API', async () => {
  expect((await page('/openapi.json')).text).not.toContain('/dev/mail');
});

it.each([
  ['in production', { NODE_ENV: 'production' }],
  ['where others reach the service', { HOST: '0.0.0.0' }],
])('without a server no mail is stored or shown %s, and the start says so', async (_, variables) => {
  const other = await startApp({ ...quick, ...variables });
  try {
    const make = makers(other);
    const order = await make.order(await make.user({ balance: 100_000 }), [await make.sku(10, 1299)]);
    const placed = `SELECT FROM event WHERE type = 'order.placed'`;
    await eventually(
      () => other.database.query(`${placed} AND position <= (SELECT position FROM event_horizon)`),
      (rows) => rows.length > 0,
    );
    expect(order.id).toMatch(/^ord_/);
    const made = `SELECT consumer FROM event_delivery WHERE consumer = 'order-confirmations' UNION ALL SELECT kind FROM mail`;
    expect(await other.database.query(made)).toEqual([]);
    expect(other.app.get(MailsService).isOn).toBe(false);
    expect((await page('/dev/mail', {}, other.url)).status).toBe(404);
  } finally {
    await other.close();
  }
});

it('with a server there is nothing to show', async () => {
  const other = await startApp({ MAIL_URL: 'smtp://127.0.0.1:1?tls=none', MAIL_FROM: 'orders@shop.example' });
  try {
    expect((await page('/dev/mail', {}, other.url)).status).toBe(404);
  } finally {
    await other.close();
  }
});
