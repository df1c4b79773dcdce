import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { defineEvent } from '../src/events/event-type.ts';
import { Events } from '../src/events/events.ts';
import { newId, readId } from '../src/kernel/ids.ts';
import { EventWaiters } from '../src/modules/events/event-waiters.ts';
import { Drain } from '../src/operations/drain.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { api, serve, startApp, type TestApp } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';

const told = defineEvent({
  type: 'probe.told',
  meaning: 'A test has done something.',
  subject: 'ord',
  data: z.object({ mark: z.string() }),
});

let service: TestApp;
let ada: Person;
let bob: Person;
// Three may be answered at a time, and reads are of the primary, so that no replica is waited for.
beforeAll(async () => {
  service = await startApp({ EVENT_POLL_INTERVAL_MS: '200', HTTP_MAX_IN_FLIGHT: '3', DATABASE_READ_URL: '' });
  const make = makers(service);
  [ada, bob] = [await make.user(), await make.user()];
});
afterAll(() => service.close());

type Instance = Pick<TestApp, 'app'>;
const record = (owner: Person, mark: string, { app }: Instance = service) =>
  app
    .get(Transactions)
    .run({ name: 'test.record' }, async () =>
      app.get(Events).record(told({ subject: newId(), owner: readId(owner.id), data: { mark } })),
    );
const now = async ({ api: by }: Pick<Person, 'api'>): Promise<string> =>
  (await by.get('/v1/events?from=now').expect(200)).body.nextCursor;
const waiting = ({ app }: Instance = service): number => app.get(EventWaiters).count;
const untilWaiting = (count: number, instance?: Instance) =>
  eventually(
    async () => waiting(instance),
    (waiters) => waiters === count,
    5000,
  );
/** Waits for an event, and tells when the answer came. */
const wait = (reader: Person, cursor: string, seconds: number, by = reader.api) =>
  by
    .get(`/v1/events?cursor=${cursor}`)
    .set('prefer', `wait=${seconds}`)
    .then(({ status, body, headers }) => ({ status, body, headers, at: performance.now() }));

describe('a request that waits', () => {
  it('is answered when something was stored for its caller, and sleeps over what is for others', async () => {
    const pending = wait(ada, await now(ada), 10);
    await untilWaiting(1);
    await record(bob, 'foreign');
    await sleep(300);
    expect(waiting()).toBe(1);
    await record(ada, 'own');
    const { status, body, headers } = await pending;
    expect([status, headers['preference-applied']]).toEqual([200, 'wait=10']);
    expect(body.data).toMatchObject([{ type: 'probe.told', data: { mark: 'own' } }]);
  });

  it('learns of what this instance has stored within a tenth of a second, as a rule', async () => {
    const delays: number[] = [];
    for (let n = 0; n < 5; n++) {
      const pending = wait(ada, await now(ada), 10);
      await untilWaiting(1);
      await record(ada, `soon-${n}`);
      const storedAt = performance.now();
      delays.push((await pending).at - storedAt);
    }
    expect(delays.sort((a, b) => a - b)[2]).toBeLessThan(100);
  });

  it('is answered with nothing and a cursor when its time is over, and at once where nobody asks to wait', async () => {
    const cursor = await now(ada);
    const begun = performance.now();
    const { body, at } = await wait(ada, cursor, 1);
    expect([body.data, body.hasMore, typeof body.nextCursor]).toEqual([[], false, 'string']);
    expect(at - begun).toBeGreaterThan(900);
    const { headers } = await ada.api.get(`/v1/events?cursor=${cursor}`).expect(200);
    expect(headers).not.toHaveProperty('preference-applied');
    expect(performance.now() - at).toBeLessThan(500);
  });

  it('learns of what another instance has stored and relayed', async () => {
    const other = await serve(service.database, { EVENT_POLL_INTERVAL_MS: '0', DATABASE_READ_URL: '' });
    try {
      const by = api(other.url, ada.token);
      const pending = wait(ada, await now({ api: by }), 10, by);
      await untilWaiting(1, other);
      await record(ada, 'elsewhere');
      expect((await pending).body.data).toMatchObject([{ data: { mark: 'elsewhere' } }]);
    } finally {
      await other.app.close();
    }
  });

  it('holds no place of those who are answered, and no connection', async () => {
    const cursor = await now(ada);
    const pending = Array.from({ length: 10 }, async (_, n) => {
      await sleep(n * 30);
      return wait(ada, cursor, 10);
    });
    await untilWaiting(10);
    for (let n = 0; n < 5; n++) await bob.api.get('/v1/users/me').expect(200);
    await record(ada, 'all');
    for (const { status, body } of await Promise.all(pending)) {
      expect(status).toBe(200);
      expect(body.data).toMatchObject([{ data: { mark: 'all' } }]);
    }
  });

  it('is refused where too many of its user wait', async () => {
    const cursor = await now(ada);
    const pending = Array.from({ length: 20 }, async (_, n) => {
      await sleep(n * 30);
      return wait(ada, cursor, 10);
    });
    await untilWaiting(20);
    const { status, body } = await wait(ada, cursor, 10);
    expect([status, body.code]).toEqual([503, 'temporary-reduced-capacity']);
    await record(ada, 'enough');
    await Promise.all(pending);
  });

  it('ends when its caller goes away', async () => {
    const client = new AbortController();
    const headers = { authorization: `Bearer ${ada.token}`, prefer: 'wait=20' };
    const path = `${service.url}/v1/events?cursor=${await now(ada)}`;
    const pending = fetch(path, { headers, signal: client.signal }).catch(() => null);
    await untilWaiting(1);
    client.abort();
    await pending;
    await untilWaiting(0);
  });

  it('ends when the instance is about to stop, and when it stops', async () => {
    const other = await serve(service.database, { EVENT_POLL_INTERVAL_MS: '200', DATABASE_READ_URL: '' });
    const by = api(other.url, ada.token);
    const first = wait(ada, await now({ api: by }), 20, by);
    await untilWaiting(1, other);
    other.app.get(Drain).begin();
    expect((await first).body.data).toEqual([]);
    const begun = performance.now();
    expect((await wait(ada, await now({ api: by }), 20, by)).status).toBe(200);
    expect(performance.now() - begun).toBeLessThan(2000);
    await other.app.close();

    const third = await serve(service.database, { EVENT_POLL_INTERVAL_MS: '200', DATABASE_READ_URL: '' });
    const last = wait(ada, await now({ api: api(third.url, ada.token) }), 20, api(third.url, ada.token));
    await untilWaiting(1, third);
    const closing = third.app.close();
    expect((await last).status).toBe(200);
    await closing;
  });
});
