import { newId, showId } from '../src/kernel/ids.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { atOnce, crowd, inFlight, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { accountsBy, between, eur, letPass, send, sentId } from './support/transfers.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let operator: Person;
beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '20000' });
  make = makers(service);
  operator = await make.operator();
});
afterEach(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
});
afterAll(() => service.close());

const { accountOf, edit } = accountsBy(() => operator.api);
const batch = (who: Person, mode: string, transfers: object[]) =>
  who.api.post('/v1/transfers/batch', { mode, transfers });
const two = async (balance: number) => (await crowd(service, 2, { balance })) as [Person, Person];
const close = (person: Person) => operator.api.post(`/v1/accounts/${person.accountId}/close`).set('if-match', '*');
const pending = { type: 'pending' };
const rounds = fullCount(8, 50);
type Tally = ReturnType<typeof tally>;

describe('batches with the same ids at once', () => {
  // Between accounts of their own, so that no lock makes one wait for the other.
  const pairs = async () => {
    const people = await crowd(service, 8, { balance: 1000 });
    return [0, 2, 4, 6].map((n) => [people[n]!, people[n + 1]!] as const);
  };
  const outcomes = ({ body }: { body: { data: { refusal: { code: string } | null }[] } }) =>
    body.data.map(({ refusal }) => refusal?.code ?? 'made');

  it('have an answer for each transfer where they are partial: it is made by one and is none of the others’', async () => {
    const racers = await pairs();
    for (let round = 0; round < rounds; round++) {
      const ids = Array.from({ length: 5 }, () => showId('tr', newId()));
      const answers = await atOnce(4, (n) => {
        const [from, to] = racers[n]!;
        return batch(from, 'partial', [...ids.map((id) => between(from, to, 1, { id })), between(from, to, 1)]);
      });
      expect(tally(answers)).toEqual({ '207': 4 });
      const all = answers.map(outcomes);
      for (const n of ids.keys())
        // Of somebody else, who keeps it to themselves.
        expect(all.map((one) => one[n]).sort()).toEqual(['made', ...Array(3).fill('transfer-not-found')]);
      expect(all.map((one) => one[5])).toEqual(Array(4).fill('made'));
    }
  });

  it('are made by one where they are atomic, and the others are told which transfer it was', async () => {
    const racers = await pairs();
    for (let round = 0; round < rounds; round++) {
      const id = showId('tr', newId());
      const answers = await atOnce(4, (n) => {
        const [from, to] = racers[n]!;
        return batch(from, 'atomic', [between(from, to, 1), between(from, to, 1, { id })]);
      });
      expect(tally(answers)).toEqual({ '201': 1, '404 transfer-not-found': 3 });
      for (const { status, body } of answers)
        if (status === 404) expect(body.errors).toEqual([{ pointer: '/transfers/1/id', code: 'transfer-not-found' }]);
    }
  });
});

describe('a pending transfer', () => {
  it('is posted by one of twenty', async () => {
    const [a, b] = await two(1000);
    const id = await sentId(a, b, 600, pending);
    const answers = await atOnce(20, (n) =>
      (n % 2 ? a : operator).api.post(`/v1/transfers/${id}/post`, { amount: eur(n + 1) }),
    );
    expect(tally(answers)).toEqual({ '200': 1, '409 already-posted': 19 });
    const { body } = answers.find(({ status }) => status === 200)!;
    expect((await accountOf(b)).balance.amount).toBe(1000 + body.postedAmount.amount);
  });

  it('is posted or voided, never both, whoever is first', async () => {
    const [a, b] = await two(1000);
    for (let round = 0; round < rounds; round++) {
      const id = await sentId(a, b, 10, pending);
      const answers = await atOnce(8, (n) =>
        n % 2 ? a.api.post(`/v1/transfers/${id}/post`) : b.api.post(`/v1/transfers/${id}/void`),
      );
      const winners = answers.filter(({ status }) => status === 200);
      expect(winners).toHaveLength(1);
      const { status } = winners[0]!.body;
      expect(tally(answers)).toEqual({ '200': 1, [`409 already-${status}`]: 7 });
    }
  });

  it('and what is spent meanwhile never take more than there is', async () => {
    const [a, b] = await two(100);
    const answers = await atOnce(40, (n) => send(a, b, 30, n % 2 ? {} : { type: 'pending' }));
    expect(tally(answers)).toEqual({ '201': 3, '422 insufficient-funds': 37 });
    expect((await accountOf(a)).available.amount).toBe(10);
  });

  it('that has expired gives its room to one of many that need it, on both sides at once', async () => {
    const [a, b] = await two(100);
    for (let n = 0; n < 10; n++)
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const)
        await sentId(from, to, 10, { ...pending, expiresInSeconds: 60 });
    await letPass(service, 61);
    const [c] = (await crowd(service, 1)) as [Person];
    const answers = await atOnce(24, (n) => send(n % 2 ? a : b, c, 100));
    expect(tally(answers)).toEqual({ '201': 2, '422 insufficient-funds': 22 });
    expect((await accountOf(c)).balance.amount).toBe(200);
  });
});

