/** @servers any */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ProblemError } from '../src/kernel/problem.ts';
import { readId } from '../src/kernel/ids.ts';
import { TransferLanes } from '../src/modules/transfers/transfer-lanes.ts';
import type { NewTransfer } from '../src/modules/transfers/transfers.schema.ts';
import { channel } from 'node:diagnostics_channel';
import { api, serve, startApp, type TestApp } from './support/app.ts';
import { atOnce, crowd, eventually, tally, untilBlocked } from './support/crowd.ts';
import { fullCount } from './support/counts.ts';
import { batchesOf, endBoth, withAndWithoutLanes } from './support/lanes.ts';
import { type Person, uuidOf } from './support/make.ts';
import { expectProblem } from './support/problem.ts';
import { randomFrom } from './support/random.ts';
import { between, send } from './support/transfers.ts';

/** How many transfers may be pending from one account to another. */
const perPair = 40;

let service: TestApp;
/** The same without lanes, on a database of its own. */
let plain: TestApp;
let holder: pg.Client;
beforeAll(async () => {
  [service, plain] = await withAndWithoutLanes({ LEDGER_PENDING_PER_PAIR: `${perPair}` });
  holder = new pg.Client({ connectionString: service.database.urls.owner });
  await holder.connect();
});
afterAll(async () => {
  await holder.end();
  await endBoth([service, plain]);
});

const balanceOf = async ({ database }: TestApp, { accountId }: Person): Promise<string> =>
  (await database.query<{ b: string }>(`SELECT balance::text AS b FROM account WHERE id = $1`, [uuidOf(accountId)]))[0]!
    .b;

const principalOf = ({ id }: Person) => ({ userId: readId(id), sessionId: randomUUID(), role: 'customer' }) as const;

const asking = (from: Person, to: Person, amount: bigint): NewTransfer => ({
  type: 'direct',
  fromAccountId: readId(from.accountId),
  toAccountId: readId(to.accountId),
  amount: { amount, currency: 'EUR' },
});

