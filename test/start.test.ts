/** @servers any */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runningCluster } from '../src/embedded/cluster.ts';
import { holderOf } from '../src/embedded/lock.ts';
import { processesIn, signal as send } from '../src/embedded/processes.ts';
import { api } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { clusterUrls, createDatabase } from './support/database.ts';
import { makeHome } from './support/home.ts';
import { ask } from './support/own-cluster.ts';
import { buildService, killServices, leastEnvironment, type ServiceProcess, startService } from './support/process.ts';
import { testSecret } from './support/secret.ts';

jest.setTimeout(180_000);

const home = makeHome('start');
const start = (variables: Record<string, string> = {}): ServiceProcess =>
  startService({ HOLDFAST_HOME: home, SHUTDOWN_DRAIN_MS: '0', ...variables });
const postgres = (): number[] => ['primary', 'replica'].flatMap((server) => processesIn(join(home, server)));
/** Stopped as an orchestrator stops it. */
async function stop(service: ServiceProcess): Promise<void> {
  service.kill('SIGTERM');
  expect(await service.exit).toMatchObject({ code: 0 });
  expect(postgres()).toEqual([]);
}

/** Alice of the demo data, signed in. */
async function signIn(url: string) {
  const { body } = await api(url)
    .post('/v1/sessions', { email: 'alice@example.com', password: 'alice-demo' })
    .expect(201);
  const alice = api(url, body.accessToken as string);
  const [account] = (await alice.get('/v1/accounts').expect(200)).body.data;
  return { alice, accountId: account.id as string, balance: account.balance.amount as number };
}
const transfers: string[] = [];
/** Gives Bob a cent. */
async function pay(url: string): Promise<void> {
  const { alice, accountId } = await signIn(url);
  const bob = await api(url).post('/v1/sessions', { email: 'bob@example.com', password: 'bob-demo' }).expect(201);
  const [account] = (
    await api(url, bob.body.accessToken as string)
      .get('/v1/accounts')
      .expect(200)
  ).body.data;
  const body = { fromAccountId: accountId, toAccountId: account.id, amount: { amount: 1, currency: 'EUR' } };
  transfers.push((await alice.post('/v1/transfers', body).expect(201)).body.id);
}
/** A command of the project, on the same home. */
function tool(name: string, args: readonly string[], variables: Record<string, string> = {}) {
  const env = { ...leastEnvironment(), HOLDFAST_HOME: home, ...variables };
  const child = spawn(process.execPath, [join('tools', name), ...args], { env });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stdin.end('libpq reads this as it reads all\n');
  return new Promise<{ code: number | null; said: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, said })),
  );
}
async function expectAllThere(url: string): Promise<void> {
  const { alice, balance } = await signIn(url);
  for (const id of transfers) await alice.get(`/v1/transfers/${id}`).expect(200);
  expect(balance).toBe(10_000 - transfers.length);
}

beforeAll(buildService);
afterEach(killServices);
afterAll(async () => {
  await killServices();
  for (const pid of postgres()) send(pid, 'SIGKILL');
  await eventually(
    async () => postgres().length,
    (n) => n === 0,
  );
  rmSync(home, { recursive: true, force: true });
});

