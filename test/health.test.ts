/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { DatabaseProbe } from '../src/operations/database-probe.ts';
import { Drain } from '../src/operations/drain.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { api, serve, startApp, type TestApp } from './support/app.ts';
import { atOnce, eventually } from './support/crowd.ts';
import { type Proxy, startProxy } from './support/proxy.ts';
import { recordStatements } from './support/statements.ts';

let service: TestApp;
beforeAll(async () => {
  service = await startApp();
});
afterAll(() => service.close());

/** Its own question to a database; of others there is none. */
const question = 'SELECT pg_is_in_recovery() AS follows';
const paths = ['/livez', '/readyz', '/startupz'] as const;

describe('livez', () => {
  it('answers that the process lives, and asks no database', async () => {
    const statements = recordStatements();
    const answers = await Promise.all(Array.from({ length: 10 }, () => service.as().get('/livez').expect(200)));
    statements.stop();
    for (const { body } of answers) expect(body).toEqual({ status: 'ok' });
    expect(statements.take()).toEqual([]);
  });

  it('answers in whatever way its path is written, to GET and HEAD alone', async () => {
    const ask = async (method: string, path = '/livez') => {
      const response = await fetch(service.url + path, { method });
      expect(response.headers.get('request-id')).toMatch(/^req_/);
      expect(response.headers.get('cache-control')).toBe('no-store');
      return [response.status, await response.text()];
    };
    for (const path of ['/livez', '/livez?verbose', '/livez?'])
      expect([await ask('GET', path), await ask('HEAD', path)]).toEqual([
        [200, '{"status":"ok"}'],
        [200, ''],
      ]);
    for (const method of ['POST', 'DELETE', 'OPTIONS']) expect((await ask(method))[0]).toBe(405);
  });
});

describe('readyz', () => {
  it('tells of the service, of each database, and of the connections', async () => {
    const { body } = await eventually(
      () => service.as().get('/readyz').expect(200),
      (answer) => answer.body.status === 'ok',
    );
    const up = { status: 'up' };
    expect(body).toMatchObject({ status: 'ok', details: { serving: up, primary: up, replica: up, pool: up } });
  });

  it('tells of no replica where there is none', async () => {
    const { url, app } = await serve(service.database, { DATABASE_READ_URL: '' });
    const { body } = await api(url).get('/readyz').expect(200);
    expect(Object.keys(body.details as object)).toEqual(['serving', 'primary', 'pool']);
    await app.close();
  });
});

describe('startupz', () => {
  it('is answered where there is something to ask, so it has started', async () => {
    const { body } = await service.as().get('/startupz').expect(200);
    expect(body.details).toHaveProperty('primary');
  });
});

it('whoever asks, and how often: each database is asked once at a time, and not again within a second', async () => {
  const { url, app } = await serve(service.database);
  const statements = recordStatements();
  const began = performance.now();
  await atOnce(200, (n) =>
    api(url)
      .get(paths[1 + (n % 2)]!)
      .expect(200),
  );
  const seconds = (performance.now() - began) / 1000;
  await app.close();
  statements.stop();
  const asked = statements.take();
  // On connections of their own: none of the pools is asked.
  expect(asked.filter(({ connection }) => connection !== 'holdfast probe')).toEqual([]);
  expect(asked.filter(({ text }) => text === question).length).toBeLessThanOrEqual(2 * (Math.ceil(seconds) + 1));
});

