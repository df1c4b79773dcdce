/** @servers any */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, readEnvironment } from '../src/config/environment.ts';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import { inSnapshot } from '../src/reconciliation/snapshot.ts';
import { kindOf } from '../src/transactions/wire/postgres-errors.ts';
import { type Bare, errorOf, startBare } from './support/bare.ts';
import { authority, type Certificate, ofServer } from './support/certificates.ts';
import { eventually } from './support/crowd.ts';
import { makeHome } from './support/home.ts';
import { ask, type OwnCluster, startOwnCluster } from './support/own-cluster.ts';
import { buildService, startProgram } from './support/process.ts';
import { testSecret } from './support/secret.ts';

// A server with TLS, under an authority of its own, and what becomes of its files while the service runs.

let own: OwnCluster;
let home: string;
let ca: Certificate;
let other: Certificate;
const open: Bare[] = [];

beforeAll(async () => {
  own = await startOwnCluster();
  home = makeHome('tls');
  [ca, other] = await Promise.all([authority('holdfast test'), authority('somebody else')]);
  writeFileSync(file('other.pem'), other.cert);
  await serve(await ofServer(ca, 'localhost'));
  await ask(own.cluster.url('superuser'), 'ALTER SYSTEM SET ssl = on');
  await reload();
});
beforeEach(() => writeFileSync(file('ca.pem'), ca.cert));
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});
afterAll(async () => {
  await own.close();
  rmSync(home, { recursive: true, force: true });
});

const file = (name: string): string => join(home, name);

/** The server shows this certificate from its next connection on. */
async function serve({ key, cert }: Certificate): Promise<void> {
  const folder = join(own.cluster.home, 'primary');
  const { uid, gid } = statSync(folder);
  for (const [name, text] of Object.entries({ 'server.key': key, 'server.crt': cert })) {
    const path = join(folder, name);
    writeFileSync(path, text);
    chmodSync(path, 0o600);
    chownSync(path, uid, gid);
  }
  await reload();
}

async function reload(): Promise<void> {
  await ask(own.cluster.url('superuser'), 'SELECT pg_reload_conf()');
}

const at = (parameters: string, url = own.database.urls.app): string =>
  `${url.split('?')[0]}?${parameters}`.replace('127.0.0.1', 'localhost');
const verified = (): string => `sslmode=verify-full&sslrootcert=${file('ca.pem')}`;

