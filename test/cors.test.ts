/** @servers any */
import { ConfigError, readEnvironment } from '../src/config/environment.ts';
import { originsIn } from '../src/config/origins.ts';
import { startApp, type TestApp } from './support/app.ts';
import { raw } from './support/raw.ts';

const shop = 'https://shop.example';
let service: TestApp;
let closed: TestApp;
beforeAll(async () => {
  service = await startApp({
    HTTP_CORS_ORIGINS: `${shop}/, http://localhost:5173`,
    RATE_LIMIT_PER_ADDRESS: '40',
    HTTP_REQUEST_TIMEOUT_MS: '1000',
  });
  closed = await startApp();
});
afterAll(async () => {
  await service.close();
  await closed.close();
});

const head = (first: string, ...lines: string[]): string =>
  `${[first, 'Host: a', ...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`;
const preflight = (to: TestApp, origin: string, path = '/v1/orders') =>
  fetch(to.url + path, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
  });

describe('a preflight of a named origin', () => {
  it('is told what it may send, and for how long', async () => {
    const { status, headers } = await preflight(service, shop);
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe(shop);
    expect(headers.get('access-control-allow-methods')).toBe('GET, HEAD, POST, PATCH, DELETE');
    expect(headers.get('access-control-allow-headers')?.toLowerCase().split(', ')).toEqual(
      expect.arrayContaining(['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match']),
    );
    expect(Number(headers.get('access-control-max-age'))).toBeGreaterThan(60);
    expect(headers.get('vary')?.split(', ')).toEqual(
      expect.arrayContaining(['origin', 'access-control-request-method', 'access-control-request-headers']),
    );
  });

  it('costs no quota and no token', async () => {
    for (let turn = 0; turn < 60; turn++) expect((await preflight(service, shop)).status).toBe(204);
    const { headers } = await preflight(service, shop);
    expect(headers.get('ratelimit')).toBeNull();
  });
});

describe('without a matching origin', () => {
  it.each(['https://shop.example.evil', 'http://shop.example', 'https://SHOP.example', 'null', '*', `${shop}:8443`])(
    '%s is answered as ever',
    async (origin) => {
      const refused = await preflight(service, origin);
      expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([405, null]);
      const { headers } = await fetch(`${service.url}/livez`, { headers: { origin } });
      expect([headers.get('access-control-allow-origin'), headers.get('vary')]).toEqual([
        null,
        expect.stringContaining('origin'),
      ]);
    },
  );

  it('and where none is configured nothing tells of origins', async () => {
    const refused = await preflight(closed, shop);
    expect(refused.status).toBe(405);
    expect([...refused.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect(refused.headers.get('vary') ?? '').not.toContain('origin');
  });
});

describe('every answer can be read by the page', () => {
  const origin = `Origin: ${shop}`;
  const json = 'Content-Type: application/json';
  const big = (length: number) => head('POST /v1/users HTTP/1.1', origin, json, `Content-Length: ${length}`);
  const answers: [status: number, text: string][] = [
    [200, head('GET /v1/products HTTP/1.1', origin)],
    [304, head('GET /v1/products HTTP/1.1', origin, 'If-None-Match: *')],
    [200, head('GET /openapi.json HTTP/1.1', origin)],
    [200, head('GET /docs HTTP/1.1', origin)],
    [400, head('GET /v1/products/%zz HTTP/1.1', origin)],
    [400, `GET / HTTP/1.1\r\nHost: a\r\n${origin}\r\nx y: z\r\n\r\n`],
    [401, head('GET /v1/users/me HTTP/1.1', origin)],
    [404, head('GET /v1/nothing HTTP/1.1', origin)],
    [405, head('PUT /v1/orders HTTP/1.1', origin)],
    [406, head('GET /v1/products HTTP/1.1', origin, 'Accept: text/html')],
    [408, big(10)],
    [413, big(50_000)],
    [415, `${head('POST /v1/users HTTP/1.1', origin, 'Content-Type: text/plain', 'Content-Length: 1')}x`],
    [417, head('GET /v1/products HTTP/1.1', origin, 'Expect: x')],
    [422, `${head('POST /v1/users HTTP/1.1', origin, json, 'Content-Length: 2')}{}`],
    [431, `GET /v1/products HTTP/1.1\r\nHost: a\r\n${origin}\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`],
    [505, head('GET /v1/products HTTP/2.0', origin)],
  ];
  it.each(answers)('%i', async (status, text) => {
    const answer = await raw(service.url, text);
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([status, shop]);
    expect(answer.headers['vary']).toContain('origin');
    const exposed = answer.headers['access-control-expose-headers']?.split(', ') ?? [];
    expect(exposed).toEqual(expect.arrayContaining(['ETag', 'Location', 'Link', 'Retry-After', 'Request-Id']));
  });

  it('429, where the quota is used up', async () => {
    let answer = await raw(service.url, head('GET /v1/products HTTP/1.1', origin));
    for (let turn = 0; turn < 60 && answer.status !== 429; turn++)
      answer = await raw(service.url, head('GET /v1/products HTTP/1.1', origin));
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([429, shop]);
  });
});

describe('the list of origins', () => {
  it('is read as browsers write them', () => {
    expect(originsIn('HTTPS://Shop.Example:443/ http://localhost:5173,https://bücher.example')).toEqual([
      'https://shop.example',
      'http://localhost:5173',
      'https://xn--bcher-kva.example',
    ]);
  });

  it.each(['*', 'null', 'shop.example', 'https://*.shop.example', 'https://shop.example/path', 'ftp://shop.example'])(
    'refuses %s at the start, by its place in the list',
    (origin) => {
      const read = () => readEnvironment({ HTTP_CORS_ORIGINS: `${shop}, ${origin}` });
      expect(read).toThrow(ConfigError);
      expect(read).toThrow('HTTP_CORS_ORIGINS must be origins like https://shop.example; entry 2 is none');
    },
  );
});
