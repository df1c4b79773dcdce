/** @servers any */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { demo } from '../src/embedded/demo/demo.ts';
import { isLoopback } from '../src/config/address.ts';
import { runningCluster } from '../src/embedded/cluster.ts';
import { api } from './support/app.ts';
import { fullCount } from './support/counts.ts';
import { makeHome } from './support/home.ts';
import { ask } from './support/own-cluster.ts';
import { buildService, killServices, leastEnvironment, type ServiceProcess, startService } from './support/process.ts';
import { testSecret } from './support/secret.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-credentials-'));
const homes = {
  private: makeHome('private'),
  production: makeHome('production'),
  open: makeHome('open'),
};
beforeAll(buildService);
afterEach(killServices);
afterAll(() => {
  for (const path of [folder, ...Object.values(homes)]) rmSync(path, { recursive: true, force: true });
});

const start = (home: string, variables: Record<string, string> = {}, cwd?: string): ServiceProcess =>
  startService({ HOLDFAST_HOME: home, SHUTDOWN_DRAIN_MS: '0', ...variables }, cwd);
async function stop(service: ServiceProcess): Promise<void> {
  service.kill('SIGTERM');
  expect(await service.exit).toMatchObject({ code: 0 });
}
/** Who of the demo people is let in there. */
async function letIn(url: string): Promise<string[]> {
  const answers = Object.values(demo).map(async ({ email, password }) => {
    const { status } = await api(url).post('/v1/sessions', { email, password });
    return status === 201 ? email : [];
  });
  return (await Promise.all(answers)).flat();
}
const everybody = Object.values(demo).map(({ email }) => email);
/** An address of this machine that others can reach; null on one without a network. */
const outside =
  Object.values(networkInterfaces())
    .flat()
    .find((found) => found?.family === 'IPv4' && !found.internal)?.address ?? null;
const hosts = [
  '0.0.0.0',
  '0',
  '::',
  '[::]'.slice(1, -1),
  '0:0:0:0:0:0:0:0',
  '::ffff:0.0.0.0',
  ...(outside === null ? [] : [outside]),
];

describe('who reaches a host', () => {
  it.each([
    '127.0.0.1',
    '127.1',
    '127.8.9.10',
    '2130706433',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
    'localhost',
  ])('%s is this machine alone', async (host) => {
    expect(await isLoopback(host)).toBe(true);
  });

  it.each([...hosts, '128.0.0.1', '::2', 'no-such-host.invalid', '', '127.0.0.1.example.invalid'])(
    '%s is not',
    async (host) => {
      expect(await isLoopback(host)).toBe(false);
    },
  );
});

describe('a start that others rely on or reach, with nothing but that said', () => {
  const nowhere = join(folder, 'not-made');
  const refusals: [string, Record<string, string>][] = [
    ['NODE_ENV=production', { NODE_ENV: 'production' }],
    ['NODE_ENV=production and a secret', { NODE_ENV: 'production', AUTH_SECRET: testSecret }],
    ...hosts.map((host): [string, Record<string, string>] => [`HOST=${host}`, { HOST: host }]),
    ['the name of the machine', { HOST: hostname() }],
    [
      'all of it, and the variable of a platform',
      { NODE_ENV: 'production', HOST: '0.0.0.0', DATABASE_URL: 'postgresql://app:pw@db/shop' },
    ],
  ];

  it.each(refusals)('%s is refused by name, and nothing is made', async (_, variables) => {
    const isItself = variables['HOST'] !== undefined && (await isLoopback(variables['HOST']));
    if (isItself) return; // the name of this machine may be an alias of localhost
    const { code, said } = await start(nowhere, variables).exit;
    expect([code, said]).toEqual([1, expect.stringContaining('  DATABASE_WRITE_URL is required with ')]);
    expect(said).toContain('npm run add-operator');
    expect(said).toContain('EMBEDDED_DATABASE=true');
    if ('DATABASE_URL' in variables) expect(said).toContain('  DATABASE_URL is set and is not read');
    expect(said).not.toMatch(/-demo|app:pw/);
    expect(existsSync(nowhere)).toBe(false);
  });

  it.each(['NODE_ENV=production', 'HOST=0.0.0.0'])('%s in a file .env is refused as well', async (line) => {
    const place = mkdtempSync(join(folder, 'dotenv-'));
    for (const name of ['prisma', 'node_modules', 'package.json']) symlinkSync(resolve(name), join(place, name));
    writeFileSync(join(place, '.env'), `${line}\n`);
    const service = startService({ HOLDFAST_HOME: nowhere, HOST: undefined }, place);
    expect((await service.exit).code).toBe(1);
    expect(service.said()).toContain('  DATABASE_WRITE_URL is required with ');
  });
});

