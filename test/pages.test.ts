/** @servers any */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { Response } from 'supertest';
import { api, type Api, readAll, serve, startApp, type TestApp, type Variables } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, type Person } from './support/make.ts';
import { makeWorld, requestsIn } from './support/requests.ts';
import { recordStatements } from './support/statements.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
let ada: Person;
let bob: Person;
let skuId: string;
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  operator = await make.operator();
  [ada, bob] = [await make.user({ balance: 1_000_000 }), await make.user()];
  skuId = await make.sku(1_000_000, 1);
  await deriveOthers();
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

interface Listed {
  readonly api: Api;
  readonly path: string;
  readonly keyOf: (row: never) => string | number;
  /** Adds a row to the list. */
  readonly add: () => Promise<unknown>;
  readonly isNewestFirst: boolean;
}
const byId = ({ id }: { id: string }) => id;
const pay = () => {
  const transfer = { fromAccountId: ada.accountId, toAccountId: bob.accountId, amount: { amount: 1, currency: 'EUR' } };
  return ada.api.post('/v1/transfers', transfer).expect(201);
};

/** Every list of the API. */
const lists: Record<string, () => Listed> = {
  products: () => ({
    api: service.as(),
    path: '/v1/products',
    keyOf: byId,
    add: () => make.product(),
    isNewestFirst: true,
  }),
  orders: () => ({
    api: ada.api,
    path: '/v1/orders',
    keyOf: byId,
    add: () => make.order(ada, [skuId]),
    isNewestFirst: true,
  }),
  'orders of everybody': () => ({ ...list('orders'), api: operator.api }),
  'placed orders': () => ({ ...list('orders'), path: '/v1/orders?status=placed' }),
  entries: () => ({
    api: ada.api,
    path: `/v1/accounts/${ada.accountId}/entries`,
    keyOf: ({ seq }: { seq: number }) => seq,
    add: pay,
    isNewestFirst: true,
  }),
  accounts: () => ({
    api: ada.api,
    path: '/v1/accounts',
    keyOf: byId,
    add: () => ada.api.post('/v1/accounts', { currency: 'EUR' }).expect(201),
    isNewestFirst: false,
  }),
};
/** Those that no case above is about: read by whoever may, with rows added as their module says or by the POST of the same path. */
const others = Object.entries(documentedLists())
  .filter(
    ([template]) => !['/v1/products', '/v1/orders', '/v1/accounts', '/v1/accounts/{id}/entries'].includes(template),
  )
  .map(([template]) => `GET ${template}`);
const derived = new Map<string, Listed>();
const list = (name: string): Listed => derived.get(name) ?? (lists[name] as () => Listed)();
const names = [...Object.keys(lists), ...others];

function documentedLists(): Record<string, unknown> {
  const { paths } = JSON.parse(readFileSync('openapi.json', 'utf8')) as {
    paths: Record<string, { get?: { operationId: string; parameters: { name?: string }[] } }>;
  };
  // A feed has cursors as well, and no end.
  const isPaged = ({ get }: (typeof paths)[string]) =>
    get?.operationId.startsWith('list') === true && get.parameters.some(({ name }) => name === 'cursor');
  return Object.fromEntries(Object.entries(paths).filter(([, path]) => isPaged(path)));
}

async function deriveOthers(): Promise<void> {
  const { lists: all, derive, addTo } = await requestsIn(await makeWorld(service));
  for (const name of others) {
    const operation = all.find((one) => one.name === name)!;
    const { api: reader, path } = await derive(operation);
    const isNewestFirst = !inPlace.has(name);
    derived.set(name, { api: reader, path, keyOf: keyOfRow, add: () => addTo(operation, path), isNewestFirst });
  }
}
// What has a place of its own in the list, where what is added last may come last.
const inPlace = new Set(['GET /v1/showings/{id}/seats']);
const keyOfRow = (row: { id?: string; seq?: number; version?: number }): string | number =>
  row.id ?? row.seq ?? row.version ?? JSON.stringify(row);
const withQuery = (path: string, query: string): string => `${path}${path.includes('?') ? '&' : '?'}${query}`;
const keysOf = async ({ api, path, keyOf }: Listed, limit: number, between?: () => Promise<unknown>) =>
  (await readAll<never>(api, path, limit, between)).map(keyOf);
/** The first cursor of a list, which has at least two rows by then. */
const cursorOf = async ({ api, path, add }: Listed): Promise<string> => {
  await Promise.all([add(), add()]);
  return (await api.get(withQuery(path, 'limit=1')).expect(200)).body.nextCursor;
};

