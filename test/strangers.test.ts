/** @servers any */
import { newId, showId } from '../src/kernel/ids.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { crowd } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';
import { accountsBy, between, eur, send, sentId } from './support/transfers.ts';

// What somebody learns about, and does to, accounts that are not theirs.

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
let [ada, bob, eve] = [] as unknown as [Person, Person, Person];
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  operator = await make.operator();
});
beforeEach(async () => {
  [ada, bob, eve] = (await crowd(service, 3, { balance: 1000 })) as [Person, Person, Person];
});
afterEach(async () => expect(await findMistakes(service.database)).toEqual([]));
afterAll(() => service.close());

const { accountOf, edit } = accountsBy(() => operator.api);
const pending = { type: 'pending' };
const batch = (who: Person, mode: string, transfers: object[]) =>
  who.api.post('/v1/transfers/batch', { mode, transfers });

/** Each state in which an account of somebody else cannot take what is sent to it, and ids behind which there is none. */
const states: Record<string, () => Promise<string>> = {
  frozen: async () => {
    await edit(bob, { frozen: true, reason: 'Looked into' }).expect(200);
    return bob.accountId;
  },
  closed: async () => {
    await send(bob, eve, 1000).expect(201);
    await bob.api.post(`/v1/accounts/${bob.accountId}/close`).set('if-match', '*').expect(200);
    return bob.accountId;
  },
  full: async () => {
    await edit(bob, { maxBalance: eur(1000) }).expect(200);
    return bob.accountId;
  },
  'in another currency': async () => (await crowd(service, 1, { currency: 'USD' }))[0]!.accountId,
  'of the house': async () => {
    const [cash] = await service.database.query<{ id: string }>(
      `SELECT id FROM account WHERE house = 'cash' AND currency = 'EUR'`,
    );
    return showId('acct', cash!.id);
  },
  'not there': () => Promise.resolve(showId('acct', newId())),
};

/** All that an answer tells, without what differs from request to request. */
const told = ({ status, body }: { status: number; body: Record<string, unknown> }) => {
  const { requestId: _, instance: __, ...rest } = body;
  return { status, ...rest };
};