describe('reversals', () => {
  it('in parallel never move back more than was moved', async () => {
    const [a, b] = await two(1000);
    const { body } = await send(a, b, 100).expect(201);
    const answers = await atOnce(20, (n) =>
      (n % 2 ? b : operator).api.post(`/v1/transfers/${body.id}/reversals`, { amount: eur(30) }),
    );
    expect(tally(answers)).toEqual({ '201': 3, '422 exceeds-remaining': 17 });
    expect((await accountOf(a)).balance.amount).toBe(990);
  });
});

describe('batches', () => {
  it('beside each other and beside single transfers, in opposite orders, end without a deadlock and keep the sum', async () => {
    const people = await crowd(service, 6, { balance: 1000 });
    const forth = people.slice(1).map((to, n) => between(people[0]!, to, n + 1));
    const answers = await inFlight(32, fullCount(96, 2000), (n) => {
      const [from, to] = [people[n % 6]!, people[(n + 1 + (n % 5)) % 6]!];
      if (n % 3 === 0) return batch(people[0]!, 'atomic', n % 2 ? forth : [...forth].reverse());
      if (n % 3 === 1) return batch(from, 'partial', [between(from, to, 3), between(from, people[(n + 2) % 6]!, 2)]);
      return send(from, to, 4);
    });
    for (const answer of Object.keys(tally(answers))) expect(answer).toMatch(/^20[17]$|insufficient-funds$/);
    const sums = await Promise.all(people.map(async (person) => (await accountOf(person)).balance.amount as number));
    expect(sums.reduce((sum, one) => sum + one, 0)).toBe(6000);
  });

  it('with the same ids make each transfer once', async () => {
    const [a, b] = await two(1000);
    const transfers = Array.from({ length: 5 }, () => between(a, b, 10, { id: showId('tr', newId()) }));
    const answers = await atOnce(8, () => batch(a, 'atomic', transfers));
    expect(tally(answers)).toEqual({ '201': 1, '409 transfer-exists': 7 });
    expect((await accountOf(b)).balance.amount).toBe(1050);
  });
});

describe('the client’s own id', () => {
  it('is stored once of twenty', async () => {
    const [a, b] = await two(1000);
    const id = showId('tr', newId());
    const answers = await atOnce(20, () => send(a, b, 10, { id }));
    expect(tally(answers)).toEqual({ '201': 1, '409 transfer-exists': 19 });
    expect((await accountOf(b)).balance.amount).toBe(1010);
  });
});

describe('conditions', () => {
  it('on one version let one of twenty pass', async () => {
    const [a, b] = await two(1000);
    const { balanceVersion } = await accountOf(a);
    const answers = await atOnce(20, () => send(a, b, 10, { conditions: { from: { ifVersion: balanceVersion } } }));
    expect(tally(answers)).toEqual({ '201': 1, '409 condition-not-met': 19 });
  });
});

