/** @servers any */
import { readFileSync } from 'node:fs';
import { startApp, type TestApp } from './support/app.ts';
import { makers, type Person } from './support/make.ts';
import { raw } from './support/raw.ts';

interface Operation {
  readonly requestBody?: { readonly required?: boolean };
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
}

/** Every operation that may be sent a body. */
const { paths } = JSON.parse(readFileSync('openapi.json', 'utf8')) as {
  paths: Record<string, Record<string, Operation>>;
};
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(([method]) => method !== 'get')
    .map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
);

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  operator = await make.operator();
});
afterAll(() => service.close());

const json = 'Content-Type: application/json';
const chunked = 'Transfer-Encoding: chunked';
/** No body at all, in each way in which it is sent. */
const empty: [what: string, headers: string[], body: string][] = [
  ['with no header of a body', [], ''],
  ['with a type', [json], ''],
  ['with a type and charset', [`${json}; charset=utf-8`], ''],
  ['with a length of 0', ['Content-Length: 0'], ''],
  ['with a type and a length of 0', [json, 'Content-Length: 0'], ''],
  ['with another type and a length of 0', ['Content-Type: text/plain', 'Content-Length: 0'], ''],
  ['in chunks of which there are none', [json, chunked], '0\r\n\r\n'],
  ['in no chunks and without a type', [chunked], '0\r\n\r\n'],
];

async function call(method: string, path: string, headers: readonly string[], body: string) {
  // Whoever logs out is somebody else each time, and what has an id is nowhere.
  const { token } = path.endsWith('/current') ? await make.user() : operator;
  const target = path.replace('{id}', 'nothing');
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: a', `Authorization: Bearer ${token}`, 'If-Match: *'];
  const answer = await raw(
    service.url,
    `${[...lines, `Idempotency-Key: ${crypto.randomUUID()}`, ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`,
  );
  const { code, errors } = answer.body as { code?: string; errors?: unknown };
  return { status: answer.status, code, errors };
}

const sized = (body: string): [string[], string] => [[json, `Content-Length: ${body.length}`], body];

describe('an empty body is no body', () => {
  it('wherever one may be sent', () => {
    expect(operations.length).toBeGreaterThan(20);
    expect(operations.some(({ operation }) => operation.requestBody === undefined)).toBe(true);
    expect(operations.some(({ operation }) => operation.requestBody?.required !== true)).toBe(true);
  });

  it.each(operations.map(({ method, path }) => [method, path] as const))('%s %s', async (method, path) => {
    const [, ...others] = empty;
    const without = await call(method, path, [], '');
    expect([200, 201, 204, 404, 422]).toContain(without.status);
    for (const [what, headers, body] of others)
      expect([what, await call(method, path, headers, body)]).toEqual([what, without]);
    // An object without members says as little.
    expect(await call(method, path, ...sized('{}'))).toEqual(without);
    // Blanks are no JSON, and null is a value.
    expect(await call(method, path, ...sized('  '))).toMatchObject({ status: 400, code: 'malformed-json' });
    expect([200, 201, 204, 404, 422]).toContain((await call(method, path, ...sized('null'))).status);
  });

  it('of a log-out ends the session', async () => {
    const { token, api } = await make.user();
    const answer = await raw(
      service.url,
      `DELETE /v1/sessions/current HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n${json}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer.status).toBe(204);
    await api.delete('/v1/sessions/current').expect((response) => expect([204, 401]).toContain(response.status));
  });

  it('but a body of another type is refused, however it is sent', async () => {
    for (const [headers, body] of [
      [['Content-Type: text/plain', 'Content-Length: 1'], 'x'],
      [['Content-Type: text/plain', chunked], '1\r\nx\r\n0\r\n\r\n'],
      [[chunked], '1\r\nx\r\n0\r\n\r\n'],
    ] as const)
      expect((await call('POST', '/v1/accounts', headers, body)).status).toBe(415);
  });
});
