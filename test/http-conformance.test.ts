/** @servers any */
import { api, startApp, type TestApp } from './support/app.ts';
import { declaredCodes } from './support/contract.ts';
import { makers, type Person } from './support/make.ts';
import { type RawAnswer, raw } from './support/raw.ts';

let service: TestApp;
let ada: Person;
beforeAll(async () => {
  service = await startApp();
  ada = await makers(service).user({ balance: 1000 });
});
afterAll(() => service.close());

const send = (text: string): Promise<RawAnswer> => raw(service.url, text);
const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const post = (headers: readonly string[], body = '{}', path = '/v1/users'): string =>
  head(
    `POST ${path} HTTP/1.1`,
    'Host: a',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
    'Connection: close',
  ) + body;
const json = 'Content-Type: application/json';

/** What every refusal has, whoever makes it. */
function expectRefusal({ status, headers, body }: RawAnswer, expected: [status: number, code: string], path: string) {
  expect([status, body['code']]).toEqual(expected);
  expect(headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(headers['cache-control']).toBe('no-store');
  expect(headers['request-id']).toBe(body['requestId']);
  expect(body['status']).toBe(status);
  for (const member of ['type', 'title', 'detail', 'instance', 'retryable']) expect(body).toHaveProperty(member);
  const [method = '', target = ''] = path.split(' ');
  const declared = declaredCodes(method, target, status);
  if (declared !== null) expect(declared).toContain(expected[1]);
}

type Row = [what: string, status: number, code: string, text: string];
const get = 'GET /v1/products HTTP/1.1';
const rows: Row[] = [
  ['no Host', 400, 'malformed-request', head(get, 'Connection: close')],
  ['two Host lines', 400, 'repeated-header', head(get, 'Host: a', 'Host: b', 'Connection: close')],
  ['two equal Host lines', 400, 'repeated-header', head(get, 'Host: a', 'Host: a', 'Connection: close')],
  ['a Host that is none', 400, 'malformed-request', head(get, 'Host: a b@c/', 'Connection: close')],
  ['a Host with a user', 400, 'malformed-request', head(get, 'Host: user@host', 'Connection: close')],
  ['HTTP/2.0 in clear', 505, 'http-version-not-supported', head('GET /v1/products HTTP/2.0', 'Host: a')],
  ['an expectation nobody knows', 417, 'expectation-failed', head(get, 'Host: a', 'Expect: x', 'Connection: close')],
  [
    'two expectations',
    417,
    'expectation-failed',
    head(get, 'Host: a', 'Expect: 100-continue', 'Expect: 100-continue', 'Connection: close'),
  ],
  ['CONNECT', 405, 'method-not-allowed', head('CONNECT a:443 HTTP/1.1', 'Host: a')],
  ['TRACE', 405, 'method-not-allowed', head('TRACE /v1/products HTTP/1.1', 'Host: a', 'Connection: close')],
  ['OPTIONS *', 404, 'route-not-found', head('OPTIONS * HTTP/1.1', 'Host: a', 'Connection: close')],
  ['nothing of HTTP', 400, 'malformed-request', 'nonsense\r\n\r\n'],
  ['a method nobody knows', 400, 'malformed-request', head('BREW /v1/products HTTP/1.1', 'Host: a')],
  ['a header with a blank in its name', 400, 'malformed-request', head(get, 'Host: a', 'x y: z')],
  ['headers of 20 kB', 431, 'headers-too-large', head(get, 'Host: a', `x: ${'y'.repeat(20_000)}`)],
  ['a path of 20 kB', 431, 'headers-too-large', head(`GET /${'y'.repeat(20_000)} HTTP/1.1`, 'Host: a')],
  [
    'a query of 9 kB',
    414,
    'url-too-long',
    head(`GET /v1/products?${'y'.repeat(9000)} HTTP/1.1`, 'Host: a', 'Connection: close'),
  ],
  [
    'both lengths',
    400,
    'malformed-request',
    head('POST /v1/users HTTP/1.1', 'Host: a', 'Content-Length: 2', 'Transfer-Encoding: chunked'),
  ],
  ['a broken path', 400, 'malformed-url', head('GET /v1/products/%zz HTTP/1.1', 'Host: a', 'Connection: close')],
  ['a trailing slash', 404, 'not-found', head('GET /v1/products/ HTTP/1.1', 'Host: a', 'Connection: close')],
  ['another case', 404, 'route-not-found', head('GET /V1/products HTTP/1.1', 'Host: a', 'Connection: close')],
  ['two slashes', 404, 'route-not-found', head('GET //v1/products HTTP/1.1', 'Host: a', 'Connection: close')],
  ...['gzip', 'br', 'x-evil', 'identity, gzip'].map((coding): Row => [
    `a body in ${coding}`,
    415,
    'unsupported-media-type',
    post([json, `Content-Encoding: ${coding}`]),
  ]),
  ...['utf-16', 'latin1', '"utf-16"', 'UTF-32'].map((charset): Row => [
    `a charset of ${charset}`,
    415,
    'unsupported-media-type',
    post([`${json}; charset=${charset}`]),
  ]),
  ['two types', 415, 'unsupported-media-type', post([`${json}, text/plain`])],
  ['no type', 415, 'unsupported-media-type', post([])],
  ...[
    'Authorization: Bearer a',
    json,
    'Consistency-Token: latest',
    'Origin: a',
    'If-Range: "a"',
    'If-Modified-Since: a',
    'If-Unmodified-Since: a',
  ].flatMap((line): Row[] => [
    [`twice ${line}`, 400, 'repeated-header', post([line, line, ...(line === json ? [] : [json])])],
    [`${line}, and another`, 400, 'repeated-header', post([line, `${line}x`, ...(line === json ? [] : [json])])],
  ]),
];

describe('a request that breaks HTTP is a problem like all others', () => {
  it.each(rows)('%s: %i %s', async (_, status, code, text) => {
    expectRefusal(await send(text), [status, code], text.split(' HTTP')[0] ?? '');
  });

  it('and the root leads on by path alone, whatever host the URL names', async () => {
    const { status, headers } = await send(head('GET http://evil.example HTTP/1.1', 'Host: a', 'Connection: close'));
    expect([status, headers['location']]).toEqual([302, '/docs']);
  });

  it('and one that only looks odd is served', async () => {
    for (const text of [
      head('GET /v1/products HTTP/1.0'),
      head(get, 'Host:', 'Connection: close'),
      head(get, 'Host: [::1]:3000', 'Connection: close'),
      head('GET http://evil.example/v1/products HTTP/1.1', 'Host: a', 'Connection: close'),
    ])
      expect((await send(text)).status).toBe(200);
    const utf8 = await send(post([`${json}; charset=UTF-8`, 'Content-Encoding: identity']));
    expect([utf8.status, utf8.body['code']]).toEqual([422, 'validation-failed']);
  });

  it('tells what is right where the type is wrong', async () => {
    const { headers } = await send(post(['Content-Type: text/plain']));
    expect([headers['accept'], headers['accept-post']]).toEqual(['application/json', 'application/json']);
    const { headers: coded } = await send(post([json, 'Content-Encoding: gzip']));
    expect(coded['accept-encoding']).toBe('identity');
  });

  it('keeps the host of a URL out of what is answered', async () => {
    const { headers } = await send(
      head('GET http://evil.example/v1/products?limit=1 HTTP/1.1', 'Host: a', 'Connection: close'),
    );
    expect(headers['link']).toMatch(/^<\/v1\/products\?/);
    expect(JSON.stringify(headers)).not.toContain('evil');
  });

  it('ignores an id of the request and a trace that are repeated', async () => {
    const trace = 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const { status, headers } = await send(
      head(get, 'Host: a', 'Request-Id: a', 'Request-Id: a', trace, trace, 'Connection: close'),
    );
    expect(status).toBe(200);
    expect(headers['request-id']).toMatch(/^req_/);
  });

  it('takes no list for one value', async () => {
    for (const [line, code] of [
      ['Consistency-Token: latest, latest', 'malformed-consistency-token'],
      [`Authorization: Bearer ${ada.token}, Bearer ${ada.token}`, 'token-missing'],
    ])
      expect(
        (
          await send(
            head(
              'GET /v1/users/me HTTP/1.1',
              'Host: a',
              line ?? '',
              (line ?? '').startsWith('Auth') ? 'X: y' : `Authorization: Bearer ${ada.token}`,
              'Connection: close',
            ),
          )
        ).body['code'],
      ).toBe(code);
  });
});

describe('who is nobody', () => {
  const unknown = (more: string[]) =>
    head('POST /v1/transfers HTTP/1.1', 'Host: a', json, 'Content-Length: 5000', ...more);

  it('is told so before a body is read, and is not asked to send one', async () => {
    for (const more of [[], ['Expect: 100-continue']]) {
      const answer = await send(unknown(['Connection: close', ...more]));
      expectRefusal(answer, [401, 'token-missing'], 'POST /v1/transfers');
    }
  });

  it('and may not do it, is told so before a body is read', async () => {
    const text = head(
      'POST /v1/deposits HTTP/1.1',
      'Host: a',
      json,
      'Content-Length: 5000',
      `Authorization: Bearer ${ada.token}`,
      'Connection: close',
    );
    expectRefusal(await send(text), [403, 'not-allowed'], 'POST /v1/deposits');
  });

  it('but who is somebody is asked to send it', async () => {
    const text = head(
      'POST /v1/accounts HTTP/1.1',
      'Host: a',
      json,
      'Content-Length: 2',
      'Expect: 100-continue',
      `Authorization: Bearer ${ada.token}`,
      'Connection: close',
    );
    const answer = await raw(service.url, text, { after: /^HTTP\/1\.1 100 Continue\r\n\r\n/, send: '{}' });
    expect([answer.status, answer.body['code']]).toEqual([422, 'validation-failed']);
  });
});

describe('a missing member', () => {
  it('is required, in our words', async () => {
    const { body } = await api(service.url).post('/v1/users', { profile: {} }).expect(422);
    expect(body.errors).toEqual(
      ['/email', '/password', '/profile/displayName'].map((pointer) => ({
        pointer,
        code: 'required',
        detail: 'is required',
      })),
    );
  });
});