describe('to a stranger', () => {
  // Every way in which the id of an account to receive money can be named.
  const ways: Record<string, (toAccountId: string) => Promise<unknown>> = {
    'a transfer': async (toAccountId) =>
      told(await ada.api.post('/v1/transfers', { ...between(ada, bob, 1), toAccountId })),
    'an atomic batch': async (toAccountId) =>
      told(await batch(ada, 'atomic', [{ ...between(ada, bob, 1), toAccountId }])),
    'a partial batch': async (toAccountId) =>
      (await batch(ada, 'partial', [{ ...between(ada, bob, 1), toAccountId }])).body.data[0].refusal,
  };

  it.each(Object.keys(ways))(
    '%s to an account that cannot receive it says one thing, whatever the reason',
    async (way) => {
      const answers: unknown[] = [];
      for (const [state, prepare] of Object.entries(states)) {
        [ada, bob, eve] = (await crowd(service, 3, { balance: 1000 })) as [Person, Person, Person];
        answers.push([state, await ways[way]!(await prepare())]);
      }
      const [[, first]] = answers as [[string, object]];
      expect(first).toMatchObject({
        code: 'cannot-receive',
        errors: [{ pointer: expect.stringMatching(/toAccountId$/) }],
      });
      for (const [state, answer] of answers as [string, unknown][]) expect([state, answer]).toEqual([state, first]);
    },
  );

  it('a pending transfer, its posting and a reversal say that one thing as well', async () => {
    for (const state of ['frozen', 'closed', 'in another currency', 'of the house', 'not there']) {
      [ada, bob, eve] = (await crowd(service, 3, { balance: 1000 })) as [Person, Person, Person];
      const toAccountId = await states[state]!();
      const { body } = await ada.api
        .post('/v1/transfers', { ...between(ada, bob, 1, pending), toAccountId })
        .expect(409);
      expect([state, body.code]).toEqual([state, 'cannot-receive']);
    }
    for (const state of ['frozen', 'full']) {
      [ada, bob, eve] = (await crowd(service, 3, { balance: 1000 })) as [Person, Person, Person];
      const waiting = await sentId(ada, bob, 1, pending);
      const received = await sentId(bob, ada, 1);
      await send(eve, bob, 1).expect(201);
      await states[state]!();
      for (const path of [`${waiting}/post`, `${received}/reversals`]) {
        const { body } = await ada.api.post(`/v1/transfers/${path}`).expect(409);
        expect([state, body.code, body.detail, body.errors]).toEqual([
          state,
          'cannot-receive',
          'The account cannot receive this.',
          undefined,
        ]);
      }
    }
  });

  it('a preview says the same whatever the state of the account is, and leaves a line in the log', async () => {
    const answers: unknown[] = [];
    for (const prepare of [...Object.values(states), () => Promise.resolve(bob.accountId)]) {
      [ada, bob, eve] = (await crowd(service, 3, { balance: 1000 })) as [Person, Person, Person];
      const toAccountId = await prepare();
      const asked = { ...between(ada, bob, 400), toAccountId };
      const { body } = await ada.api.post('/v1/transfers/preview', asked).expect(200);
      answers.push([body.from.balance, body.transfer.amount, body.transfer.status, body.to]);
      expect((await ada.api.post('/v1/transfers/preview', { ...asked, amount: eur(1001) }).expect(422)).body.code).toBe(
        'insufficient-funds',
      );
    }
    for (const answer of answers) expect(answer).toEqual([eur(600), eur(400), 'posted', null]);
  });

  it('nothing is told for nothing: what is bound to be refused never asks an account of somebody else', async () => {
    const free: Record<string, (toAccountId: string) => Promise<unknown>> = {
      'a batch whose end cannot be': async (toAccountId) =>
        told(await batch(ada, 'atomic', [{ ...between(ada, bob, 1), toAccountId }, between(ada, bob, 5000)])),
      'a condition that is not met': async (toAccountId) =>
        told(
          await ada.api.post('/v1/transfers', {
            ...between(ada, bob, 1, { conditions: { from: { ifVersion: 77 } } }),
            toAccountId,
          }),
        ),
      'more than there is': async (toAccountId) =>
        told(await ada.api.post('/v1/transfers', { ...between(ada, bob, 1001), toAccountId })),
      'a condition on it': async (toAccountId) =>
        told(
          await ada.api.post('/v1/transfers', {
            ...between(ada, bob, 1, { conditions: { to: { ifVersion: 0 } } }),
            toAccountId,
          }),
        ),
    };
    for (const [way, ask] of Object.entries(free)) {
      const answers: unknown[] = [];
      for (const prepare of [...Object.values(states), () => Promise.resolve(bob.accountId)]) {
        [ada, bob, eve] = (await crowd(service, 3, { balance: 1000 })) as [Person, Person, Person];
        answers.push(await ask(await prepare()));
      }
      for (const answer of answers) expect([way, answer]).toEqual([way, answers[0]]);
      expect(answers[0]).not.toMatchObject({ code: 'cannot-receive' });
    }
  });
});