describe('while all connections of the pool wait for what somebody else holds', () => {
  it('each probe answers at once and says what is true: the primary is up, the pool is full', async () => {
    const { url, app } = await serve(service.database, { DATABASE_POOL_SIZE: '2', DATABASE_POOL_WAIT_MS: '60000' });
    const transactions = app.get(Transactions);
    const holder = new pg.Client({ connectionString: service.database.urls.owner });
    await holder.connect();
    try {
      await api(url).get('/readyz').expect(200);
      await holder.query('SELECT pg_advisory_lock(1)');
      // No row: of those that wait for rows, some connections are kept free.
      const waiting = atOnce(4, () =>
        transactions.run({ name: 'waiting', lockTimeout: '60s', timeout: '60s' }, async (db) => {
          await db.$executeRaw`SELECT pg_advisory_xact_lock(1)`;
          return 'done';
        }),
      );
      const report = await eventually(
        async () => (await api(url).get('/readyz').expect(200)).body,
        ({ details }) => details.pool.status === 'degraded' && details.primary.status === 'up',
      );
      expect(report).toMatchObject({
        status: 'degraded',
        details: { serving: { status: 'up' }, primary: { status: 'up' }, pool: { message: 'full' } },
      });
      for (const path of paths) {
        const began = performance.now();
        await api(url).get(path).expect(200);
        // A wait for a place in the pool would take as long as the lock is held.
        expect(performance.now() - began).toBeLessThan(5000);
      }
      await holder.query('SELECT pg_advisory_unlock(1)');
      expect(await waiting).toEqual(['done', 'done', 'done', 'done']);
    } finally {
      await holder.end();
      await app.close();
    }
  });
});

describe('a database', () => {
  let proxy: Proxy;
  let probe: DatabaseProbe;
  const open = (url: string, isReplica: boolean): DatabaseProbe =>
    (probe = new DatabaseProbe('database', proxy.through(url), isReplica));
  beforeEach(async () => {
    proxy = await startProxy(service.database.urls.app);
  });
  afterEach(async () => {
    probe.close();
    await proxy.close();
  });
  const becomes = (state: string): Promise<string> =>
    eventually(
      () => probe.state(),
      (now) => now === state,
    );

  it('that falls silent is told of by its last state at first, and then by its silence; and again when it answers', async () => {
    open(service.database.urls.app, false);
    const firstOfSilence = async (): Promise<string> => {
      proxy.heal();
      await becomes('up');
      await sleep(1100); // by then the last answer is old
      proxy.goSilent();
      return probe.state();
    };
    // Where this process itself has stood still for a second meanwhile, it is tried again.
    await eventually(firstOfSilence, (state) => state === 'up', 60_000);
    await becomes('silent');
    proxy.heal();
    await becomes('up');
  });

  it('that is away is not reachable', async () => {
    open(service.database.urls.app, false);
    await becomes('up');
    await proxy.close();
    await becomes('unreachable');
  });

  it('that was to follow and follows nobody is told as promoted, and one that only reads in the place of the primary too', async () => {
    open(service.database.urls.app, true);
    await becomes('promoted');
    probe.close();
    probe = new DatabaseProbe('database', service.database.urls.reader, false);
    await becomes('standby');
  });
});

describe('a probe', () => {
  it.each(paths)('%s is open to everybody, whatever token is sent, by GET and HEAD alone', async (path) => {
    const { headers } = await service.as('no token at all').get(path).expect(200);
    expect(headers['content-type']).toMatch(/^application\/json/);
    expect(headers['cache-control']).toBe('no-store');
    expect((await fetch(`${service.url}${path}`, { method: 'HEAD' })).status).toBe(200);
    const refused = await fetch(`${service.url}${path}`, { method: 'PUT' });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('is not part of the documented API', async () => {
    const { body } = await service.as().get('/openapi.json').expect(200);
    const documented = Object.keys(body.paths as object);
    expect(documented.filter((path) => path.endsWith('z'))).toEqual([]);
  });

  it.each(paths)('%s tells strangers its status and nothing of the inside', async (path) => {
    const { body } = await service.as().get(path).set('x-forwarded-for', '203.0.113.9').expect(200);
    expect(Object.keys(body as object)).toEqual(['status']);
  });
});

describe('while it stops', () => {
  it('readyz answers 503 and says why, livez and startupz go on answering 200', async () => {
    const live = async () => {
      const { status, headers } = await fetch(`${service.url}/livez`);
      return [status, headers.get('connection')];
    };
    expect(await live()).toEqual([200, 'keep-alive']);
    service.app.get(Drain).begin();
    expect(await live()).toEqual([200, 'close']);
    const { body } = await service.as().get('/readyz').expect(503);
    expect(body).toMatchObject({
      status: 'error',
      details: { serving: { status: 'down' }, primary: { status: 'up' }, replica: { status: 'up' } },
    });
    expect(JSON.stringify(body.details.serving)).toContain('stopping');
    await service.as().get('/startupz').expect(200);
  });
});
