/** @servers any */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { breaking } from '../src/database/schema-version.ts';
import { serve } from './support/app.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { buildService, killServices, leastEnvironment, startService } from './support/process.ts';
import { testSecret } from './support/secret.ts';

const own = readdirSync(join('prisma', 'migrations'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();
const last = own.at(-1) as string;
const sentence = (difference: string): string => `The database is not at the version of this service: ${difference}. `;
const migrate = 'Run "npm run db:migrate" with DATABASE_OWNER_URL set.';
const putBack =
  'It was migrated from another branch, or a file was changed after it had run. Put the files in prisma/migrations back as they were then, or use another database.';
const insert = (name: string, checksum = 'x', finished = 'now()'): string =>
  `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('1', '${checksum}', '${name}', ${finished})`;

jest.setTimeout(180_000);

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query('CREATE TABLE kept AS SELECT * FROM _prisma_migrations');
});
afterEach(async () => {
  await killServices();
  await database.query('ALTER TABLE IF EXISTS removed RENAME TO _prisma_migrations');
  await database.query('DELETE FROM _prisma_migrations');
  await database.query('INSERT INTO _prisma_migrations SELECT * FROM kept');
});
afterAll(() => database.drop());

/** How the start is refused; 'started' when it is not. */
async function start(): Promise<string> {
  try {
    const { app } = await serve(database);
    await app.close();
    return 'started';
  } catch (error) {
    return (error as Error).message;
  }
}

it('starts on a database that has just its migrations', async () => {
  expect(await start()).toBe('started');
});

it.each([
  ['a later migration', insert('29990101000000_later')],
  ['one that is being applied now', insert('29990101000000_later', 'x', 'NULL')],
])('starts on a database that the next version has given %s', async (_, change) => {
  await database.query(change);
  expect(await start()).toBe('started');
});

it.each([
  [
    'lacks a migration',
    `DELETE FROM _prisma_migrations WHERE migration_name = '${last}'`,
    `it lacks the migration ${last}`,
    migrate,
  ],
  [
    'has a later one that breaks the version before',
    insert('29990101000000_later_breaks_previous'),
    'it has the later migration 29990101000000_later_breaks_previous, which breaks this version',
    'Start the version that made it, or a later one: migrations are not taken back.',
  ],
  [
    'has one of another branch',
    insert('20261121000050_elsewhere'),
    'it has the migration 20261121000050_elsewhere, which this version does not know and which is no later than ours',
    putBack,
  ],
  [
    'has one with other contents',
    `UPDATE _prisma_migrations SET checksum = 'other' WHERE migration_name = '${last}'`,
    `its migration ${last} has other contents than ours`,
    putBack,
  ],
  [
    'has one by another name',
    `UPDATE _prisma_migrations SET migration_name = '29990101000000_renamed' WHERE migration_name = '${last}'`,
    `it has our migration ${last} by another name, 29990101000000_renamed`,
    putBack,
  ],
  [
    'has one that did not finish',
    `UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name = '${last}'`,
    `its migration ${last} did not finish`,
    `See why with "npm run prisma -- migrate status" and DATABASE_OWNER_URL set. Once it runs no more and nothing of it is left, run "npm run prisma -- migrate resolve --rolled-back ${last}", then "npm run db:migrate".`,
  ],
  [
    'took one back',
    `UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = '${last}'`,
    `it lacks the migration ${last}`,
    migrate,
  ],
  ['was never migrated', 'ALTER TABLE _prisma_migrations RENAME TO removed', 'it has no migrations', migrate],
])('refuses a database that %s, and says what to do', async (_, change, difference, remedy) => {
  await database.query(change);
  expect(await start()).toBe(sentence(difference) + remedy);
});

it('the name and the first line of a migration agree on whether it breaks the version before', () => {
  const disagreeing = own.filter((name) => {
    const [first = ''] = readFileSync(join('prisma', 'migrations', name, 'migration.sql'), 'utf8').split('\n');
    return name.endsWith(breaking) !== /^-- Breaks the version before: \S/.test(first);
  });
  expect(disagreeing).toEqual([]);
});

it('a migration that was taken back and made again is as good as any', async () => {
  await database.query(
    `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, rolled_back_at)
     SELECT 'again', 'other', migration_name, NULL, now() FROM _prisma_migrations WHERE migration_name = $1`,
    [last],
  );
  expect(await start()).toBe('started');
});

it('says it in one sentence and ends with code 1', async () => {
  await buildService();
  await database.query('DELETE FROM _prisma_migrations WHERE migration_name = $1', [last]);
  const service = startService({
    DATABASE_WRITE_URL: database.urls.app,
    DATABASE_READ_URL: database.urls.reader,
    AUTH_SECRET: testSecret,
  });
  expect(await service.exit).toEqual({
    code: 1,
    signal: null,
    said: `${sentence(`it lacks the migration ${last}`)}${migrate}\n`,
  });
});

// A connection that is left open keeps a process for a minute, which is how long an idle one may live.
it.each([
  ['add-operator.mjs', ['somebody@example.com'], 1],
  ['seed.mjs', [], 1],
  ['verify-ledger.mjs', [], 2],
  ['restore-check.mjs', [], 2],
  ['reconcile.mjs', [], 2],
])(
  '%s says it too, and ends at once',
  async (name, args, expected) => {
    await buildService();
    await database.query('DELETE FROM _prisma_migrations WHERE migration_name = $1', [last]);
    const variables = {
      DATABASE_WRITE_URL: database.urls.app,
      DATABASE_READ_URL: database.urls.reader,
      AUTH_SECRET: testSecret,
      LOG_LEVEL: 'silent',
    };
    const child = spawn(process.execPath, [join('tools', name), ...args], {
      env: { ...leastEnvironment(), ...variables },
    });
    let said = '';
    let saidAt = 0;
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      saidAt = performance.now();
    });
    child.stdin.end('correct horse battery staple\n');
    const code = await new Promise((resolve) => child.once('exit', resolve));
    expect([code, said]).toEqual([expected, expect.stringContaining(`it lacks the migration ${last}`)]);
    expect(performance.now() - saidAt).toBeLessThan(20_000);
  },
  120_000,
);
