import { randomUUID } from 'node:crypto';
import { TransactionKit } from '../src/testing/testing.ts';
import { api, readAll, serve, startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { atOnce, tally } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';
import { rolledBack } from './support/rolled-back.ts';

let service: TestApp;
let ada: Person;
let bob: Person;
let operator: Person;
let make: ReturnType<typeof makers>;
const kit = new TransactionKit(() => service.app);
beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '20000' });
  make = makers(service);
  [ada, bob, operator] = [await make.user(), await make.user(), await make.operator()];
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const path = '/v1/webhook-endpoints';
const url = 'https://shop.example/hooks?key=1';
const at = (id: string): string => `${path}/${id}`;
const create = async (by: Person, members: object = {}) =>
  (await by.api.post(path, { url, ...members }).expect(201)).body;
const edit = (by: Person, id: string, patch: object, etag = '*') => by.api.patch(at(id), patch).set('if-match', etag);
const remove = (by: Person, id: string, etag = '*') => by.api.delete(at(id)).set('if-match', etag);
const rows = () => kit.query('SELECT * FROM webhook_endpoint ORDER BY id');

describe('a webhook endpoint', () => {
  rolledBack(kit);

  it('is created, read and listed by its owner; its secret is shown once and stored encrypted', async () => {
    const { body, headers } = await ada.api.post(path, { url }).expect(201);
    const { secret, ...shown } = body;
    expect(shown).toEqual({
      object: 'webhook_endpoint',
      id: expect.stringMatching(/^wep_/),
      userId: ada.id,
      url,
      description: null,
      types: null,
      enabled: true,
      disabledReason: null,
      version: 1,
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
    expect([headers['location'], headers['cache-control']]).toEqual([at(body.id), 'no-store']);
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect((await ada.api.get(at(body.id)).expect(200)).body).toEqual(shown);
    const { secret: _, ...second } = await create(ada, { types: ['order.placed'], description: 'Orders' });
    expect(second).toMatchObject({ types: ['order.placed'], description: 'Orders' });
    expect(await readAll(ada.api, path, 1)).toEqual([second, shown]);
    const bytes = Buffer.from(secret.slice('whsec_'.length), 'base64');
    expect(bytes).toHaveLength(32);
    for (const row of await rows()) expect(Buffer.from(row['secret'] as Uint8Array).includes(bytes)).toBe(false);
  });

  it('is edited and removed in the version that was seen, and in no other', async () => {
    const { id } = await create(ada);
    const { headers } = await ada.api.get(at(id)).expect(200);
    const { body } = await edit(ada, id, { types: ['transfer.posted'], enabled: false }, headers['etag']).expect(200);
    expect(body).toMatchObject({ types: ['transfer.posted'], enabled: false, disabledReason: null, url, version: 2 });
    expect((await edit(ada, id, { types: null }).expect(200)).body).toMatchObject({ types: null, enabled: false });
    for (const stale of [edit(ada, id, { enabled: true }, headers['etag']), remove(ada, id, headers['etag'])])
      expect((await stale.expect(412)).body.code).toBe('version-mismatch');
    expect((await ada.api.delete(at(id)).expect(428)).body.code).toBe('precondition-required');
    await remove(ada, id).expect(204);
    expect((await remove(ada, id).expect(404)).body.code).toBe('webhook-endpoint-not-found');
  });

  it('gets a new secret, and is then in another version', async () => {
    const { id, secret } = await create(ada);
    const { body } = await ada.api.post(`${at(id)}/rotate-secret`).expect(200);
    expect(body).toMatchObject({ id, version: 2, secret: expect.stringMatching(/^whsec_/) });
    expect(body.secret).not.toBe(secret);
  });

  it('is not found by another user, and is seen by an operator without its secret', async () => {
    const { id } = await create(ada);
    const before = await rows();
    const asked = [
      bob.api.get(at(id)),
      edit(bob, id, { enabled: false }),
      remove(bob, id),
      bob.api.post(`${at(id)}/rotate-secret`),
    ];
    for (const one of asked) expect((await one.expect(404)).body.code).toBe('webhook-endpoint-not-found');
    expect((await bob.api.get(path).expect(200)).body.data).toEqual([]);
    expect(await rows()).toEqual(before);
    const { body } = await operator.api.get(at(id)).expect(200);
    expect([body.userId, 'secret' in body]).toEqual([ada.id, false]);
    await service.as().get(at(id)).expect(401);
  });

  it.each([
    ['no URL', {}, '/url'],
    ['another scheme', { url: 'ftp://shop.example/' }, '/url'],
    ['an unknown type', { url, types: ['order.eaten'] }, '/types/0'],
    ['no types at all', { url, types: [] }, '/types'],
    ['a type twice', { url, types: ['order.placed', 'order.placed'] }, '/types'],
    ['a secret of its own', { url, secret: 'whsec_1' }, '/secret'],
    ['a user in the URL', { url: 'https://me@shop.example/' }, '/url'],
    ['a password in the URL', { url: 'https://:pass@shop.example/' }, '/url'],
    ['a fragment in the URL', { url: 'https://shop.example/#top' }, '/url'],
  ])('with %s is refused with a pointer to it', async (_, members, pointer) => {
    const { body } = await ada.api.post(path, members).expect(422);
    expect(body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([pointer]);
    expect(await rows()).toEqual([]);
  });

  it('is created once, however often its request is sent with one key, and the repeat shows the same secret to its owner alone', async () => {
    const key = randomUUID();
    const send = (by: Person) => by.api.post(path, { url }).set('idempotency-key', key).expect(201);
    const [first, second, other] = [await send(ada), await send(ada), await send(bob)];
    expect([second.text, second.headers['idempotent-replayed']]).toEqual([first.text, 'true']);
    expect(other.body.secret).not.toBe(first.body.secret);
    expect(await rows()).toHaveLength(2);
  });

  it('is one of ten that a user has at most', async () => {
    for (let n = 0; n < 10; n++) await create(ada);
    expect((await ada.api.post(path, { url }).expect(409)).body.code).toBe('too-many-webhook-endpoints');
    await create(bob);
  });
});

describe('at the same moment', () => {
  it('ten of twenty endpoints of one user are created', async () => {
    const carl = await make.user();
    const answers = await atOnce(20, async () => carl.api.post(path, { url }));
    expect(tally(answers)).toEqual({ '201': 10, '409 too-many-webhook-endpoints': 10 });
  });

  it('one of twenty edits or removals of one version is stored', async () => {
    const { id } = await create(ada);
    const { headers } = await ada.api.get(at(id)).expect(200);
    const answers = await atOnce(20, async (n) =>
      n % 2 === 0 ? edit(ada, id, { description: `Edit ${n}` }, headers['etag']) : remove(ada, id, headers['etag']),
    );
    expect(answers.filter(({ status }) => status < 300)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 412 || status === 404)).toHaveLength(19);
  });

  it('each of ten rotations has its own secret, one after the other', async () => {
    const { id } = await create(ada);
    const answers = await atOnce(10, async () => ada.api.post(`${at(id)}/rotate-secret`));
    expect(answers.map(({ body }) => body.version).sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(new Set(answers.map(({ body }) => body.secret)).size).toBe(10);
  });
});

describe('where private addresses are refused', () => {
  let strict: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    strict = await serve(service.database, { WEBHOOK_PRIVATE_ADDRESSES: 'refuse' });
  });
  afterAll(() => strict.app.close());

  it.each([
    'http://shop.example/',
    'https://shop.example:25/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://127.0.0.1./',
    'https://10.1.2.3:8443/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://localhost/',
    'https://169.254.169.254/latest/meta-data/',
  ])('an endpoint at %s is, too', async (refused) => {
    const { body } = await api(strict.url, ada.token).post(path, { url: refused }).expect(422);
    expect(body.code).toBe('webhook-url-refused');
  });
});
