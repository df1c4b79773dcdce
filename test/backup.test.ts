/** @servers any */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findLog } from '../src/embedded/backup/archive.ts';
import { type Manifest, manifestFile, readManifest } from '../src/embedded/backup/manifest.ts';
import { runningCluster } from '../src/embedded/cluster.ts';
import { processesIn, until } from '../src/embedded/processes.ts';
import { api } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { makeHome } from './support/home.ts';
import { uuidOf } from './support/make.ts';
import { ask } from './support/own-cluster.ts';
import {
  buildService,
  keepAliveClient,
  killServices,
  leastEnvironment,
  type ServiceProcess,
  startService,
} from './support/process.ts';

// What an operator does on the worst day, with the commands that there are. Each part goes on with what the one before has left.

const root = makeHome('backup');
const home = join(root, 'home');
const archive = join(root, 'archive');
const backup = join(root, 'backup');
const homes = new Set<string>();
let service: ServiceProcess;
let url: string;

beforeAll(buildService);
afterAll(async () => {
  await killServices();
  for (const one of [home, ...homes])
    for (const server of ['primary', 'replica', 'primary.restoring'])
      await until(() => processesIn(join(one, server)).length === 0, 60_000);
  rmSync(root, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly said: string;
}

function begin(name: string, args: readonly string[], variables: Record<string, string>): ChildProcess {
  const program = ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', name), ...args];
  return spawn(process.execPath, program, { env: { ...leastEnvironment(), HOLDFAST_HOME: home, ...variables } });
}

function outcomeOf(child: ChildProcess): Promise<Outcome> {
  let [out, said] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, said })));
}

const runBackup = (...args: string[]) => outcomeOf(begin('backup.mts', args, { EMBEDDED_WAL_ARCHIVE: archive }));

/** A home that is not there yet. */
function freshHome(name: string): string {
  const one = join(root, name);
  homes.add(one);
  return one;
}
const runRestore = (into: string, ...args: string[]) => outcomeOf(begin('restore.mts', args, { HOLDFAST_HOME: into }));

const start = (from: string, variables: Record<string, string> = {}): ServiceProcess =>
  startService({ HOLDFAST_HOME: from, SHUTDOWN_DRAIN_MS: '0', LEDGER_SEAL_INTERVAL_MS: '200', ...variables });
async function stop(one: ServiceProcess): Promise<void> {
  one.kill('SIGTERM');
  expect(await one.exit).toMatchObject({ code: 0 });
}
const superuserOf = (from: string): string => runningCluster(from)?.url('superuser') ?? '';

async function signIn(at: string) {
  const { body } = await api(at)
    .post('/v1/sessions', { email: 'alice@example.com', password: 'alice-demo' })
    .expect(201);
  return body.accessToken as string;
}

interface Acknowledged {
  readonly id: string;
  /** Where the log stood behind its commit. */
  readonly position: bigint;
}
const positionOf = (text: string): bigint => {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
};
const acknowledged: Acknowledged[] = [];
let token: string;
let accounts: { from: string; to: string };

/** Gives cents to Bob, until it is stopped. */
function pay(workers: number): { stop(): Promise<void> } {
  const client = keepAliveClient(workers);
  let isOver = false;
  const work = async (): Promise<void> => {
    while (!isOver) {
      const body = { fromAccountId: accounts.from, toAccountId: accounts.to, amount: { amount: 1, currency: 'EUR' } };
      const { status, body: made } = await client.send('POST', `${url}/v1/transfers`, token, body);
      if (status !== 201) throw new Error(JSON.stringify(made));
      const [row] = await ask<{ at: string }>(superuserOf(home), 'SELECT pg_current_wal_flush_lsn()::text AS at');
      acknowledged.push({ id: uuidOf(made.id), position: positionOf(row!.at) });
    }
  };
  const all = Promise.all(Array.from({ length: workers }, work));
  return {
    stop: async () => {
      isOver = true;
      await all;
      client.close();
    },
  };
}

