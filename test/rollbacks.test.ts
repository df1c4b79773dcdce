/** @servers any */
import { hash } from '@node-rs/argon2';
import type request from 'supertest';
import type { Principal } from '../src/kernel/principal.ts';
import { ChainService } from '../src/modules/audit/chain.service.ts';
import { UsersService } from '../src/modules/users/users.service.ts';
import { CancellationsService } from '../src/modules/orders/cancellations.service.ts';
import { PlacementsService } from '../src/modules/orders/placements.service.ts';
import { SessionsService } from '../src/modules/sessions/sessions.service.ts';
import { BoundaryTable } from '../src/transactions/boundary/table.ts';
import { TransactionRequiredError } from '../src/transactions/errors.ts';
import { startApp, type TestApp } from './support/app.ts';
import { allRows, findMistakes } from './support/books.ts';
import { casesOf, type World } from './support/cases.ts';
import { eventually } from './support/crowd.ts';
import { type makers, uuidOf } from './support/make.ts';
import { makeWorld, wanted } from './support/requests.ts';
import { routeOf } from './support/routes.ts';

let service: TestApp;
let world: World;
let make: ReturnType<typeof makers>;
beforeAll(async () => {
  service = await startApp();
  world = await makeWorld(service);
  ({ make } = world);
  await service.database.query(`
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the test made % fail', TG_TABLE_NAME; END $$`);
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const asAnswer = (done: Promise<unknown>) =>
  done.then(
    () => ({ status: 200, body: {} }),
    () => ({ status: 500, body: { code: 'internal-error' } }),
  );

type Act = () => PromiseLike<Pick<request.Response, 'status' | 'body'>>;
interface Case {
  /** The table that the method writes to last, and how. */
  readonly last: `${'INSERT' | 'UPDATE' | 'DELETE'} ${string}`;
  /** Makes what the call needs, and gives the call. */
  readonly prepare: () => Promise<Act>;
}

const eur = (amount: number) => ({ amount, currency: 'EUR' });
let made = 0;

/** A transfer that waits to be posted. */
async function pending() {
  const [from, to] = [await make.user({ balance: 100 }), await make.user()];
  const transfer = { type: 'pending', fromAccountId: from.accountId, toAccountId: to.accountId, amount: eur(60) };
  const { body } = await from.api.post('/v1/transfers', transfer).expect(201);
  return { from, to, id: body.id as string };
}

async function placing(): Promise<Act> {
  const buyer = await make.user({ balance: 5000 });
  const order = make.orderOf(buyer, [await make.sku(3), { skuId: await make.sku(3), quantity: 2 }]);
  return () => buyer.api.post('/v1/orders', order);
}

async function cancelling(): Promise<Act> {
  const buyer = await make.user({ balance: 5000 });
  const { id } = await make.order(buyer, [await make.sku(3), await make.sku(3)]);
  return () => buyer.api.post(`/v1/orders/${id}/cancel`, { reason: 'Changed my mind' });
}

function casesOfModules(): Record<string, Case> {
  const cases = Object.entries(casesOf('boundaries')).map(([name, { last, call }]): [string, Case] => [
    name,
    { last, prepare: async () => (typeof call === 'string' ? routeOf(world, call) : call(world)) },
  ]);
  return Object.fromEntries(cases);
}

/** One for each method that draws a boundary or joins one; other modules give theirs in test/cases. */
const boundaries: Record<string, Case> = {
  ...casesOfModules(),
  'UsersService.signUp': {
    last: 'INSERT account',
    prepare: async () => () =>
      service.as().post('/v1/users', {
        email: `nested-${++made}@example.com`,
        password: 'correct horse battery',
        profile: { displayName: 'Nested' },
      }),
  },
  'UsersService.createOperator': {
    last: 'INSERT profile',
    // A command, not a request.
    prepare: async () => {
      const operator = {
        email: `more-${++made}@example.com`,
        password: 'correct horse',
        profile: { displayName: 'More' },
      };
      return () => asAnswer(service.app.get(UsersService).addOperator(operator));
    },
  },
  'UsersService.change': {
    last: 'UPDATE profile',
    prepare: async () => {
      const { id, api, password } = await make.user();
      const patch = {
        email: `edited-${id}@example.com`,
        currentPassword: password,
        profile: { displayName: 'Edited' },
      };
      return () => api.patch(`/v1/users/${id}`, patch).set('if-match', '"1"');
    },
  },
  'LogInsService.beginBetter': {
    last: 'INSERT refresh_token',
    // Hashed as it was typed, before passwords were normalised.
    prepare: async () => {
      const [{ email }, typed] = [await make.user(), 'schlu\u0308ssel'];
      const old = await hash(typed, { memoryCost: 8, timeCost: 1, parallelism: 1 });
      await service.database.query('UPDATE "user" SET password_hash = $1 WHERE email = $2', [old, email]);
      return () => service.as().post('/v1/sessions', { email, password: typed });
    },
  },
  'PasswordsService.replace': {
    last: 'INSERT user_change',
    prepare: async () => {
      const { api, password } = await make.user();
      const change = { currentPassword: password, newPassword: 'another horse' };
      return () => api.post('/v1/users/me/password', change);
    },
  },
  'PasswordsService.makeReset': {
    last: 'INSERT user_change',
    prepare: async () => {
      const [{ api }, { id }] = [await make.operator(), await make.user()];
      return () => api.post(`/v1/users/${id}/password-resets`);
    },
  },
  'PasswordsService.redeem': {
    last: 'INSERT user_change',
    prepare: async () => {
      const [{ api }, { id }] = [await make.operator(), await make.user()];
      const { token } = (await api.post(`/v1/users/${id}/password-resets`).expect(201)).body;
      return () => service.as().post('/v1/password-resets', { token, newPassword: 'another horse' });
    },
  },
  'AccessService.change': {
    last: 'UPDATE session',
    prepare: async () => {
      const [{ api }, { id }] = [await make.operator(), await make.user()];
      const patch = { role: 'operator', disabled: true, reason: 'Asked for' };
      return () => api.patch(`/v1/users/${id}/access`, patch).set('if-match', '"1"');
    },
  },
  'AccessService.endSessions': {
    last: 'INSERT user_change',
    prepare: async () => {
      const [{ api }, { id }] = [await make.operator(), await make.user()];
      return () => api.delete(`/v1/users/${id}/sessions`);
    },
  },
  'SessionsService.rotate': {
    last: 'INSERT refresh_token',
    prepare: async () => {
      const { refreshToken } = await make.user();
      return () => service.as().post('/v1/sessions/refresh', { refreshToken });
    },
  },
  'SessionsService.removeEnded': {
    last: 'DELETE session',
    // The sweeper asks for it.
    prepare: async () => {
      const { api } = await make.user();
      await api.delete('/v1/sessions/current').expect(204);
      const failed = { status: 500, body: { code: 'internal-error' } };
      const removed = { status: 200, body: {} };
      return () =>
        service.app
          .get(SessionsService)
          .removeEnded({ most: 10, from: null })
          .then(
            () => removed,
            () => failed,
          );
    },
  },
  'TransfersService.transfer': {
    last: 'INSERT entry',
    prepare: async () => {
      const [ada, bob] = [await make.user({ balance: 100 }), await make.user()];
      const transfer = { fromAccountId: ada.accountId, toAccountId: bob.accountId, amount: eur(60) };
      return () => ada.api.post('/v1/transfers', transfer);
    },
  },
  'TransfersService.deposit': {
    last: 'INSERT entry',
    prepare: async () => {
      const [{ api }, { accountId }] = [await make.operator(), await make.user()];
      return () => api.post('/v1/deposits', { accountId, amount: eur(60) });
    },
  },
  'AccountsService.open': {
    last: 'INSERT account',
    prepare: async () => {
      const { api } = await make.user();
      return () => api.post('/v1/accounts', { currency: 'EUR' });
    },
  },
  'AccountsService.edit': {
    last: 'INSERT account_change',
    prepare: async () => {
      const [{ api }, { accountId }] = [await make.operator(), await make.user()];
      return () => api.patch(`/v1/accounts/${accountId}`, { overdraftLimit: eur(60) }).set('if-match', '"1"');
    },
  },
  'AccountsService.close': {
    last: 'INSERT account_change',
    prepare: async () => {
      const { api, accountId } = await make.user();
      return () => api.post(`/v1/accounts/${accountId}/close`).set('if-match', '"1"');
    },
  },
  'PendingTransfersService.post': {
    last: 'INSERT entry',
    prepare: async () => {
      const { from, id } = await pending();
      return () => from.api.post(`/v1/transfers/${id}/post`, { amount: eur(40) });
    },
  },
  'PendingTransfersService.void': {
    last: 'INSERT settlement',
    prepare: async () => {
      const { from, id } = await pending();
      return () => from.api.post(`/v1/transfers/${id}/void`);
    },
  },
  'PendingTransfersService.voidAll': {
    last: 'INSERT settlement',
    prepare: async () => {
      const { from, id } = await pending();
      return () => from.api.post('/v1/transfers/void', { transferIds: [id] });
    },
  },
  'ReversalsService.reverse': {
    last: 'INSERT entry',
    prepare: async () => {
      const { from, to, id } = await pending();
      await from.api.post(`/v1/transfers/${id}/post`).expect(200);
      return () => to.api.post(`/v1/transfers/${id}/reversals`, { amount: eur(40) });
    },
  },
  'TransferBatchesService.transferTogether': {
    last: 'INSERT entry',
    prepare: async () => {
      const [ada, bob] = [await make.user({ balance: 100 }), await make.user()];
      const transfer = { fromAccountId: ada.accountId, toAccountId: bob.accountId, amount: eur(30) };
      const transfers = [transfer, { ...transfer, type: 'pending' }, transfer];
      return () => ada.api.post('/v1/transfers/batch', { mode: 'partial', transfers });
    },
  },
  'ChainService.seal': {
    last: 'INSERT chain_link',
    // Nobody asks for it over HTTP.
    prepare: async () => {
      await make.user({ balance: 100 });
      // A transaction in another database of the server, where other tests run, holds it up.
      await eventually(
        () =>
          service.database.query<{ is: boolean }>(
            'SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > max(txid) AS is FROM transfer',
          ),
        ([row]) => row?.is === true,
      );
      const failed = { status: 500, body: { code: 'internal-error' } };
      return () =>
        service.app
          .get(ChainService)
          .seal()
          .then(
            () => ({ status: 200, body: {} }),
            () => failed,
          );
    },
  },
  'CatalogService.add': {
    last: 'INSERT image',
    prepare: async () => {
      const { api } = await make.operator();
      const skus = [{ code: `NESTED-${++made}`, name: 'Nested', price: eur(1), onHand: 5 }];
      const images = [{ url: 'https://images.example.com/1.jpg' }];
      return () => api.post('/v1/products', { slug: `nested-${made}`, name: 'Nested', skus, images });
    },
  },
  'CatalogService.addSku': {
    last: 'INSERT stock_movement',
    prepare: async () => {
      const [{ api }, product] = [await make.operator(), await make.product()];
      const sku = { code: `ADDED-TO-${product.slug.toUpperCase()}`, name: 'Added', price: eur(1), onHand: 5 };
      return () => api.post(`/v1/products/${product.id}/skus`, sku);
    },
  },
  'CatalogService.edit': {
    last: 'INSERT image',
    prepare: async () => {
      const [{ api }, { id }] = [await make.operator(), await make.product()];
      const image = (n: number) => ({ url: `https://images.example.com/${n}.jpg` });
      const edit = (patch: object) => api.patch(`/v1/products/${id}`, patch).set('if-match', '*');
      await edit({ images: [image(1), image(2)] }).expect(200);
      return () => edit({ name: 'Edited', images: [image(3)] });
    },
  },
  'CatalogService.editSku': {
    last: 'UPDATE sku',
    prepare: async () => {
      const [{ api }, id] = [await make.operator(), await make.sku(1)];
      return () => api.patch(`/v1/skus/${id}`, { price: eur(7) }).set('if-match', '"1"');
    },
  },
  'StockService.adjust': {
    last: 'INSERT stock_movement',
    prepare: async () => {
      const [{ api }, id] = [await make.operator(), await make.sku(1)];
      return () => api.post(`/v1/skus/${id}/stock-adjustments`, { quantity: 5 });
    },
  },
  'PlacementsService.placeAll': { last: 'INSERT entry', prepare: placing },
  'CancellationsService.cancelAll': { last: 'INSERT entry', prepare: cancelling },
  'OrdersService.place': { last: 'INSERT stock_movement', prepare: placing },
  'OrdersService.cancel': { last: 'INSERT stock_movement', prepare: cancelling },
};

/** What is stored by one statement or nested write, which is a boundary of its own. */
const nestedWrites: Record<string, Case> = {
  'LogInsService.logIn': {
    last: 'INSERT refresh_token',
    prepare: async () => {
      const { email, password } = await make.user();
      return () => service.as().post('/v1/sessions', { email, password });
    },
  },
};

/** Makes every such write to the table fail, while the work runs. */
async function failing<T>(last: Case['last'], when: 'at once' | 'at COMMIT', work: () => Promise<T>): Promise<T> {
  const [operation, table] = last.split(' ');
  const [kind, timing] = when === 'at once' ? ['TRIGGER', ''] : ['CONSTRAINT TRIGGER', 'DEFERRABLE INITIALLY DEFERRED'];
  const { query } = service.database;
  await query(`CREATE ${kind} zz_fail AFTER ${operation} ON "${table}" ${timing} FOR EACH ROW EXECUTE FUNCTION fail()`);
  try {
    return await work();
  } finally {
    await query(`DROP TRIGGER zz_fail ON "${table}"`);
  }
}

async function expectNothingOrAll({ last, prepare }: Case, when: 'at once' | 'at COMMIT'): Promise<void> {
  const act = await prepare();
  const before = await allRows(service.database);
  const { status, body } = await failing(last, when, async () => act());
  expect([status, body.code]).toEqual([500, 'internal-error']);
  expect(JSON.stringify(body)).not.toMatch(/the test made|trigger|fail\(/);
  expect(await allRows(service.database)).toEqual(before);

  // The same call goes through when nothing fails: it was the failure that kept it from being stored.
  expect((await act()).status).toBeLessThan(300);
  expect(await allRows(service.database)).not.toEqual(before);
}

describe('what fails in its last step stores nothing:', () => {
  it.each(Object.keys(boundaries))('%s', async (name) => {
    await expectNothingOrAll(boundaries[name] as Case, 'at once');
  });
  it.each(Object.keys(nestedWrites))('the nested write of %s', async (name) => {
    await expectNothingOrAll(nestedWrites[name] as Case, 'at once');
  });
});

describe('what fails at COMMIT stores nothing:', () => {
  it.each(Object.keys(boundaries))('%s', async (name) => {
    await expectNothingOrAll(boundaries[name] as Case, 'at COMMIT');
  });
});

/** Every method that draws a boundary which may write, as the service itself lists them, with its propagation. */
function drawn(): [method: string, propagation: string][] {
  const [head = '', ...rows] = service.app.get(BoundaryTable).describe().split('\n');
  const cell = (row: string, column: string): string => /^(\S*)/.exec(row.slice(head.indexOf(column)))?.[1] ?? '';
  return rows
    .filter((row) => cell(row, 'access') === 'write')
    .map((row) => [cell(row, 'method'), cell(row, 'propagation')]);
}

describe('these tests', () => {
  it('cover every method that draws a boundary and may write', () => {
    const names = drawn().map(([name]) => name);
    expect(names.length).toBeGreaterThan(30);
    expect(names.filter((name) => !(name in boundaries)).map((name) => wanted('boundaries', name))).toEqual([]);
    expect(Object.keys(boundaries).filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('what only makes sense as a part of something greater is refused alone:', () => {
  const nobody: Principal = {
    userId: '01a1fbe4-cc8b-7000-9287-282254c2d3bc',
    sessionId: '01a1fbe4-cc8b-7000-9287-282254c2d3bd',
    role: 'operator',
  };
  const alone: Record<string, (accountId: string, skuId: string) => Promise<unknown>> = {
    'PlacementsService.placeAll': (accountId, skuId) => {
      const asked = { items: [{ skuId, quantity: 1 }], payment: { accountId } };
      return service.app.get(PlacementsService).placeAll([{ by: nobody, asked }], 'alone');
    },
    'CancellationsService.cancelAll': (accountId) =>
      service.app.get(CancellationsService).cancelAll([{ by: nobody, id: accountId, asked: {} }], 'wait'),
  };

  Object.assign(
    alone,
    Object.fromEntries(Object.entries(casesOf('alone')).map(([name, call]) => [name, () => call(world)])),
  );

  it.each(Object.keys(alone))('%s', async (name) => {
    const [{ accountId }, skuId] = [await make.user({ balance: 10 }), await make.sku(1)];
    const before = await allRows(service.database);
    const call = alone[name]?.(uuidOf(accountId), uuidOf(skuId));
    await expect(call).rejects.toThrow(TransactionRequiredError);
    await expect(call).rejects.toThrow(name);
    expect(await allRows(service.database)).toEqual(before);
  });

  it('no other method', () => {
    const mandatory = drawn().filter(([, propagation]) => propagation === 'mandatory');
    const known = Object.keys(alone);
    expect(mandatory.filter(([name]) => !known.includes(name)).map(([name]) => wanted('alone', name))).toEqual([]);
    expect(known.sort()).toEqual(mandatory.map(([name]) => name).sort());
  });
});
