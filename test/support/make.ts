import { readId, showId } from '../../src/kernel/ids.ts';
import { UsersService } from '../../src/modules/users/users.service.ts';
import type { Api, TestApp } from './app.ts';

/** Somebody who is signed in. `id` and `accountId` are as the API shows them. */
export interface Person {
  readonly id: string;
  readonly email: string;
  readonly password: string;
  readonly token: string;
  readonly refreshToken: string;
  /** The first account; an operator has none. */
  readonly accountId: string;
  readonly api: Api;
}

const password = 'correct horse battery';
let counted = 0;
const next = (): number => ++counted;

/** Builders for one app: valid by default, naming only what the test is about. */
export function makers({ app, as }: TestApp) {
  let operator: Promise<Person> | null = null;

  async function signIn(email: string, id: string, accountId: string): Promise<Person> {
    const { body } = await as().post('/v1/sessions', { email, password }).expect(201);
    return {
      id,
      email,
      password,
      token: body.accessToken,
      refreshToken: body.refreshToken,
      accountId,
      api: as(body.accessToken),
    };
  }

  async function makeOperator(): Promise<Person> {
    const email = `operator-${next()}@example.com`;
    const { id } = await app.get(UsersService).addOperator({ email, password, profile: { displayName: 'Operator' } });
    return signIn(email, showId('usr', id), '');
  }

  /** One operator for all tests of the app. */
  const theOperator = (): Promise<Person> => (operator ??= makeOperator());

  /** A customer, with money on the first account when `balance` (minor units) says so. */
  async function user({ balance = 0, currency = 'EUR' } = {}): Promise<Person> {
    const email = `user-${next()}@example.com`;
    const { body } = await as()
      .post('/v1/users', { email, password, profile: { displayName: 'User' }, currency })
      .expect(201);
    const person = await signIn(email, body.id, body.accounts[0].id);
    if (balance > 0) await deposit(person.accountId, balance, currency);
    return person;
  }

  async function deposit(accountId: string, amount: number, currency = 'EUR'): Promise<void> {
    const { api } = await theOperator();
    await api.post('/v1/deposits', { accountId, amount: { amount, currency } }).expect(201);
  }

  /** A product with one SKU for each of `onHand`; gives the product as the API shows it. */
  async function product({
    onHand = [10],
    price = 1000,
    currency = 'EUR',
  }: { onHand?: number[]; price?: number; currency?: string } = {}) {
    const n = next();
    const skus = onHand.map((units, i) => ({
      code: `SKU-${n}-${i}`,
      name: `Variant ${i}`,
      price: { amount: price, currency },
      onHand: units,
    }));
    const { api } = await theOperator();
    const { body } = await api.post('/v1/products', { slug: `product-${n}`, name: `Product ${n}`, skus }).expect(201);
    return body as {
      id: string;
      version: number;
      slug: string;
      skus: { id: string; code: string; version: number; onHand: number }[];
    };
  }

  /** The body of an order of these SKUs, one unit each unless said otherwise. */
  const orderOf = (buyer: Person, items: (string | { skuId: string; quantity: number })[]) => ({
    items: items.map((item) => (typeof item === 'string' ? { skuId: item, quantity: 1 } : item)),
    payment: { accountId: buyer.accountId },
  });

  /** An order that was placed; gives it as the API shows it. */
  const order = async (buyer: Person, items: (string | { skuId: string; quantity: number })[]) =>
    (await buyer.api.post('/v1/orders', orderOf(buyer, items)).expect(201)).body as { id: string; version: number };

  /** One SKU of a product of its own, with so many units; gives its id. */
  const sku = async (onHand: number, price = 1000, currency = 'EUR'): Promise<string> =>
    (await product({ onHand: [onHand], price, currency })).skus[0]?.id ?? '';

  const balanceOf = async (person: Person): Promise<number> =>
    (await person.api.get(`/v1/accounts/${person.accountId}`).expect(200)).body.balance.amount;

  const onHandOf = async (skuId: string): Promise<number> =>
    (await as().get(`/v1/skus/${skuId}/stock`).expect(200)).body.onHand;

  return { operator: theOperator, user, deposit, product, sku, orderOf, order, balanceOf, onHandOf };
}

/** The UUID behind an id that the API shows. */
export const uuidOf = readId;
