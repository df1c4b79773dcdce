/** @servers any */
import type { Response } from 'supertest';
import { startApp, type TestApp } from './support/app.ts';
import { makers, type Person } from './support/make.ts';
import { expectProblem } from './support/problem.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  operator = await make.operator();
});
afterAll(() => service.close());

const etagOf = ({ headers }: Response): string => headers['etag'] as string;

describe('an answer to GET', () => {
  it('is not sent again to whoever has it', async () => {
    const { id } = await make.product();
    const path = `/v1/products/${id}`;
    const first = await service.as().get(path).expect(200);
    for (const known of [etagOf(first), `W/${etagOf(first)}`, `"other", ${etagOf(first)}`, '*']) {
      const again = await service.as().get(path).set('if-none-match', known).expect(304);
      expect([again.text, again.headers['content-type'], etagOf(again)]).toEqual(['', undefined, etagOf(first)]);
    }
    await service.as().get(path).set('if-none-match', '"1"').expect(200);
  });

  it('has another ETag as soon as anything in it differs, also what has no part in the version', async () => {
    const { id, skus } = await make.product({ onHand: [5] });
    const path = `/v1/products/${id}`;
    const before = await service.as().get(path).expect(200);
    await operator.api.post(`/v1/skus/${skus[0]!.id}/stock-adjustments`, { quantity: 1 }).expect(201);
    const after = await service.as().get(path).set('if-none-match', etagOf(before)).expect(200);
    expect(after.body.version).toBe(before.body.version);
    expect(after.body.skus[0].onHand).toBe(6);
    expect(etagOf(after)).not.toBe(etagOf(before));
  });

  it('has one also where nothing has a version: lists, and what never changes', async () => {
    const ada = await make.user();
    const list = await ada.api.get('/v1/accounts').expect(200);
    await ada.api.get('/v1/accounts').set('if-none-match', etagOf(list)).expect(304);
    await ada.api.post('/v1/accounts', { currency: 'EUR' }).expect(201);
    await ada.api.get('/v1/accounts').set('if-none-match', etagOf(list)).expect(200);
  });

  it('tells caches to ask each time for what is open to all, and to keep nothing of what is somebody’s', async () => {
    const ada = await make.user();
    const mine = await ada.api.get('/v1/users/me').expect(200);
    expect([mine.headers['cache-control'], mine.headers['vary']]).toEqual([
      'no-store',
      'authorization, accept-encoding',
    ]);
    const open = await service.as().get('/v1/products').expect(200);
    expect([open.headers['cache-control'], open.headers['vary']]).toEqual([
      'no-cache',
      'authorization, accept-encoding',
    ]);
  });

  it('of a refusal or a probe, and to POST, takes no condition', async () => {
    await service.as().get('/v1/products/nothing').set('if-none-match', '*').expect(404);
    const { body } = await service
      .as()
      .post('/v1/users', { email: 'cond@example.com', password: 'long enough', profile: { displayName: 'C' } })
      .set('if-none-match', '*')
      .expect(201);
    expect(body.object).toBe('user');
  });
});

describe('an edit', () => {
  const edit = (id: string, etag: string) =>
    operator.api.patch(`/v1/products/${id}`, { name: 'Edited' }).set('if-match', etag);

  it('takes the ETag of any answer that showed the version, also when something beside it has changed since', async () => {
    const { id, skus } = await make.product({ onHand: [5] });
    const seen = await service.as().get(`/v1/products/${id}`).expect(200);
    await operator.api.post(`/v1/skus/${skus[0]!.id}/stock-adjustments`, { quantity: 1 }).expect(201);
    const edited = await edit(id, etagOf(seen)).expect(200);
    const again = await edit(id, etagOf(edited)).expect(200);
    expect([edited.body.version, again.body.version]).toEqual([2, 3]);
    await service.as().get(`/v1/products/${id}`).set('if-none-match', etagOf(again)).expect(304);
  });

  it('of a version that is gone is told the one that is there', async () => {
    const { id } = await make.product();
    const seen = await service.as().get(`/v1/products/${id}`).expect(200);
    await edit(id, etagOf(seen)).expect(200);
    const stale = await edit(id, etagOf(seen)).expect(412);
    expectProblem(stale, 'version-mismatch');
    expect(etagOf(stale)).toBe('"2"');
    await edit(id, etagOf(stale)).expect(200);
  });

  it('may name several versions; a weak tag and a foreign one match none', async () => {
    const { id } = await make.product();
    await edit(id, '"8", "1"').expect(200);
    for (const etag of ['W/"2"', '"somebody-else’s"'.replace('’', "'"), '"2-short"', '""'])
      expectProblem(await edit(id, etag).expect(412), 'version-mismatch');
    await edit(id, '"2"').expect(200);
  });

  it.each([['1'], ['"1'], ['*, "1"'], [',']])('with %s for an ETag is refused', async (etag) => {
    const { id } = await make.product();
    expectProblem(await edit(id, etag).expect(400), 'malformed-if-match');
  });
});