/** Ids of the transfers that are there. */
async function transfersIn(from: string): Promise<Set<string>> {
  const rows = await ask<{ id: string }>(superuserOf(from), 'SELECT id FROM transfer');
  return new Set(rows.map(({ id }) => id));
}
const missingIn = (there: Set<string>, wanted: readonly Acknowledged[]) => wanted.filter(({ id }) => !there.has(id));

/** Everything that a path leads to, and nothing else. */
const filesBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => ({
    path: join(entry.parentPath, entry.name),
    isFolder: entry.isDirectory(),
  }));

function expectNoSecret(...texts: string[]): void {
  const { passwords } = JSON.parse(readFileSync(join(home, 'cluster.json'), 'utf8')) as {
    passwords: Record<string, string>;
  };
  const secrets = [...Object.values(passwords), readFileSync(join(home, 'auth-secret'), 'utf8')];
  for (const text of texts) for (const secret of secrets) expect(text).not.toContain(secret);
}

let manifest: Manifest;
let noted: string;
/** Between these two nobody wrote. */
let quiet: { readonly time: string; readonly before: number };

describe('a backup', () => {
  it('is made beside a service at work, and says what it holds', async () => {
    service = start(home, { EMBEDDED_WAL_ARCHIVE: archive });
    url = await service.url;
    token = await signIn(url);
    const alice = api(url, token);
    const bob = await api(url).post('/v1/sessions', { email: 'bob@example.com', password: 'bob-demo' }).expect(201);
    const accountOf = async (who: ReturnType<typeof api>): Promise<string> =>
      (await who.get('/v1/accounts').expect(200)).body.data[0].id;
    accounts = { from: await accountOf(alice), to: await accountOf(api(url, bob.body.accessToken as string)) };
    const operator = await api(url)
      .post('/v1/sessions', { email: 'operator@example.com', password: 'operator-demo' })
      .expect(201);
    const { body } = await eventually(
      () =>
        api(url, operator.body.accessToken as string)
          .get('/v1/ledger/chain')
          .expect(200),
      ({ body: chain }) => chain.length > 0,
    );
    noted = `${body.length}:${body.head}`;

    const load = pay(4);
    await eventually(
      async () => acknowledged.length,
      (n) => n > 20,
    );
    const { code, out, said } = await runBackup(backup);
    expect([code, out]).toEqual([0, '']);
    await eventually(
      async (n = acknowledged.length) => acknowledged.length - n,
      () => acknowledged.length > 60,
    );
    await load.stop();
    manifest = readManifest(backup);
    expect(said).toBe(
      `${backup} holds all that was stored before ${manifest.begunAt} (${Object.keys(manifest.files).length} files, ${Math.ceil(Object.values(manifest.files).reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20)} MB).\n` +
        'It holds passwords, secrets and all data: keep it as closely as the database itself.\n',
    );
    expectNoSecret(said, readFileSync(join(backup, 'backup.json'), 'utf8'));
  });

  it('can be read by its owner alone', () => {
    const modes = [{ path: backup, isFolder: true }, ...filesBelow(backup)].map(({ path, isFolder }) => ({
      path,
      mode: statSync(path).mode & 0o777,
      wanted: isFolder ? 0o700 : 0o600,
    }));
    expect(modes.filter(({ mode, wanted }) => mode !== wanted)).toEqual([]);
    expect(modes.length).toBeGreaterThan(1000);
  });

  it('is compared with its checksums by --check', async () => {
    expect(await runBackup('--check', backup)).toMatchObject({
      code: 0,
      said: expect.stringContaining(`${backup} is whole`),
    });
  });

  it('is never half of one: what was ended before is not taken for a backup, and is not written over', async () => {
    const target = join(root, 'ended');
    const child = begin('backup.mts', [target], {});
    const outcome = outcomeOf(child);
    expect(await until(() => existsSync(join(`${target}.partial`, 'data', 'base')), 60_000, 1)).toBe(true);
    child.kill('SIGKILL');
    await outcome;
    expect(existsSync(target)).toBe(false);
    const into = freshHome('ended-home');
    expect(await runRestore(into, `${target}.partial`)).toMatchObject({
      code: 1,
      said: `${target}.partial is not a complete backup: it has no backup.json.\n`,
    });
    expect(existsSync(into)).toBe(false);
    const sentence = `Another backup is at work in ${target}.partial, or was ended there: then remove it.\n`;
    expect(await runBackup(target)).toMatchObject({ code: 1, said: sentence });
    expect(await runBackup(backup)).toMatchObject({
      code: 1,
      said: `${backup} exists already: name a new folder for the backup.\n`,
    });
    rmSync(`${target}.partial`, { recursive: true });
  });

  it('is refused in a sentence where it cannot be made', async () => {
    const elsewhere = join(root, 'nothing');
    const of = (variables: Record<string, string>, ...args: string[]) =>
      outcomeOf(begin('backup.mts', args, variables));
    expect(await of({ HOLDFAST_HOME: elsewhere }, join(root, 'none'))).toMatchObject({
      code: 1,
      said: `There is no database in ${elsewhere}: set HOLDFAST_HOME to the folder of the service.\n`,
    });
    expect(existsSync(elsewhere)).toBe(false);
    expect(await of({ DATABASE_WRITE_URL: 'postgresql://u:p@127.0.0.1:1/x' }, join(root, 'none'))).toMatchObject({
      code: 1,
      said: '"npm run backup" is for the embedded database, and DATABASE_WRITE_URL names another: docs/backup.md says how to back that up.\n',
    });
    expect(await of({}, join(root, 'home', 'cluster.json', 'x'))).toMatchObject({
      code: 1,
      said: expect.stringMatching(/^The backup could not be written to .*cluster\.json\/x: E(NOTDIR|EXIST).*\n$/),
    });
    const usage = 'Usage: npm run backup -- <new folder> | --check <backup> | --prune-archive <backup>\n';
    for (const args of [[], ['a', 'b'], ['--loud']])
      expect(await of({}, ...args)).toMatchObject({ code: 2, said: usage });
  });

  /** Begins a backup that stands still in the midst of the copy while the log grows by so many MB, and people pay. */
  async function whileWritten(target: string, megabytes: number): Promise<Outcome> {
    const child = begin('backup.mts', [target], {});
    const outcome = outcomeOf(child);
    expect(await until(() => existsSync(join(`${target}.partial`, 'data', 'base')), 60_000, 1)).toBe(true);
    child.kill('SIGSTOP');
    try {
      const before = acknowledged.length;
      const load = pay(2);
      for (let n = 0; n < megabytes; n += 8)
        await ask(superuserOf(home), `SELECT pg_logical_emit_message(false, 'test', repeat('x', 8 * 1048576), true)`);
      await eventually(
        async () => acknowledged.length - before,
        (n) => n > 10,
      );
      await load.stop();
      // The slot of the replica is under the same bound.
      await eventually(
        () =>
          ask<{ is: boolean }>(
            superuserOf(home),
            "SELECT bool_and(replay_lsn >= pg_current_wal_flush_lsn()) AS is FROM pg_stat_replication WHERE state = 'streaming'",
          ),
        ([row]) => row?.is === true,
      );
      // It removes what of the log nobody may keep.
      const checkpoint = ask(superuserOf(home), 'CHECKPOINT');
      await Promise.race([checkpoint, sleep(2000)]);
      child.kill('SIGCONT');
      await checkpoint;
    } finally {
      child.kill('SIGCONT');
    }
    return outcome;
  }

  it('is whole although more than a checkpoint removes is written while it is copied', async () => {
    const target = join(root, 'beside-writers');
    expect(await whileWritten(target, 96)).toMatchObject({ code: 0 });
    const { start: first, end } = readManifest(target);
    expect(positionOf(end) - positionOf(first)).toBeGreaterThan(96n * 1_048_576n);
    const into = freshHome('beside-writers-home');
    expect(await runRestore(into, target)).toMatchObject({
      code: 0,
      out: expect.stringContaining('The books are right.\n'),
    });
    const restored = start(into);
    await restored.url;
    const wanted = acknowledged.filter(({ position }) => position <= positionOf(end));
    expect(missingIn(await transfersIn(into), wanted)).toEqual([]);
    expect(wanted.at(-1)!.position).toBeGreaterThan(positionOf(first));
    await stop(restored);
    rmSync(target, { recursive: true });
  });

  it('ends with a sentence where more is written than the server keeps for it, and nothing is left of it', async () => {
    const target = join(root, 'outrun');
    const bound = (sql: string) =>
      ask(superuserOf(home), sql).then(() => ask(superuserOf(home), 'SELECT pg_reload_conf()'));
    await bound(`ALTER SYSTEM SET max_slot_wal_keep_size = '24MB'`);
    try {
      expect(await whileWritten(target, 96)).toEqual({
        code: 1,
        out: '',
        said: 'The server ended the backup: it stops, or more was written meanwhile than it keeps of its log (max_slot_wal_keep_size). Make the backup when less is written.\n',
      });
    } finally {
      await bound('ALTER SYSTEM RESET max_slot_wal_keep_size');
    }
    expect([existsSync(target), existsSync(`${target}.partial`)]).toEqual([false, false]);
    const slots = await ask(superuserOf(home), `SELECT FROM pg_replication_slots WHERE slot_name LIKE 'backup%'`);
    expect(slots).toEqual([]);
    await api(url, token).get('/v1/users/me').expect(200);
  });

  it('says when the log is not archived, although the backup is made', async () => {
    const folder = join(archive, manifest.systemIdentifier);
    const switchLog = async (): Promise<void> => {
      await ask(superuserOf(home), `SELECT pg_logical_emit_message(false, 'test', 'written')`);
      await ask(superuserOf(home), 'SELECT pg_switch_wal()');
    };
    const failing = `SELECT last_failed_time > coalesce(last_archived_time, '-infinity') AS is FROM pg_stat_archiver`;
    const isFailing = () => ask<{ is: boolean | null }>(superuserOf(home), failing);
    chmodSync(folder, 0o000);
    try {
      await switchLog();
      await eventually(isFailing, ([row]) => row?.is === true);
      const { code, said } = await runBackup(join(root, 'unarchived'));
      expect([code, said]).toEqual([
        0,
        expect.stringMatching(
          /\nThe write-ahead log has not been archived since 20\S+Z \([0-9A-F]{24} failed\): see logs\/primary\.log, before the disk of the database is full\.\n$/,
        ),
      ]);
    } finally {
      chmodSync(folder, 0o700);
    }
    await switchLog();
    await eventually(isFailing, ([row]) => row?.is === false);
    rmSync(join(root, 'unarchived'), { recursive: true });
  });
});

