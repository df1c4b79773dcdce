/** @servers any */
import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { runningCluster, startCluster, type Cluster } from '../src/embedded/cluster.ts';
import { runPrisma, type PrismaOutcome } from '../src/embedded/prisma-cli.ts';
import { until } from '../src/embedded/processes.ts';

const project = process.cwd();
const scratch = mkdtempSync(join(tmpdir(), 'holdfast-prisma-'));
const home = join(scratch, '.holdfast');
const migrations = join(scratch, 'prisma', 'migrations');
let cluster: Cluster;

const SCHEMA = `generator client {
  provider     = "prisma-client"
  output       = "../src/database/generated"
  moduleFormat = "cjs"
}

datasource db {
  provider = "postgresql"
}
`;

const SHELVES = `model Shelf {
  id    String @id @db.Uuid
  books Book[]
}
`;

const BOOKS = `enum BookState {
  shelved
  lent
}

model Book {
  id      String    @id @db.Uuid
  title   String
  state   BookState @default(shelved)
  shelfId String    @db.Uuid
  shelf   Shelf     @relation(fields: [shelfId], references: [id])

  @@index([shelfId])
}
`;

// What Prisma's language cannot say, and statements whose semicolons are not ends.
const BY_HAND = `
ALTER TABLE "Book" ADD CONSTRAINT "title-missing" CHECK (title <> '');
CREATE UNIQUE INDEX "title-taken" ON "Book" (title) WHERE state = 'shelved'; -- a comment; and its end
CREATE FUNCTION trim_title() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.title := trim(NEW.title);
  RETURN NEW;
END
$$;
CREATE TRIGGER trim_title BEFORE INSERT ON "Book" FOR EACH ROW EXECUTE FUNCTION trim_title();
`;

jest.setTimeout(180_000);

beforeAll(async () => {
  chmodSync(scratch, 0o755);
  for (const path of [
    'tools',
    'prisma.config.ts',
    join('src', 'config'),
    join('src', 'kernel'),
    join('src', 'embedded'),
    join('src', 'transactions', 'wire', 'plain-client.ts'),
  ]) {
    cpSync(join(project, path), join(scratch, path), { recursive: true });
  }
  symlinkSync(join(project, 'node_modules'), join(scratch, 'node_modules'));
  mkdirSync(migrations, { recursive: true });
  writeFileSync(join(scratch, 'package.json'), '{ "name": "scratch", "private": true }\n');
  writeFileSync(join(scratch, 'prisma', 'schema.prisma'), SCHEMA);
  writeFileSync(join(scratch, 'prisma', 'shelves.prisma'), SHELVES);
  writeFileSync(join(scratch, 'prisma', 'books.prisma'), BOOKS);
  cluster = await startCluster({ home, durable: false, maxConnections: 20 });
});

afterAll(async () => {
  await cluster.stop();
  rmSync(cluster.home, { recursive: true, force: true });
  rmSync(scratch, { recursive: true, force: true });
});

/** Nothing can be downloaded: there is no cache, and the mirror is a closed port. */
function environment(): NodeJS.ProcessEnv {
  const { DATABASE_OWNER_URL, HOLDFAST_HOME, PRISMA_SCHEMA_ENGINE_BINARY, ...others } = process.env;
  return { ...others, HOME: join(scratch, 'nobody-home'), PRISMA_ENGINES_MIRROR: 'http://127.0.0.1:9', CI: '1' };
}

const prisma = (...args: string[]): PrismaOutcome => prismaWith({}, ...args);

function prismaWith(more: Record<string, string>, ...args: string[]): PrismaOutcome {
  const options = { cwd: scratch, env: { ...environment(), ...more }, encoding: 'utf8', timeout: 150_000 } as const;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(scratch, 'tools', 'prisma.mts'), ...args],
    options,
  );
  return { code: status ?? 1, output: stdout + stderr };
}

function difference(): PrismaOutcome {
  return prisma('migrate', 'diff', '--from-migrations', 'prisma/migrations', '--to-schema', 'prisma', '--exit-code');
}

/** Whether wait.sql is at work, on the cluster that the tool has started. */
async function isAsleep(): Promise<boolean> {
  const running = runningCluster(home);
  if (running === null) return false;
  const client = new Client({ connectionString: running.url('owner') });
  await client.connect();
  const { rowCount } = await client.query("SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%'");
  await client.end();
  return rowCount === 1;
}

