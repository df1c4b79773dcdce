// npm run dev: runs the service and starts it again at every change of the code, the Prisma files or .env. The embedded database stays up
// meanwhile: it belongs to this process. Until a change builds, the service before it goes on.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, watch } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { ConfigError } from '../src/config/environment.ts';
import { type Cluster, ClusterError, startCluster } from '../src/database/embedded/cluster.ts';
import { readSurroundings } from '../src/surroundings.ts';

const settleMs = 100;
const stopWithinMs = 10_000;
// As it was before .env was read into it: each start reads that file anew.
const given = { ...process.env };
const say = (line: string): void => void process.stderr.write(`${line}\n`);

let cluster: Cluster | null = null;
let service: ChildProcess | null = null;
let isStopping = false;
let wanted = 0;
let served = 0;
let turning: Promise<void> | null = null;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => void stop(0));
try {
  const { environment } = await readSurroundings();
  if (!generate()) process.exit(1);
  if (environment.DATABASE_WRITE_URL === undefined) await startDatabase(environment.HOLDFAST_HOME);
  watchCode();
  watchFiles();
} catch (error) {
  say(error instanceof ConfigError || error instanceof ClusterError ? error.message : String((error as Error).stack));
  await stop(1);
}

async function startDatabase(home: string): Promise<void> {
  const onProgress = (line: string): void => say(`  ${line}`);
  cluster = await startCluster({ home, durable: true, onProgress, use: { reloads: true } });
  void cluster.failed.then(({ message }) => {
    say(message);
    return stop(1);
  });
}

// --- What changes ---

/** TypeScript itself looks for changes, and tells when all of them are built. */
function watchCode(): void {
  const host = ts.createWatchCompilerHost(
    'tsconfig.build.json',
    { noEmitOnError: true },
    ts.sys,
    ts.createEmitAndSemanticDiagnosticsBuilderProgram,
    (diagnostic) => say(ts.formatDiagnosticsWithColorAndContext([diagnostic], format).trimEnd()),
    (_status, _newLine, _options, errors) => {
      if (errors === undefined) return say('  building');
      if (errors > 0) return say(`  it does not build: ${errors === 1 ? 'an error' : `${errors} errors`}`);
      restart();
    },
  );
  ts.createWatchProgram(host);
}

const format: ts.FormatDiagnosticsHost = {
  getCurrentDirectory: () => process.cwd(),
  getCanonicalFileName: (name) => name,
  getNewLine: () => '\n',
};

/** What TypeScript does not see: Prisma's files, from which the client is generated, the migrations, and .env. */
function watchFiles(): void {
  let timer: NodeJS.Timeout | undefined;
  const changed = new Set<string>();
  const notice = (name: string): void => {
    changed.add(name);
    clearTimeout(timer);
    timer = setTimeout(() => {
      const names = [...changed];
      changed.clear();
      if (names.some((one) => one.endsWith('.prisma')) && !generate()) return;
      restart();
    }, settleMs);
  };
  watch('prisma', { recursive: true }, (_, name) => {
    if (name !== null && /\.(prisma|sql)$/.test(name)) notice(name);
  });
  watch('.', (_, name) => name === '.env' && notice(name));
}

/** False, with what was said, when the Prisma files are wrong. */
function generate(): boolean {
  const args = ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', 'prisma.mts'), 'generate'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env: given });
  if (status !== 0) say(`${stdout}${stderr}`.trimEnd());
  return status === 0;
}

// --- The service ---

/** One start after the other, and none that is overtaken by another change. */
function restart(): void {
  wanted++;
  turning ??= turn().finally(() => (turning = null));
}

async function turn(): Promise<void> {
  while (served < wanted && !isStopping) {
    const goal = wanted;
    await end();
    if (isStopping) return;
    start();
    served = goal;
  }
}

function start(): void {
  const program = join('dist', 'src', 'main.js');
  if (!existsSync(program)) return;
  const child = spawn(process.execPath, ['--enable-source-maps', program], {
    // The channel tells the service when this process is gone.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: {
      SHUTDOWN_DRAIN_MS: '0',
      SHUTDOWN_DEADLINE_MS: '3000',
      ...given,
      HOLDFAST_CLUSTER_HOLDER: cluster === null ? '' : String(process.pid),
    },
  });
  service = child;
  child.once('exit', (code, signal) => {
    if (service !== child) return;
    service = null;
    if (!isStopping) say(`  the service ended with ${code ?? signal}: it is started again at the next change`);
  });
}

async function end(): Promise<void> {
  const child = service;
  service = null;
  if (child?.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  const overdue = setTimeout(() => child.kill('SIGKILL'), stopWithinMs);
  await ended;
  clearTimeout(overdue);
}

async function stop(code: number): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  cluster?.announceEnd();
  await turning;
  await end();
  await cluster?.stop();
  process.exit(code);
}
