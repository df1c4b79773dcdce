/** @servers any */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { documentedRoutes } from './support/routes.ts';
import { startApp, type TestApp } from './support/app.ts';
import { makers, type Person } from './support/make.ts';
import { expectProblem } from './support/problem.ts';
import { raw } from './support/raw.ts';

let service: TestApp;
let operator: Person;
let paths: string[];
let productPath: string;
beforeAll(async () => {
  service = await startApp();
  const make = makers(service);
  operator = await make.operator();
  const { id } = await make.product({ onHand: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1] });
  productPath = `/v1/products/${id}`;
  const known = (await documentedRoutes(service)).filter((name) => name.startsWith('GET '));
  paths = known.map((name) => name.slice(4)).filter((path) => !path.includes('{') && !path.includes('trial-balance'));
});
afterAll(() => service.close());

const send = (method: string, path: string, headers: readonly string[] = []) =>
  raw(
    service.url,
    `${[`${method} ${path} HTTP/1.1`, 'Host: a', `Authorization: Bearer ${operator.token}`, ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`,
  );
// Each answer has its own.
const ofTheMoment = /^(date|request-id|ratelimit|consistency-token)$/;
const fieldsOf = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !ofTheMoment.test(name)));

describe('HEAD', () => {
  const states: [what: string, headers: string[]][] = [
    ['as it is', []],
    ['compressed', ['Accept-Encoding: gzip']],
    ['of what is known', ['If-None-Match: *']],
    ['of what is another', ['If-Match: "x"']],
    ['of what is malformed', ['If-None-Match: x']],
    ['of what cannot be accepted', ['Accept: text/html']],
  ];
  it.each(states)('has the status and the header fields of GET, %s', async (_, headers) => {
    const all = [...paths, productPath, '/v1/products/nothing', '/v1/nothing', '/livez', '/readyz', '/startupz'];
    for (const path of [...all, '/openapi.json', '/docs', '/problems']) {
      const [get, head] = [await send('GET', path, headers), await send('HEAD', path, headers)];
      expect([path, head.status, fieldsOf(head.headers)]).toEqual([path, get.status, fieldsOf(get.headers)]);
      expect(head.text).toBe('');
    }
  });
});

describe('preconditions of a read', () => {
  it('are evaluated in the order of RFC 9110, with the tag of each coding', async () => {
    for (const headers of [[], ['Accept-Encoding: gzip'], ['Accept-Encoding: br']]) {
      const { headers: found } = await send('GET', productPath, headers);
      const tag = found['etag'] ?? '';
      const ask = async (...more: string[]) => (await send('GET', productPath, [...headers, ...more])).status;
      expect(await ask(`If-None-Match: ${tag}`)).toBe(304);
      expect(await ask(`If-None-Match: W/${tag}`)).toBe(304);
      expect(await ask(`If-Match: ${tag}`)).toBe(200);
      expect(await ask('If-Match: *')).toBe(200);
      expect(await ask(`If-Match: W/${tag}`)).toBe(412);
      expect(await ask('If-Match: "x"', `If-None-Match: ${tag}`)).toBe(412);
      expect(await ask(`If-Match: ${tag}`, `If-None-Match: ${tag}`)).toBe(304);
      expect(await ask('If-Match: x')).toBe(400);
      expect(await ask('If-None-Match: x')).toBe(400);
      for (const ignored of ['If-Modified-Since', 'If-Unmodified-Since', 'If-Range'])
        expect(await ask(`${ignored}: Sat, 01 Jan 2000 00:00:00 GMT`)).toBe(200);
    }
  });
});

