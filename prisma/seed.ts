import type { INestApplicationContext } from '@nestjs/common';
import { newId } from '../src/kernel/ids.ts';
import type { Principal } from '../src/kernel/principal.ts';
import { TransfersService } from '../src/modules/accounts/transfers.service.ts';
import { CatalogService } from '../src/modules/catalog/catalog.service.ts';
import type { NewProduct } from '../src/modules/catalog/catalog.schema.ts';
import { hashNewPassword } from '../src/modules/users/passwords.ts';
import { UsersService } from '../src/modules/users/users.service.ts';
import { Transactions } from '../src/transactions/transactions.ts';

/** The people of the demo. Their passwords are public: never seed a database that others can reach. */
export const demo = {
  operator: { email: 'operator@example.com', password: 'operator-demo', profile: { displayName: 'Olga Operator' } },
  alice: { email: 'alice@example.com', password: 'alice-demo', profile: { displayName: 'Alice' } },
  bob: { email: 'bob@example.com', password: 'bob-demo', profile: { displayName: 'Bob' } },
} as const;

const eur = (amount: bigint) => ({ amount, currency: 'EUR' as const });

const products: NewProduct[] = [
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

/** Adds the demo data, all of it or nothing; false when it is there already. */
export async function seed(app: INestApplicationContext): Promise<boolean> {
  const users = app.get(UsersService);
  if (await users.isEmailTaken(demo.operator.email)) return false;
  // Longer than a request may last: it hashes three passwords.
  await app.get(Transactions).run({ name: 'seed', timeout: '60s' }, () => addAll(app));
  return true;
}

async function addAll(app: INestApplicationContext): Promise<void> {
  const users = app.get(UsersService);
  const { id } = await users.addOperator(demo.operator);
  const operator: Principal = { userId: id, sessionId: newId(), role: 'operator' };
  for (const person of [demo.alice, demo.bob]) {
    const { accounts } = await users.signUp({ ...person, currency: 'EUR' }, await hashNewPassword(person.password, { email: person.email, ...person.profile }));
    const accountId = accounts[0]?.id ?? '';
    await app.get(TransfersService).deposit(operator, { accountId, amount: eur(10_000n), note: 'Demo' });
  }
  for (const product of products) await app.get(CatalogService).add(operator, product);
}