describe('a restore', () => {
  const into = freshHome('restored');

  it('has every write that was acknowledged before the end of the backup; books and chain are right', async () => {
    const { code, out, said } = await runRestore(into, backup, '--noted', noted);
    expect(said).toContain(`Restored into ${into}: `);
    expect([code, out]).toEqual([0, expect.stringContaining('The books are right.\n')]);
    expect(out).toMatch(/\n\d+ links are right\. Head: /);
    expectNoSecret(said, out);

    const restored = start(into);
    const at = await restored.url;
    const there = await transfersIn(into);
    const [first, last] = [positionOf(manifest.start), positionOf(manifest.end)];
    const during = acknowledged.filter(({ position }) => position > first && position <= last);
    // Otherwise nothing was written while the copy was made, and it shows nothing.
    expect(during.length).toBeGreaterThan(0);
    expect(
      missingIn(
        there,
        acknowledged.filter(({ position }) => position <= last),
      ),
    ).toEqual([]);
    expect(missingIn(there, acknowledged).length).toBeGreaterThan(0);
    // Passwords, secret and sessions are those of the backup: who was signed in still is.
    await api(at, token).get('/v1/users/me').expect(200);
    await signIn(at);
    const { status, body } = await keepAliveClient().send('GET', `${at}/readyz`);
    expect([status, body.status]).toEqual([200, 'ok']);

    const unusable = join(into, 'cluster.json', 'archive');
    const refused = outcomeOf(
      begin('restore.mts', [backup], { HOLDFAST_HOME: freshHome('no-archive'), EMBEDDED_WAL_ARCHIVE: unusable }),
    );
    expect(await refused).toMatchObject({
      code: 1,
      said: expect.stringMatching(
        /\nThe write-ahead log cannot be archived in \S+: E\w+: .*\. Mend that, or set EMBEDDED_WAL_ARCHIVE to another folder or to off\.\n$/,
      ),
    });

    // Whoever wants it otherwise ends all sessions, with the statement of the page.
    const [, statement = ''] = /`(UPDATE session SET [^`]+)`/.exec(readFileSync('docs/backup.md', 'utf8')) ?? [];
    await ask(runningCluster(into)?.url('owner') ?? '', statement);
    const payment = { fromAccountId: accounts.from, toAccountId: accounts.to, amount: { amount: 1, currency: 'EUR' } };
    await api(at, token).post('/v1/transfers', payment).expect(401);
    await stop(restored);
  });

  it('is refused where there are data already, and moves them aside when that is said', async () => {
    expect(await runRestore(into, backup)).toMatchObject({
      code: 1,
      said: `${into} has a database already: add --force to move it aside, or set HOLDFAST_HOME to another folder.\n`,
    });
    const before = readFileSync(join(into, 'cluster.json'), 'utf8');
    const { code, said } = await runRestore(into, backup, '--force');
    expect(code).toBe(0);
    const aside = join(into, 'before-restore-1');
    expect(said).toContain(`What was there before lies in ${aside}`);
    expect(readFileSync(join(aside, 'cluster.json'), 'utf8')).toBe(before);
    expect(readdirSync(aside).sort()).toEqual(['auth-secret', 'cluster.json', 'primary']);
    expect(existsSync(join(aside, 'primary', 'PG_VERSION'))).toBe(true);
  });

  it('is refused where a service runs, whatever is said', async () => {
    const sentence = `Holdfast already runs from ${home} (pid ${service.pid}). Stop it, or set HOLDFAST_HOME to another folder.\n`;
    expect(await runRestore(home, backup)).toMatchObject({ code: 1, said: sentence });
    expect(await runRestore(home, backup, '--force')).toMatchObject({ code: 1, said: sentence });
    await api(url, token).get('/v1/users/me').expect(200);
  });

  it('that was ended is not taken for a database, and can be made again', async () => {
    const ended = freshHome('ended-restore');
    const child = begin('restore.mts', [backup], { HOLDFAST_HOME: ended });
    const outcome = outcomeOf(child);
    expect(await until(() => existsSync(join(ended, 'primary.restoring', 'base')), 60_000, 1)).toBe(true);
    child.kill('SIGKILL');
    await outcome;
    const draft = join(ended, 'primary.restoring');
    expect((await start(ended).exit).said).toContain(
      `A restore into ${ended} was not finished: run "npm run restore" again, or remove ${draft} to go on with what was there before.\n`,
    );
    expect(existsSync(join(ended, 'primary'))).toBe(false);
    expect(await runRestore(ended, backup)).toMatchObject({ code: 0 });
    expect(existsSync(draft)).toBe(false);
  });

  it('is refused in a sentence when it is called in another way', async () => {
    const usage =
      'Usage: npm run restore -- <backup> [--archive <folder>] [--to-time 2026-11-30T12:00:00Z] [--timeline <number>] [--force] [--noted <length>:<head>]\n';
    const none = freshHome('none');
    // Without a zone it would be another moment on another machine.
    for (const args of [[], ['a', 'b'], [backup, '--to-time', '2026-11-30T12:00:00'], [backup, '--to-time', 'noon']])
      expect(await runRestore(none, ...args)).toMatchObject({ code: 2, said: usage });
    expect(await runRestore(none, join(root, 'nowhere'))).toMatchObject({
      code: 1,
      said: `There is no backup ${join(root, 'nowhere')}.\n`,
    });
    expect(existsSync(none)).toBe(false);
  });
});

describe('a backup that cannot be trusted is refused in a sentence, and nothing is left of it:', () => {
  const copy = join(root, 'copy');
  const into = freshHome('refused');
  const inData = (path: string): string => join(copy, 'data', path);
  /** Says something else, and has the checksum of what it says. */
  const saying = (more: Partial<Manifest>) => () =>
    writeFileSync(join(copy, 'backup.json'), manifestFile({ ...readManifest(copy), ...more }).text);
  beforeAll(() => cpSync(backup, copy, { recursive: true, preserveTimestamps: true }));
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  const someTable = (): string =>
    Object.keys(manifest.files)
      .find((path) => /^data\/base\/\d+\/1259$/.test(path))!
      .replace('data/', '');

  it.each<[string, (path: string) => string, (path: string) => void, (path: string) => string]>([
    [
      'a bit of a table was changed',
      someTable,
      (path) => {
        const content = readFileSync(path);
        content[100]! ^= 1;
        writeFileSync(path, content);
      },
      (path) => `The backup ${copy} is damaged: data/${path} is not as it was written.`,
    ],
    [
      'a file has an end that is not its own',
      someTable,
      (path) => appendFileSync(path, 'x'),
      (path) => `The backup ${copy} is damaged: data/${path} is not as it was written.`,
    ],
    [
      'a file is missing',
      someTable,
      (path) => unlinkSync(path),
      (path) => `The backup ${copy} is damaged: data/${path} is missing.`,
    ],
    [
      'its log is missing',
      () =>
        Object.keys(manifest.files)
          .find((path) => /pg_wal\/[0-9A-F]{24}$/.test(path))!
          .replace('data/', ''),
      (path) => unlinkSync(path),
      (path) => `The backup ${copy} is damaged: data/${path} is missing.`,
    ],
    [
      'a file was added',
      () => 'base/added',
      (path) => writeFileSync(path, ''),
      (path) => `The backup ${copy} is damaged: data/${path} was added to it.`,
    ],
    [
      'the passwords were changed',
      () => '../home/cluster.json',
      (path) => appendFileSync(path, ' '),
      () => `The backup ${copy} is damaged: home/cluster.json is not as it was written.`,
    ],
    [
      'its description was changed',
      () => '../backup.json',
      (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('"postgres": "', '"postgres": "1')),
      () => `The backup ${copy} is damaged: backup.json was changed.`,
    ],
    [
      'it is of another major version of PostgreSQL',
      () => '../backup.json',
      saying({ postgres: '17.5' }),
      () =>
        `The backup ${copy} is of PostgreSQL 17.5 and this is PostgreSQL ${manifest.postgres}: restore it with the version of Holdfast that made it (${manifest.version}).`,
    ],
    [
      'it is of another kind of machine',
      () => '../backup.json',
      saying({ platform: 'plan9-vax' }),
      () =>
        `The backup ${copy} is of plan9-vax and this is ${manifest.platform}: PostgreSQL's files cannot be read there.`,
    ],
    [
      'it is of a later version',
      () => '../backup.json',
      saying({ migrations: { '20991231000000_later': 'x' }, version: '9.0.0' }),
      () =>
        `The backup ${copy} has the migration 20991231000000_later, which this version does not have or has with other contents: restore it with the version that made it (9.0.0).`,
    ],
  ])('%s', async (_, pathOf, harm, sentence) => {
    const path = pathOf('');
    const file = inData(path);
    const kept = join(root, 'kept');
    if (existsSync(file)) cpSync(file, kept);
    harm(file);
    try {
      const { code, said } = await runRestore(into, copy);
      // What it does is told as lines that are set in.
      expect([code, said.replaceAll(/^ {2}.*\n/gm, '')]).toEqual([1, `${sentence(path)}\n`]);
      for (const name of ['primary', 'primary.restoring', 'cluster.json', 'auth-secret', 'lock'])
        expect(existsSync(join(into, name))).toBe(false);
    } finally {
      rmSync(file, { force: true });
      if (existsSync(kept)) renameSync(kept, file);
    }
  });

  it('and undamaged again it is restored', async () => {
    expect(await runRestore(into, copy)).toMatchObject({ code: 0 });
  });
});

