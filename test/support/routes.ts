import type { TestApp } from './app.ts';
import type { makers, Person } from './make.ts';

/** One route of the API with all it needs to be called well. */
export interface Route {
  /** As OpenAPI names it: `PATCH /v1/users/{id}`. */
  readonly name: string;
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  /** With the id of something that exists, where the route has one. */
  readonly path: string;
  /** Somebody who may call it. */
  readonly caller: Person;
  /** A body that is accepted (most of them once); undefined where the route takes none. */
  readonly body?: object;
}

/** Every route of the API, and for each a call that is right but for what a test makes wrong. */
export async function allRoutes(make: ReturnType<typeof makers>): Promise<Route[]> {
  const [operator, ada, bob] = [await make.operator(), await make.user({ balance: 100_000 }), await make.user()];
  // Those whose sessions end by it.
  const [eve, dan, fay] = [await make.user(), await make.user(), await make.user()];
  const { body: reset } = await operator.api.post(`/v1/users/${fay.id}/password-resets`).expect(201);
  const { body: eveSession } = await eve.api.post('/v1/sessions', { email: eve.email, password: eve.password });
  const product = await make.product({ onHand: [1000] });
  const skuId = product.skus[0]?.id ?? '';
  const order = await make.order(ada, [skuId]);
  const price = { amount: 1, currency: 'EUR' };
  const sku = { code: 'ROUTES', name: 'Route', price, onHand: 1 };
  const images = [{ url: 'https://images.example.com/1.jpg', alt: 'A route' }];
  const profile = { displayName: 'Ada', locale: 'en' };
  const transfer = { fromAccountId: ada.accountId, toAccountId: bob.accountId, amount: price, note: 'Lunch' };
  const pend = async () =>
    (await ada.api.post('/v1/transfers', { ...transfer, type: 'pending' }).expect(201)).body as { id: string };
  const { body: spare } = await ada.api.post('/v1/accounts', { currency: 'EUR' }).expect(201);
  const { body: moved } = await ada.api.post('/v1/transfers', transfer).expect(201);
  const [posting, voiding, listed] = [await pend(), await pend(), await pend()];

  const route = (name: string, caller: Person, id: string | null, body?: object): Route => {
    const [method, template] = name.split(' ') as [string, string];
    return {
      name,
      method: method.toLowerCase() as Route['method'],
      path: template.replace('{id}', id ?? ''),
      caller,
      ...(body && { body }),
    };
  };
  return [
    route('POST /v1/users', ada, null, {
      email: 'routes@example.com',
      password: 'correct horse',
      profile,
      currency: 'EUR',
    }),
    route('GET /v1/users/me', ada, null),
    route('POST /v1/users/me/password', eve, null, { currentPassword: eve.password, newPassword: 'another horse' }),
    route('POST /v1/users/{id}/password-resets', operator, ada.id),
    route('POST /v1/password-resets', ada, null, { token: reset.token, newPassword: 'another horse' }),
    route('PATCH /v1/users/{id}/access', operator, bob.id, { role: 'customer', disabled: false, reason: 'Asked for' }),
    route('DELETE /v1/users/{id}/sessions', operator, fay.id),
    route('GET /v1/users/{id}/changes', operator, ada.id),
    route('GET /v1/users/{id}', ada, ada.id),
    route('PATCH /v1/users/{id}', ada, ada.id, {
      email: ada.email,
      currentPassword: ada.password,
      profile,
    }),
    route('POST /v1/sessions', ada, null, {
      email: ada.email,
      password: ada.password,
      deviceToken: 'none',
    }),
    route('POST /v1/sessions/refresh', ada, null, { refreshToken: ada.refreshToken }),
    route('GET /v1/sessions', ada, null),
    route('DELETE /v1/sessions', eve, null),
    route('DELETE /v1/sessions/{id}', eve, eveSession.id),
    route('DELETE /v1/sessions/current', dan, null, { refreshToken: 'none' }),
    route('POST /v1/accounts', ada, null, { name: 'Savings', currency: 'EUR' }),
    route('GET /v1/accounts', ada, null),
    route('GET /v1/accounts/{id}', ada, ada.accountId),
    route('GET /v1/accounts/{id}/entries', ada, ada.accountId),
    route('GET /v1/accounts/{id}/changes', operator, ada.accountId),
    route('PATCH /v1/accounts/{id}', operator, ada.accountId, {
      name: 'Savings',
      overdraftLimit: { amount: 500, currency: 'EUR' },
      maxBalance: { amount: 500_000, currency: 'EUR' },
      frozen: false,
      reason: 'Asked for',
    }),
    route('POST /v1/accounts/{id}/close', ada, spare.id, { reason: 'Not needed' }),
    route('POST /v1/deposits', operator, null, { accountId: ada.accountId, amount: price, note: 'Cash' }),
    route('POST /v1/transfers', ada, null, {
      ...transfer,
      type: 'pending',
      expiresInSeconds: 60,
      conditions: { from: { ifAvailableAtLeast: price } },
    }),
    route('GET /v1/transfers', ada, null),
    route('POST /v1/transfers/preview', ada, null, transfer),
    route('POST /v1/transfers/batch', ada, null, { mode: 'partial', transfers: [transfer] }),
    route('POST /v1/transfers/void', ada, null, { transferIds: [listed.id] }),
    route('POST /v1/transfers/{id}/post', ada, posting.id, { amount: price }),
    route('POST /v1/transfers/{id}/void', ada, voiding.id),
    route('POST /v1/transfers/{id}/reversals', bob, moved.id, { amount: price, note: 'Back' }),
    route('GET /v1/transfers/{id}', ada, moved.id),
    route('GET /v1/ledger/trial-balance', operator, null),
    route('GET /v1/ledger/chain', operator, null),
    route('POST /v1/products', operator, null, {
      slug: 'routes',
      name: 'Routes',
      description: 'All of them',
      skus: [sku],
      images,
    }),
    route('GET /v1/products', ada, null),
    route('GET /v1/products/{id}', ada, product.id),
    route('PATCH /v1/products/{id}', operator, product.id, {
      slug: product.slug,
      name: 'Edited',
      description: 'Edited',
      images,
    }),
    route('POST /v1/products/{id}/skus', operator, product.id, { ...sku, code: 'ADDED' }),
    route('GET /v1/skus/{id}', ada, skuId),
    route('PATCH /v1/skus/{id}', operator, skuId, { code: 'EDITED', name: 'Edited', price }),
    route('GET /v1/skus/{id}/stock', ada, skuId),
    route('POST /v1/skus/{id}/stock-adjustments', operator, skuId, { quantity: 1, reason: 'adjusted' }),
    route('POST /v1/orders', ada, null, {
      items: [{ skuId, quantity: 1 }],
      payment: { accountId: ada.accountId },
      expectedTotal: { amount: 1000, currency: 'EUR' },
      note: 'Please ring twice',
    }),
    route('GET /v1/orders', ada, null),
    route('GET /v1/orders/{id}', ada, order.id),
    route('POST /v1/orders/{id}/cancel', ada, order.id, { reason: 'Changed my mind' }),
  ];
}

/** The names of all routes under /v1, as the service itself documents them. */
export async function documentedRoutes({ as }: TestApp): Promise<string[]> {
  const { body } = await as().get('/openapi.json').expect(200);
  return Object.entries(body.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}
