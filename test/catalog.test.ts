/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import { TransactionKit } from '../src/testing/testing.ts';
import { readAll, startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { rolledBack } from './support/rolled-back.ts';
import { recordStatements } from './support/statements.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
const kit = new TransactionKit(() => service.app);
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  operator = await make.operator();
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const eur = (amount: number) => ({ amount, currency: 'EUR' });
let named = 0;
const newProduct = (changes: object = {}) => {
  const n = ++named;
  const skus = [{ code: `NEW-${n}`, name: 'One', price: eur(100) }];
  return { slug: `new-${n}`, name: 'New', skus, ...changes };
};
const add = (product: object) => operator.api.post('/v1/products', product);
const contents = () =>
  kit.query(`
    SELECT (SELECT jsonb_agg(t ORDER BY id) FROM product t) AS products, (SELECT jsonb_agg(t ORDER BY id) FROM sku t) AS skus,
           (SELECT jsonb_agg(t ORDER BY sku_id) FROM stock t) AS stocks, (SELECT jsonb_agg(t ORDER BY id) FROM image t) AS images,
           (SELECT jsonb_agg(t ORDER BY sku_id, seq) FROM stock_movement t) AS movements`);
const movementsOf = (skuId: string) =>
  kit.query(
    `SELECT seq, quantity, on_hand_after AS "onHandAfter", reason, order_id AS "orderId" FROM stock_movement WHERE sku_id = $1 ORDER BY seq`,
    [uuidOf(skuId)],
  );
const unknown = { product: 'prd_01h455vb4pex5vsknk084sn02q', sku: 'sku_01h455vb4pex5vsknk084sn02q' };

describe('adding a product', () => {
  rolledBack(kit);

  it('adds its SKUs, their stocks and its images with it, in the order they were given', async () => {
    const codes = Array.from({ length: 12 }, (_, i) => `MANY-${(i * 7) % 12}`);
    const product = {
      slug: 'travel-mug',
      name: 'Travel mug',
      description: 'Keeps tea hot – für sechs Stunden. 🫖',
      skus: codes.map((code, i) => ({ code, name: `Variant ${i}`, price: eur(1299 + i), onHand: i })),
      images: [{ url: 'https://images.example.com/2.jpg', alt: 'A mug' }, { url: 'http://images.example.com/1.jpg' }],
    };
    const { body, headers } = await add(product).expect(201);

    expect(headers['location']).toBe(`/v1/products/${body.id}`);
    expect(headers['etag']).toMatch(/^"1-[\w-]{16}(?:-gzip)?"$/);
    const times = { createdAt: expect.any(String), updatedAt: expect.any(String) };
    expect(body).toEqual({
      object: 'product',
      id: expect.stringMatching(/^prd_/),
      slug: 'travel-mug',
      name: 'Travel mug',
      description: product.description,
      skus: product.skus.map((sku) => ({
        object: 'sku',
        id: expect.stringMatching(/^sku_/),
        productId: body.id,
        version: 1,
        ...sku,
        ...times,
      })),
      images: [
        { id: expect.stringMatching(/^img_/), url: 'https://images.example.com/2.jpg', alt: 'A mug', position: 0 },
        { id: expect.stringMatching(/^img_/), url: 'http://images.example.com/1.jpg', alt: '', position: 1 },
      ],
      version: 1,
      ...times,
    });
    expect((await service.as().get(`/v1/products/${body.id}`).expect(200)).body).toEqual(body);
  });

  it('begins a stock that has units with the movement that brought them, and an empty one with none', async () => {
    const { skus } = await make.product({ onHand: [7, 0] });
    const [full, empty] = skus.map(({ id }) => id) as [string, string];
    expect(await movementsOf(full)).toEqual([
      { seq: 1, quantity: 7, onHandAfter: 7, reason: 'received', orderId: null },
    ]);
    expect(await movementsOf(empty)).toEqual([]);
    expect([await make.onHandOf(full), await make.onHandOf(empty)]).toEqual([7, 0]);
  });

  it.each([
    ['a slug that is taken', (): object => ({ slug: 'already-there' }), 'slug-taken'],
    [
      'a SKU code that is taken',
      (): object => ({
        skus: [
          { code: 'FREE', name: 'Free', price: eur(1), onHand: 5 },
          { code: 'ALREADY-THERE', name: 'Taken', price: eur(1) },
        ],
        images: [{ url: 'https://images.example.com/1.jpg' }],
      }),
      'sku-code-taken',
    ],
    [
      'one SKU code twice',
      (): object => ({ skus: ['DOUBLE', 'DOUBLE'].map((code) => ({ code, name: 'Two', price: eur(1) })) }),
      'sku-code-taken',
    ],
  ])('with %s is refused and leaves nothing behind', async (_, changes, code) => {
    await add(newProduct({ slug: 'already-there', skus: [{ code: 'ALREADY-THERE', name: 'X', price: eur(1) }] }));
    const before = await contents();
    const { body } = await add(newProduct(changes())).expect(409);
    expect(body).toMatchObject({ code, retryable: false });
    expect(await contents()).toEqual(before);
  });

  const sku = { code: 'VALID', name: 'Valid', price: eur(1) };
  it.each([
    ['a slug with capitals', { slug: 'Mug' }, '/slug'],
    ['a slug with a space', { slug: 'a mug' }, '/slug'],
    ['a slug of 101 letters', { slug: 'a'.repeat(101) }, '/slug'],
    ['no SKU', { skus: [] }, '/skus'],
    ['51 SKUs', { skus: Array.from({ length: 51 }, (_, i) => ({ ...sku, code: `V-${i}` })) }, '/skus'],
    ['a price of nothing', { skus: [{ ...sku, price: eur(0) }] }, '/skus/0/price/amount'],
    ['a code in small letters', { skus: [sku, { ...sku, code: 'valid' }] }, '/skus/1/code'],
    ['a stock below zero', { skus: [{ ...sku, onHand: -1 }] }, '/skus/0/onHand'],
    ['a stock beyond the most', { skus: [{ ...sku, onHand: 1_000_000_001 }] }, '/skus/0/onHand'],
    ['a stock of half a unit', { skus: [{ ...sku, onHand: 0.5 }] }, '/skus/0/onHand'],
    ['an image without an address', { images: [{ url: '' }] }, '/images/0/url'],
    ['an image that is a script', { images: [{ url: 'javascript:alert(1)' }] }, '/images/0/url'],
    ['an image address with a NUL', { images: [{ url: 'https://example.com/\0' }] }, '/images/0/url'],
    ['an image address with half a letter', { images: [{ url: 'https://example.com/\ud800' }] }, '/images/0/url'],
    ['21 images', { images: Array.from({ length: 21 }, () => ({ url: 'https://example.com/1.jpg' })) }, '/images'],
    ['a position', { images: [{ url: 'https://example.com/1.jpg', position: 3 }] }, '/images/0/position'],
  ])('with %s is refused with a pointer to it', async (_, changes, pointer) => {
    const { body } = await add(newProduct(changes)).expect(422);
    expect(body.code).toBe('validation-failed');
    expect(body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([pointer]);
  });
});

describe('reading the catalog', () => {
  rolledBack(kit);

  it('is open to everybody', async () => {
    const product = await make.product({ onHand: [3] });
    const [sku] = product.skus;
    for (const { as } of [service]) {
      for (const api of [as(), (await make.user()).api, operator.api]) {
        expect((await api.get(`/v1/products/${product.id}`).expect(200)).body).toEqual(product);
        const { body, headers } = await api.get(`/v1/skus/${sku?.id}`).expect(200);
        expect(body).toEqual(sku);
        expect(headers['etag']).toMatch(/^"1-[\w-]{16}"$/);
        const stock = await api.get(`/v1/skus/${sku?.id}/stock`).expect(200);
        expect(stock.body).toEqual({ object: 'stock', skuId: sku?.id, onHand: 3 });
        await api.get('/v1/products').expect(200);
      }
    }
  });

  it('lists the newest first, page by page, also of those that were added in one moment', async () => {
    const added: string[] = [];
    for (let i = 0; i < 5; i++) added.unshift((await make.product()).id);
    const shown = await readAll(service.as(), '/v1/products', 2);
    expect(shown.slice(0, 5).map(({ id }) => id)).toEqual(added);
  });

  it('lists them in short: what they cost in each currency, whether there is any of them, and the first image', async () => {
    const sku = (name: string, amount: number, currency: string, onHand = 0) => {
      return { code: `SHORT-${name}`, name, price: { amount, currency }, onHand };
    };
    const [dearest, images] = [9_007_199_254_740_991, [2, 1].map((n) => ({ url: `https://example.com/${n}.jpg` }))];
    const skus = [sku('A', 500, 'EUR'), sku('B', 40, 'JPY', 2), sku('C', dearest, 'EUR'), sku('D', 499, 'EUR')];
    const { body: whole } = await add(newProduct({ description: 'Long', images, skus })).expect(201);

    const { body } = await service.as().get('/v1/products?limit=1').expect(200);
    const { description: _, skus: all, images: shown, ...rest } = whole;
    const [lowest, highest] = [eur(499), eur(dearest)];
    const yen = { amount: 40, currency: 'JPY' };
    const short = {
      ...rest,
      prices: [
        { lowest, highest },
        { lowest: yen, highest: yen },
      ],
      inStock: true,
      image: shown[0],
    };
    expect(body.data).toEqual([short]);
    const { body: more } = await service.as().get('/v1/products?limit=1&expand=skus').expect(200);
    expect(more.data).toEqual([{ ...short, skus: all }]);
  });

  it('has the database put together the SKUs of a list only where they are asked for', async () => {
    await make.product();
    const textsOf = async (path: string): Promise<string[]> => {
      const statements = recordStatements();
      await service.as().get(path).expect(200);
      statements.stop();
      return statements.take().flatMap(({ text }) => (text.includes('product_summary') ? [text] : []));
    };
    expect(await textsOf('/v1/products')).toEqual([expect.not.stringContaining('skus')]);
    expect(await textsOf('/v1/products?expand=skus')).toEqual([expect.stringContaining('skus')]);
  });

  it('lists one without images and without units as that, until there are some', async () => {
    const { id, version, skus } = await make.product({ onHand: [0, 0] });
    const shown = async () => (await service.as().get('/v1/products?limit=1').expect(200)).body.data[0];
    expect(await shown()).toMatchObject({ id, inStock: false, image: null });
    await operator.api.post(`/v1/skus/${skus[1]?.id}/stock-adjustments`, { quantity: 1 }).expect(201);
    expect(await shown()).toMatchObject({ id, inStock: true, image: null, version });
  });

  it('lists their SKUs on each page where that is asked for, by cursors that are as good without', async () => {
    const whole = [await make.product({ onHand: [1, 2, 3] }), await make.product(), await make.product()].reverse();
    const skusOf = (products: object[]) => products.map((one) => (one as (typeof whole)[number]).skus);
    const first = await service.as().get('/v1/products?expand=skus&limit=2').expect(200);
    expect(skusOf(first.body.data)).toEqual(skusOf(whole.slice(0, 2)));
    const next = /<([^>]+)>; rel="next"/.exec(first.headers['link'] ?? '')?.[1] ?? '';
    expect(skusOf((await service.as().get(next).expect(200)).body.data.slice(0, 1))).toEqual(skusOf(whole.slice(2)));
    const { nextCursor } = first.body;
    const { body } = await service.as().get(`/v1/products?limit=1&cursor=${nextCursor}`).expect(200);
    expect(body.data[0].id).toBe(whole[2]?.id);
    expect(body.data[0]).not.toHaveProperty('skus');
  });

  it('does not find what is not there', async () => {
    for (const [path, code] of [
      [`/v1/products/${unknown.product}`, 'product-not-found'],
      [`/v1/skus/${unknown.sku}`, 'sku-not-found'],
      [`/v1/skus/${unknown.sku}/stock`, 'sku-not-found'],
      [`/v1/products/${unknown.sku}`, 'not-found'],
    ] as const)
      expect((await service.as().get(path).expect(404)).body.code).toBe(code);
  });
});

describe('writing the catalog', () => {
  rolledBack(kit);

  it('is for operators only, and changes nothing by others', async () => {
    const { id, skus } = await make.product();
    const [sku] = skus;
    const before = await contents();
    const writes: [method: 'post' | 'patch', path: string, body: object][] = [
      ['post', '/v1/products', newProduct()],
      ['patch', `/v1/products/${id}`, { name: 'Mine' }],
      ['post', `/v1/products/${id}/skus`, { code: 'MINE', name: 'Mine', price: eur(1) }],
      ['patch', `/v1/skus/${sku?.id}`, { price: eur(1) }],
      ['post', `/v1/skus/${sku?.id}/stock-adjustments`, { quantity: -1 }],
    ];
    const { api } = await make.user();
    for (const [method, path, body] of writes) {
      expect((await service.as()[method](path, body).set('if-match', '*').expect(401)).body.code).toBe('token-missing');
      expect((await api[method](path, body).set('if-match', '*').expect(403)).body.code).toBe('not-allowed');
    }
    expect(await contents()).toEqual(before);
  });
});

describe('editing a product', () => {
  rolledBack(kit);

  const edit = (id: string, patch: object, etag = '*') =>
    operator.api.patch(`/v1/products/${id}`, patch).set('if-match', etag);

  it('changes what is named, keeps the rest, and counts the version up', async () => {
    const product = await make.product();
    await sleep(2);
    const { body, headers } = await edit(product.id, { name: 'Better mug', description: 'Hotter.' }, '"1"').expect(200);
    expect(body).toEqual({
      ...product,
      name: 'Better mug',
      description: 'Hotter.',
      version: 2,
      updatedAt: body.updatedAt,
    });
    expect(Date.parse(body.updatedAt)).toBeGreaterThan(Date.parse(body.createdAt));
    expect(headers['etag']).toMatch(/^"2-[\w-]{16}"$/);
  });

  it('replaces all images by those that are named, and none when none are named', async () => {
    const product = await make.product();
    const image = (n: number) => ({ url: `https://images.example.com/${n}.jpg`, alt: `Image ${n}` });
    const shown = (body: { images: { url: string; alt: string; position: number }[] }) =>
      body.images.map(({ url, alt, position }) => ({ url, alt, position }));

    const three = await edit(product.id, { images: [image(1), image(2), image(3)] }).expect(200);
    expect(shown(three.body)).toEqual([1, 2, 3].map((n, position) => ({ ...image(n), position })));
    const two = await edit(product.id, { images: [image(3), image(4)] }).expect(200);
    expect(shown(two.body)).toEqual([3, 4].map((n, position) => ({ ...image(n), position })));
    expect(shown((await edit(product.id, { name: 'Same images' }).expect(200)).body)).toEqual(shown(two.body));
    expect((await edit(product.id, { images: [] }).expect(200)).body.images).toEqual([]);
  });

  it('needs the version that was seen', async () => {
    const product = await make.product();
    const before = await contents();
    const missing = await operator.api.patch(`/v1/products/${product.id}`, { name: 'Lost' }).expect(428);
    expect(missing.body.code).toBe('precondition-required');
    const stale = await edit(product.id, { name: 'Lost', images: [{ url: 'https://example.com/lost.jpg' }] }, '"2"');
    expect([stale.status, stale.body.code]).toEqual([412, 'version-mismatch']);
    expect((await edit(product.id, { name: 'Lost' }, '1').expect(400)).body.code).toBe('malformed-if-match');
    expect(await contents()).toEqual(before);
  });

  it('to a slug that is taken is refused and changes nothing', async () => {
    const [one, other] = [await make.product(), await make.product()];
    const before = await contents();
    const { body } = await edit(one.id, { slug: other.slug, images: [] }).expect(409);
    expect(body.code).toBe('slug-taken');
    expect(await contents()).toEqual(before);
  });

  it('that is not there is not found', async () => {
    expect((await edit(unknown.product, { name: 'X' }).expect(404)).body.code).toBe('product-not-found');
  });
});

describe('SKUs', () => {
  rolledBack(kit);

  const edit = (id: string | undefined, patch: object, etag = '*') =>
    operator.api.patch(`/v1/skus/${id}`, patch).set('if-match', etag);

  it('are added to a product, with their stock, and shown last in it', async () => {
    const product = await make.product({ onHand: [1, 2] });
    const sku = { code: 'ADDED', name: 'Added', price: { amount: 300, currency: 'JPY' }, onHand: 9 };
    const { body, headers } = await operator.api.post(`/v1/products/${product.id}/skus`, sku).expect(201);
    expect(body).toMatchObject({ object: 'sku', productId: product.id, version: 1, ...sku });
    expect(headers['location']).toBe(`/v1/skus/${body.id}`);
    expect(headers['etag']).toMatch(/^"1-[\w-]{16}"$/);
    expect(await movementsOf(body.id)).toEqual([
      { seq: 1, quantity: 9, onHandAfter: 9, reason: 'received', orderId: null },
    ]);
    const shown = await service.as().get(`/v1/products/${product.id}`).expect(200);
    expect(shown.body.skus).toEqual([...product.skus, body]);
  });

  it('with a code that is taken, or for a product that is not there, are refused and leave nothing behind', async () => {
    const product = await make.product();
    const sku = { code: product.skus[0]?.code, name: 'Again', price: eur(1), onHand: 3 };
    const before = await contents();
    const taken = await operator.api.post(`/v1/products/${product.id}/skus`, sku).expect(409);
    expect(taken.body.code).toBe('sku-code-taken');
    const lost = await operator.api.post(`/v1/products/${unknown.product}/skus`, { ...sku, code: 'LOST' }).expect(404);
    expect(lost.body.code).toBe('product-not-found');
    expect(await contents()).toEqual(before);
  });

  it('get another price, code and name, and the version that goes with it', async () => {
    const product = await make.product();
    const [sku] = product.skus;
    const patch = { price: eur(1), code: 'RENAMED', name: 'Renamed' };
    const { body, headers } = await edit(sku?.id, patch, '"1"').expect(200);
    expect(body).toEqual({ ...sku, ...patch, version: 2, updatedAt: expect.any(String) });
    expect(headers['etag']).toMatch(/^"2-[\w-]{16}"$/);
    expect((await edit(sku?.id, { price: eur(2) }, '"1"').expect(412)).body.code).toBe('version-mismatch');
    expect((await operator.api.patch(`/v1/skus/${sku?.id}`, { name: 'X' }).expect(428)).body.code).toBe(
      'precondition-required',
    );
    expect((await service.as().get(`/v1/skus/${sku?.id}`).expect(200)).body).toEqual(body);
  });

  it('cannot get a code that is taken, a price of nothing, or a stock by an edit', async () => {
    const { skus } = await make.product({ onHand: [1, 1] });
    const [one, other] = skus;
    expect((await edit(one?.id, { code: other?.code }).expect(409)).body.code).toBe('sku-code-taken');
    expect((await edit(one?.id, { price: eur(0) }).expect(422)).body.errors[0].pointer).toBe('/price/amount');
    expect((await edit(one?.id, { onHand: 5 }).expect(422)).body.errors[0].pointer).toBe('/onHand');
    expect((await edit(unknown.sku, { name: 'X' }).expect(404)).body.code).toBe('sku-not-found');
    expect((await service.as().get(`/v1/skus/${one?.id}`).expect(200)).body).toEqual(one);
  });
});

describe('adjusting stock', () => {
  rolledBack(kit);

  const adjust = (skuId: string, quantity: unknown, reason?: string) =>
    operator.api.post(`/v1/skus/${skuId}/stock-adjustments`, { quantity, ...(reason && { reason }) });
  const skuWith = async (onHand: number): Promise<string> =>
    (await make.product({ onHand: [onHand] })).skus[0]?.id ?? '';

  it('adds and takes units, and records each movement with what it left', async () => {
    const skuId = await skuWith(10);
    const { body } = await adjust(skuId, 5, 'received').expect(201);
    expect(body).toEqual({
      object: 'stock_movement',
      skuId,
      seq: 2,
      quantity: 5,
      onHandAfter: 15,
      reason: 'received',
      createdAt: expect.any(String),
    });
    expect((await adjust(skuId, -15).expect(201)).body).toMatchObject({ seq: 3, onHandAfter: 0, reason: 'adjusted' });
    expect(await make.onHandOf(skuId)).toBe(0);
    expect(await movementsOf(skuId)).toEqual([
      { seq: 1, quantity: 10, onHandAfter: 10, reason: 'received', orderId: null },
      { seq: 2, quantity: 5, onHandAfter: 15, reason: 'received', orderId: null },
      { seq: 3, quantity: -15, onHandAfter: 0, reason: 'adjusted', orderId: null },
    ]);
    expect((await service.as().get(`/v1/skus/${skuId}`).expect(200)).body).toMatchObject({ onHand: 0, version: 1 });
  });

  it('below nothing or beyond the most is refused and changes nothing', async () => {
    const skuId = await skuWith(3);
    const before = await contents();
    expect((await adjust(skuId, -4).expect(409)).body).toMatchObject({ code: 'insufficient-stock', retryable: false });
    expect((await adjust(skuId, 999_999_998).expect(409)).body.code).toBe('too-much-stock');
    expect((await adjust(skuId, 1_000_000_000).expect(409)).body.code).toBe('too-much-stock');
    expect(await contents()).toEqual(before);
    expect((await adjust(skuId, 999_999_997).expect(201)).body.onHandAfter).toBe(1_000_000_000);
  });

  it.each([0, 0.5, '1', null, 1_000_000_001, -1_000_000_001, undefined])('by %p is refused', async (quantity) => {
    const { body } = await adjust(await skuWith(3), quantity).expect(422);
    expect(body.errors[0].pointer).toBe('/quantity');
  });

  it('for a reason that orders have, or received below zero, is refused', async () => {
    const skuId = await skuWith(3);
    for (const reason of ['sold', 'restocked', 'stolen'])
      expect((await adjust(skuId, 1, reason).expect(422)).body.errors[0].pointer).toBe('/reason');
    expect((await adjust(skuId, -1, 'received').expect(422)).body).toMatchObject({
      code: 'validation-failed',
      errors: [{ pointer: '/quantity' }],
    });
    expect(await make.onHandOf(skuId)).toBe(3);
  });

  it('of a SKU that is not there is not found', async () => {
    expect((await adjust(unknown.sku, 1).expect(404)).body.code).toBe('sku-not-found');
  });
});

// On connections of their own: one after the other they would not race.
describe('at the same moment', () => {
  const edit = (id: string, patch: object, etag: string) =>
    operator.api.patch(`/v1/products/${id}`, patch).set('if-match', etag);

  it('several products with one slug: one is added', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => add(newProduct({ slug: 'wanted-by-all' }))));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  });

  it('several edits with one ETag: one is done', async () => {
    const product = await make.product();
    const answers = await Promise.all(['A', 'B', 'C'].map((name) => edit(product.id, { name }, '"1"')));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
  });

  it('several who all replace the images: those of one of them are left', async () => {
    const product = await make.product();
    const images = (who: string) => [1, 2, 3].map((n) => ({ url: `https://images.example.com/${who}/${n}.jpg` }));
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((who) => edit(product.id, { images: images(who) }, '*')),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const { body } = await service.as().get(`/v1/products/${product.id}`).expect(200);
    expect(body.version).toBe(5);
    const urls = body.images.map(({ url }: { url: string }) => url);
    expect(urls).toEqual(images(urls[0].split('/')[3]).map(({ url }) => url));
  });

  it('many who take from one stock: never more is taken than there is', async () => {
    const skuId = await make.sku(5);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => operator.api.post(`/v1/skus/${skuId}/stock-adjustments`, { quantity: -1 })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(5);
    expect(answers.filter(({ body }) => body.code === 'insufficient-stock')).toHaveLength(3);
    expect(await make.onHandOf(skuId)).toBe(0);
  });
});

describe('a product', () => {
  it('gets no more SKUs than it may have, also when two come at once', async () => {
    const operator = await make.operator();
    const product = await make.product({ onHand: Array.from({ length: 49 }, () => 0) });
    const add = (code: string) =>
      operator.api.post(`/v1/products/${product.id}/skus`, {
        code,
        name: 'One more',
        price: { amount: 1, currency: 'EUR' },
      });

    const answers = await Promise.all(['MORE-A', 'MORE-B', 'MORE-C'].map(add));

    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    expect(answers.filter(({ body }) => body.code === 'too-many-skus')).toHaveLength(2);
    const { body } = await operator.api.get(`/v1/products/${product.id}`).expect(200);
    expect(body.skus).toHaveLength(50);
    expect(body.version).toBe(product.version + 1);
  });
});