describe('with the archive of the log', () => {
  /** What is written from here on is archived when it resolves. */
  async function archived(): Promise<void> {
    // A segment to which nothing was written is not ended.
    await ask(superuserOf(home), `SELECT pg_logical_emit_message(false, 'test', 'written')`);
    const [row] = await ask<{ name: string }>(superuserOf(home), 'SELECT pg_walfile_name(pg_switch_wal()) AS name');
    await eventually(
      () => ask<{ last: string | null }>(superuserOf(home), 'SELECT last_archived_wal AS last FROM pg_stat_archiver'),
      ([now]) => now?.last != null && now.last >= row!.name,
    );
  }
  const into = freshHome('point-in-time');
  let last: Acknowledged[];

  beforeAll(async () => {
    const [now] = await ask<{ at: Date }>(superuserOf(home), 'SELECT clock_timestamp() AS at');
    quiet = { time: now!.at.toISOString(), before: acknowledged.length };
    const load = pay(2);
    await eventually(
      async () => acknowledged.length,
      (n) => n > quiet.before + 10,
    );
    await load.stop();
    last = acknowledged.slice(quiet.before);
    await archived();
  });

  it('the data of a point in time are restored: all that was written before it, and nothing after it', async () => {
    const { code, out, said } = await runRestore(
      into,
      backup,
      '--archive',
      archive,
      '--to-time',
      quiet.time,
      '--noted',
      noted,
    );
    expect([code, out]).toEqual([0, expect.stringContaining('The books are right.\n')]);
    expect(said).toMatch(/: its last write is of 20\d\d-\d\d-\d\dT[\d:.]+Z\.\n/);
    const restored = start(into);
    await restored.url;
    const there = await transfersIn(into);
    expect(missingIn(there, acknowledged.slice(0, quiet.before))).toEqual([]);
    expect(missingIn(there, last)).toEqual(last);
    await stop(restored);
  });

  it('a time that it cannot reach is refused, and nothing is left of the attempt', async () => {
    const none = freshHome('unreached');
    const restore = async (...args: string[]) => {
      const { code, said } = await runRestore(none, backup, ...args);
      expect(existsSync(join(none, 'primary'))).toBe(false);
      expect(existsSync(join(none, 'primary.restoring'))).toBe(false);
      return [code, said.replaceAll(/^ {2}.*\n/gm, '')];
    };
    const earlier = new Date(Date.parse(manifest.endedAt) - 1).toISOString();
    expect(await restore('--archive', archive, '--to-time', earlier)).toEqual([
      1,
      `The backup ${backup} ended at ${manifest.endedAt}, after ${earlier}: restore an earlier backup to that time.\n`,
    ]);
    expect(await restore('--archive', archive, '--to-time', '2099-01-01T00:00:00+01:00')).toEqual([
      1,
      expect.stringMatching(
        /^The archive does not reach the time of --to-time: its last write is of 20\S+Z\. Name an earlier time, or leave --to-time out to restore all there is\.\n$/,
      ),
    ]);
    expect(await restore('--to-time', quiet.time)).toEqual([
      1,
      'A restore to a point in time needs the archive of the write-ahead log: name it with --archive.\n',
    ]);
    expect(await restore('--archive', root)).toEqual([
      1,
      `${root} holds no write-ahead log of this database: it has no folder ${manifest.systemIdentifier}.\n`,
    ]);
  });

  it('all that was archived is restored where no time is named; it goes on archiving, as a timeline of its own', async () => {
    const whole = freshHome('whole');
    const { code } = await outcomeOf(
      begin('restore.mts', [backup, '--archive', archive], { HOLDFAST_HOME: whole, EMBEDDED_WAL_ARCHIVE: archive }),
    );
    expect(code).toBe(0);
    const restored = start(whole);
    await restored.url;
    expect(missingIn(await transfersIn(whole), acknowledged)).toEqual([]);
    const [row] = await ask<{ name: string }>(superuserOf(whole), 'SELECT pg_walfile_name(pg_switch_wal()) AS name');
    expect(row!.name).toMatch(/^00000002/);
    expect(await until(() => existsSync(join(archive, manifest.systemIdentifier, row!.name)), 60_000)).toBe(true);
    expect(existsSync(join(archive, manifest.systemIdentifier, '00000002.history'))).toBe(true);
    await stop(restored);
  });

  it('a segment that is missing or damaged is not taken for the end of the log', async () => {
    const none = freshHome('gap');
    const copied = join(root, 'copied-archive');
    cpSync(archive, copied, { recursive: true });
    const folder = join(copied, manifest.systemIdentifier);
    // Of the first timeline alone: what the restored database above has written is another branch.
    for (const name of readdirSync(folder).filter((one) => one.startsWith('00000002'))) rmSync(join(folder, name));
    const { files, last: lastNumber } = findLog(copied, manifest);
    const segments = files.filter((name) => name.length === 24).sort();
    expect([segments.length > 2, lastNumber > 0]).toEqual([true, true]);
    const name = segments.at(-2)!;
    const content = readFileSync(join(folder, name));
    const restore = async () => {
      const { code, said } = await runRestore(none, backup, '--archive', copied);
      expect(existsSync(join(none, 'primary'))).toBe(false);
      return [code, said.replaceAll(/^ {2}.*\n/gm, '')];
    };
    rmSync(join(folder, name));
    expect(await restore()).toEqual([
      1,
      `The archive ${folder} lacks the segment ${name.slice(8)} and has later ones: what came after it cannot be restored. Name the last moment before it with --to-time, or restore a later backup.\n`,
    ]);
    writeFileSync(join(folder, name), Buffer.alloc(content.length, 'damaged'), { mode: 0o600 });
    chmodSync(join(folder, name), 0o600);
    expect(await restore()).toEqual([
      1,
      expect.stringMatching(
        /^The archive .* is damaged: its log can be read up to 0\/[0-9A-F]+ only\. To restore what comes before, add --to-time 20\S+Z\.\n$/,
      ),
    ]);
  });

  it('which of two branches is meant is asked, and never guessed', async () => {
    const none = freshHome('branches');
    const folder = join(archive, manifest.systemIdentifier);
    const { code, said } = await runRestore(none, backup, '--archive', archive);
    expect([code, said]).toEqual([
      1,
      expect.stringMatching(
        /^The archive .* has several timelines after this backup, as a database was restored from it or from an earlier one: 1 \(archived until 20\S+Z\), 2 \(archived until 20\S+Z\)\. Name one with --timeline\.\n$/,
      ),
    ]);
    expect(await runRestore(none, backup, '--archive', archive, '--timeline', '7')).toMatchObject({
      code: 1,
      said: expect.stringContaining('The timeline 7 does not go on from this backup: 1 ('),
    });
    expect(findLog(archive, manifest, 1).files.some((name) => /^00000002.{16}$/.test(name))).toBe(false);
    expect(findLog(archive, manifest, 2).files.some((name) => /^00000002.{16}$/.test(name))).toBe(true);
    expect(existsSync(join(folder, '00000003.history'))).toBe(false);
    const variables = { HOLDFAST_HOME: none, EMBEDDED_WAL_ARCHIVE: archive };
    const again = await outcomeOf(begin('restore.mts', [backup, '--archive', archive, '--timeline', '2'], variables));
    expect(again.code).toBe(0);
    // Its own is a third one: the numbers of the others are not given again.
    expect(existsSync(join(folder, '00000003.history'))).toBe(true);
  });

  it('what no backup from a given one on needs is removed from it, and that one can still be restored', async () => {
    const later = join(root, 'later');
    expect(await runBackup(later)).toMatchObject({ code: 0 });
    await archived();
    const { code, said } = await runBackup('--prune-archive', later);
    expect([code, said]).toEqual([0, expect.stringMatching(/^Removed [1-9]\d* files of the log before .*later\.\n$/)]);
    // The other branches have left its timeline before it began.
    expect(await runRestore(freshHome('after-pruning'), later, '--archive', archive)).toMatchObject({ code: 0 });
    expect(await runRestore(freshHome('too-old'), backup, '--archive', archive, '--timeline', '1')).toMatchObject({
      code: 1,
      said: expect.stringContaining('lacks the segment'),
    });
    await stop(service);
  });
});
