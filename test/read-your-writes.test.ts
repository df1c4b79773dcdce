/** @servers any */
import { ask, type OwnCluster, pauseReplay, replicaSuperuser, startOwnCluster } from './support/own-cluster.ts';
import { api, serve, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { crowd, eventually, inFlight } from './support/crowd.ts';
import type { Person } from './support/make.ts';
import { recordStatements } from './support/statements.ts';

let own: OwnCluster;
let service: TestApp;
let alice: Person;
let crowded: Person[];

beforeAll(async () => {
  own = await startOwnCluster();
  const { app, url } = await serve(own.database);
  const database = { ...own.database, drop: async () => undefined };
  service = { app, url, database, as: (token) => api(url, token), close: () => app.close() };
  crowded = await crowd(service, 16, { balance: 10_000 });
  alice = crowded[0]!;
});
afterEach(async () => {
  await ask(replicaSuperuser(own), 'SELECT pg_wal_replay_resume()');
  expect(await findMistakes(service.database)).toEqual([]);
});
afterAll(async () => {
  await service.close();
  await own.close();
});

const hold = () => pauseReplay(replicaSuperuser(own));
const rename = (person: Person, displayName: string) =>
  person.api.patch(`/v1/users/${person.id}`, { profile: { displayName } }).set('if-match', '*').expect(200);
const nameOf = async (person: Person): Promise<string> =>
  (await person.api.get('/v1/users/me').expect(200)).body.profile.displayName;

/** Which connections the reads of a request went over. */
async function placesOf(read: () => Promise<unknown>): Promise<string[]> {
  const statements = recordStatements();
  await read();
  statements.stop();
  const reads = statements.take().filter(({ text }) => /^SELECT "(public|t0)"/.test(text));
  expect(reads.length).toBeGreaterThan(0);
  return [...new Set(reads.map(({ connection }) => connection))];
}

/** Rows that PostgreSQL itself says it has read from this table there. */
async function rowsRead(url: string): Promise<number> {
  const [row] = await ask<{ n: string }>(
    url,
    `SELECT coalesce(idx_tup_fetch, 0) + seq_tup_read AS n FROM pg_stat_user_tables WHERE relname = 'profile'`,
  );
  return Number(row?.n);
}

describe('a read after a write on the same instance, with DATABASE_READ_CONSISTENCY=instance', () => {
  it('sees the write, 200 times over with 16 in flight', async () => {
    const stale: string[] = [];
    await inFlight(16, 200, async (n) => {
      const person = crowded[n % 16]!;
      const account = (await person.api.post('/v1/accounts', { currency: 'EUR', name: `A${n}` }).expect(201)).body.id;
      const { status, body } = await person.api.get(`/v1/accounts/${account}`);
      if (status !== 200 || body.name !== `A${n}`) stale.push(`${n}: ${status}`);
    });
    expect(stale).toEqual([]);
  });

  it('sees it though the replica stands still, and the reads return to the replica when it goes on', async () => {
    await eventually(
      () => placesOf(() => nameOf(alice)),
      (places) => places[0] === 'holdfast read',
    );
    await hold();
    for (const name of ['First', 'Second', 'Third']) {
      await rename(alice, name);
      expect(await nameOf(alice)).toBe(name);
    }
    expect(await placesOf(() => nameOf(alice))).toEqual(['holdfast write']);
    // The replica itself does not have it.
    const shown = await ask<{ n: string }>(own.database.urls.reader, `SELECT display_name AS n FROM profile`);
    expect(shown.map(({ n }) => n)).not.toContain('Third');
    await ask(replicaSuperuser(own), 'SELECT pg_wal_replay_resume()');
    await eventually(
      () => placesOf(() => nameOf(alice)),
      (places) => places[0] === 'holdfast read',
    );
    expect(await nameOf(alice)).toBe('Third');
  });

  it('sees what was stored before a write that was refused', async () => {
    await hold();
    const transfer = { fromAccountId: alice.accountId, toAccountId: crowded[1]!.accountId };
    const move = (amount: number) =>
      alice.api.post('/v1/transfers', { ...transfer, amount: { amount, currency: 'EUR' } });
    await move(1).expect(201);
    await move(100_000_000).expect(422);
    const { body } = await alice.api.get(`/v1/accounts/${alice.accountId}`).expect(200);
    expect(body.balance.amount).toBe(9999);
  });

  it('waits for the replica no longer than it may', async () => {
    await hold();
    await rename(alice, 'Waited');
    const reads = await inFlight(20, 20, async () => {
      const start = performance.now();
      expect(await nameOf(alice)).toBe('Waited');
      return performance.now() - start;
    });
    // 50 ms is what DATABASE_REPLICA_WAIT_MS allows; the rest is for twenty requests on a busy machine.
    expect(Math.max(...reads)).toBeLessThan(1500);
  });
});

describe('reads', () => {
  it('really happen on the replica, as its own statistics say', async () => {
    await eventually(
      () => placesOf(() => nameOf(alice)),
      (places) => places[0] === 'holdfast read',
    );
    const before = await rowsRead(own.database.urls.reader);
    for (let i = 0; i < 30; i++) await nameOf(alice);
    // A backend tells what it did at most once a second.
    await eventually(
      async () => {
        await nameOf(alice);
        return (await rowsRead(own.database.urls.reader)) - before;
      },
      (rows) => rows >= 30,
    );
  });

  it('inside a boundary that writes happen in it, on the primary', async () => {
    const places = await placesOf(() => rename(alice, 'Inside'));
    expect(places).toEqual(['holdfast write']);
  });
});
