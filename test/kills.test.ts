/** @servers any */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { atOnce, crowd, eventually } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';
import { buildService, keepAliveClient, killServices, type Reply, startService } from './support/process.ts';
import { randomFrom } from './support/random.ts';
import { testSecret } from './support/secret.ts';
import { between } from './support/transfers.ts';

let home: TestApp;
let people: Person[];
let skuIds: string[];
beforeAll(async () => {
  await buildService();
  home = await startApp();
  people = await crowd(home, 4, { balance: 10_000_000 });
  const { skus } = await makers(home).product({ onHand: [1_000_000, 1_000_000], price: 3 });
  skuIds = skus.map(({ id }) => id);
});
afterEach(killServices);
afterAll(async () => {
  expect(await findMistakes(home.database)).toEqual([]);
  await home.close();
});

/** A request with its key: sent, and sent again with the same key until it is answered. */
interface Keyed {
  readonly key: string;
  readonly path: string;
  readonly who: Person;
  readonly body: object;
}

const kills = fullCount(2, 20);
const perKill = 400;
const atATime = 40;

it(`what was acknowledged is there, and what was not is done once by its key, over ${kills} kills in the middle of batches`, async () => {
  const random = randomFrom(20261130);
  let acknowledged = 0;
  for (let kill = 0; kill < kills; kill++) {
    const asked = Array.from({ length: perKill }, (_, n) => requestOf(n));
    const answers = new Map<string, Reply>();
    const service = start();
    const first = keepAliveClient(atATime);
    const url = await service.url;
    let isKilled = false;
    const sending = inTurn(asked, async (one) => {
      if (isKilled) return;
      const reply = await send(first, url, one).catch(() => null);
      if (reply !== null) answers.set(one.key, reply);
    });
    await eventually(
      () => Promise.resolve(answers.size),
      (n) => n >= random.whole(1, 120),
    );
    await sleep(random.whole(0, 40));
    service.kill('SIGKILL');
    isKilled = true;
    await service.exit;
    await sending;
    first.close();
    for (const { status } of answers.values()) expect(status).toBe(201);
    acknowledged += answers.size;

    const again = start();
    const [second, base] = [keepAliveClient(atATime), await again.url];
    await inTurn(asked, async (one) => {
      const reply = await send(second, base, one);
      const before = answers.get(one.key);
      expect([one.path, reply.status]).toEqual([one.path, 201]);
      if (before !== undefined)
        expect(reply).toMatchObject({ body: before.body, headers: { 'idempotent-replayed': 'true' } });
      answers.set(one.key, reply);
    });
    expect(new Set([...answers.values()].map(({ body }) => body.id)).size).toBe(perKill);
    second.close();
    again.kill('SIGKILL');
    await again.exit;
  }
  // Otherwise nothing was killed in the middle, or nothing went through a lane.
  expect(acknowledged).toBeGreaterThan(kills);
  expect(acknowledged).toBeLessThan(kills * perKill);
  expect(await sharedTransactions()).toBeGreaterThan(kills);
  const [row] = await home.database.query<{ transfers: number; orders: number }>(
    `SELECT (SELECT count(*)::int FROM transfer WHERE kind IN ('transfer', 'payment')) AS transfers, (SELECT count(*)::int FROM "order") AS orders`,
  );
  expect(row).toEqual({ transfers: kills * perKill, orders: (kills * perKill) / 4 });
  // Each is told once, and nothing else is.
  const untold = await home.database.query(`
    SELECT happened.id, count(e.id) AS events FROM (SELECT id FROM transfer UNION ALL SELECT id FROM "order") AS happened
    FULL JOIN event e ON e.subject_id = happened.id GROUP BY happened.id HAVING count(e.id) <> 1 OR happened.id IS NULL`);
  expect(untold).toEqual([]);
});

const start = () =>
  startService({
    DATABASE_WRITE_URL: home.database.urls.app,
    DATABASE_READ_URL: home.database.urls.reader,
    AUTH_SECRET: testSecret,
  });

function requestOf(n: number): Keyed {
  const [who, other] = [people[n % 4]!, people[(n + 1) % 4]!];
  const key = randomUUID();
  if (n % 4 !== 0) return { key, path: '/v1/transfers', who, body: between(who, other, 1) };
  const items = skuIds.map((skuId) => ({ skuId, quantity: 1 }));
  return { key, path: '/v1/orders', who, body: { items, payment: { accountId: who.accountId } } };
}

const send = (client: ReturnType<typeof keepAliveClient>, url: string, { key, path, who, body }: Keyed) =>
  client.send('POST', `${url}${path}`, who.token, body, key);

/** So many at a time. */
async function inTurn(asked: readonly Keyed[], work: (one: Keyed) => Promise<void>): Promise<void> {
  let next = 0;
  await atOnce(atATime, async () => {
    for (let one = asked[next++]; one !== undefined; one = asked[next++]) await work(one);
  });
}

/** Transactions that have stored more than one transfer. */
async function sharedTransactions(): Promise<number> {
  const [row] = await home.database.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM (SELECT FROM transfer WHERE kind <> 'deposit' GROUP BY xmin::text HAVING count(*) > 1) AS t`,
  );
  return row?.n ?? 0;
}