describe('the pages of a list', () => {
  it.each(names)('show each of the %s once and in order, whatever is added meanwhile', async (name) => {
    const listed = list(name);
    for (let i = 0; i < 6; i++) await listed.add();
    const added = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 7 }), added, async (limit, counts) => {
        const before = await keysOf(listed, 100);
        const left = [...counts];
        const seen = await keysOf(listed, limit, () =>
          Promise.all(Array.from({ length: left.shift() ?? 0 }, listed.add)),
        );

        expect(new Set(seen).size).toBe(seen.length);
        expect(seen.filter((key) => before.includes(key))).toEqual(before);
        const after = await keysOf(listed, 100);
        expect(after.filter((key) => seen.includes(key))).toEqual(seen);
        if (listed.isNewestFirst) expect(seen).toEqual(before);
      }),
      { numRuns: 8, seed: 20261121 },
    );
  });

  it('show each order once that has the status all the time, whatever becomes of the others', async () => {
    const placed: string[] = [];
    for (let i = 0; i < 8; i++) placed.unshift((await make.order(ada, [skuId])).id);
    const [a, b, c, d] = [1, 2, 4, 7].map((i) => placed[i]);
    const doomed = [a, c, b, d];
    const seen = await keysOf(list('placed orders'), 2, async () => {
      const id = doomed.shift();
      if (id) await ada.api.post(`/v1/orders/${id}/cancel`).expect(200);
    });
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining([0, 3, 5, 6].map((i) => placed[i])));
  });

  it.each(names)('of %s ask for as many statements when they are long as when they are short', async (name) => {
    const { api, path, add } = list(name);
    for (let i = 0; i < 12; i++) await add();
    const recorded = recordStatements();
    const count = async (limit: number) => {
      await api.get(withQuery(path, `limit=${limit}`)).expect(200);
      recorded.take();
      const { body } = await api.get(withQuery(path, `limit=${limit}`)).expect(200);
      expect(body.data).toHaveLength(limit);
      // What the router asks the servers for is not asked per row either, but may be asked more than once.
      return recorded.take().filter(({ text }) => !text.includes('_wal_')).length;
    };
    const short = await count(1);
    expect(short).toBeGreaterThan(0);
    expect(await count(12)).toBe(short);
    recorded.stop();
  });
});

describe('the limit', () => {
  it('is 20 when nothing is said, and may be 1 to 100', async () => {
    for (let i = 0; i < 21; i++) await pay();
    const { api, path } = list('entries');
    const lengthOf = async (query: string) => (await api.get(`${path}${query}`).expect(200)).body.data.length;
    expect(await lengthOf('')).toBe(20);
    expect(await lengthOf('?limit=1')).toBe(1);
    expect(await lengthOf('?limit=21')).toBe(21);
    expect(await lengthOf('?limit=100')).toBeGreaterThan(20);
  });

  it.each(['0', '101', '-1', 'abc', '1.5', '', 'NaN', 'Infinity', '1&limit=2', '99999999999999999999', '%00'])(
    'of %s is refused on every list',
    async (limit) => {
      for (const name of names) {
        const { api, path } = list(name);
        const { body } = await api.get(withQuery(path, `limit=${limit}`)).expect(422);
        expect(body).toMatchObject({ code: 'validation-failed', errors: [{ parameter: 'limit' }] });
      }
    },
  );

  it('is not the only thing a query may get wrong: what a list does not know is refused', async () => {
    for (const name of names) {
      const { api, path } = list(name);
      const { body } = await api.get(withQuery(path, 'offset=10')).expect(422);
      expect(body.errors).toEqual([expect.objectContaining({ parameter: 'offset', code: 'unknown-member' })]);
    }
  });
});

