import { randomUUID } from 'node:crypto';
import { TransactionKit } from '../src/testing/testing.ts';
import { readAll, startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { atOnce, meetAt, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { rolledBack } from './support/rolled-back.ts';

let service: TestApp;
let ada: Person;
let bob: Person;
let operator: Person;
const kit = new TransactionKit(() => service.app);
beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '20000' });
  const make = makers(service);
  [ada, bob, operator] = [await make.user(), await make.user(), await make.operator()];
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const path = '/v1/sample-things';
const at = (id: string): string => `${path}/${id}`;
const create = async (by: Person, members: object = {}): Promise<{ id: string; version: number }> =>
  (await by.api.post(path, { name: 'One', ...members }).expect(201)).body;
const edit = (by: Person, id: string, patch: object, etag = '*') => by.api.patch(at(id), patch).set('if-match', etag);
const rows = () => kit.query('SELECT * FROM "sample_thing" ORDER BY id');

describe('a sample thing', () => {
  rolledBack(kit);

  it('is created, read and listed by its owner', async () => {
    const { body, headers } = await ada.api.post(path, { name: 'One' }).expect(201);
    expect(body).toEqual({
      object: 'sample_thing',
      id: expect.stringMatching(/^samplething_/),
      userId: ada.id,
      name: 'One',
      note: null,
      archived: false,
      version: 1,
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
    expect(headers['location']).toBe(at(body.id));
    expect((await ada.api.get(at(body.id)).expect(200)).body).toEqual(body);
    const second = await create(ada, { name: 'Two', note: 'For later' });
    expect(await readAll(ada.api, path, 1)).toEqual([second, body]);
  });

  it('is edited in the version that was seen, and in no other', async () => {
    const { id } = await create(ada);
    const { headers } = await ada.api.get(at(id)).expect(200);
    const { body } = await edit(ada, id, { name: 'Two' }, headers['etag']).expect(200);
    expect(body).toMatchObject({ name: 'Two', note: null, version: 2 });
    const stale = await edit(ada, id, { name: 'Three' }, headers['etag']).expect(412);
    expect(stale.body.code).toBe('version-mismatch');
    expect((await ada.api.patch(at(id), { name: 'Three' }).expect(428)).body.code).toBe('precondition-required');
    expect((await ada.api.get(at(id)).expect(200)).body).toEqual(body);
  });

  it('is not edited while it is archived', async () => {
    const { id } = await create(ada);
    await edit(ada, id, { archived: true }).expect(200);
    expect((await edit(ada, id, { name: 'Two' }).expect(409)).body.code).toBe('sample-thing-archived');
    const { body } = await edit(ada, id, { name: 'Two', archived: false }).expect(200);
    expect(body).toMatchObject({ name: 'Two', archived: false, version: 3 });
  });

  it('is removed once', async () => {
    const { id } = await create(ada);
    await ada.api.delete(at(id)).expect(204);
    expect((await ada.api.delete(at(id)).expect(404)).body.code).toBe('sample-thing-not-found');
    expect(await rows()).toEqual([]);
  });

  it('is not found by another user, and is seen by an operator', async () => {
    const { id } = await create(ada);
    const before = await rows();
    for (const asked of [bob.api.get(at(id)), edit(bob, id, { name: 'Mine' }), bob.api.delete(at(id))])
      expect((await asked.expect(404)).body.code).toBe('sample-thing-not-found');
    expect((await bob.api.get(path).expect(200)).body.data).toEqual([]);
    expect(await rows()).toEqual(before);
    expect((await operator.api.get(path).expect(200)).body.data).toMatchObject([{ id, userId: ada.id }]);
    await service.as().get(at(id)).expect(401);
  });

  it.each([
    ['no name', {}, '/name'],
    ['a blank name', { name: ' ' }, '/name'],
    ['a name that is too long', { name: 'x'.repeat(101) }, '/name'],
    ['a note that is too long', { name: 'One', note: 'x'.repeat(501) }, '/note'],
    ['a member that does not exist', { name: 'One', userId: 'usr_01h455vb4pex5vsknk084sn02q' }, '/userId'],
  ])('with %s is refused with a pointer to it', async (_, members, pointer) => {
    const { body } = await ada.api.post(path, members).expect(422);
    expect(body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([pointer]);
    expect(await rows()).toEqual([]);
  });

  it('is created once, however often its request is sent with one key', async () => {
    const key = randomUUID();
    const send = () => ada.api.post(path, { name: 'One' }).set('idempotency-key', key).expect(201);
    const [first, second] = [await send(), await send()];
    expect([second.text, second.headers['idempotent-replayed']]).toEqual([first.text, 'true']);
    expect(await rows()).toHaveLength(1);
  });

  it.each(['statement', 'commit'] as const)('stays as it was when an edit fails at its %s', async (where) => {
    const { id } = await create(ada);
    const before = await rows();
    const place = where === 'commit' ? { at: where } : { at: where, statement: /^UPDATE sample_thing$/ };
    kit.failAt({ boundary: 'SampleThingsService.edit', ...place, sqlState: '23514' });
    await edit(ada, id, { name: 'Two' }).expect(500);
    expect(await rows()).toEqual(before);
    await edit(ada, id, { name: 'Two' }).expect(200);
  });
});

describe('at the same moment', () => {
  it('one of twenty edits of one version is stored', async () => {
    const { id } = await create(ada);
    const { headers } = await ada.api.get(at(id)).expect(200);
    const answers = await meetAt(service.database, 'sample_thing', uuidOf(id), () =>
      atOnce(20, async (n) => edit(ada, id, { name: `Edit ${n}` }, headers['etag'])),
    );
    expect(tally(answers)).toEqual({ '200': 1, '412 version-mismatch': 19 });
    const stored = answers.find(({ status }) => status === 200);
    expect((await ada.api.get(at(id)).expect(200)).body).toEqual(stored?.body);
  });

  it('no edit is stored after the archiving', async () => {
    const { id } = await create(ada);
    const answers = await atOnce(20, async (n) => edit(ada, id, n === 10 ? { archived: true } : { name: `Edit ${n}` }));
    expect(Object.keys(tally(answers)).filter((answer) => !/^200$|-archived$/.test(answer))).toEqual([]);
    expect(answers.filter(({ status, body }) => status === 200 && body.archived)).toHaveLength(1);
  });

  it('one of twenty requests to remove it does', async () => {
    const { id } = await create(ada);
    const answers = await atOnce(20, async () => ada.api.delete(at(id)));
    expect(tally(answers)).toEqual({ '204': 1, '404 sample-thing-not-found': 19 });
  });
});