describe('a batch of transfers', () => {
  const rounds = fullCount(20, 2000);

  it(`comes to the same as its transfers one after the other, ${rounds} times`, async () => {
    const random = randomFrom(20261130);
    const worlds = await Promise.all([crowd(service, 4, { balance: 1000 }), crowd(plain, 4, { balance: 1000 })]);
    const [lanes, one] = [service.app.get(TransferLanes), plain.app.get(TransferLanes)];
    for (let round = 0; round < rounds; round++) {
      // What one caller asks is done in its order.
      const sender = random.whole(0, 3);
      const plans = Array.from({ length: 16 }, () => ({
        from: sender,
        to: random.whole(0, 3),
        amount: BigInt(random.pick([1, 5, 100, 400, 5000])),
        least: random.pick([null, null, 300n]),
        type: random.pick(['direct', 'direct', 'pending'] as const),
      }));
      const asked = (
        people: readonly Person[],
        { from, to, amount, least, type }: (typeof plans)[number],
      ): NewTransfer => ({
        ...asking(people[from]!, people[to]!, amount),
        type,
        ...(least !== null && { conditions: { from: { ifAvailableAtLeast: { amount: least, currency: 'EUR' } } } }),
      });
      const principal = (people: readonly Person[], { from }: (typeof plans)[number]) => principalOf(people[from]!);
      const shown = async (answer: Promise<{ kind: string; amount: unknown; status: string }>) => {
        const [settled] = await Promise.allSettled([answer]);
        if (settled.status === 'fulfilled') return [settled.value.kind, settled.value.amount, settled.value.status];
        expect(settled.reason).toBeInstanceOf(ProblemError);
        return [(settled.reason as ProblemError).code, (settled.reason as ProblemError).message];
      };
      const [mine, theirs] = worlds;
      const submitted = plans.map((plan) => lanes.transfer(principal(mine, plan), asked(mine, plan)));
      const together = await Promise.all(submitted.map((answer) => shown(answer)));
      const alone = [];
      for (const plan of plans) alone.push(await shown(one.transfer(principal(theirs, plan), asked(theirs, plan))));
      expect(together).toEqual(alone);
      const balances = (app: TestApp, people: readonly Person[]) =>
        Promise.all(people.map((who) => balanceOf(app, who)));
      expect(await balances(service, mine)).toEqual(await balances(plain, theirs));
    }
  });

  it('counts what each sender has pending, also within the batch', async () => {
    const people = await crowd(service, 3, { balance: 1000 });
    const answers = await atOnce(90, (n) => send(people[n % 2]!, people[2]!, 1, { type: 'pending' }));
    expect(tally(answers)).toEqual({ '201': 2 * perPair, '409 too-many-pending': 90 - 2 * perPair });
  });

  it('waits for no sender whose pending transfers somebody else counts', async () => {
    const [ada, bob, eve] = (await crowd(service, 3, { balance: 1000 })) as [Person, Person, Person];
    await holder.query('BEGIN');
    await holder.query(`SELECT pg_advisory_xact_lock(hashtextextended('pending transfers of ' || $1, 0))`, [
      uuidOf(ada.id),
    ]);
    const held = send(ada, bob, 1, { type: 'pending' }).then((answer) => answer);
    const others = await atOnce(6, () => send(eve, bob, 1, { type: 'pending' }));
    expect(tally(others)).toEqual({ '201': 6 });
    await holder.query('COMMIT');
    expect((await held).status).toBe(201);
  });

  it('is one for what comes together', async () => {
    const people = await crowd(service, 8, { balance: 1000 });
    const sizes = await batchesOf(() => atOnce(64, (n) => send(people[n % 8]!, people[(n + 1) % 8]!, 1).expect(201)));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(64);
    expect(sizes.length).toBeLessThan(40);
  });

  it('refuses what an account does not hold, and that alone', async () => {
    const [ada, bob] = (await crowd(service, 2, { balance: 10 })) as [Person, Person];
    const answers = await atOnce(30, () => send(ada, bob, 1));
    expect(tally(answers)).toEqual({ '201': 10, '422 insufficient-funds': 20 });
    expect(await balanceOf(service, ada)).toBe('0');
    expect(await balanceOf(service, bob)).toBe('20');
  });
});

describe('keys in a lane', () => {
  it('have one effect and one answer, though two copies of each come at once', async () => {
    const [ada, bob] = (await crowd(service, 2, { balance: 1000 })) as [Person, Person];
    const keys = Array.from({ length: 40 }, () => randomUUID());
    const answers = await atOnce(80, (n) =>
      eventually(
        () => send(ada, bob, 1).set('idempotency-key', keys[n % 40]!),
        ({ status }) => status !== 409,
      ),
    );
    expect(answers.every(({ status }) => status === 201)).toBe(true);
    for (let n = 0; n < 40; n++) expect(answers[n]!.text).toBe(answers[n + 40]!.text);
    expect(await balanceOf(service, ada)).toBe('960');
  });

  it('that were answered before are answered again, beside others that are new, and are refused for another body', async () => {
    const [ada, bob] = (await crowd(service, 2, { balance: 1000 })) as [Person, Person];
    const keys = Array.from({ length: 20 }, () => randomUUID());
    const first = await atOnce(10, (n) => send(ada, bob, 1).set('idempotency-key', keys[n]!).expect(201));
    const again = await atOnce(20, (n) => send(ada, bob, 1).set('idempotency-key', keys[n]!).expect(201));
    first.forEach(({ text }, n) => expect(again[n]!.text).toBe(text));
    expect(again.map(({ headers }) => headers['idempotent-replayed'])).toEqual([
      ...Array<string>(10).fill('true'),
      ...Array<undefined>(10).fill(undefined),
    ]);
    const others = await atOnce(5, (n) => send(ada, bob, 2).set('idempotency-key', keys[n]!).expect(422));
    for (const other of others) expectProblem(other, 'idempotency-key-reused');
    expect(await balanceOf(service, ada)).toBe('980');
  });

  it('of two instances have one effect', async () => {
    const other = await serve(service.database);
    try {
      const [ada, bob] = (await crowd(service, 2, { balance: 1000 })) as [Person, Person];
      const keys = Array.from({ length: 40 }, () => randomUUID());
      const answers = await atOnce(80, (n) =>
        eventually(
          () =>
            api(n < 40 ? service.url : other.url, ada.token)
              .post('/v1/transfers', between(ada, bob, 1))
              .set('idempotency-key', keys[n % 40]!),
          ({ status }) => status !== 409,
        ),
      );
      for (let n = 0; n < 40; n++) expect(answers[n]!.text).toBe(answers[n + 40]!.text);
      expect(await balanceOf(service, ada)).toBe('960');
    } finally {
      await other.app.close();
    }
  });
});

