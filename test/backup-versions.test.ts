import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeBackup, checkBackup } from '../src/embedded/backup/backup.ts';
import { restoreBackup } from '../src/embedded/backup/restore.ts';
import { ownMigrations } from '../src/database/schema-version.ts';
import { type Cluster, startCluster } from '../src/embedded/cluster.ts';
import { eventually } from './support/crowd.ts';
import { makeHome } from './support/home.ts';
import { ask } from './support/own-cluster.ts';

// On each PostgreSQL: what test/backup.test.ts shows of the commands, on the one that comes along.

const root = makeHome('versions');
const binaries: { binaries?: string } = process.env['POSTGRES_BINARIES']
  ? { binaries: process.env['POSTGRES_BINARIES'] }
  : {};
let cluster: Cluster;
const start = (name: string): Promise<Cluster> =>
  startCluster({
    home: join(root, name),
    durable: false,
    maxConnections: 20,
    archive: join(root, 'archive'),
    ...binaries,
  });
const words = async (): Promise<string[]> =>
  (await ask<{ word: string }>(cluster.url('owner'), 'SELECT word FROM words ORDER BY word')).map(({ word }) => word);
const write = (word: string) => ask(cluster.url('owner'), 'INSERT INTO words VALUES ($1)', [word]);

afterAll(async () => {
  await cluster.stop();
  rmSync(root, { recursive: true, force: true });
});

it('a backup is made, checked, and restored to its end and to a later moment', async () => {
  cluster = await start('home');
  await ask(cluster.url('owner'), 'CREATE TABLE words (word text)');
  await write('before');
  const target = join(root, 'backup');
  await makeBackup({ home: join(root, 'home'), cluster, target, version: '0.1.0' });
  await checkBackup(target);
  // PostgreSQL's own tool reads it, where it comes with the server.
  const verify = join(binaries.binaries ?? '', 'pg_verifybackup');
  if (existsSync(verify)) execFileSync(verify, ['--quiet', '--exit-on-error', join(target, 'data')], { stdio: 'pipe' });
  await write('later');
  const [now] = await ask<{ at: Date; name: string }>(
    cluster.url('superuser'),
    'SELECT clock_timestamp() AS at, pg_walfile_name(pg_switch_wal()) AS name',
  );
  await write('too late');
  await ask(cluster.url('superuser'), 'SELECT pg_switch_wal()');
  await eventually(
    () =>
      ask<{ last: string | null }>(cluster.url('superuser'), 'SELECT last_archived_wal AS last FROM pg_stat_archiver'),
    ([row]) => row?.last != null && row.last > now!.name,
  );
  await cluster.stop();

  const migrations = await ownMigrations();
  const common = { backup: target, migrations, ...binaries };
  await restoreBackup({ ...common, home: join(root, 'end') });
  cluster = await start('end');
  expect(await words()).toEqual(['before']);
  await cluster.stop();

  const archive = join(root, 'archive');
  await restoreBackup({ ...common, home: join(root, 'moment'), archive, toTime: now!.at });
  cluster = await start('moment');
  expect(await words()).toEqual(['before', 'later']);
});
