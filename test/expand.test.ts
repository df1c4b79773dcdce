/** @servers any */
import { readFileSync } from 'node:fs';
import type { Scope } from '../src/kernel/principal.ts';
import { AccountsService } from '../src/modules/accounts/accounts.service.ts';
import { TransfersService } from '../src/modules/transfers/transfers.service.ts';
import { UsersService } from '../src/modules/users/users.service.ts';
import { type Api, startApp, type TestApp } from './support/app.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { expectProblem } from './support/problem.ts';
import { recordStatements } from './support/statements.ts';
import { showingsOf } from './support/showings.ts';

type Thing = Record<string, unknown> & { readonly id: string; readonly object: string };

let service: TestApp;
let make: ReturnType<typeof makers>;
let ada: Person;
let bob: Person;
let operator: Person;
let paths: Record<string, string>;

beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  [ada, bob, operator] = [await make.user({ balance: 10_000 }), await make.user(), await make.operator()];
  const { skus } = await make.product({ onHand: [10, 10], price: 10 });
  const { id: order } = await make.order(
    ada,
    skus.map(({ id }) => id),
  );
  const on = showingsOf(service, make);
  const { id: booking } = await on.booked(ada, (await on.showing()).id, 2);
  const { id: transfer } = await send(ada, bob, 5);
  await ada.api.post('/v1/transfers', { ...from(ada, bob, 5), type: 'pending' }).expect(201);
  await operator.api.post('/v1/accounts', { currency: 'EUR' }).expect(201);
  const limit = { overdraftLimit: { amount: 1, currency: 'EUR' } };
  await operator.api.patch(`/v1/accounts/${ada.accountId}`, limit).set('if-match', '"1"').expect(200);
  paths = {
    '/v1/users/me': '/v1/users/me',
    '/v1/users/{id}': `/v1/users/${ada.id}`,
    '/v1/accounts': '/v1/accounts',
    '/v1/accounts/{id}': `/v1/accounts/${ada.accountId}`,
    [changes]: `/v1/accounts/${ada.accountId}/changes`,
    '/v1/accounts/{id}/entries': `/v1/accounts/${ada.accountId}/entries`,
    '/v1/transfers': '/v1/transfers',
    '/v1/transfers/{id}': `/v1/transfers/${transfer}`,
    '/v1/orders': '/v1/orders',
    '/v1/orders/{id}': `/v1/orders/${order}`,
    '/v1/products': '/v1/products',
    '/v1/skus/{id}': `/v1/skus/${skus[0]!.id}`,
    '/v1/bookings': '/v1/bookings',
    '/v1/bookings/{id}': `/v1/bookings/${booking}`,
  };
});
afterAll(() => service.close());

// Operators alone read it.
const changes = '/v1/accounts/{id}/changes';
const readersOf = (path: string): Person[] => (path === changes ? [operator] : [ada, operator]);

const from = (one: Person, other: Person, amount: number) => ({
  fromAccountId: one.accountId,
  toAccountId: other.accountId,
  amount: { amount, currency: 'EUR' },
});
const send = async (one: Person, other: Person, amount: number): Promise<Thing> =>
  (await one.api.post('/v1/transfers', from(one, other, amount)).expect(201)).body;

/** What the OpenAPI document says can be expanded, by path. */
const offered = (): [path: string, names: string[]][] => {
  const document = JSON.parse(readFileSync('openapi.json', 'utf8')) as {
    paths: Record<
      string,
      { get?: { parameters: { name: string; schema: { items: { enum?: string[]; const?: string } } }[] } }
    >;
  };
  return Object.entries(document.paths).flatMap(([path, { get }]) =>
    (get?.parameters ?? [])
      .filter(({ name }) => name === 'expand')
      .map(({ schema: { items } }): [string, string[]] => [path, items.enum ?? [items.const!]]),
  );
};

const things = (body: { data?: Thing[] } & Thing): Thing[] => body.data ?? [body];
const within = (holders: Thing[], member: string): Thing[] =>
  holders.flatMap((holder) => (holder[member] ?? []) as Thing | Thing[]);

/** What `name` has added to an answer, beside the id it stands for. */
function added(body: Thing, name: string): [id: string | null, shown: Thing | null][] {
  const path = name.split('.');
  const last = path.at(-1)!;
  const holders = path.slice(0, -1).reduce(within, things(body));
  const isBeside = holders.some((holder) => `${last}Id` in holder);
  if (!isBeside) return within(holders, last).map((shown) => [shown.id, shown]);
  return holders.map((holder) => [holder[`${last}Id`] as string | null, holder[last] as Thing | null]);
}

const places = { acct: 'accounts', usr: 'users', tr: 'transfers', sku: 'skus', prd: 'products', shw: 'showings' };

/** The thing itself as this reader may see it; null where it is not there for them. */
async function read(api: Api, id: string | null): Promise<unknown> {
  if (id === null) return null;
  const place = places[id.split('_')[0] as keyof typeof places];
  const { status, body } = await api.get(`/v1/${place}/${id}`);
  return status === 404 ? null : body;
}

