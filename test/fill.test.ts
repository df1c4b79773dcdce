/** @servers any */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { askedIn, type Volume, volumeOf } from '../tools/fill/volume.mts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { eventually } from './support/crowd.ts';
import { buildService, leastEnvironment } from './support/process.ts';
import { testSecret } from './support/secret.ts';

let service: TestApp;
beforeAll(async () => {
  await buildService();
  service = await startApp({ LEDGER_SEAL_INTERVAL_MS: '50' });
});
afterAll(() => service.close());

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly said: string;
}

const password = 'many cheerful customers';
const variables = () => ({
  DATABASE_WRITE_URL: service.database.urls.app,
  DATABASE_READ_URL: service.database.urls.reader,
  AUTH_SECRET: testSecret,
});

function begin(name: string, args: readonly string[], more: Record<string, string>, input: string): ChildProcess {
  const program = ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', name), ...args];
  const child = spawn(process.execPath, program, { env: { ...leastEnvironment(), ...variables(), ...more } });
  child.stdin.end(input);
  return child;
}

function outcomeOf(child: ChildProcess): Promise<Outcome> {
  let [out, said] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, said })));
}

const run = (name: string, args: readonly string[] = [], more: Record<string, string> = {}, input = '') =>
  outcomeOf(begin(name, args, more, input));
const argsOf = (volume: Partial<Volume>): string[] =>
  Object.entries(volume).flatMap(([kind, n]) => [`--${kind}`, String(n)]);
const fill = (volume: Partial<Volume>, ...flags: string[]) =>
  run('fill.mjs', [...argsOf(volume), ...flags], {}, `${password}\n`);

/** How many rows a fill has made of each kind. */
async function filled(): Promise<Volume> {
  const [row] = await service.database.query<Volume & Record<string, number>>(
    `SELECT (SELECT count(*)::int FROM "user" WHERE email LIKE 'customer-%') AS users,
       (SELECT count(*)::int FROM account WHERE id::text LIKE '01900001-%') AS accounts,
       (SELECT count(*)::int FROM product WHERE slug LIKE 'filled-%') AS products,
       (SELECT count(*)::int FROM sku WHERE code LIKE 'FILLED-%') AS skus,
       (SELECT count(*)::int FROM "order" WHERE id::text LIKE '01900004-%') AS orders,
       (SELECT count(*)::int FROM transfer WHERE id::text LIKE '01900009-%') AS transfers`,
  );
  return row!;
}

const small: Volume = { users: 30, accounts: 40, products: 10, skus: 25, orders: 120, transfers: 200 };

it('what was asked for is added, by all rules: books and chain are right, and the service works on it', async () => {
  expect(await fill(small, '--with-password')).toEqual({
    code: 0,
    out: '',
    said: 'Added 30 users, 40 accounts, 10 products, 25 skus, 120 orders, 200 transfers.\n',
  });
  expect(await filled()).toEqual(small);
  expect(await findMistakes(service.database)).toEqual([]);

  const { accessToken } = (
    await service.as().post('/v1/sessions', { email: 'customer-7@example.com', password }).expect(201)
  ).body;
  const customer = service.as(accessToken as string);
  // The seventh of thirty has the 37th of forty accounts as well, and the orders 7, 37, 47, 77, 87, 117 of both.
  const { data: accounts } = (await customer.get('/v1/accounts').expect(200)).body;
  expect(accounts.map(({ name }: { name: string }) => name)).toEqual(['Main', 'Account 37']);
  const { data: orders } = (await customer.get('/v1/orders').expect(200)).body;
  expect(orders.map(({ items }: { items: object[] }) => items.length)).toEqual([1, 1, 3, 3, 2, 2]);
  const item = { skuId: orders[0].items[0].skuId, quantity: 2 };
  await customer.post('/v1/orders', { items: [item], payment: { accountId: accounts[1].id } }).expect(201);

  // What is filled in is sealed as all else is: deposits, payments and transfers, and the payment above.
  await eventually(
    () => service.database.query<{ n: number }>('SELECT count(*)::int AS n FROM chain_link'),
    ([row]) => row?.n === 40 + 120 + 200 + 1,
  );
  expect(await run('verify-ledger.mjs')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^361 links are right\./),
  });
  const reconciled = await run('reconcile.mjs', [], { DATABASE_READ_URL: '' });
  expect(reconciled).toMatchObject({ code: 0, out: expect.stringMatching(/The books are right\.\n$/) });
});

