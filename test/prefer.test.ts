/** @servers any */
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, type Person } from './support/make.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let ada: Person;
let operator: Person;
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  [ada, operator] = [await make.user({ balance: 10_000 }), await make.operator()];
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const minimal = 'return=minimal';

describe('whoever prefers a minimal answer', () => {
  it('is told where what was made is, and it is there', async () => {
    const { status, text, headers } = await ada.api
      .post('/v1/accounts', { currency: 'EUR', name: 'New' })
      .set('prefer', minimal);
    expect([status, text, headers['preference-applied']]).toEqual([201, '', minimal]);
    const { body } = await ada.api.get(headers['location']!).expect(200);
    expect(body.name).toBe('New');
  });

  it('is told the version of what was changed, which can be changed with it', async () => {
    const change = (etag: string) =>
      ada.api.patch(`/v1/users/${ada.id}`, {}).set('if-match', etag).set('prefer', minimal);
    const first = await change('*').expect(204);
    expect([first.text, first.headers['preference-applied']]).toEqual(['', minimal]);
    const second = await change(first.headers['etag']!).expect(204);
    expect(second.headers['etag']).not.toBe(first.headers['etag']);
    await change(first.headers['etag']!).expect(412);
  });

  it('is answered in full where nothing else could be read: tokens, and what has no place of its own', async () => {
    const { email, password } = ada;
    const session = await service.as().post('/v1/sessions', { email, password }).set('prefer', minimal).expect(201);
    expect(session.body.accessToken).toEqual(expect.any(String));
    const adjustment = { quantity: 1 };
    const path = `/v1/skus/${await make.sku(1)}/stock-adjustments`;
    const adjusted = await operator.api.post(path, adjustment).set('prefer', minimal).expect(201);
    for (const { body, headers } of [session, adjusted]) {
      expect(body.object).toEqual(expect.any(String));
      expect(headers).not.toHaveProperty('preference-applied');
    }
  });

  it('is answered as anybody else when reading, when refused, and when there is no body anyway', async () => {
    const answers = [
      await ada.api.get('/v1/users/me').set('prefer', minimal).expect(200),
      await ada.api.post('/v1/accounts', {}).set('prefer', minimal).expect(422),
      await (await make.user()).api.delete('/v1/sessions/current').set('prefer', minimal).expect(204),
    ];
    for (const { headers } of answers) expect(headers).not.toHaveProperty('preference-applied');
    expect(answers[1]?.body.code).toBe('validation-failed');
  });

  it.each([
    ['return=minimal', true],
    ['Return = Minimal', true],
    ['return="minimal"', true],
    ['respond-async, return=minimal; foo=bar', true],
    ['return=minimal, return=representation', true],
    ['return=representation, return=minimal', false],
    ['return=representation', false],
    ['return', false],
    ['minimal', false],
    ['', false],
  ])('says so as RFC 7240 has it: %s', async (prefer, isApplied) => {
    const { status } = await ada.api
      .post(`/v1/orders/${(await make.order(ada, [await make.sku(1, 1)])).id}/cancel`)
      .set('prefer', prefer);
    expect(status).toBe(isApplied ? 204 : 200);
  });
});