async function ask<T extends object>(sql: string, database?: string): Promise<T[]> {
  const client = new Client({ connectionString: cluster.url('owner', database) });
  await client.connect();
  try {
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('npm run prisma', () => {
  it('generates the client without a database and without a download', () => {
    const { code, output } = prisma('generate');
    expect([code, output]).toEqual([0, expect.stringContaining('Generated Prisma Client')]);
    expect(existsSync(join(scratch, 'src', 'database', 'generated', 'client.ts'))).toBe(true);
    expect(prisma('version').output).toMatch(
      /Schema Engine\s*: schema-engine-cli [0-9a-f]{40} .*tools\/schema-engine\.mts/,
    );
  });

  it('writes a migration from several schema files, on the database that runs', () => {
    const made = prisma('migrate', 'dev', '--name', 'books', '--create-only');
    expect([made.code, made.output]).toEqual([0, expect.stringContaining('without applying it')]);
    expect(made.output).not.toContain('embedded database:');
    const [name = ''] = readdirSync(migrations).filter((entry) => entry.endsWith('_books'));
    appendFileSync(join(migrations, name, 'migration.sql'), BY_HAND);
    expect(prisma('migrate', 'status').code).toBe(1);
  });

  it('deploys constraints, partial indexes and functions, once', async () => {
    expect(prisma('migrate', 'deploy').output).toContain('All migrations have been successfully applied');
    expect(prisma('migrate', 'deploy').output).toContain('No pending migrations to apply');
    expect(prisma('migrate', 'status')).toMatchObject({ code: 0, output: expect.stringContaining('up to date') });
    const shelf = '018f0000-0000-7000-8000-000000000000';
    await ask(`INSERT INTO "Shelf" VALUES ('${shelf}')`);
    const insert = `INSERT INTO "Book" VALUES (gen_random_uuid(), ' Emma ', 'shelved', '${shelf}') RETURNING title`;
    expect(await ask(insert)).toEqual([{ title: 'Emma' }]);
    await expect(ask(insert)).rejects.toMatchObject({ constraint: 'title-taken' });
    await expect(ask(insert.replace('Emma', ''))).rejects.toMatchObject({ constraint: 'title-missing' });
  });

  it('sees whether the migrations add up to the schema', () => {
    expect(difference()).toMatchObject({ code: 0, output: expect.stringContaining('No difference detected') });
    const file = join(scratch, 'prisma', 'shelves.prisma');
    writeFileSync(file, SHELVES.replace('books', 'label String?\n  books'));
    expect(difference()).toMatchObject({ code: 2, output: expect.stringContaining('Added column `label`') });
    const made = prisma('migrate', 'dev', '--name', 'labels');
    expect([made.code, made.output]).toEqual([0, expect.stringContaining('now in sync')]);
    expect(difference().code).toBe(0);
  });

  it('applies a pending migration and then looks for changes, in one go', async () => {
    await ask('CREATE DATABASE another');
    const databaseUrl = cluster.url('owner', 'another');
    const { code, output } = await runPrisma(['migrate', 'dev'], { databaseUrl, quiet: true, root: scratch });
    expect([code, output]).toEqual([0, expect.stringContaining('now in sync')]);
  });

  it('lets one of two deployments wait for the other', async () => {
    await ask('CREATE DATABASE contended');
    const databaseUrl = cluster.url('owner', 'contended');
    const deploy = (): Promise<PrismaOutcome> =>
      runPrisma(['migrate', 'deploy'], { databaseUrl, quiet: true, root: scratch });
    const outcomes = await Promise.all([deploy(), deploy()]);
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
    expect(await ask('SELECT count(*)::int AS applied FROM _prisma_migrations', 'contended')).toEqual([{ applied: 2 }]);
  });

  it('notices that somebody changed the database behind its back', async () => {
    await ask('ALTER TABLE "Shelf" ADD COLUMN secret text', 'another');
    const databaseUrl = cluster.url('owner', 'another');
    const { code, output } = await runPrisma(['migrate', 'dev'], { databaseUrl, quiet: true, root: scratch });
    expect(code).not.toBe(0);
    expect(output).toContain('Drift detected');
    expect(output).toContain('Added column `secret`');
  });

  it('says which statement of a migration failed, and changes nothing', async () => {
    const folder = join(migrations, '29990101000000_broken');
    mkdirSync(folder);
    writeFileSync(join(folder, 'migration.sql'), 'CREATE TABLE half (id int); SELECT no_such_function();');
    await ask('CREATE DATABASE broken');
    const databaseUrl = cluster.url('owner', 'broken');
    const { code, output } = await runPrisma(['migrate', 'deploy'], { databaseUrl, quiet: true, root: scratch });
    rmSync(folder, { recursive: true });
    expect(code).toBe(1);
    expect(output).toContain('function no_such_function() does not exist');
    expect(await ask("SELECT to_regclass('half') AS half", 'broken')).toEqual([{ half: null }]);
  });

  describe('with a migration that needs a table which somebody holds', () => {
    const name = '29990101000000_needs_a_lock';
    const folder = join(migrations, name);
    let databaseUrl: string;
    let holder: Client;
    let pid: number;

    /** A transaction of the service that has read the table, or written to it, and stays open. */
    async function hold(database: string, statement: string): Promise<void> {
      await ask(`CREATE DATABASE "${database}" TEMPLATE with_goods`);
      databaseUrl = cluster.url('owner', database);
      holder = new Client({ connectionString: cluster.url('app', database), application_name: 'holdfast write' });
      await holder.connect();
      await holder.query('BEGIN');
      await holder.query(statement);
      pid = (await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid;
    }
    function write(sql: string): void {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'migration.sql'), sql);
    }
    function deploy(waitMs: number): Promise<PrismaOutcome> {
      const env = { ...environment(), DATABASE_OWNER_URL: databaseUrl, DATABASE_MIGRATION_WAIT_MS: String(waitMs) };
      const child = spawn(process.execPath, [join(scratch, 'tools', 'prisma.mts'), 'migrate', 'deploy'], {
        cwd: scratch,
        env,
      });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
      return new Promise((resolve) => child.once('close', (code) => resolve({ code: code ?? 1, output })));
    }
    const isWaiting = async (): Promise<boolean> =>
      (await ask(`SELECT FROM pg_locks WHERE NOT granted AND relation = 'goods'::regclass`, database())).length > 0;
    const database = (): string => new URL(databaseUrl).pathname.slice(1);
    const applied = () =>
      ask<object>(
        `SELECT finished_at IS NOT NULL AS finished, rolled_back_at IS NOT NULL AS "rolledBack" FROM _prisma_migrations
         WHERE migration_name = '${name}' ORDER BY started_at`,
        database(),
      );
    const goods = join(migrations, '29981231000000_goods');
    beforeAll(async () => {
      mkdirSync(goods);
      const sql = 'CREATE TABLE goods (id int); GRANT SELECT, INSERT ON goods TO holdfast_app;';
      writeFileSync(join(goods, 'migration.sql'), sql);
      await ask('CREATE DATABASE with_goods');
      const run = { databaseUrl: cluster.url('owner', 'with_goods'), quiet: true, root: scratch };
      expect(await runPrisma(['migrate', 'deploy'], run)).toMatchObject({ code: 0 });
    });
    afterEach(async () => {
      await holder.end();
      rmSync(folder, { recursive: true });
    });
    afterAll(() => rmSync(goods, { recursive: true }));

    it('lets others through, says who holds it, and applies it when the lock is free', async () => {
      await hold('held_for_a_while', 'SELECT * FROM goods');
      write('CREATE TABLE half (id int); ALTER TABLE goods ADD COLUMN name text;');
      const deployed = deploy(60_000);
      expect(await until(isWaiting, 60_000)).toBe(true);
      // Without giving up it would keep everybody from the table for as long as the holder does.
      const readAt = performance.now();
      await ask('SELECT * FROM goods', database());
      expect(performance.now() - readAt).toBeLessThan(8000);
      expect(await until(isWaiting, 60_000)).toBe(true);
      await holder.query('COMMIT');
      const { code, output } = await deployed;
      expect([code, output]).toEqual([
        0,
        expect.stringContaining(
          `Its lock on goods is held by process ${pid} (holdfast_app, "holdfast write"). It is tried again for 60 s.`,
        ),
      ]);
      expect(await applied()).toEqual([{ finished: true, rolledBack: false }]);
    });

    it('ends with one sentence when it stays held; nothing is left, and it can be applied later without more ado', async () => {
      await hold('held_for_ever', 'SELECT *, 4711 AS secret FROM goods');
      write('CREATE TABLE half (id int); ALTER TABLE goods ADD COLUMN name text;');
      const { code, output } = await deploy(3000);
      expect(code).toBe(1);
      expect(output).toMatch(
        new RegExp(
          `Error: The migration ${name} was not applied within \\d s, and nothing of it is left\\. Its lock on goods is held by process ${pid} \\(holdfast_app, "holdfast write"\\)\\. Wait for its end, or end it \\(SELECT pg_terminate_backend\\(${pid}\\)\\), and run the command again\\.\\n`,
        ),
      );
      expect(output).not.toMatch(/4711|secret|P3018|[a-z]::[a-z]/);
      expect(await ask("SELECT to_regclass('half') AS half", database())).toEqual([{ half: null }]);
      expect(await applied()).toEqual([{ finished: false, rolledBack: true }]);
      await holder.query('COMMIT');
      expect(await deploy(3000)).toMatchObject({ code: 0 });
      expect(await applied()).toEqual([
        { finished: false, rolledBack: true },
        { finished: true, rolledBack: false },
      ]);
    });

    it('leaves to a person a migration of which a part was committed', async () => {
      await hold('half_done', 'SELECT * FROM goods');
      write('BEGIN; CREATE TABLE half (id int); COMMIT; ALTER TABLE goods ADD COLUMN name text;');
      const { code, output } = await deploy(60_000);
      expect([code, output]).toEqual([1, expect.stringContaining('canceling statement due to lock timeout')]);
      expect(await ask("SELECT to_regclass('half')::text AS half", database())).toEqual([{ half: 'half' }]);
      expect(await applied()).toEqual([{ finished: false, rolledBack: false }]);
      await holder.query('COMMIT');
      expect(await deploy(3000)).toMatchObject({ code: 1, output: expect.stringContaining('P3009') });
    });

    it('waits on with what keeps nobody waiting, and would leave a broken index behind', async () => {
      await hold('concurrently', 'INSERT INTO goods VALUES (1)');
      write('CREATE INDEX CONCURRENTLY goods_id ON goods (id);');
      const deployed = deploy(1000);
      const isBuilding = async (): Promise<boolean> =>
        (
          await ask(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONC%' AND query_start < now() - interval '4 s'`,
            database(),
          )
        ).length > 0;
      expect(await until(isBuilding, 60_000)).toBe(true);
      await holder.query('COMMIT');
      expect(await deployed).toMatchObject({ code: 0 });
      expect(
        await ask(`SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = 'goods_id'::regclass`, database()),
      ).toEqual([{ valid: true }]);
    });

    it('says when it is told to wait for something else than a time', async () => {
      await hold('unclear', 'SELECT 1');
      write('SELECT 1;');
      const { code, output } = prismaWith(
        { DATABASE_OWNER_URL: databaseUrl, DATABASE_MIGRATION_WAIT_MS: 'long' },
        'migrate',
        'deploy',
      );
      expect([code, output]).toEqual([
        1,
        expect.stringMatching(/^DATABASE_MIGRATION_WAIT_MS must be a whole number from 0 to 3600000\.\n$/m),
      ]);
    });
  });

  describe('that cannot be run on the database of DATABASE_OWNER_URL ends with its reason', () => {
    const closed = 'postgresql://owner:pw@127.0.0.1:1/shop';
    const wrong = (password: string): string => {
      const url = new URL(cluster.url('owner'));
      return Object.assign(url, { password }).href;
    };
    const percentEncoded = 'in which user and password are percent-encoded.';
    it.each([
      ['an address where nobody listens', () => closed, 'connect ECONNREFUSED 127.0.0.1:1.'],
      ['a mode of TLS that pg warns of', () => `${closed}?sslmode=require`, 'connect ECONNREFUSED 127.0.0.1:1.'],
      [
        'a server without TLS',
        () => `${cluster.url('owner').split('?')[0]}?sslmode=verify-full`,
        'does not support SSL',
      ],
      [
        'a certificate that is not there',
        () => `${closed}?sslrootcert=/nowhere/ca.pem`,
        'DATABASE_OWNER_URL names a file in sslrootcert that cannot be read (ENOENT)',
      ],
      ['a password with a bare %', () => closed.replace('pw', 'p%w'), percentEncoded],
      ['a password with a bare #', () => closed.replace('pw', 'p#w'), percentEncoded],
      ['a wrong password', () => wrong('another'), 'refused the user holdfast_owner.'],
      ['a role without rights', () => cluster.url('app'), 'DATABASE_OWNER_URL names the role that owns the tables.'],
      [
        'a role that may only read',
        () => cluster.url('reader'),
        // Prisma's own table is there already, or it is not.
        /cannot execute CREATE TABLE in a read-only transaction|names the role that owns the tables\./,
      ],
    ])('%s', (_, url, reason) => {
      const folder = join(migrations, '29990101000000_never');
      mkdirSync(folder);
      writeFileSync(join(folder, 'migration.sql'), 'CREATE TABLE never (id int);');
      try {
        const { code, output } = prismaWith({ DATABASE_OWNER_URL: url() }, 'migrate', 'deploy');
        expect(output).toMatch(reason);
        expect(output).not.toMatch(/Could not parse|[a-z]::[a-z]|\.rs:\d|\n\s+at /);
        expect(code).toBe(1);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  });

  it('leaves no shadow database behind', async () => {
    expect(await ask("SELECT datname FROM pg_database WHERE datname LIKE 'prisma_migrate_shadow%'")).toEqual([]);
  });

  it.each([[['migrate', 'reset', '--force']], [['db', 'push', '--accept-data-loss']]])(
    'refuses to take the tables away under the process that runs from the home: %j',
    async (args) => {
      await ask('CREATE TABLE IF NOT EXISTS still_there AS SELECT 1 AS n');
      const { code, output } = prisma(...args);
      expect(code).toBe(1);
      expect(output).toContain(
        `Holdfast runs from ${home} (pid ${process.pid}). Stop it first: "${args.slice(0, 2).join(' ')}"`,
      );
      expect(await ask('SELECT n FROM still_there')).toEqual([{ n: 1 }]);
    },
  );

  it.each([[['migrate', 'reset', '--force']], [['migrate', 'dev', '--name', 'beside']]])(
    'refuses to change the tables under a service that is connected: %j',
    async (args) => {
      await ask('CREATE DATABASE served').catch(() => undefined);
      const service = new Client({ connectionString: cluster.url('app', 'served') });
      await service.connect();
      const env = { ...environment(), DATABASE_OWNER_URL: cluster.url('owner', 'served') };
      const tool = join(scratch, 'tools', 'prisma.mts');
      const { status, stderr } = spawnSync(process.execPath, [tool, ...args], { cwd: scratch, env, encoding: 'utf8' });
      await service.end();
      expect([status, stderr]).toEqual([
        1,
        expect.stringContaining('A service is at work on this database (sessions of its roles: 1)'),
      ]);
    },
  );

  it.each([
    ['DATABASE_WRITE_URL', 'postgresql://app@host/db', 'DATABASE_OWNER_URL is required with DATABASE_WRITE_URL'],
    ['NODE_ENV', 'production', 'DATABASE_OWNER_URL is required with NODE_ENV=production'],
    [
      'DATABASE_URL',
      'postgresql://app@host/db',
      'DATABASE_URL is set and is not read: name the database in DATABASE_OWNER_URL',
    ],
    ['PGHOST', 'host', 'PGHOST is set and is not read'],
  ])('does not take the embedded database where %s says that another is meant', (name, value, sentence) => {
    const tool = join(scratch, 'tools', 'prisma.mts');
    const env = { ...environment(), [name]: value };
    const options = { cwd: scratch, env, encoding: 'utf8' } as const;
    const { status, stderr } = spawnSync(process.execPath, [tool, 'migrate', 'deploy'], options);
    expect([status, stderr]).toEqual([1, expect.stringContaining(sentence)]);
  });

  it('starts the embedded database when none runs, and stops it afterwards', async () => {
    await cluster.stop();
    const { code, output } = prisma('migrate', 'reset', '--force');
    expect([code, output]).toEqual([0, expect.stringContaining('embedded database: starting')]);
    expect(runningCluster(home)).toBeNull();
    expect(existsSync(join(cluster.home, 'primary', 'postmaster.pid'))).toBe(false);
  });

  it('stops it also when it is interrupted', async () => {
    writeFileSync(join(scratch, 'wait.sql'), 'SELECT pg_sleep(30)');
    const args = [join(scratch, 'tools', 'prisma.mts'), 'db', 'execute', '--file', 'wait.sql'];
    const child = spawn(process.execPath, args, { cwd: scratch, env: environment(), stdio: 'ignore' });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    expect(await until(isAsleep, 20_000)).toBe(true);
    child.kill('SIGTERM');
    expect(await ended).not.toBe(0);
    expect(existsSync(join(cluster.home, 'primary', 'postmaster.pid'))).toBe(false);
  });

  it('names an engine method that it does not know', () => {
    const engine = join(scratch, 'tools', 'schema-engine.mts');
    const input = '{"jsonrpc":"2.0","id":1,"method":"divine","params":{}}\n';
    const args = [engine, '--datasource', JSON.stringify({ url: 'postgresql://a:b@127.0.0.1:9/c' })];
    const { stdout } = spawnSync(process.execPath, args, { cwd: scratch, input, encoding: 'utf8' });
    const answer = JSON.parse(stdout) as { error: { data: { message: string } } };
    expect(answer.error.data.message).toContain('does not know the engine method divine');
  });
});
