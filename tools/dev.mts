// npm run dev: runs the service and starts it again at every change of the code, the Prisma files, the migrations, the packages or .env. The
// embedded database stays up meanwhile: it belongs to this process. Until a change can be read as TypeScript, the service before it goes
// on. Types are checked behind it; `-- --no-types` leaves them out.
import { type ChildProcess, spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { ConfigError, type Environment } from '../src/config/environment.ts';
import { type Cluster, ClusterError, startCluster } from '../src/embedded/cluster.ts';
import { archiveIn, readSurroundings } from '../src/surroundings.ts';
import { Changes, digestOf, filesBelow } from './dev-files.mts';
import { typesOfService } from './run.mts';
import { Transpiler } from './transpile.mts';

const stopWithinMs = 10_000;
const lowest = 19;
// As it was before .env was read into it: each start reads that file anew.
const given = { ...process.env };
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const changes = new Changes(['src', 'prisma', '.']);
const transpiler = new Transpiler();
let cluster: Cluster | null = null;
let service: ChildProcess | null = null;
let generating: ChildProcess | null = null;
let types: ChildProcess | null = null;
let isStopping = false;
let following: Promise<void> | null = null;

// What the last attempt was made from, whether it worked or not: it is tried again when that is another.
let generatedFrom = '';
let isGenerated = false;
let startedFrom = '';
let lastErrors = '';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => void stop(0));
try {
  const { environment } = await readSurroundings();
  if (environment.DATABASE_WRITE_URL === undefined) await startDatabase(environment);
  following = follow();
  await following;
} catch (error) {
  say(error instanceof ConfigError || error instanceof ClusterError ? error.message : String((error as Error).stack));
  following = null;
  await stop(1);
}

async function startDatabase(environment: Environment): Promise<void> {
  const home = environment.HOLDFAST_HOME;
  const onProgress = (line: string): void => say(`  ${line}`);
  cluster = await startCluster({ home, durable: true, onProgress, use: { reloads: true }, ...archiveIn(environment) });
  void cluster.failed.then(({ message }) => {
    say(message);
    return stop(1);
  });
}

// --- What changes ---

async function follow(): Promise<void> {
  while (!isStopping) {
    await bringUpToDate();
    await changes.next();
  }
}

/**
 * Whatever is compared is read before what is made from it. A change that comes meanwhile, at whichever moment, is then a difference at
 * the next look, and no moment has to be thought of by itself.
 */
async function bringUpToDate(): Promise<void> {
  // What is no code is read by the service itself.
  const others = digestOf(['.env', 'package-lock.json', ...filesBelow('prisma', (name) => name.endsWith('.sql'))]);
  if (!(await generate()) || !build()) return;
  const wanted = `${transpiler.revision} ${others}`;
  if (wanted === startedFrom) return;
  await end();
  if (isStopping) return;
  startedFrom = wanted;
  start();
}

/** The client of the Prisma files. False when they are wrong, which is said once. */
async function generate(): Promise<boolean> {
  const from = digestOf(['prisma.config.ts', ...filesBelow('prisma', (name) => name.endsWith('.prisma'))]);
  if (from === generatedFrom) return isGenerated;
  const args = ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join('tools', 'prisma.mts'), 'generate'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: given });
  generating = child;
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  generating = null;
  if (code !== 0 && !isStopping) say(`${output.trimEnd()}\n  the Prisma files are wrong`);
  generatedFrom = from;
  isGenerated = code === 0;
  return isGenerated;
}

/** False when a file cannot be read as TypeScript, which is said once. */
function build(): boolean {
  const errors = transpiler.build();
  if (errors !== '' && errors !== lastErrors) say(`${errors.trimEnd()}\n  it does not build`);
  lastErrors = errors;
  return errors === '';
}

/** Beside the service, with what it leaves of the processor; one that is overtaken by a change is given up. */
function checkTypes(): void {
  if (process.argv.includes('--no-types')) return;
  types?.kill('SIGKILL');
  const child = spawn(process.execPath, [...typesOfService, '--pretty'], { stdio: ['ignore', 'pipe', 'ignore'] });
  types = child;
  if (child.pid !== undefined) setPriority(child.pid, lowest);
  let found = '';
  child.stdout.on('data', (chunk: Buffer) => (found += chunk.toString()));
  child.once('close', (code) => code !== null && code !== 0 && say(found.trimEnd()));
}

// --- The service ---

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
  for (const child of [types, generating]) child?.kill('SIGKILL');
  await following?.catch(() => undefined);
  await end();
  await cluster?.stop();
  process.exit(code);
}