describe('a cursor', () => {
  it('belongs to its list, its filter and its user', async () => {
    const own = list('orders');
    const cursors: Record<string, string> = {};
    for (const name of names) cursors[name] = await cursorOf(list(name));
    for (const name of names)
      for (const [origin, cursor] of Object.entries(cursors)) {
        const { api, path } = list(name);
        const { status, body } = await api.get(withQuery(path, `cursor=${cursor}`));
        expect([name, origin, status]).toEqual([name, origin, name === origin ? 200 : 400]);
        if (name !== origin) expect(body.code).toBe('malformed-cursor');
      }
    await bob.api.get(withQuery(own.path, `cursor=${cursors['orders']}`)).expect(400);
    await bob.api.get(withQuery('/v1/accounts', `cursor=${cursors['accounts']}`)).expect(400);
    await bob.api.get(`/v1/accounts/${bob.accountId}/entries?cursor=${cursors['entries']}`).expect(400);
    // Nor is it an operator's, who may see the same list.
    await operator.api.get(withQuery(list('entries').path, `cursor=${cursors['entries']}`)).expect(400);
    await operator.api.get(withQuery('/v1/orders', `cursor=${cursors['orders']}`)).expect(400);
    await own.api.get(withQuery(own.path, `status=cancelled&cursor=${cursors['orders']}`)).expect(400);
  });

  it('may be used with another limit', async () => {
    const { api, path } = list('orders');
    const cursor = await cursorOf(list('orders'));
    const { body } = await api.get(withQuery(path, `limit=100&cursor=${cursor}`)).expect(200);
    const { body: whole } = await api.get(withQuery(path, 'limit=100')).expect(200);
    expect(body.data[0]).toEqual(whole.data[1]);
  });

  it.each(names)('of %s that was tampered with is refused', async (name) => {
    const { api, path } = list(name);
    const cursor = await cursorOf(list(name));
    const read = (text: string) => api.get(withQuery(path, `cursor=${encodeURIComponent(text)}`));
    const bytes = Buffer.from(cursor, 'base64url');
    const place = bytes.subarray(16);
    const [binding, key] = JSON.parse(place.toString());
    const write = (value: unknown, seal = bytes.subarray(0, 16)) =>
      Buffer.concat([seal, Buffer.from(JSON.stringify(value))]).toString('base64url');
    const flipped = Array.from(bytes, (_, at) => {
      const copy = Buffer.from(bytes);
      copy[at]! ^= 1;
      return copy.toString('base64url');
    });

    const broken = [
      '',
      'x',
      '%',
      'null',
      '\0',
      '🫖',
      cursor.slice(0, -4),
      cursor.slice(4),
      `${cursor}${cursor}`,
      ` ${cursor}`,
      `${cursor}=`,
      `${cursor}!`,
      place.toString(),
      place.toString('base64url'),
      write([binding, typeof key === 'number' ? key - 1 : key.replace(/.$/, '0')]),
      write([binding, key], Buffer.alloc(16)),
      write([binding, key], bytes.subarray(0, 15)),
      write([binding, key, key]),
      write([binding, '\0']),
      write(null),
      ...flipped,
    ];
    for (const text of broken) {
      if (text === cursor) continue;
      expect([text, (await read(text)).status]).toEqual([text, 400]);
    }
    await read('x'.repeat(501)).expect(422);
    await read(cursor).expect(200);
  });

  it('is one everywhere where the secret is the same, and nowhere else', async () => {
    const { path } = list('products');
    const cursor = await cursorOf(list('products'));
    const statusOf = async (secret: Variables) => {
      const { app, url } = await serve(service.database, secret);
      const { status } = await api(url).get(withQuery(path, `cursor=${cursor}`));
      await app.close();
      return status;
    };
    expect(await statusOf({})).toBe(200);
    expect(await statusOf({ AUTH_SECRET: randomBytes(48).toString('base64') })).toBe(400);
  });
});

describe('the links of a page', () => {
  it.each(names)('of %s lead through the whole list and back', async (name) => {
    const { api, path, add, keyOf } = list(name);
    for (let i = 0; i < 3; i++) await add();
    const whole = (await api.get(withQuery(path, 'limit=100')).expect(200)).body.data.map(keyOf);
    const seen: unknown[] = [];
    const first = withQuery(path, 'limit=2');
    for (let next: string | undefined = first; next !== undefined;) {
      const page: Response = await api.get(next).expect(200);
      const { body, headers } = page;
      seen.push(...body.data.map(keyOf));
      const links = new Map<string | undefined, string | undefined>(
        [...headers['link']!.matchAll(/<([^<>]+)>; rel="(\w+)"/g)].map(([, to, rel]) => [rel, to]),
      );
      expect([...links.keys()]).toEqual(body.hasMore ? ['next', 'first'] : ['first']);
      expect(links.get('first')).toBe(first);
      next = links.get('next');
      if (next) expect(next).toBe(`${first}&cursor=${body.nextCursor}`);
    }
    expect(seen.slice(0, 100)).toEqual(whole);
  });

  it('are on no other answer', async () => {
    const { headers } = await ada.api.get('/v1/users/me').expect(200);
    expect(headers).not.toHaveProperty('link');
  });
});
