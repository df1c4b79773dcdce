/** @servers any */
import { chmodSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ArchiveWatch } from '../src/operations/archive-watch.ts';
import { api, serve } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { makeHome } from './support/home.ts';
import { ask, type OwnCluster, startOwnCluster } from './support/own-cluster.ts';

const archive = makeHome('archive');
let own: OwnCluster;
let app: NestFastifyApplication;
let url: string;
const told: [level: string, facts: unknown, words: unknown][] = [];

beforeAll(async () => {
  own = await startOwnCluster({ archive });
  ({ app, url } = await serve(own.database));
  const keep = (level: string) => (facts: unknown, words: unknown) => void told.push([level, facts, words]);
  const silent = (): void => undefined;
  app.useLogger({ log: keep('log'), warn: keep('warn'), error: keep('error'), debug: silent, verbose: silent });
});
afterAll(async () => {
  await app.close();
  await own.close();
  rmSync(archive, { recursive: true, force: true });
});

const superuser = <Row extends Record<string, unknown>>(sql: string) => ask<Row>(own.database.urls.superuser, sql);
async function switchLog(): Promise<void> {
  // A segment to which nothing was written is not ended.
  await superuser(`SELECT pg_logical_emit_message(false, 'test', 'written')`);
  await superuser('SELECT pg_switch_wal()');
}
const archives = (column: 'last_failed_time' | 'last_archived_time', other: string) =>
  eventually(
    () =>
      superuser<{ is: boolean | null }>(
        `SELECT ${column} > coalesce(${other}, '-infinity') AS is FROM pg_stat_archiver`,
      ),
    ([row]) => row?.is === true,
  );
const look = () => app.get(ArchiveWatch).look();
const ready = async () => (await api(url).get('/readyz').expect(200)).body;
const lines = () => told.splice(0);

it('a log that is not archived is told once, in the log and by the readiness, which stays 200; and that it is again', async () => {
  await switchLog();
  await archives('last_archived_time', 'last_failed_time');
  await look();
  expect(await eventually(ready, ({ status }) => status === 'ok')).toMatchObject({
    details: { archive: { status: 'up' } },
  });

  const [folder = ''] = readdirSync(archive).map((name) => join(archive, name));
  told.splice(0);
  chmodSync(folder, 0o000);
  try {
    await switchLog();
    await archives('last_failed_time', 'last_archived_time');
    await look();
    await look();
    expect(await ready()).toMatchObject({
      status: 'degraded',
      details: { archive: { status: 'degraded', message: 'fails' }, primary: { status: 'up' } },
    });
    const facts = { segment: expect.stringMatching(/^[0-9A-F]{24}$/), lastArchivedAt: expect.any(Date) };
    const words = 'the write-ahead log is not archived: the database keeps it until its disk is full';
    expect(lines()).toEqual([['warn', facts, words]]);
  } finally {
    chmodSync(folder, 0o700);
  }
  await switchLog();
  await archives('last_archived_time', 'last_failed_time');
  await look();
  expect(await ready()).toMatchObject({ status: 'ok', details: { archive: { status: 'up' } } });
  expect(lines()).toEqual([['log', 'the write-ahead log is archived again', ArchiveWatch.name]]);
});

it('a primary that cannot be asked says nothing of its archive', async () => {
  await own.cluster.primary.stop('fast');
  await look();
  expect((await ready()).details).toMatchObject({ archive: { status: 'up' } });
  await own.cluster.primary.start();
});

it('where nothing is archived there is nothing to tell', async () => {
  const other = await startOwnCluster({ archive: null });
  const { app: silent, url: at } = await serve(other.database);
  try {
    await silent.get(ArchiveWatch).look();
    expect(Object.keys((await api(at).get('/readyz').expect(200)).body.details as object)).not.toContain('archive');
  } finally {
    await silent.close();
    await other.close();
  }
});
