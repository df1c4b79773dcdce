import type { INestApplicationContext } from '@nestjs/common';
import { newId } from '../src/kernel/ids.ts';
import type { Principal } from '../src/kernel/principal.ts';
import { TransfersService } from '../src/modules/accounts/transfers.service.ts';
import { CatalogService } from '../src/modules/catalog/catalog.service.ts';
import type { NewProduct } from '../src/modules/catalog/catalog.schema.ts';
import { hashNewPassword } from '../src/modules/users/passwords.ts';
import { UsersService } from '../src/modules/users/users.service.ts';
import { SeedsRepository } from '../src/operations/seeds.repository.ts';
import { Transactions } from '../src/transactions/transactions.ts';

/** The people of the demo. Their passwords are published: a service that others reach does not start with them. */
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

/** `in-use`: somebody is there already, whose data are not mixed with those of a demo. */
export type Seeding = 'added' | 'was-there' | 'in-use';

const name = 'demo';

/** Adds the demo data, all of it or nothing, and the record that it was done, in one commit. Once in the life of a database. */
export async function seed(app: INestApplicationContext): Promise<Seeding> {
  // Longer than a request may last: it hashes three passwords.
  return app.get(Transactions).run({ name: 'seed', timeout: '60s' }, async () => {
    const seeds = app.get(SeedsRepository);
    const isNew = await app.get(UsersService).isEmpty();
    if ((await seeds.listPeople(name)).length > 0) return 'was-there';
    if (!isNew) return 'in-use';
    if (!(await seeds.create(name))) return 'was-there';
    await seeds.updatePeople(name, await addAll(app));
    return 'added';
  });
}

/** The demo people who still have a password that is published, with their address of today. Asks the primary: a replica may lag. */
export async function publishedPeople(app: INestApplicationContext): Promise<{ email: string; password: string }[]> {
  const passwords = Object.values(demo).map(({ password }) => password);
  return app.get(Transactions).run({ name: 'publishedPeople', timeout: '60s' }, async () => {
    const people = await app.get(SeedsRepository).listPeople(name);
    return people.length === 0 ? [] : app.get(UsersService).findByPasswords(people, passwords);
  });
}

async function addAll(app: INestApplicationContext): Promise<string[]> {
  const users = app.get(UsersService);
  const { id } = await users.addOperator(demo.operator);
  const operator: Principal = { userId: id, sessionId: newId(), role: 'operator' };
  const people = [id];
  for (const person of [demo.alice, demo.bob]) {
    const owner = { email: person.email, ...person.profile };
    const user = await users.signUp({ ...person, currency: 'EUR' }, await hashNewPassword(person.password, owner));
    people.push(user.id);
    const accountId = user.accounts[0]?.id ?? '';
    await app.get(TransfersService).deposit(operator, { accountId, amount: eur(10_000n), note: 'Demo' });
  }
  for (const product of products) await app.get(CatalogService).add(operator, product);
  return people;
}
