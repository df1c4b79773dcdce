import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers } from './support/make.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

describe('transfers', () => {
  it('Alice and Bob have 100 each: the first transfer of 100 passes, the second is refused and nothing moves', async () => {
    const [alice, bob] = [await make.user({ balance: 100 }), await make.user({ balance: 100 })];
    const transfer = {
      fromAccountId: alice.accountId,
      toAccountId: bob.accountId,
      amount: { amount: 100, currency: 'EUR' },
    };

    const first = await alice.api.post('/v1/transfers', transfer).expect(201);
    expect(first.body).toMatchObject({ object: 'transfer', kind: 'transfer', ...transfer });
    expect(first.headers['location']).toBe(`/v1/transfers/${first.body.id}`);

    const second = await alice.api.post('/v1/transfers', transfer).expect(422);
    expect(second.body).toMatchObject({ code: 'insufficient-funds', status: 422, retryable: false });
    expect(await make.balanceOf(alice)).toBe(0);
    expect(await make.balanceOf(bob)).toBe(200);
    const { body } = await alice.api.get(`/v1/accounts/${alice.accountId}/entries`).expect(200);
    expect(body.data.map(({ amount, balanceAfter }: never) => [amount['amount'], balanceAfter['amount']])).toEqual([
      [-100, 0],
      [100, 100],
    ]);
  });
});
