// npm run dev: runs the service and starts it again at every change of the code, the Prisma files or .env. The embedded database stays up
// meanwhile: it belongs to this process. Until a change can be read as TypeScript, the service before it goes on. Types are checked behind
// it; `-- --no-types` leaves them out.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { watch } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../src/config/environment.ts';
import { type Cluster, ClusterError, startCluster } from '../src/database/embedded/cluster.ts';
import { readSurroundings } from '../src/surroundings.ts';
import { Transpiler } from './transpile.mts';

const settleMs = 100;
// Whoever watches files may miss one.
const lookAgainMs = 2000;
const stopWithinMs = 10_000;
const lowest = 19;
// As it was before .env was read into it: each start reads that file anew.
const given = { ...process.env };
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const transpiler = new Transpiler();
let cluster: Cluster | null = null;
let service: ChildProcess | null = null;
let types: ChildProcess | null = null;
let isStopping = false;
let isStarted = false;
let wanted = 0;
let served = 0;
let lastErrors = '';
let turning: Promise<void> | null = null;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => void stop(0));
try {
  const { environment } = await readSurroundings();
  if (!generate()) process.exit(1);
  build();
  if (environment.DATABASE_WRITE_URL === undefined) await startDatabase(environment.HOLDFAST_HOME);
  watchFiles();
  restart();
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

function watchFiles(): void {
  let timer: NodeJS.Timeout | undefined;
  const changed = new Set<string>();
  const notice = (name: string): void => {
    changed.add(name);
    clearTimeout(timer);
    timer = setTimeout(() => {
      const names = [...changed];
      changed.clear();
      const isBuilt = (!names.some((one) => one.endsWith('.prisma')) || generate()) && build() !== 'wrong';
      // What is no code is read by the service itself: migrations, .env.
      if (isBuilt && names.some((one) => !one.endsWith('.ts'))) restart();
    }, settleMs);
  };
  watch('src', { recursive: true }, (_, name) => name?.endsWith('.ts') === true && notice(name));
  watch('prisma', { recursive: true }, (_, name) => name !== null && /\.(prisma|sql|ts)$/.test(name) && notice(name));
  watch('.', (_, name) => name === '.env' && notice(name));
  setInterval(build, lookAgainMs);
}

/** Builds what has changed, and starts the service anew when something has. */
function build(): 'wrong' | 'done' {
  const { changed, errors } = transpiler.build();
  if (errors !== '' && errors !== lastErrors) say(`${errors.trimEnd()}\n  it does not build`);
  lastErrors = errors;
  if (errors !== '') return 'wrong';
  if (changed > 0 && isStarted) restart();
  return 'done';
}

/** False, with what was said, when the Prisma files are wrong. */
function generate(): boolean {
  const args = ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', 'prisma.mts'), 'generate'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env: given });
  if (status !== 0) say(`${stdout}${stderr}`.trimEnd());
  return status === 0;
}

/** Beside the service, with what it leaves of the processor; one that is overtaken by a change is given up. */
function checkTypes(): void {
  if (process.argv.includes('--no-types')) return;
  types?.kill('SIGKILL');
  const info = join('node_modules', '.cache', 'tsc', 'dev.tsbuildinfo');
  const program = join('node_modules', 'typescript', 'bin', 'tsc');
  const args = [program, '--noEmit', '--pretty', '-p', 'tsconfig.build.json', '--tsBuildInfoFile', info];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  types = child;
  if (child.pid !== undefined) setPriority(child.pid, lowest);
  let found = '';
  child.stdout.on('data', (chunk: Buffer) => (found += chunk.toString()));
  child.once('close', (code) => code !== null && code !== 0 && say(found.trimEnd()));
}

// --- The service ---

/** One start after the other, and none that is overtaken by another change. */
function restart(): void {
  isStarted = true;
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
  const child = spawn(process.execPath, ['--enable-source-maps', join('dist', 'src', 'main.js')], {
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
    if (service !== child || isStopping) return;
    say(`  the service ended with ${code ?? signal}: it is started again at the next change`);
  });
  checkTypes();
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
  types?.kill('SIGKILL');
  await turning;
  await end();
  await cluster?.stop();
  process.exit(code);
}
