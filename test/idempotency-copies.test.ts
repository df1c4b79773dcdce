/** @servers any */
import { randomUUID } from 'node:crypto';
import type { Response } from 'supertest';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { crowd, eventually, inFlight } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { randomFrom } from './support/random.ts';

// Many copies of many requests. That a key is claimed once is the server's: test/idempotency.test.ts asks each of them, with fifty copies of one.

let service: TestApp;
let make: ReturnType<typeof makers>;
let bob: Person;
beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '20000' });
  make = makers(service);
  [bob] = (await crowd(service, 1)) as [Person];
});
afterEach(async () => expect(await findMistakes(service.database)).toEqual([]));
afterAll(() => service.close());

const eur = (amount: number) => ({ amount, currency: 'EUR' });
const body = (amount: number, from: Person, to: Person) => ({
  fromAccountId: from.accountId,
  toAccountId: to.accountId,
  amount: eur(amount),
});
/** What a client keeps of an answer. */
const kept = ({ status, text, headers }: Response) => ({
  status,
  text,
  location: headers['location'],
  etag: headers['etag'],
  type: headers['content-type'],
});
const transfersOf = async (by: Person): Promise<number> =>
  Number(
    (
      await service.database.query<{ n: string }>(
        `SELECT count(*) AS n FROM transfer WHERE created_by_id = $1 AND kind = 'transfer'`,
        [uuidOf(by.id)],
      )
    )[0]?.n,
  );

const keys = fullCount(100, 10_000);
it(`copies at once of ${keys} requests, two to ten of each, have one effect and one answer each`, async () => {
  const random = randomFrom(20261121);
  const people = await crowd(service, 8, { balance: 5 * keys });
  const requests = Array.from({ length: keys }, (_, n) => ({
    key: randomUUID(),
    by: people[n % 8]!,
    // Some are refused, which is an answer as well.
    amount: n % 5 === 0 ? 2_000_000_000 : random.whole(1, 5),
  }));
  const copies = requests.flatMap((request) => Array.from({ length: random.whole(2, 10) }, () => request));
  // Copies of one stand next to each other, so that they meet.
  const answers = await inFlight(24, copies.length, async (n) => {
    const { key, by, amount } = copies[n]!;
    return eventually(
      async () => by.api.post('/v1/transfers', body(amount, by, bob)).set('idempotency-key', key),
      ({ status }) => status !== 409,
    );
  });
  const seen = new Map<string, Set<string>>();
  const first = new Map<string, number>();
  copies.forEach(({ key }, n) => {
    const answer = answers[n]!;
    seen.set(key, (seen.get(key) ?? new Set()).add(JSON.stringify(kept(answer))));
    if (answer.headers['idempotent-replayed'] === undefined) first.set(key, (first.get(key) ?? 0) + 1);
  });
  expect([...seen.values()].filter(({ size }) => size !== 1)).toEqual([]);
  expect([...first.values()].filter((times) => times !== 1)).toEqual([]);
  expect(first.size).toBe(keys);
  for (const person of people) {
    const granted = requests.filter(({ by, amount }) => by === person && amount < 10);
    expect(await transfersOf(person)).toBe(granted.length);
    expect(await make.balanceOf(person)).toBe(5 * keys - granted.reduce((sum, { amount }) => sum + amount, 0));
  }
});
