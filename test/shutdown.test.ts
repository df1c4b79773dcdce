/** @servers any */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startApp, type TestApp, type Variables } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { crowd, eventually, underLoad } from './support/crowd.ts';
import { type Person, uuidOf } from './support/make.ts';
import {
  buildService,
  type Exit,
  keepAliveClient,
  killServices,
  leastEnvironment,
  type Reply,
  type ServiceProcess,
  startService,
} from './support/process.ts';
import { testSecret } from './support/secret.ts';

const drainMs = 2000;
let home: TestApp;
let alice: Person;
let bob: Person;
beforeAll(async () => {
  await buildService();
  home = await startApp();
  [alice, bob] = (await crowd(home, 2, { balance: 1_000_000 })) as [Person, Person];
});
afterEach(async () => {
  await killServices();
  expect(await findMistakes(home.database)).toEqual([]);
});
afterAll(() => home.close());

const start = (variables: Variables = {}): ServiceProcess =>
  startService({
    DATABASE_WRITE_URL: home.database.urls.app,
    DATABASE_READ_URL: home.database.urls.reader,
    AUTH_SECRET: testSecret,
    SHUTDOWN_DRAIN_MS: String(drainMs),
    // A busy machine takes its time to connect.
    DATABASE_POOL_WAIT_MS: '6000',
    ...variables,
  });
const transfer = (from: Person, to: Person) => ({
  fromAccountId: from.accountId,
  toAccountId: to.accountId,
  amount: { amount: 1, currency: 'EUR' },
});

let held: pg.Client | null = null;
afterEach(async () => {
  await held?.end();
  held = null;
});

/** Holds Alice's account, so that a transfer from it takes as long as it is held. */
async function holdAlice(): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: home.database.urls.owner });
  await client.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM account WHERE id = $1 FOR UPDATE', [uuidOf(alice.accountId)]);
  const letGo = async (): Promise<void> => {
    if (held === client) await client.end();
    held = null;
  };
  held = client;
  return letGo;
}

/** Resolves when a statement waits for that account. */
const isWaiting = async (): Promise<void> => {
  const waiting = `SELECT FROM pg_locks WHERE NOT granted`;
  await eventually(
    async () => (await home.database.query(waiting)).length,
    (n) => n > 0,
  );
};