it('repeated it adds nothing, and with more it adds the rest', async () => {
  const nothing = { code: 0, said: 'All of it was there already: nothing was added.\n' };
  expect(await fill(small)).toMatchObject(nothing);
  expect(await fill({ ...small, users: 5, orders: 10 })).toMatchObject(nothing);
  expect(await filled()).toEqual(small);
  const more = { ...small, users: 35, accounts: 50, orders: 130 };
  expect(await fill(more)).toMatchObject({ code: 0, said: 'Added 5 users, 10 accounts, 10 orders.\n' });
  expect(await filled()).toEqual(more);
  // Only those who were added with a password have one that is known.
  await service.as().post('/v1/sessions', { email: 'customer-33@example.com', password }).expect(401);
  expect(await findMistakes(service.database)).toEqual([]);
});

it('two at once take turns, beside a service at work', async () => {
  expect(await fill(small, '--with-password')).toMatchObject({ code: 0 });
  const { accessToken } = (
    await service.as().post('/v1/sessions', { email: 'customer-1@example.com', password }).expect(201)
  ).body;
  const customer = service.as(accessToken as string);
  const { data: accounts } = (await customer.get('/v1/accounts').expect(200)).body;
  const { data: products } = (await customer.get('/v1/products?limit=1&expand=skus').expect(200)).body;
  const order = { items: [{ skuId: products[0].skus[0].id, quantity: 1 }], payment: { accountId: accounts[0].id } };
  const more = { ...small, users: 40, accounts: 60, orders: 900, transfers: 1500 };
  const fills = Promise.all([fill(more), fill(more)]);
  let isOver = false;
  let placed = 0;
  void fills.finally(() => (isOver = true));
  while (!isOver) {
    await customer.post('/v1/orders', order).expect(201);
    placed++;
  }
  for (const { code } of await fills) expect(code).toBe(0);
  expect(placed).toBeGreaterThan(0);
  expect(await filled()).toEqual(more);
  expect(await findMistakes(service.database)).toEqual([]);
});

it('one that was ended has left nothing by halves, and the next one goes on', async () => {
  const before = await filled();
  const child = begin('fill.mjs', argsOf({ ...before, orders: 500_000 }), {}, '');
  const outcome = outcomeOf(child);
  await eventually(filled, ({ orders }) => orders > before.orders + 300);
  child.kill('SIGKILL');
  expect((await outcome).code).toBeNull();
  const between = await filled();
  expect(await findMistakes(service.database)).toEqual([]);
  const wanted = { ...before, orders: between.orders + 50 };
  expect(await fill(wanted)).toMatchObject({ code: 0, said: expect.stringMatching(/^Added \d+ orders\.\n$/) });
  expect(await filled()).toEqual(wanted);
  expect(await findMistakes(service.database)).toEqual([]);
});

it('where others reach the database it is filled only when that is said', async () => {
  const sentence =
    'The database was not filled: What is written into the books stays there: with NODE_ENV=production, or a HOST that others reach, a database is filled with --force only.\n';
  for (const more of [{ NODE_ENV: 'production' }, { HOST: '0.0.0.0' }]) {
    const before = await filled();
    const args = argsOf({ ...before, products: before.products + 1 });
    expect(await run('fill.mjs', args, more)).toMatchObject({ code: 1, said: sentence });
    expect(await filled()).toEqual(before);
    expect(await run('fill.mjs', [...args, '--force'], more)).toMatchObject({ code: 0, said: 'Added 1 products.\n' });
  }
});