describe('what is expanded', () => {
  it('is what its own path shows the same reader, for every name of every path', async () => {
    const all = offered();
    expect(all.map(([path]) => path).sort()).toEqual(Object.keys(paths).sort());
    let [seen, hidden] = [0, 0];
    for (const [path, names] of all)
      for (const name of names) {
        let count = 0;
        for (const reader of readersOf(path)) {
          const { body } = await reader.api.get(`${paths[path]}?expand=${name}`).expect(200);
          const shown = added(body, name);
          for (const [id, thing] of shown) {
            expect([path, name, thing]).toEqual([path, name, await read(reader.api, id)]);
            if (thing === null) hidden++;
            else seen++;
          }
          count += shown.length;
        }
        expect([path, name, count]).not.toEqual([path, name, 0]);
      }
    expect([seen > 50, hidden > 5]).toEqual([true, true]);
  });

  it('is found within the scope of the reader, also where no answer leads beyond it', async () => {
    const { id: transferId } = await send(ada, await make.user(), 1);
    const [adas, bobs] = [ada, bob].map(({ id }) => ({ userId: uuidOf(id) })) as [Scope, Scope];
    const found = async (scope: Scope) => [
      await service.app.get(UsersService).getAll(scope, [uuidOf(ada.id)]),
      await service.app.get(AccountsService).getAll(scope, [uuidOf(ada.accountId)]),
      await service.app.get(TransfersService).getAll(scope, [uuidOf(transferId)]),
    ];
    expect((await found(adas)).map(({ length }) => length)).toEqual([1, 1, 1]);
    expect(await found(bobs)).toEqual([[], [], []]);
  });

  it('leaves the rest of the answer as it is', async () => {
    for (const [path, names] of offered()) {
      const { api: mine } = readersOf(path)[0]!;
      const plain = await mine.get(paths[path]!).expect(200);
      const { body } = await mine.get(`${paths[path]}?expand=${names.join(',')}`).expect(200);
      expect(body).toMatchObject(plain.body);
    }
  });

  it("is null where it is another's, and the operator sees it", async () => {
    const { id } = await send(ada, bob, 1);
    const path = `/v1/transfers/${id}?expand=fromAccount.user,toAccount.user`;
    const { body: hers } = await ada.api.get(path).expect(200);
    expect([hers.fromAccount.user.id, hers.toAccount]).toEqual([ada.id, null]);
    const { body: his } = await bob.api.get(path).expect(200);
    expect([his.fromAccount, his.toAccount.user.id]).toEqual([null, bob.id]);
    const { body: theirs } = await operator.api.get(path).expect(200);
    expect([theirs.fromAccount.user.id, theirs.toAccount.user.id]).toEqual([ada.id, bob.id]);
  });

  it('goes to the depth of two, and each place has only what was asked of it', async () => {
    const [there, back] = [await send(ada, bob, 1), await send(bob, ada, 1)];
    // The same accounts, on the one side with more than on the other.
    const expand = 'fromAccount,toAccount.user';
    const path = `/v1/transfers?accountId=${ada.accountId}&limit=2`;
    const { body } = await operator.api.get(`${path}&expand=${expand}`).expect(200);
    expect(body.data.map(({ id }: Thing) => id)).toEqual([back.id, there.id]);
    for (const { fromAccount, toAccount } of body.data) {
      expect(fromAccount).not.toHaveProperty('user');
      expect(toAccount.user.email).toBe(toAccount.id === ada.accountId ? ada.email : bob.email);
    }
    const { body: less } = await operator.api.get(`${path}&expand=fromAccount`).expect(200);
    expect(less.data[0]).not.toHaveProperty('toAccount');
  });

  it('may be asked for with commas, and by naming the parameter again', async () => {
    const { id } = await send(ada, bob, 1);
    const bodies = ['fromAccount,toAccount', 'fromAccount&expand=toAccount', 'toAccount,fromAccount,fromAccount'].map(
      async (names) => (await ada.api.get(`/v1/transfers/${id}?expand=${names}`).expect(200)).body as Thing,
    );
    const [first, ...others] = await Promise.all(bodies);
    expect(first).toHaveProperty('fromAccount.id', ada.accountId);
    for (const other of others) expect(other).toEqual(first);
  });

  it('can be cached and edited as what it is: another form has another ETag', async () => {
    const path = `/v1/accounts/${ada.accountId}`;
    const [plain, expanded] = [await ada.api.get(path), await ada.api.get(`${path}?expand=user`)].map(
      ({ headers }) => headers['etag'] as string,
    );
    expect(plain).not.toBe(expanded);
    await ada.api.get(`${path}?expand=user`).set('if-none-match', expanded!).expect(304);
    await ada.api.get(`${path}?expand=user`).set('if-none-match', plain!).expect(200);
    await ada.api.patch(path, { name: 'Renamed' }).set('if-match', expanded!).expect(200);
  });

  it('is answered to HEAD as to GET, without the body', async () => {
    const path = `${service.url}/v1/accounts?expand=user`;
    const answers = await Promise.all(
      ['GET', 'HEAD'].map((method) => fetch(path, { method, headers: { authorization: `Bearer ${ada.token}` } })),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await answers[1]!.text()).toBe('');
  });

  it('is there on the next page of a list, whose cursor is as good without', async () => {
    await send(ada, bob, 1);
    const first = await ada.api.get('/v1/transfers?limit=1&expand=fromAccount').expect(200);
    const next = /<([^>]+)>; rel="next"/.exec(first.headers['link']!)![1]!;
    const { body } = await ada.api.get(next).expect(200);
    expect(body.data[0]).toHaveProperty('fromAccount.id', ada.accountId);
    await ada.api.get(`/v1/transfers?limit=1&cursor=${first.body.nextCursor}`).expect(200);
  });
});

