import type { NewProduct } from '../../modules/catalog/catalog.schema.ts';

/** The people of the demo. Their passwords are published: a service that others reach does not start with them. */
export const demo = {
  operator: { email: 'operator@example.com', password: 'operator-demo', profile: { displayName: 'Olga Operator' } },
  alice: { email: 'alice@example.com', password: 'alice-demo', profile: { displayName: 'Alice' } },
  bob: { email: 'bob@example.com', password: 'bob-demo', profile: { displayName: 'Bob' } },
} as const;

export const eur = (amount: bigint) => ({ amount, currency: 'EUR' as const });

export const products: NewProduct[] = [
  {
    slug: 'travel-mug',
    name: 'Travel mug',
    description: 'Keeps tea hot for six hours.',
    skus: [
      { code: 'MUG-BLUE', name: 'Blue', price: eur(1299n), onHand: 50 },
      { code: 'MUG-RED', name: 'Red', price: eur(1299n), onHand: 1 },
    ],
    images: [{ url: 'https://images.example.com/travel-mug.jpg', alt: 'A mug on a rock' }],
  },
  {
    slug: 'notebook',
    name: 'Notebook',
    description: 'Two hundred pages, sewn.',
    skus: [{ code: 'NOTE-A5', name: 'A5', price: eur(850n), onHand: 200 }],
    images: [],
  },
  {
    slug: 'climbing-rope',
    name: 'Climbing rope',
    description: 'Sixty metres, dry treated.',
    skus: [{ code: 'ROPE-60', name: '60 m', price: eur(15900n), onHand: 12 }],
    images: [],
  },
];