it('what keeps it from being done is one sentence', async () => {
  expect(await run('fill.mjs', ['--orders', 'many'])).toEqual({
    code: 2,
    out: '',
    said: '--orders must be a whole number up to 10000000, and "many" is none.\n',
  });
  const away = { DATABASE_WRITE_URL: 'postgresql://holdfast_app:hidden@127.0.0.1:1/db', DATABASE_READ_URL: '' };
  expect(await run('fill.mjs', [], away)).toEqual({
    code: 1,
    out: '',
    said: 'The database was not filled: No connection could be made: connect ECONNREFUSED 127.0.0.1:1\n',
  });
  const reader = { DATABASE_WRITE_URL: service.database.urls.reader, DATABASE_READ_URL: '' };
  const { code, said } = await run('fill.mjs', argsOf({ users: 1_000_000 }), reader);
  expect([code, said]).toEqual([1, expect.stringMatching(/^The database was not filled: .*25006/s)]);
  expect(await run('fill.mjs', ['--with-password'], {}, 'password1\n')).toMatchObject({
    code: 1,
    said: 'The database was not filled: The password is among the first that anybody would try.\n',
  });
});

describe('a call', () => {
  it.each<[string[], string]>([
    [['--orders'], '--orders must be a whole number up to 10000000.'],
    [['--orders', '-1'], '--orders must be a whole number up to 10000000, and "-1" is none.'],
    [['--orders=1.5'], '--orders must be a whole number up to 10000000, and "1.5" is none.'],
    [['--users', '10000001'], '--users must be a whole number up to 10000000, and "10000001" is none.'],
    [['--users', '1', '--users', '2'], '--users is there twice.'],
    [['--force=yes'], '--force takes no value.'],
    [['--accounts', '5', '--users', '6'], '--accounts must be at least 6, the number of --users: each has one.'],
    [['--accounts', '5', '--users', '0'], '--accounts needs --users: each account belongs to one.'],
    [['--products', '5', '--skus', '4'], '--skus must be at least 5, the number of --products: each has one.'],
    [['--products', '1', '--skus', '51'], '--skus may be at most 50, 50 for each of --products.'],
    [['--products', '0', '--skus', '1'], '--skus needs --products: each SKU belongs to one.'],
    [['--users', '0', '--orders', '1'], '--orders needs --accounts: each order is paid from one.'],
    [['--products', '0', '--orders', '1'], '--orders needs --skus: each order has some.'],
    [['--users', '1', '--orders', '10001'], '--orders may be at most 10000, 10000 for each of --accounts.'],
    [['--users', '1', '--transfers', '1'], '--transfers needs two --accounts: one pays the other.'],
    [['--users', '2', '--transfers', '200001'], '--transfers may be at most 200000, 100000 for each of --accounts.'],
  ])('of %j is not understood: %s', (args, sentence) => {
    expect(() => askedIn(args)).toThrow(sentence);
  });

  it.each([
    [['--order', '1'], 'There is no option --order. Usage: '],
    [['orders'], '"orders" is no option. Usage: '],
  ])('of %j is told what there is', (args, sentence) => {
    expect(() => askedIn(args)).toThrow(sentence);
  });

  it('that leaves numbers out is given those that follow from the others', () => {
    const usual = { users: 1000, accounts: 1000, products: 100, skus: 200, orders: 1000, transfers: 1000 };
    expect(askedIn([])).toEqual({ volume: usual, hasPassword: false, isForced: false });
    expect(volumeOf({ users: 1, products: 3 })).toEqual({
      users: 1,
      accounts: 1,
      products: 3,
      skus: 6,
      orders: 1,
      transfers: 0,
    });
    expect(volumeOf({ accounts: 5, skus: 4 })).toMatchObject({ users: 5, products: 4, orders: 5, transfers: 5 });
    expect(volumeOf({ users: 0 })).toEqual({
      users: 0,
      accounts: 0,
      products: 100,
      skus: 200,
      orders: 0,
      transfers: 0,
    });
  });
});
