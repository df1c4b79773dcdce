/** @servers any */
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers } from './support/make.ts';

let service: TestApp;
beforeAll(async () => {
  service = await startApp();
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

describe('a customer’s journey', () => {
  it('signs up, is given money, buys, reads, cancels, and has everything back', async () => {
    const operator = await makers(service).operator();
    const eur = (amount: number) => ({ amount, currency: 'EUR' });

    // The shop opens.
    const { body: product } = await operator.api
      .post('/v1/products', {
        slug: 'travel-mug',
        name: 'Travel mug',
        skus: [{ code: 'MUG-BLUE', name: 'Blue', price: eur(1299), onHand: 3 }],
      })
      .expect(201);
    const [{ id: skuId }] = product.skus;

    // Ada signs up and logs in.
    const credentials = { email: 'ada@example.com', password: 'correct horse battery' };
    const signUp = await service
      .as()
      .post('/v1/users', { ...credentials, profile: { displayName: 'Ada' } })
      .expect(201);
    const [{ id: accountId }] = signUp.body.accounts;
    const { body: session } = await service.as().post('/v1/sessions', credentials).expect(201);
    let ada = service.as(session.accessToken);
    expect((await ada.get(signUp.headers['location'] ?? '').expect(200)).body).toEqual(signUp.body);

    // She cannot buy without money; the operator pays some in.
    const order = { items: [{ skuId, quantity: 2 }], payment: { accountId }, expectedTotal: eur(2598) };
    expect((await ada.post('/v1/orders', order).expect(422)).body.code).toBe('insufficient-funds');
    await operator.api.post('/v1/deposits', { accountId, amount: eur(3000) }).expect(201);

    // She looks around without her token, and buys.
    const { body: shelf } = await service.as().get('/v1/products').expect(200);
    expect(shelf.data[0]).toMatchObject({ prices: [{ lowest: eur(1299), highest: eur(1299) }], inStock: true });
    const { body: detail } = await service.as().get(`/v1/products/${shelf.data[0].id}`).expect(200);
    expect(detail.skus[0]).toMatchObject({ id: skuId, price: eur(1299), onHand: 3 });
    const placed = await ada.post('/v1/orders', order).expect(201);
    const balance = async () => (await ada.get(`/v1/accounts/${accountId}`).expect(200)).body.balance;
    const onHand = async () => (await service.as().get(`/v1/skus/${skuId}/stock`).expect(200)).body.onHand;
    expect([await balance(), await onHand()]).toEqual([eur(402), 1]);

    // Her access token is renewed, and she reads what she bought.
    const { body: renewed } = await service
      .as()
      .post('/v1/sessions/refresh', { refreshToken: session.refreshToken })
      .expect(201);
    ada = service.as(renewed.accessToken);
    expect((await ada.get(placed.headers['location'] ?? '').expect(200)).body).toEqual(placed.body);
    const listed = await ada.get('/v1/orders?status=placed').expect(200);
    expect(listed.body).toEqual({ object: 'list', data: [placed.body], hasMore: false, nextCursor: null });

    // She cancels: goods and money are back, and the books tell the story.
    const { body: cancelled } = await ada
      .post(`/v1/orders/${placed.body.id}/cancel`, { reason: 'Too blue' })
      .expect(200);
    expect(cancelled).toMatchObject({ status: 'cancelled', paymentState: 'refunded', refund: { amount: eur(2598) } });
    expect([await balance(), await onHand()]).toEqual([eur(3000), 3]);
    const entries = await ada.get(`/v1/accounts/${accountId}/entries`).expect(200);
    expect(
      entries.body.data.map(({ amount, balanceAfter }: Record<string, unknown>) => [amount, balanceAfter]),
    ).toEqual([
      [eur(2598), eur(3000)],
      [eur(-2598), eur(402)],
      [eur(3000), eur(3000)],
    ]);

    // She leaves.
    await ada.delete('/v1/sessions/current').expect(204);
    await service.as().post('/v1/sessions/refresh', { refreshToken: renewed.refreshToken }).expect(401);
  });
});
