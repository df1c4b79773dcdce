import type { INestApplicationContext } from '@nestjs/common';
import { newId } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ShowingsService } from '../../modules/bookings/showings.service.ts';
import { CatalogService } from '../../modules/catalog/catalog.service.ts';
import { TransfersService } from '../../modules/transfers/transfers.service.ts';
import { hashNewPassword } from '../../modules/users/passwords.ts';
import { UsersService } from '../../modules/users/users.service.ts';
import { SeedsRepository } from '../../operations/seeds.repository.ts';
import { Transactions } from '../../transactions/transactions.ts';
import { demo, eur, products, showing } from './demo.ts';

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
  await app.get(ShowingsService).add(operator, showing);
  return people;
}