describe('one cent of a stranger', () => {
  it('reserved to the limit of an account keeps nobody from paying it, nor its owner from a refund', async () => {
    const sku = await make.sku(5, 100);
    const order = await make.order(bob, [sku]);
    await edit(bob, { maxBalance: eur(1000) }).expect(200);
    await sentId(eve, bob, 900, pending);
    await send(ada, bob, 100).expect(201);
    // The money that was paid comes back, although others have paid the room full meanwhile.
    await bob.api.post(`/v1/orders/${order.id}/cancel`).expect(200);
    expect(await accountOf(bob)).toMatchObject({ balance: eur(1100), maxBalance: eur(1000) });
    // What is beyond the limit can be spent, and the account lives on.
    await send(bob, ada, 50).expect(201);
    await bob.api.patch(`/v1/accounts/${bob.accountId}`, { name: 'Over' }).set('if-match', '*').expect(200);
    expect((await send(ada, bob, 1).expect(409)).body.code).toBe('cannot-receive');
    await make.deposit(ada.accountId, 1);
  });

  it('reserved a hundred times keeps no account open: closing gives it back', async () => {
    const [victim] = (await crowd(service, 1)) as [Person];
    for (const from of [ada, eve])
      await batch(
        from,
        'atomic',
        Array.from({ length: 50 }, () => between(from, victim, 1, pending)),
      ).expect(201);
    const closed = await victim.api.post(`/v1/accounts/${victim.accountId}/close`).set('if-match', '*').expect(200);
    expect(closed.body).toMatchObject({ status: 'closed', pending: eur(0) });
    expect(await accountOf(ada)).toMatchObject({ available: eur(1000), pending: eur(1000) });
    expect((await ada.api.get('/v1/transfers?status=voided&limit=100').expect(200)).body.data).toHaveLength(50);
  });

  it('and a closing that is refused give nothing back', async () => {
    const id = await sentId(ada, bob, 1, pending);
    const { body } = await bob.api.post(`/v1/accounts/${bob.accountId}/close`).set('if-match', '*').expect(409);
    expect(body.code).toBe('balance-not-zero');
    expect((await ada.api.get(`/v1/transfers/${id}`).expect(200)).body.status).toBe('pending');
  });
});

describe('an operator', () => {
  it('does nothing to an account of their own that others could not', async () => {
    const own = (await operator.api.post('/v1/accounts', { currency: 'EUR' }).expect(201)).body.id;
    const mine = { ...operator, accountId: own };
    const refused: [string, PromiseLike<{ status: number; body: { code: string } }>][] = [
      ['deposit', operator.api.post('/v1/deposits', { accountId: own, amount: eur(5) })],
      ['overdraft', edit(mine, { overdraftLimit: eur(5) })],
      ['limit', edit(mine, { maxBalance: eur(5) })],
      ['freezing', edit(mine, { frozen: false })],
    ];
    for (const [what, answer] of refused) {
      const { status, body } = await answer;
      expect([what, status, body.code]).toEqual([what, 403, 'own-account']);
    }
    await edit(mine, { name: 'Savings' }).expect(200);
    // Neither takes what is only reserved for them, nor takes back what they have sent.
    const waiting = await sentId(ada, mine, 10, pending);
    expect((await operator.api.post(`/v1/transfers/${waiting}/post`).expect(403)).body.code).toBe('own-account');
    await ada.api.post(`/v1/transfers/${waiting}/post`).expect(200);
    const sent = await sentId(mine, bob, 10);
    expect((await operator.api.post(`/v1/transfers/${sent}/reversals`).expect(403)).body.code).toBe('own-account');
    await bob.api.post(`/v1/transfers/${sent}/reversals`).expect(201);
  });

  it('reads how the settings of an account were changed, by whom and why', async () => {
    await ada.api.patch(`/v1/accounts/${ada.accountId}`, { name: 'Rent' }).set('if-match', '*').expect(200);
    await edit(ada, { overdraftLimit: eur(5), reason: 'Good customer' }).expect(200);
    const { body } = await operator.api.get(`/v1/accounts/${ada.accountId}/changes`).expect(200);
    expect(body.data).toMatchObject([
      { version: 3, overdraftLimit: eur(5), maxBalance: null, reason: 'Good customer', createdById: operator.id },
      { version: 2, name: 'Rent', overdraftLimit: eur(0), reason: null, createdById: ada.id },
    ]);
    await ada.api.get(`/v1/accounts/${ada.accountId}/changes`).expect(403);
    await operator.api.get(`/v1/accounts/${showId('acct', newId())}/changes`).expect(404);
  });
});