async function start(parameters: string): Promise<Bare> {
  const one = await startBare({ app: at(parameters) }, { DATABASE_POOL_SIZE: '2' });
  open.push(one);
  return one;
}
const hasTls = async (one: Bare): Promise<boolean> => {
  const rows = await one.run(
    {},
    () => one.db.$queryRaw<{ ssl: boolean }[]>`
    SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
  );
  return rows[0]!.ssl;
};
/** Ends the connections that there are, from the side of the server. */
async function endAll(): Promise<void> {
  await ask(
    own.cluster.url('superuser'),
    `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'holdfast_app'`,
  );
}

describe('a database with TLS', () => {
  it.each([
    ['under an authority of its own', () => verified(), true],
    ['whose certificate nobody verifies', () => 'sslmode=no-verify', true],
    ['as libpq has it', () => 'sslmode=require&uselibpqcompat=true', true],
    ['as libpq verifies it', () => `sslmode=verify-ca&uselibpqcompat=true&sslrootcert=${file('ca.pem')}`, true],
    ['from the first byte', () => `${verified()}&ssl_min_protocol_version=TLSv1.3`, true],
    ['without it', () => 'sslmode=disable', false],
    ['which nobody asks for', () => '', false],
  ])('%s is connected to', async (_, parameters, isEncrypted) => {
    expect(await hasTls(await start(parameters()))).toBe(isEncrypted);
  });

  it.each([
    ['that no public authority has signed', () => 'sslmode=verify-full'],
    ['that another authority has signed', () => `sslmode=require&sslrootcert=${file('other.pem')}`],
  ])('with a certificate %s is no database: the start says so in a sentence', async (_, parameters) => {
    const { name, message } = await errorOf(start(parameters()));
    expect([name, message]).toEqual(['SchemaVersionError', expect.stringMatching(/certificate/)]);
  });

  it('is reached alike by the migrations and by the commands', async () => {
    const rows = await inSnapshot(at(verified()), 'test', (query) =>
      query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'),
    );
    expect(rows).toEqual([{ ssl: true }]);
    const migrated = await runPrisma(['migrate', 'deploy'], {
      databaseUrl: at(verified(), own.database.urls.owner),
      quiet: true,
    });
    expect([migrated.code, migrated.output]).toEqual([0, expect.stringContaining('No pending migrations')]);
    const refused = { databaseUrl: at('sslmode=verify-full', own.database.urls.owner), quiet: true };
    expect((await runPrisma(['migrate', 'deploy'], refused)).code).not.toBe(0);
  });
});

describe('while the service runs', () => {
  it('a file that is away, or no certificate, changes nothing: what was read last stays in use', async () => {
    const one = await start(verified());
    for (const spoil of [
      () => renameSync(file('ca.pem'), file('away.pem')),
      () => writeFileSync(file('ca.pem'), 'half a certif'),
      () => writeFileSync(file('ca.pem'), ''),
    ]) {
      spoil();
      await endAll();
      for (let n = 0; n < 5; n++) {
        expect(await hasTls(one)).toBe(true);
        expect(await one.db.product.count()).toBeGreaterThanOrEqual(0);
      }
      await one.write(`spoilt-${performance.now()}`);
    }
    expect(existsSync(file('away.pem'))).toBe(true);
  });

  it('a certificate that is renewed, under a new authority, is taken without a restart', async () => {
    const one = await start(verified());
    const next = await authority('the next one');
    await serve(await ofServer(next, 'localhost'));
    await endAll();
    // Not yet: the new authority is not known.
    const refused = await eventually(
      () =>
        one.db.product.count().then(
          () => null,
          (error: unknown) => error,
        ),
      (error) => error !== null,
    );
    expect(kindOf(refused)).toBe('unreachable');
    writeFileSync(file('ca.pem'), next.cert);
    expect(await hasTls(one)).toBe(true);
    await serve(await ofServer(ca, 'localhost'));
  });

  it.each([
    ['is expired', () => ofServer(ca, 'localhost', true)],
    ['is of another name', () => ofServer(ca, 'elsewhere.example')],
    ['is of another authority', () => ofServer(other, 'localhost')],
  ])('a certificate that %s makes each request 503, and leaves every place of the pool', async (_, certificate) => {
    const one = await start(verified());
    await serve(await certificate());
    await endAll();
    try {
      await eventually(
        () =>
          one.db.product.count().then(
            () => null,
            (error: unknown) => error,
          ),
        (error) => error !== null,
      );
      for (let n = 0; n < 20; n++)
        for (const work of [() => one.db.product.count(), () => one.run({}, () => one.pid())])
          expect(kindOf(await errorOf(work()))).toBe('unreachable');
    } finally {
      await serve(await ofServer(ca, 'localhost'));
    }
    expect(await Promise.all([hasTls(one), hasTls(one)])).toEqual([true, true]);
  });
});

describe('at the start', () => {
  const refusal = (parameters: string): string => {
    try {
      readEnvironment({
        DATABASE_WRITE_URL: at(parameters),
        AUTH_SECRET: randomBytes(48).toString('base64'),
      });
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
    }
    return 'accepted';
  };

  it('a file that cannot be used is a sentence', () => {
    writeFileSync(file('none.pem'), 'none');
    expect(refusal(`sslmode=verify-full&sslrootcert=${file('missing.pem')}`)).toMatch(
      /DATABASE_WRITE_URL names a file in sslrootcert that cannot be read \(ENOENT\)$/,
    );
    expect(refusal(`sslcert=${file('none.pem')}&sslkey=${file('none.pem')}`)).toMatch(
      /DATABASE_WRITE_URL names certificates or a key that are none, or do not fit together$/,
    );
    expect(refusal(`sslrootcert=${home}`)).toMatch(/sslrootcert that cannot be read \(EISDIR\)$/);
    expect(refusal(verified())).toBe('accepted');
  });

  it.each(['seed.mjs', 'verify-ledger.mjs', 'reconcile.mjs'])(
    '%s says which file it is, and nothing else',
    async (name) => {
      await buildService();
      const variables = {
        DATABASE_WRITE_URL: at(`sslmode=verify-full&sslrootcert=${file('missing.pem')}`),
        AUTH_SECRET: testSecret,
      };
      const { code, said } = await startProgram([join('tools', name)], variables).exit;
      expect(code).toBeGreaterThan(0);
      expect(said).toMatch(/DATABASE_WRITE_URL names a file in sslrootcert that cannot be read \(ENOENT\)\n$/);
      expect(said).not.toMatch(/\n\s+at /);
    },
  );

  it('the migrations say which file it is', async () => {
    const databaseUrl = at(`sslmode=verify-full&sslrootcert=${file('missing.pem')}`, own.database.urls.owner);
    const { code, output } = await runPrisma(['migrate', 'deploy'], { databaseUrl, quiet: true });
    expect([code, output]).toEqual([
      1,
      expect.stringMatching(/\nError: P1001: .*ENOENT: no such file or directory, open '.*missing\.pem'\.\n$/),
    ]);
  });
});
