import type { NewShowing } from '../../modules/bookings/showings.schema.ts';
import type { NewProduct } from '../../modules/catalog/catalog.schema.ts';

/** The people of the demo. Their passwords are published: a service that others reach does not start with them. */
export const demo = {
  operator: { email: 'operator@example.com', password: 'operator-demo', profile: { displayName: 'Olga Operator' } },
  alice: { email: 'alice@example.com', password: 'alice-demo', profile: { displayName: 'Alice' } },
  bob: { email: 'bob@example.com', password: 'bob-demo', profile: { displayName: 'Bob' } },
} as const;

export const eur = (amount: bigint) => ({ amount, currency: 'EUR' as const });

export const showing: NewShowing = {
  title: 'The Tempest',
  hall: 'Main hall',
  startsAt: new Date('2030-05-01T20:00:00Z'),
  endsAt: new Date('2030-05-01T22:30:00Z'),
  price: eur(1500n),
  seatsPerCustomer: 6,
  rows: ['A', 'B', 'C', 'D', 'E'].map((row) => ({ row, seats: 12 })),
};

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
