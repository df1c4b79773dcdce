// npm run bench: the service as it ships beside its peers, on one PostgreSQL, with one load. docs/performance.md says what is measured and why.
// Starts a durable cluster of its own; the service, the peers and the load are processes of their own; cases and services take turns. In the
// end the books are checked. A full run writes bench/results, bench/report.html and the figures of README.md and docs/performance.md.
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { type Cluster, startCluster } from '../src/embedded/cluster.ts';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import { build } from '../tools/run.mts';
import { Acknowledged, checkPeers, checkService } from './books.mts';
import { limitSizes, peerNames, type ServiceName } from './cases.mts';
import { measureCases, type Target } from './measure.mts';
import { type Options, optionsOf } from './options.mts';
import { show, writePages, writeReport } from './pages.mts';
import { allEnd, BenchError, end, message, ownFile, start, type Started, stop, stopAll } from './processes.mts';
import {
  type BoundariesMeasured,
  fileOf,
  type LimitMeasured,
  readResults,
  type Result,
  resultsFolder,
} from './results.mts';
import { databaseSettings, poolSize, readyOf, readyWithinMs, settings, startHoldfast } from './service.mts';
import { measureSizes } from './sizes.mts';
import { databaseOf, fillShop, limitDatabase, prepareDatabases } from './world.mts';

const secret = randomBytes(48).toString('base64url');

async function run(options: Options, home: string): Promise<Result> {
  const busy = loadavg()[0] ?? 0;
  const begun = { at: new Date().toISOString(), ...commitOf() };
  await prepareCode();
  // Two instances and three peers keep their pools open.
  const starting = startCluster({ home, durable: true, maxConnections: 200 });
  stopCluster = () =>
    starting.then(
      (one) => one.stop(),
      () => undefined,
    );
  const cluster = await starting;
  const people = await prepareDatabases(cluster, secret);
  const { targets, processes } = await startServices(cluster);
  const holdfast = targetOf(targets, 'holdfast');
  const world = await fillShop(holdfast.url, people);
  const worldFile = join(home, 'world.json');
  writeFileSync(worldFile, JSON.stringify(world));
  await compareReads(targets, world.token, world.accounts[0] ?? '');
  const acknowledged = new Acknowledged();
  const measured = await measureCases({
    options,
    cluster,
    targets,
    worldFile,
    acknowledged,
    limit: () => measureLimit(cluster, options),
  });
  await Promise.all(processes.map((one) => stop(one, 30_000)));
  say('checking the books');
  await checkPeers(cluster, acknowledged);
  await checkService(cluster, acknowledged, secret);
  const grown = options.hasGrowth ? await measureSizes(cluster, options, secret, home) : {};
  await cluster.stop();
  const boundaries = options.hasGrowth ? { boundaries: await measureBoundaries() } : {};
  const secondStartSeconds = await secondStart(home);
  return {
    ...begun,
    rounds: options.rounds,
    seconds: options.seconds,
    machine: machineOf(busy),
    versions: versionsOf(cluster),
    settings,
    ...measured,
    ...grown,
    ...boundaries,
    secondStartSeconds,
  };
}

/** The service, and the client of the peer that has one. */
async function prepareCode(): Promise<void> {
  const built = await build();
  if (built.code !== 0) throw new BenchError(`The service could not be built: ${built.output.trim()}`);
  const { code, output } = await runPrisma(['generate', '--schema', ownFile('peers', 'schema.prisma')], {
    quiet: true,
    signal: allEnd,
  });
  if (code !== 0) throw new BenchError(`The client of nest-cls-prisma could not be generated: ${output.trim()}`);
}

async function startServices(cluster: Cluster): Promise<{ targets: Target[]; processes: Started[] }> {
  say('starting the service and its peers');
  const databases = { ...databaseSettings(cluster), AUTH_SECRET: secret };
  const holdfast = startHoldfast(databases);
  // A second instance on the same database.
  const withoutLanes = startHoldfast({ ...databases, DATABASE_LANES: 'off' }, 'holdfast-without-lanes');
  const byHand = (name: ServiceName, ...args: string[]): Started =>
    start(name, ownFile('peers', `${name}.mts`), args, { POOL_SIZE: String(poolSize) });
  const peers = peerNames.map((name) => byHand(name, cluster.url('owner', databaseOf(name))));
  const others = [byHand('reads-by-hand', cluster.url('reader'), secret), byHand('yardstick', secret)];
  const listening = [...peers, ...others].map(async (one) => {
    const { url } = await message<{ url: string }>(one, 'it listened', readyWithinMs);
    return { name: one.name as ServiceName, pid: one.pid, url };
  });
  const instances = [holdfast, withoutLanes].map(async (one) => {
    const { url } = await readyOf(one);
    return { name: one.name as ServiceName, pid: one.pid, url };
  });
  const targets = await Promise.all([...instances, ...listening]);
  return { targets, processes: [holdfast, withoutLanes, ...peers, ...others] };
}

/** With the embedded database, whose data are there. */
async function secondStart(home: string): Promise<number> {
  const holdfast = startHoldfast({ HOLDFAST_HOME: home, EMBEDDED_DATABASE: 'true' });
  const { seconds } = await readyOf(holdfast);
  await stop(holdfast, 30_000);
  return seconds;
}

/** The reads by hand answer what the service answers, or they are no measure. */
async function compareReads(targets: readonly Target[], token: string, account: string): Promise<void> {
  for (const path of [`/v1/accounts/${account}`, '/v1/products?limit=20']) {
    const [ours, byHand] = await Promise.all(
      (['holdfast', 'reads-by-hand'] as const).map((name) => read(targetOf(targets, name), path, token)),
    );
    if (ours !== byHand)
      throw new BenchError(
        `bench/peers/reads-by-hand.mts answers GET ${path} otherwise than the service: ${byHand} instead of ${ours}`,
      );
  }
}