describe('expanding', () => {
  it('refuses what is not offered, and says what is', async () => {
    for (const names of [
      '',
      'nothing',
      'fromAccount.',
      'fromAccount.user.accounts',
      'id',
      '__proto__',
      'fromAccount, toAccount',
    ]) {
      const refused = await ada.api.get(`/v1/transfers?expand=${encodeURIComponent(names)}`);
      expectProblem(refused, 'validation-failed');
      expect(refused.body.errors).toEqual([
        {
          parameter: 'expand',
          code: 'invalid-value',
          detail: 'must be of: fromAccount, fromAccount.user, toAccount, toAccount.user',
        },
      ]);
    }
    // Where nothing can be expanded, it is a parameter like any other that is not known.
    expectProblem(await ada.api.get('/v1/sessions?expand=user'), 'validation-failed');
  });

  it('refuses what a list cannot show with its own statement just so', async () => {
    for (const names of ['', 'images', 'skus.product', 'skus,nothing', 'skus&expand=id']) {
      const refused = await service.as().get(`/v1/products?expand=${names}`);
      expectProblem(refused, 'validation-failed');
      expect(refused.body.errors).toEqual([{ parameter: 'expand', code: 'invalid-value', detail: 'must be of: skus' }]);
    }
    for (const names of ['skus', 'skus,skus', 'skus&expand=skus'])
      expect((await service.as().get(`/v1/products?expand=${names}`).expect(200)).body.data[0].skus).toHaveLength(2);
  });

  it('asks for all of a kind at once, however many they are', async () => {
    const statementsOf = async (path: string): Promise<string[]> => {
      await operator.api.get('/v1/users/me').expect(200);
      const statements = recordStatements();
      await operator.api.get(path).expect(200);
      statements.stop();
      return statements
        .take()
        .map(({ text }) => text)
        .filter((text) => !text.includes('_lsn('));
    };
    const people = await Promise.all(Array.from({ length: 8 }, () => make.user({ balance: 100 })));
    for (const person of people) await send(person, ada, 1);
    const path = `/v1/transfers?accountId=${ada.accountId}&expand=fromAccount.user,toAccount.user`;
    const [one, many] = [await statementsOf(`${path}&limit=1`), await statementsOf(`${path}&limit=20`)];
    expect(many).toHaveLength(one.length);
    const { body } = await operator.api.get(`${path}&limit=20`);
    expect(new Set(added(body, 'fromAccount.user').map(([id]) => id)).size).toBeGreaterThan(8);
    // BEGIN and COMMIT; the page 2; the accounts 1, and 1 for what has expired; the people 1.
    expect(many).toHaveLength(7);
  });

  it('shows one moment: whatever is written meanwhile, the same account is the same wherever it stands', async () => {
    const carol = await make.user({ balance: 1000 });
    const path = `/v1/accounts/${carol.accountId}?expand=user.accounts`;
    let [isOver, differing, changes] = [false, 0, 0];
    const writing = (async () => {
      for (; !isOver; changes++) await send(carol, bob, 1);
    })();
    for (let n = 0; n < 60 || changes < 30; n++) {
      const { body } = await carol.api.get(path).expect(200);
      if (body.balanceVersion !== body.user.accounts[0].balanceVersion) differing++;
    }
    isOver = true;
    await writing;
    expect(differing).toBe(0);
  });

  it('is refused where it would add too much', async () => {
    const onHand = Array.from({ length: 50 }, () => 10);
    const ids: string[] = [];
    while (ids.length < 550) ids.push(...(await make.product({ onHand, price: 1 })).skus.map(({ id }) => id));
    const buyer = await make.user({ balance: 10_000 });
    for (let at = 0; at < ids.length; at += 100) await make.order(buyer, ids.slice(at, at + 100));
    expectProblem(await buyer.api.get('/v1/orders?expand=items.sku'), 'too-much-to-expand');
    const { body } = await buyer.api.get('/v1/orders?expand=items.sku&limit=5').expect(200);
    expect(added(body, 'items.sku').every(([id, sku]) => sku?.id === id)).toBe(true);
  });
});
