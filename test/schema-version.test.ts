import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { serve } from './support/app.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { buildService, killServices, startService } from './support/process.ts';

const own = readdirSync(join('prisma', 'migrations'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();
const last = own.at(-1) as string;
const sentence = (difference: string): string =>
  `The database is not at the version of this service: ${difference}. Run "npm run db:migrate" with DATABASE_OWNER_URL set, or start the version that fits.`;

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
  [
    'lacks a migration',
    `DELETE FROM _prisma_migrations WHERE migration_name = '${last}'`,
    `it lacks the migration ${last}`,
  ],
  [
    'has one that this version does not know',
    `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('1', 'x', '29990101000000_later', now())`,
    'it has the migration 29990101000000_later, which this version does not know',
  ],
  [
    'has one with other contents',
    `UPDATE _prisma_migrations SET checksum = 'other' WHERE migration_name = '${last}'`,
    `its migration ${last} has other contents than ours`,
  ],
  [
    'has one that did not finish',
    `UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name = '${last}'`,
    `its migration ${last} did not finish`,
  ],
  [
    'took one back',
    `UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = '${last}'`,
    `it lacks the migration ${last}`,
  ],
  ['was never migrated', 'ALTER TABLE _prisma_migrations RENAME TO removed', 'it has no migrations'],
])('refuses a database that %s', async (_, change, difference) => {
  await database.query(change);
  expect(await start()).toBe(sentence(difference));
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
    AUTH_SECRET: 'a secret of the tests, which is long enough',
  });
  expect(await service.exit).toEqual({
    code: 1,
    signal: null,
    said: `${sentence(`it lacks the migration ${last}`)}\n`,
  });
});