describe('while somebody outside the lane holds an account', () => {
  afterEach(() => holder.query('ROLLBACK'));

  it('transfers between others are made, and those of the account are once it is free', async () => {
    const people = await crowd(service, 5, { balance: 1000 });
    // Whoever waits for one account may hold the other one meanwhile.
    const [held, receiver, ...free] = people as [Person, Person, Person, Person, Person];
    await holder.query(`BEGIN; SELECT FROM account WHERE id = '${uuidOf(held.accountId)}' FOR UPDATE`);
    let waiting = 3;
    const lanes = service.app.get(TransferLanes);
    const transfer = (from: Person, to: Person) => lanes.transfer(principalOf(from), asking(from, to, 1n));
    // All that is asked in one turn of the event loop is one batch.
    const blocked = Array.from({ length: 3 }, () => transfer(held, receiver).finally(() => waiting--));
    const beside = Array.from({ length: 9 }, (_, n) => transfer(free[n % 3]!, free[(n + 1) % 3]!));
    // A batch that waited for the account would wait as long as a statement may wait for a lock: 5 s.
    expect(await Promise.race([Promise.all(beside), sleep(4000, 'too late')])).toHaveLength(9);
    for (let round = 0; round < 5; round++)
      await atOnce(10, (n) => send(free[n % 3]!, free[(n + 1) % 3]!, 1).expect(201));
    expect(waiting).toBe(3);
    await holder.query('COMMIT');
    await Promise.all(blocked);
    expect(await balanceOf(service, held)).toBe('997');
  });
});

it('the writer of a batch reads what it has written, on the replica as well', async () => {
  const strict = await startApp({ DATABASE_READ_CONSISTENCY: 'caller' });
  try {
    const people = await crowd(strict, 4, { balance: 1000 });
    for (let round = 0; round < 10; round++)
      await atOnce(8, async (n) => {
        const [from, to] = [people[n % 4]!, people[(n + 1) % 4]!];
        const { body } = await send(from, to, 1).expect(201);
        await from.api.get(`/v1/transfers/${body.id}`).expect(200);
      });
  } finally {
    await strict.close();
  }
});

it('what waits in a lane when the service stops is done and answered', async () => {
  const stopping = await startApp();
  const outsider = new pg.Client({ connectionString: stopping.database.urls.owner });
  await outsider.connect();
  const people = await crowd(stopping, 4, { balance: 1000 });
  await outsider.query(`BEGIN; SELECT FROM account WHERE id = '${uuidOf(people[0]!.accountId)}' FOR UPDATE`);
  let begun = 0;
  const count = () => void begun++;
  channel('http.server.request.start').subscribe(count);
  const sent = atOnce(40, (n) => send(people[n % 4]!, people[(n + 1) % 4]!, 1));
  await eventually(
    () => Promise.resolve(begun),
    (n) => n === 40,
  );
  channel('http.server.request.start').unsubscribe(count);
  // Past the session's look-up, into the lane.
  await untilBlocked(stopping.database, 1);
  await sleep(200);
  const closed = stopping.app.close();
  await outsider.query('COMMIT');
  await outsider.end();
  const answers = tally(await sent);
  await closed;
  expect(answers).toEqual({ '201': 40 });
  const [row] = await stopping.database.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM transfer WHERE kind = 'transfer'`,
  );
  expect(row?.n).toBe(40);
  await stopping.database.drop();
});