describe('preconditions of an edit', () => {
  const edit = (ifMatch: string, ifNoneMatch?: string) => {
    const test = operator.api.patch(productPath, { name: 'Edited' }).set('if-match', ifMatch);
    return ifNoneMatch === undefined ? test : test.set('if-none-match', ifNoneMatch);
  };
  const tagNow = async (coding = 'identity'): Promise<string> =>
    (await send('GET', productPath, [`Accept-Encoding: ${coding}`])).headers['etag'] ?? '';

  it('say so where the tag is weak, or none of ours', async () => {
    const weak = await edit(`W/${await tagNow()}`).expect(412);
    expectProblem(weak, 'version-mismatch');
    expect(weak.body.detail).toContain('weak');
    const foreign = await edit('"somebody-elses"').expect(412);
    expect(foreign.body.detail).toContain('no ETag that was given out here');
  });

  it('take the tag of each coding, and one to which a proxy has added its suffix', async () => {
    for (const coding of ['gzip', 'br']) await edit(await tagNow(coding)).expect(200);
    for (const suffix of ['-gzip', ';gzip', '--gzip'])
      await edit((await tagNow()).replace(/"$/, `${suffix}"`)).expect(200);
  });

  it('take a tag only as we write it', async () => {
    const version = /^"(\d+)/.exec(await tagNow())?.[1] ?? '';
    for (const tag of [`"0${version}"`, `"${version}-x"`, `" ${version}"`.replace(' ', ''), `"${version}-evil"`].filter(
      (one) => one !== `"${version}"`,
    ))
      expectProblem(await edit(tag).expect(412), 'version-mismatch');
    await edit(`"${version}"`).expect(200);
  });

  it('are evaluated both', async () => {
    expectProblem(await edit('*', '*').expect(412), 'version-mismatch');
    expectProblem(await edit('*', await tagNow()).expect(412), 'version-mismatch');
    expectProblem(await edit(await tagNow(), `W/${await tagNow()}`).expect(412), 'version-mismatch');
    await edit('*', '"999999"').expect(200);
    expectProblem(await edit('*', 'x').expect(400), 'malformed-if-none-match');
  });

  it('on what has no version are evaluated too', async () => {
    const make = () => operator.api.post('/v1/accounts', { currency: 'EUR' });
    expectProblem(await make().set('if-match', '"1"').expect(412), 'precondition-failed');
    expectProblem(await make().set('if-none-match', '*').expect(412), 'precondition-failed');
    await make().set('if-match', '*').set('if-none-match', '"1"').expect(201);
  });
});

describe('compression', () => {
  const fetched = async (path: string, accept: string | null) => {
    const response = await fetch(service.url + path, {
      headers: accept === null ? { 'accept-encoding': '' } : { 'accept-encoding': accept },
    });
    return { encoding: response.headers.get('content-encoding'), text: await response.text(), response };
  };
  it.each([
    ['gzip', 'gzip'],
    ['br', 'br'],
    ['gzip, br', 'br'],
    ['gzip;q=1, br;q=0.5', 'gzip'],
    ['*', 'br'],
    ['br;q=0, *', 'gzip'],
    ['deflate', null],
    ['identity', null],
    ['gzip;q=0', null],
    ['identity, gzip;q=0.5', null],
    ['x-evil', null],
  ])('is asked for by weights: %s', async (accept, coding) => {
    for (const path of [productPath, '/openapi.json', '/docs', '/problems', '/docs/swagger-ui.css']) {
      const plain = await fetched(path, 'identity');
      const { encoding, text, response } = await fetched(path, accept);
      // What is short is sent as it is.
      const expected = Buffer.byteLength(plain.text) < 1400 ? null : coding;
      expect([path, encoding]).toEqual([path, expected]);
      expect(text).toBe(plain.text);
      expect(response.headers.get('vary')).toContain('accept-encoding');
      const isSame = response.headers.get('etag') === plain.response.headers.get('etag');
      expect([path, isSame]).toEqual([path, expected === null]);
    }
  });

  it('makes the answer as long as it says, and shorter', async () => {
    for (const [coding, decode] of [
      ['gzip', gunzipSync],
      ['br', brotliDecompressSync],
    ] as const) {
      const { hostname, port } = new URL(service.url);
      const { get } = await import('node:http');
      const bytes = await new Promise<{ body: Buffer; length: string | undefined }>((resolve) =>
        get({ hostname, port, path: '/openapi.json', headers: { 'accept-encoding': coding } }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () =>
            resolve({ body: Buffer.concat(chunks), length: response.headers['content-length'] }),
          );
        }),
      );
      expect(Number(bytes.length)).toBe(bytes.body.length);
      const plain = decode(bytes.body);
      expect(JSON.parse(plain.toString())).toHaveProperty('openapi');
      expect(bytes.body.length).toBeLessThan(plain.length / 4);
    }
  });

  it('is never of an answer that holds tokens', async () => {
    const { body } = await service
      .as()
      .post('/v1/sessions', { email: operator.email, password: operator.password })
      .set('accept-encoding', 'gzip, br')
      .expect((response) => expect(response.headers['content-encoding']).toBeUndefined())
      .expect(201);
    expect(body.accessToken).toEqual(expect.any(String));
  });
});