async function read({ url }: Target, path: string, token: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(30_000) });
  const { nextCursor: _, ...body } = (await response.json()) as Record<string, unknown>;
  return JSON.stringify(body, (_key, value: unknown) => (isObject(value) ? sorted(value) : value)).slice(0, 100_000);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const sorted = (value: Record<string, unknown>) => Object.fromEntries(Object.entries(value).sort());

async function measureLimit(
  cluster: Cluster,
  { warmUpSeconds, seconds }: Options,
): Promise<Record<string, LimitMeasured>> {
  const measured: Record<string, LimitMeasured> = {};
  for (const size of limitSizes) {
    const args = [cluster.url('owner', limitDatabase), String(warmUpSeconds), String(seconds), String(size)];
    const limit = start(`the limit at ${size}`, ownFile('peers', 'limit.mts'), args);
    measured[size] = await message<LimitMeasured>(limit, 'it had measured', (warmUpSeconds + seconds) * 2000 + 60_000);
    await stop(limit);
  }
  return measured;
}

/** On a cluster of its own. */
async function measureBoundaries(): Promise<BoundariesMeasured> {
  say('measuring boundaries beside those of nestjs-cls');
  const boundaries = start('npm run bench:boundaries', ownFile('boundaries.mts'), []);
  const measured = await message<BoundariesMeasured>(boundaries, 'it had measured', 900_000);
  await end(boundaries, 60_000);
  return measured;
}

function targetOf(targets: readonly Target[], name: ServiceName): Target {
  const target = targets.find((one) => one.name === name);
  if (target === undefined) throw new BenchError(`${name} was not started.`);
  return target;
}

function commitOf(): Pick<Result, 'commit' | 'isChanged'> {
  const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim();
  try {
    return { commit: git('rev-parse', '--short=7', 'HEAD'), isChanged: git('status', '--porcelain') !== '' };
  } catch {
    throw new BenchError('The results name the commit: npm run bench needs git, and a clone.');
  }
}

const machineOf = (load: number): Result['machine'] => ({
  processor: cpus()[0]?.model.trim() ?? '',
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  system: `Linux ${release()}`,
  load,
});

function versionsOf(cluster: Cluster): Record<string, string> {
  const require = createRequire(import.meta.url);
  const installed = (name: string): string => {
    // The main file lies below the folder of the package, however deep.
    let folder = dirname(require.resolve(name));
    for (;;) {
      try {
        const { version } = require(join(folder, 'package.json')) as { version?: string };
        if (version !== undefined) return version;
      } catch {
        if (folder === dirname(folder)) return '';
      }
      folder = dirname(folder);
    }
  };
  const packages = ['@nestjs/core', 'fastify', 'pg', '@prisma/client', 'nestjs-cls', 'autocannon'];
  return {
    node: process.versions.node,
    PostgreSQL: cluster.version,
    ...Object.fromEntries(packages.map((name) => [name, installed(name)])),
  };
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
let stopCluster: () => Promise<void> = () => Promise.resolve();

/** Rejects when the run has to end before it is done. */
function endedEarly({ rounds, seconds, warmUpSeconds, cases }: Options): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => reject(new BenchError(`Ended by ${signal}: nothing is written.`)));
  const expected = rounds * (cases.length * 4 + 8) * (seconds + warmUpSeconds + 10) + 3600;
  const timer = setTimeout(
    () => reject(new BenchError(`The bench took more than ${expected} s and was ended.`)),
    expected * 1000,
  );
  timer.unref();
  return promise;
}

async function bench(options: Options): Promise<void> {
  if (process.platform !== 'linux')
    throw new BenchError('npm run bench reads processor times from /proc: it needs Linux.');
  const early = endedEarly(options);
  const home = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  chmodSync(home, 0o755); // as root, PostgreSQL's own user must be able to enter it
  try {
    const running = run(options, home);
    // When it is ended early, what it was waiting for fails behind it.
    running.catch(() => undefined);
    const result = await Promise.race([running, early]);
    say(show(result));
    await keep(result, options);
  } finally {
    await stopAll();
    await stopCluster();
    rmSync(home, { recursive: true, force: true });
  }
}

async function keep(result: Result, { isFull }: Options): Promise<void> {
  if (!isFull) {
    const file = join('dist', 'bench', 'report.html');
    mkdirSync(dirname(file), { recursive: true });
    writeReport(file, [...readResults(), result]);
    say(`The report is in ${file}. Results are kept of a full run only: npm run bench.`);
    return;
  }
  mkdirSync(resultsFolder, { recursive: true });
  const file = join(resultsFolder, fileOf(result));
  writeFileSync(file, `${JSON.stringify(result)}\n`);
  await writeAll();
  say(`The results are in ${file}, bench/report.html, README.md and docs/performance.md.`);
}

async function writeAll(): Promise<void> {
  const results = readResults();
  writeReport(join('bench', 'report.html'), results);
  await writePages(results);
}

try {
  const options = optionsOf(process.argv.slice(2));
  await (options.isWriteOnly ? writeAll() : bench(options));
  process.exit(0);
} catch (error) {
  const isKnown =
    error instanceof BenchError || (error as Error).constructor === Error || (error as Error).name === 'ClusterError';
  process.stderr.write(`${isKnown ? (error as Error).message : ((error as Error).stack ?? String(error))}\n`);
  process.exit(1);
}