// Each goes on with the home that the one before has left.
describe('on its own database', () => {
  it('the first start makes it, migrates it, adds the demo data and says where everything is', async () => {
    const service = start();
    const url = await service.url;
    await pay(url);
    const said = service.said();
    expect(said).toContain('migrating the database');
    expect(said).toContain('demo data added');
    expect(said).toContain(`documentation  ${url}/docs`);
    expect(said).toContain('alice@example.com · alice-demo');
    expect(said).toContain(`data           ${home} (PostgreSQL `);
    expect(statSync(join(home, 'auth-secret')).mode & 0o777).toBe(0o600);
    await stop(service);
  });

  it('a second start keeps the data and adds none', async () => {
    const service = start();
    const url = await service.url;
    await expectAllThere(url);
    expect(service.said()).not.toMatch(/migrating|demo data added/);
    const [row] = await ask<{ n: string }>(
      runningCluster(home)?.url('owner') ?? '',
      'SELECT count(*) AS n FROM "user"',
    );
    expect(row?.n).toBe('3');

    const second = await start().exit;
    expect(second).toEqual({
      code: 1,
      signal: null,
      said: `Holdfast already runs from ${home} (pid ${service.pid}). Stop it, or set HOLDFAST_HOME to another folder.\n`,
    });
    // The first one is not disturbed by it.
    await pay(url);
    await stop(service);
  });

  it('a token of before is good after a start: the secret is kept', async () => {
    const first = start();
    const { body } = await api(await first.url)
      .post('/v1/sessions', { email: 'alice@example.com', password: 'alice-demo' })
      .expect(201);
    await stop(first);
    const second = start();
    await api(await second.url, body.accessToken as string)
      .get('/v1/users/me')
      .expect(200);
    await stop(second);
  });

  it('killed, it leaves nothing of PostgreSQL running, starts again and has all that was acknowledged', async () => {
    const killed = start();
    await pay(await killed.url);
    expect(postgres().length).toBeGreaterThan(2);
    killed.kill('SIGKILL');
    expect(await killed.exit).toMatchObject({ code: null, signal: 'SIGKILL' });
    await eventually(
      async () => postgres().length,
      (n) => n === 0,
      60_000,
    );
    const service = start();
    await expectAllThere(await service.url);
    await stop(service);
  });

  it('what libpq reads from the environment reaches none of its connections, and is told', async () => {
    const ofLibpq = {
      ...{ PGSSLMODE: 'require', PGOPTIONS: '-c search_path=x', PGUSER: 'nobody', PGPASSWORD: 'wrong', PGPORT: '1' },
      ...{ PGDATABASE: 'nowhere', PGAPPNAME: 'other', PGSSLROOTCERT: '/nowhere', PGCONNECT_TIMEOUT: '1' },
      ...{ PGTZ: 'Asia/Tokyo', PGDATESTYLE: 'German', PGCLIENTENCODING: 'LATIN1', PGSSLNEGOTIATION: 'direct' },
    };
    const service = start(ofLibpq);
    await expectAllThere(await service.url);
    for (const name of Object.keys(ofLibpq))
      expect(service.said()).toContain(`${name} is set and is not read: DATABASE_WRITE_URL names a database`);
    expect(service.said()).not.toContain('nowhere');
    const { code, said } = await tool('add-operator.mjs', ['libpq@example.com'], ofLibpq);
    expect([code, said]).toEqual([0, 'libpq@example.com is an operator.\n']);
    await stop(service);
  });

  it.each(['SIGHUP', 'SIGQUIT'] as const)('%s stops it as Ctrl-C does', async (signal) => {
    const service = start({ SHUTDOWN_DRAIN_MS: '60000' });
    await service.url;
    service.kill(signal);
    expect(await service.exit).toMatchObject({ code: 0 });
    expect(postgres()).toEqual([]);
  });

  it('a start beside one that is stopping waits for it', async () => {
    const first = start({ SHUTDOWN_DRAIN_MS: '10000' });
    await first.url;
    first.kill('SIGTERM');
    await eventually(
      async () => holderOf(home)?.isPassing,
      (isPassing) => isPassing === true,
    );
    const second = start();
    await expectAllThere(await second.url);
    expect(second.said()).toContain('waiting for a process that is about to give this home free');
    expect(await first.exit).toMatchObject({ code: 0 });
    await stop(second);
  });

  it('a primary that dies is started again; one that dies again and again ends the service with 1', async () => {
    const service = start();
    const url = await service.url;
    const postmaster = (): number => Number.parseInt(readFileSync(join(home, 'primary', 'postmaster.pid'), 'utf8'), 10);
    // The file comes and goes meanwhile.
    const postmasterIfThere = (): number | null => {
      try {
        return postmaster();
      } catch {
        return null;
      }
    };
    process.kill(postmaster(), 'SIGKILL');
    await eventually(
      async () => service.said(),
      (said) => said.includes('the primary runs again'),
      60_000,
    );
    await eventually(
      async () => (await api(url).get('/readyz')).body,
      ({ details }) => details.primary.status === 'up',
      60_000,
    );
    await expectAllThere(url);
    let isOver = false;
    void service.exit.then(() => (isOver = true));
    // Whenever it is back.
    while (!isOver) {
      const pid = postmasterIfThere();
      if (pid !== null && postgres().includes(pid)) send(pid, 'SIGKILL');
      await sleep(100);
    }
    const { code, said } = await service.exit;
    expect([code, said]).toEqual([
      1,
      expect.stringContaining('The embedded primary has ended 6 times within ten minutes'),
    ]);
    // What a killed primary leaves ends by itself, soon after.
    await eventually(
      async () => postgres(),
      (left) => left.length === 0,
    );
    const next = start();
    await expectAllThere(await next.url);
    await stop(next);
  });

  it('a port that is taken is one sentence and code 1, and no PostgreSQL is left', async () => {
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
    const { port } = squatter.address() as AddressInfo;
    const { code, said } = await start({ PORT: String(port) }).exit;
    squatter.close();
    expect(code).toBe(1);
    expect(said.trim().split('\n').at(-1)).toBe(
      `Port ${port} is taken. Stop what listens there, or choose another: PORT=${port + 1} npm start`,
    );
    expect(said).not.toMatch(/\bat .*:\d+:\d+/);
    expect(postgres()).toEqual([]);
  });

  it('an address that the machine does not have is one sentence too', async () => {
    const { code, said } = await start({ HOST: '192.0.2.1' }).exit;
    expect(code).toBe(1);
    expect(said.trim().split('\n').at(-1)).toBe(
      'This machine has no address 192.0.2.1. Set HOST to one it has, or to 0.0.0.0.',
    );
    expect(postgres()).toEqual([]);
  });

  it('SIGTERM in the middle of the start leaves nothing running', async () => {
    const service = start();
    await eventually(
      async () => postgres().length,
      (n) => n > 0,
    );
    service.kill('SIGTERM');
    expect((await service.exit).signal).toBeNull();
    expect(postgres()).toEqual([]);
  });

  it('a database that the next version has added to is served; one that it has broken is one sentence and stays as it is', async () => {
    const change = async (sql: string): Promise<void> => {
      const before = start();
      await before.url;
      await ask(runningCluster(home)?.url('owner') ?? '', sql);
      await stop(before);
    };
    const name = '29990101000000_later';
    await change(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('1', 'x', '${name}', now())`,
    );
    await change(
      `UPDATE _prisma_migrations SET migration_name = '${name}_breaks_previous' WHERE migration_name = '${name}'`,
    );
    const { code, said } = await start().exit;
    expect(code).toBe(1);
    expect(said.trim().split('\n').at(-1)).toBe(
      `The database in ${home} cannot be brought to this version: it has the later migration ${name}_breaks_previous, which breaks this version. Start the version that made it, or a later one, or set HOLDFAST_HOME to another folder.`,
    );
    expect(postgres()).toEqual([]);
  });
});

/** A port that nobody has now. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
const statusOf = (url: string): Promise<number> =>
  fetch(url).then(
    ({ status }) => status,
    () => 0,
  );

describe('a configuration', () => {
  const nowhere = join(home, 'not-made');

  it('that is wrong is refused with all its errors at once, and none of its values is told', async () => {
    const exit = await start({
      HOLDFAST_HOME: nowhere,
      PORT: '123456',
      LOG_LEVEL: 'loud',
      DATABASE_POOL_SIZE: 'ten',
      DATABASE_READ_URL: 'postgres://hidden:secret@host/db',
      AUTH_SECRET: 'short-secret',
    }).exit;
    expect(exit).toMatchObject({ code: 1, said: expect.stringMatching(/^The configuration has \d errors:\n/) });
    for (const name of ['PORT', 'LOG_LEVEL', 'DATABASE_POOL_SIZE', 'AUTH_SECRET'])
      expect(exit.said).toContain(`  ${name} `);
    expect(exit.said).not.toMatch(/123456|loud|ten\b|hidden|short-secret/);
    expect(existsSync(nowhere)).toBe(false);
  });

  it('is refused at once with what the machine does not have: port, folder, files of certificates', async () => {
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
    const PORT = String((squatter.address() as AddressInfo).port);
    const file = join(home, 'auth-secret');
    const embedded = await start({ HOLDFAST_HOME: file, PORT, LOG_LEVEL: 'loud' }).exit;
    expect(embedded).toMatchObject({ code: 1, said: expect.stringMatching(/^The configuration has 3 errors:\n/) });
    expect(embedded.said).toContain(`  HOLDFAST_HOME is no folder: ${file}\n`);
    expect(embedded.said).toContain(`  Port ${PORT} is taken. `);
    const external = await start({
      DATABASE_WRITE_URL: 'postgres://app:hidden@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/nowhere/ca.pem',
      DATABASE_READ_URL: 'near=postgres://app:hidden@127.0.0.1:1/db?sslkey=/nowhere/key.pem',
      PORT,
    }).exit;
    squatter.close();
    expect(external.said.split('\n')).toEqual([
      'The configuration has 4 errors:',
      '  DATABASE_WRITE_URL names a file in sslrootcert that cannot be read (ENOENT)',
      '  DATABASE_READ_URL must have sslcert and sslkey together',
      '  AUTH_SECRET is required with DATABASE_WRITE_URL; make one with: openssl rand -base64 48',
      `  Port ${PORT} is taken. Stop what listens there, or choose another: PORT=${Number(PORT) + 1} npm start`,
      '',
    ]);
  });

  it('with a database of one’s own needs a secret, and says how to make one', async () => {
    const { code, said } = await start({ DATABASE_WRITE_URL: 'postgres://app:pw@127.0.0.1:1/db' }).exit;
    expect({ code, said }).toEqual({
      code: 1,
      said: 'The configuration has an error:\n  AUTH_SECRET is required with DATABASE_WRITE_URL; make one with: openssl rand -base64 48\n',
    });
  });

  it('with a replica but no primary is refused', async () => {
    const { code, said } = await start({ DATABASE_READ_URL: 'postgres://app:pw@127.0.0.1:1/db' }).exit;
    expect({ code, said }).toEqual({
      code: 1,
      said: 'The configuration has an error:\n  DATABASE_READ_URL needs DATABASE_WRITE_URL beside it\n',
    });
  });

  it('with a database of one’s own starts on that, and adds no demo data to it', async () => {
    const database = await createDatabase();
    const service = start({
      HOLDFAST_HOME: nowhere,
      DATABASE_WRITE_URL: database.urls.app,
      DATABASE_READ_URL: database.urls.reader,
      AUTH_SECRET: testSecret,
    });
    const url = await service.url;
    expect(service.said()).not.toContain('demo');
    await api(url).post('/v1/sessions', { email: 'alice@example.com', password: 'alice-demo' }).expect(401);
    expect(await database.query('SELECT FROM "user"')).toEqual([]);
    expect(existsSync(nowhere)).toBe(false);
    service.kill('SIGTERM');
    expect((await service.exit).code).toBe(0);
    await database.drop();
  });

  const own = (url: string) => ({
    DATABASE_WRITE_URL: url,
    AUTH_SECRET: testSecret,
    DATABASE_START_WAIT_MS: '60000',
  });

  it('whose database does not answer in time is one sentence', async () => {
    const variables = { ...own('postgres://app:hidden@127.0.0.1:1/db'), DATABASE_START_WAIT_MS: '1000' };
    const { code, said } = await start(variables).exit;
    expect({ code, said }).toEqual({
      code: 1,
      said: 'The database cannot be used: connect ECONNREFUSED 127.0.0.1:1, not after 1 s either. See that it runs, and that DATABASE_WRITE_URL leads to it.\n',
    });
  });

  it('waits for a database that begins to listen later: until then the port is open, and only /livez is 200', async () => {
    const database = await createDatabase();
    const target = new URL(database.urls.app);
    const gate = createServer((client) => {
      const server = connect(Number(target.port), target.hostname);
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const)
        from
          .on('error', () => to.destroy())
          .on('close', () => to.destroy())
          .pipe(to);
    });
    const [port, PORT] = [await freePort(), await freePort()];
    const service = start({ ...own(Object.assign(target, { port: String(port) }).href), PORT: String(PORT) });
    target.port = new URL(database.urls.app).port;
    const at = (path: string): string => `http://127.0.0.1:${PORT}${path}`;
    await eventually(
      () => statusOf(at('/livez')),
      (status) => status === 200,
    );
    expect([
      await statusOf(at('/startupz')),
      await statusOf(at('/readyz')),
      await statusOf(at('/v1/products')),
    ]).toEqual([503, 503, 503]);
    const refused = await fetch(`http://127.0.0.1:${PORT}/v1/products`, { method: 'POST' });
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(await refused.json()).toMatchObject({
      code: 'temporary-reduced-capacity',
      detail: 'This instance is starting.',
      retryable: true,
      instance: '/v1/products',
    });
    await new Promise<void>((resolve) => gate.listen(port, '127.0.0.1', resolve));
    expect(await service.url).toBe(`http://127.0.0.1:${PORT}`);
    expect([
      await statusOf(at('/startupz')),
      await statusOf(at('/readyz')),
      await statusOf(at('/v1/products')),
    ]).toEqual([200, 200, 200]);
    service.kill('SIGTERM');
    expect((await service.exit).code).toBe(0);
    gate.close();
    await database.drop();
  });

  it.each([
    ['a wrong password', (url: URL) => Object.assign(url, { password: 'wrong' }), /password authentication failed/],
    [
      'a database that is not there',
      (url: URL) => Object.assign(url, { pathname: '/nowhere' }),
      /does not exist|permission denied/,
    ],
    [
      'no migrations',
      (url: URL) => Object.assign(url, { pathname: '/postgres' }),
      /permission denied|has no migrations/,
    ],
    ['a server without TLS', (url: URL) => Object.assign(url, { search: '?sslmode=require' }), /does not support SSL/],
  ])('%s ends the start at once: it cannot come right', async (_, change, sentence) => {
    const service = start({ ...own(change(new URL(clusterUrls().app)).href), DATABASE_START_WAIT_MS: '600000' });
    const { code, said } = await service.exit;
    expect([code, said]).toEqual([1, expect.stringMatching(sentence)]);
    expect(said).not.toMatch(/not after|\bat .*:\d+:\d+/);
  });

  it('a stop while it waits ends it at once with 0', async () => {
    const PORT = String(await freePort());
    const patient = { DATABASE_START_WAIT_MS: '600000', SHUTDOWN_DRAIN_MS: '120000' };
    const service = start({ ...own('postgres://app:hidden@127.0.0.1:1/db'), PORT, ...patient });
    await eventually(
      () => statusOf(`http://127.0.0.1:${PORT}/livez`),
      (status) => status === 200,
      60_000,
    );
    service.kill('SIGTERM');
    expect((await service.exit).code).toBe(0);
  });
});
