import { randomUUID } from 'node:crypto';
import type { Cases } from '../support/cases.ts';

const newSku = (code: string) => ({ code, name: 'One', price: { amount: 5, currency: 'EUR' }, onHand: 5 });

const images = [{ url: 'https://images.example.com/1.jpg', alt: 'A route' }];

export const cases: Cases = {
  tables: { product: 'stays', sku: 'stays', stock: 'stays', stock_movement: 'stays', image: 'stays' },
  rights: {
    product: 'INSERT, UPDATE',
    sku: 'INSERT, UPDATE',
    stock: 'INSERT, UPDATE',
    stock_movement: 'INSERT',
    image: 'INSERT, UPDATE, DELETE',
    product_summary: '',
  },
  things: {
    prd: ({ productId }) => Promise.resolve(productId),
    sku: ({ skus }) => Promise.resolve(skus[0]!.id),
  },
  rows: { 'GET /v1/products': async ({ make }) => void (await make.product({ onHand: [1, 1] })) },
  routes: {
    'POST /v1/products': ({ operator }) => {
      const product = { slug: 'routes', name: 'Routes', description: 'All of them', images };
      return Promise.resolve({ caller: operator, body: { ...product, skus: [newSku('ROUTES')] } });
    },
    'PATCH /v1/products/{id}': async ({ operator, make }) => {
      const { id, slug } = await make.product();
      return { caller: operator, id, body: { slug, name: 'Edited', description: 'Edited', images } };
    },
    'POST /v1/products/{id}/skus': ({ operator, productId }) =>
      Promise.resolve({ caller: operator, id: productId, body: newSku('ADDED') }),
    'PATCH /v1/skus/{id}': async ({ operator, make }) => {
      const body = { code: 'EDITED', name: 'Edited', price: { amount: 1, currency: 'EUR' } };
      return { caller: operator, id: await make.sku(1), body };
    },
    'POST /v1/skus/{id}/stock-adjustments': ({ operator, skus }) =>
      Promise.resolve({ caller: operator, id: skus[0]!.id, body: { quantity: 1, reason: 'adjusted' } }),
  },
  measured: {
    'GET /v1/products, with their SKUs':
      async ({ service }) =>
      () =>
        service.as().get('/v1/products?expand=skus'),
    'POST /v1/products':
      async ({ operator }) =>
      () =>
        operator.api
          .post('/v1/products', { slug: 'two', name: 'Two', skus: [newSku('TWO-1'), newSku('TWO-2')] })
          .set('idempotency-key', randomUUID()),
    'PATCH /v1/products/:id':
      async ({ operator, productId }) =>
      () =>
        operator.api.patch(`/v1/products/${productId}`, { name: 'Other' }).set('if-match', '*'),
    'POST /v1/products/:id/skus':
      async ({ operator, productId }) =>
      () =>
        operator.api.post(`/v1/products/${productId}/skus`, newSku('SIX')).set('idempotency-key', randomUUID()),
    'PATCH /v1/skus/:id':
      async ({ operator, skus }) =>
      () =>
        operator.api.patch(`/v1/skus/${skus[0]!.id}`, { name: 'Other' }).set('if-match', '*'),
    'POST /v1/skus/:id/stock-adjustments':
      async ({ operator, skus }) =>
      () =>
        operator.api.post(`/v1/skus/${skus[0]!.id}/stock-adjustments`, { quantity: 5 }),
  },
};