describe('SIGTERM', () => {
  it('under load no request fails, though the balancer learns of it one second late', async () => {
    // On a busy machine the balancer itself is late: its probe waits behind all that it sends.
    const drain = { SHUTDOWN_DRAIN_MS: '8000' };
    const services = [start(drain), start(drain)];
    const urls = await Promise.all(services.map(({ url }) => url));
    const client = keepAliveClient(16);
    const probe = keepAliveClient(2);
    // What the balancer believes: it asks every 100 ms and acts on an answer that is a second old.
    const inUse = new Set(urls);
    const seen: { url: string; status: number; live: number }[] = [];
    const statusOf = (url: string): Promise<number> =>
      probe.send('GET', url).then(
        ({ status }) => status,
        () => 0,
      );
    const balance = async (n: number): Promise<void> => {
      const url = urls[n] as string;
      const status = await statusOf(`${url}/readyz`);
      seen.push({ url, status, live: await statusOf(`${url}/livez`) });
      if (status !== 200) setTimeout(() => inUse.delete(url), 1000);
      await sleep(100);
    };

    const replies: Reply[] = [];
    const failures: unknown[] = [];
    let sent = 0;
    const ask = (n: number): Promise<unknown> => {
      const url = [...inUse][sent++ % inUse.size] as string;
      const [from, to] = n % 2 === 0 ? [alice, bob] : [bob, alice];
      const reply =
        sent % 3 === 0
          ? client.send('POST', `${url}/v1/transfers`, from.token, transfer(from, to))
          : client.send('GET', `${url}/v1/users/me`, from.token);
      return reply.then(
        (answer) => replies.push(answer),
        (error: unknown) => failures.push(error),
      );
    };
    let end: Exit | null = null;
    await underLoad(2, balance, () =>
      underLoad(12, ask, async () => {
        await eventually(
          async () => replies.length,
          (n) => n > 200,
        );
        services[0]!.kill('SIGTERM');
        end = await services[0]!.exit;
        const last = replies.length;
        await eventually(
          async () => replies.length,
          (n) => n > last + 50,
        );
      }),
    );
    client.close();
    probe.close();

    expect(end).toMatchObject({ code: 0, said: expect.not.stringContaining('cut') });
    expect(failures).toEqual([]);
    expect(replies.filter(({ status }) => status !== 200 && status !== 201)).toEqual([]);
    // It asked for its connections to be given up, while it went on serving on them.
    expect(replies.filter(({ headers }) => headers.connection === 'close').length).toBeGreaterThan(20);
    const stopping = seen.filter(({ url, status }) => url === urls[0] && status === 503);
    expect(stopping.length).toBeGreaterThan(5);
    expect(stopping.filter(({ live }) => live !== 200).length).toBeLessThanOrEqual(1); // the last probe meets a closed port
  });

  it('tells probes that it stops, and whoever asks nevertheless is served until the drain is over', async () => {
    const service = start();
    const url = await service.url;
    const client = keepAliveClient();
    expect((await client.send('GET', `${url}/readyz`)).headers.connection).toBe('keep-alive');
    service.kill('SIGTERM');
    const ready = await eventually(
      () => client.send('GET', `${url}/readyz`),
      ({ status }) => status === 503,
    );
    expect(ready.body).toMatchObject({ status: 'error', details: { serving: { status: 'down' } } });
    expect((await client.send('GET', `${url}/livez`)).status).toBe(200);
    const me = await client.send('GET', `${url}/v1/users/me`, alice.token);
    expect({ status: me.status, connection: me.headers.connection }).toEqual({ status: 200, connection: 'close' });
    expect((await service.exit).code).toBe(0);
    await expect(client.send('GET', `${url}/livez`)).rejects.toThrow(/ECONNREFUSED/);
    client.close();
  });

  it('lets a request finish that takes longer than the drain', async () => {
    const service = start({ SHUTDOWN_DRAIN_MS: '200' });
    const url = await service.url;
    const client = keepAliveClient();
    const letGo = await holdAlice();
    const slow = client.send('POST', `${url}/v1/transfers`, alice.token, transfer(alice, bob));
    await isWaiting();
    service.kill('SIGTERM');
    await eventually(
      () =>
        keepAliveClient(1)
          .send('GET', `${url}/livez`)
          .then(
            () => 'open',
            () => 'closed',
          ),
      (state) => state === 'closed',
    );
    await letGo();
    const reply = await slow;
    expect(reply.status).toBe(201);
    expect((await service.exit).code).toBe(0);
    client.close();
    expect(await home.database.query('SELECT FROM transfer WHERE id = $1', [uuidOf(reply.body.id)])).toHaveLength(1);
  });

  it('a second one stops at once, with code 1, and what was cut is undone', async () => {
    const service = start({ SHUTDOWN_DRAIN_MS: '60000' });
    const url = await service.url;
    const client = keepAliveClient();
    const before = await home.database.query('SELECT id FROM transfer');
    const letGo = await holdAlice();
    const cut = expect(client.send('POST', `${url}/v1/transfers`, alice.token, transfer(alice, bob))).rejects.toThrow(
      /socket hang up|ECONNRESET/,
    );
    await isWaiting();
    service.kill('SIGTERM');
    await sleep(700); // sooner it would count as the same wish, twice
    service.kill('SIGTERM');
    const { code, said } = await service.exit;
    await cut;
    await letGo();
    expect({ code, said: said.trim().split('\n').at(-1) }).toEqual({
      code: 1,
      said: 'stopped at once: requests in flight were cut',
    });
    await sleep(200);
    expect(await home.database.query('SELECT id FROM transfer')).toHaveLength(before.length);
    client.close();
  });

  it('at the deadline it stops with code 1, whatever is still in flight', async () => {
    const service = start({ SHUTDOWN_DRAIN_MS: '0', SHUTDOWN_DEADLINE_MS: '300' });
    const url = await service.url;
    const client = keepAliveClient();
    const letGo = await holdAlice();
    const cut = expect(client.send('POST', `${url}/v1/transfers`, alice.token, transfer(alice, bob))).rejects.toThrow(
      /socket hang up|ECONNRESET/,
    );
    await isWaiting();
    service.kill('SIGTERM');
    const { code, said } = await service.exit;
    await cut;
    await letGo();
    client.close();
    expect({ code, said: said.trim().split('\n').at(-1) }).toEqual({
      code: 1,
      said: 'stopped at the deadline: requests in flight were cut',
    });
  });
});

// Ctrl-C, a terminal that is closed, Ctrl-\\.
describe.each(['SIGINT', 'SIGHUP', 'SIGQUIT'] as const)('%s', (signal) => {
  it('does not wait for a balancer, and still lets a request in flight finish', async () => {
    const service = start({ SHUTDOWN_DRAIN_MS: '60000' });
    const url = await service.url;
    const client = keepAliveClient();
    const letGo = await holdAlice();
    const slow = client.send('POST', `${url}/v1/transfers`, alice.token, transfer(alice, bob));
    await isWaiting();
    service.kill(signal);
    await sleep(300);
    await letGo();
    expect((await slow).status).toBe(201);
    expect((await service.exit).code).toBe(0);
    client.close();
  });
});

it('a service that was started with a channel to its starter ends with that, as with a terminal that is closed', async () => {
  const database = { DATABASE_WRITE_URL: home.database.urls.app, AUTH_SECRET: testSecret };
  const service = fork(join('dist', 'src', 'main.js'), {
    env: { ...leastEnvironment(), PORT: '0', LOG_LEVEL: 'warn', SHUTDOWN_DRAIN_MS: '60000', ...database },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  try {
    let said = '';
    service.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await eventually(
      async () => said,
      (text) => text.includes('ready at'),
      60_000,
    );
    const exit = once(service, 'exit');
    service.disconnect();
    expect(await Promise.race([exit, sleep(30_000, 'it goes on', { ref: false })])).toEqual([0, null]);
  } finally {
    service.kill('SIGKILL');
  }
});