describe('the settings of an account', () => {
  it('of ten edits with one ETag one is made', async () => {
    const [a] = await two(0);
    const answers = await atOnce(10, (n) =>
      operator.api.patch(`/v1/accounts/${a.accountId}`, { overdraftLimit: eur(n) }).set('if-match', '"1"'),
    );
    expect(tally(answers)).toEqual({ '200': 1, '412 version-mismatch': 9 });
  });

  it('close an account before money comes or not at all', async () => {
    for (let round = 0; round < rounds; round++) {
      const [a] = await two(1000);
      const [b] = (await crowd(service, 1)) as [Person];
      const [closing, ...sent] = await Promise.all([
        close(b),
        ...[1, 2, 3, 4].map((n) => send(a, b, n, n % 2 ? {} : { type: 'pending' })),
      ]);
      const [direct, waiting] = [
        [sent[0]!, sent[2]!],
        [sent[1]!, sent[3]!],
      ].map(tally) as [Tally, Tally];
      // What was pending by then was given back; what comes after it is refused.
      if (closing.status === 200) {
        expect(direct).toEqual({ '409 cannot-receive': 2 });
        for (const answer of Object.keys(waiting)) expect(answer).toMatch(/^201$|^409 cannot-receive$/);
        expect(await accountOf(a)).toMatchObject({ balance: eur(1000), available: eur(1000) });
      } else {
        expect(closing.body.code).toMatch(/^(balance-not-zero|pending-transfers)$/);
        expect([direct, waiting]).toEqual([{ '201': 2 }, { '201': 2 }]);
      }
    }
  });

  it('freeze an account between two transfers, never within one', async () => {
    const [a, b] = await two(1000);
    const [frozen, ...sent] = await Promise.all([
      edit(a, { frozen: true, reason: 'Suspected' }),
      ...Array.from({ length: 20 }, (_, n) => (n % 2 ? send(a, b, 1) : send(b, a, 1))),
    ]);
    expect(frozen.status).toBe(200);
    for (const answer of Object.keys(tally(sent)))
      expect(answer).toMatch(/^201$|^409 (account-frozen|cannot-receive)$/);
    const [row] = await service.database.query<{ late: string }>(
      `SELECT count(*) AS late FROM entry e JOIN account a ON a.id = e.account_id WHERE a.id = $1
       AND e.created_at > (SELECT max(c.created_at) FROM account_change c WHERE c.account_id = a.id)`,
      [uuidOf(a.accountId)],
    );
    expect(row!.late).toBe('0');
  });

  it('lower a limit or let it be used, never both', async () => {
    for (let round = 0; round < rounds; round++) {
      const [a, b] = await two(0);
      await edit(a, { overdraftLimit: eur(100) }).expect(200);
      const [lowered, sent] = await Promise.all([edit(a, { overdraftLimit: eur(0) }), send(a, b, 50)]);
      expect([lowered.status, sent.status].sort()).toEqual([200 + (sent.status === 201 ? 1 : 0), 422]);
    }
  });
});

it('a mix of everything that moves money leaves books that add up', async () => {
  const people = await crowd(service, 5, { balance: 500 });
  const open: string[] = [];
  const all: string[] = [];
  const answers = await inFlight(24, fullCount(250, 5000), async (n) => {
    const [from, to] = [people[n % 5]!, people[(n * 7 + 1) % 5]!];
    const [waiting, any] = [open[n % (open.length || 1)] ?? 'none', all[n % (all.length || 1)] ?? 'none'];
    switch (n % 7) {
      case 0:
      case 1: {
        const sent = await send(from, to, (n % 90) + 1, { type: 'pending', expiresInSeconds: n % 4 ? 3600 : 1 });
        if (sent.status === 201) open.push(sent.body.id);
        return sent;
      }
      case 2:
        return operator.api.post(`/v1/transfers/${waiting}/post`);
      case 3:
        return operator.api.post(`/v1/transfers/${waiting}/void`);
      case 4:
        return operator.api.post(`/v1/transfers/${any}/reversals`, { amount: eur((n % 40) + 1) });
      case 5:
        return batch(from, 'partial', [
          between(from, to, 5),
          between(from, people[(n + 3) % 5]!, 700, { type: 'pending' }),
        ]);
      default: {
        const sent = await send(from, to, (n % 300) + 1);
        if (sent.status === 201) all.push(sent.body.id);
        return sent;
      }
    }
  });
  for (const answer of Object.keys(tally(answers)))
    expect(answer).toMatch(
      /^20[017]$|^404 |insufficient-funds|same-account|already-|expired|exceeds-remaining|not-posted|not-reversible/,
    );
  const sums = await Promise.all(people.map(async (person) => (await accountOf(person)).balance.amount as number));
  expect(sums.reduce((sum, one) => sum + one, 0)).toBe(2500);
});