describe('in development, for this machine alone', () => {
  /** Each of the tests can be run alone. */
  async function makePrivate(): Promise<void> {
    if (existsSync(join(homes.private, 'cluster.json'))) return;
    const made = start(homes.private);
    await made.url;
    await stop(made);
  }

  it('has the demo people, a generated secret, and the documents; the banner says where', async () => {
    const service = start(homes.private);
    const url = await service.url;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await letIn(url)).toEqual(everybody);
    expect(service.said()).toContain(demo.operator.password);
    const secret = join(homes.private, 'auth-secret');
    expect([readFileSync(secret, 'utf8'), statSync(secret).mode & 0o777]).toEqual([
      expect.stringMatching(/^[\w-]{64}$/),
      0o600,
    ]);
    await api(url).get('/openapi.json').expect(200);
    await stop(service);
  });

  it('takes no secret that others may have read: who has read it is an operator', async () => {
    await makePrivate();
    const secret = join(homes.private, 'auth-secret');
    chmodSync(secret, 0o644);
    const service = start(homes.private);
    await expect(service.url).rejects.toThrow(/Others may have read or changed .*auth-secret/);
    expect((await service.exit).code).toBe(1);
    chmodSync(secret, 0o600);
  });

  // How each is read stands above. The others are started under PROVE=true.
  it.each(['127.1', ...(fullCount(0, 1) === 1 ? ['localhost', '127.0.0.1'] : [])])(
    'HOST=%s is one spelling of it',
    async (HOST) => {
      const service = start(homes.private, { HOST });
      expect(await letIn(await service.url)).toEqual(everybody);
      await stop(service);
    },
  );

  it.each([
    ['production', { NODE_ENV: 'production' }],
    ['an address that others reach', { HOST: '0.0.0.0' }],
  ])('its database is not served for %s while the passwords are the published ones', async (_, variables) => {
    await makePrivate();
    const service = start(homes.private, { ...variables, EMBEDDED_DATABASE: 'true' });
    await expect(service.url).rejects.toThrow('have published passwords');
    const { code, said } = await service.exit;
    expect(code).toBe(1);
    expect(said.trim().split('\n').at(-1)).toMatch(/^The demo people of this database have published passwords/);
    expect(said).not.toMatch(/-demo/);
  });
});

describe.each([
  ['in production', homes.production, { NODE_ENV: 'production' }],
  ['at an address that others reach', homes.open, { HOST: '0.0.0.0' }],
])('%s, with EMBEDDED_DATABASE=true', (_, home, variables) => {
  it('nobody is there, no password is told, and the banner says where it really listens and what may be lost', async () => {
    const service = start(home, { ...variables, EMBEDDED_DATABASE: 'true' });
    const url = await service.url;
    const seenFrom = 'HOST' in variables ? url.replace('0.0.0.0', outside ?? '127.0.0.1') : url;
    expect(url).toMatch('HOST' in variables ? /^http:\/\/0\.0\.0\.0:\d+$/ : /^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await letIn(seenFrom)).toEqual([]);
    expect(service.said()).not.toMatch(/demo|-demo/);
    expect(service.said()).toContain('are lost with this folder');
    expect(await ask(runningCluster(home)?.url('owner') ?? '', 'SELECT FROM "user"')).toEqual([]);
    // The command that would add them refuses as well.
    const env = { ...leastEnvironment(), HOLDFAST_HOME: home, ...variables, EMBEDDED_DATABASE: 'true' };
    const seeding = promisify(execFile)(process.execPath, [join('tools', 'seed.mjs')], { env });
    await expect(seeding).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('none are added') });
    expect(await letIn(seenFrom)).toEqual([]);
    await stop(service);
  });
});
