import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, fchownSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from './files.ts';
import { explain, logSince, ClusterError, type Circumstances } from './problems.ts';
import { markOf, plainEnvironment, processesIn, readOrNull, signal, until } from './processes.ts';
import { watchOver, type Watcher } from './watcher.ts';

const FAST_STOP_MS = 15_000;
const IMMEDIATE_STOP_MS = 5_000;
const LARGEST_LOG_BYTES = 10 * 1024 * 1024;

export type StopMode = 'fast' | 'immediate';

export interface Server {
  readonly port: number;
  readonly logFile: string;
  start(): Promise<void>;
  stop(mode: StopMode): Promise<void>;
}

export interface ServerOptions {
  /** "primary": how messages call it. */
  name: string;
  folder: string;
  logFile: string;
  port: number;
  program: string;
  account: Account | null;
  startWithinMs: number;
  /** Settings of this run alone, by name. */
  settings?: Readonly<Record<string, string>>;
}

/** One postmaster of ours. It runs in a session of its own: Ctrl-C at the terminal must not reach it before the service has drained. */
export class PostgresServer implements Server {
  readonly port: number;
  readonly logFile: string;
  /** Called when it ends without having been asked, once it had been ready. */
  onUnexpectedEnd: () => void = () => undefined;
  readonly #options: ServerOptions;
  #child: ChildProcess | null = null;
  #ending: ChildProcess | null = null;
  #watcher: Watcher | null = null;
  #logStart = 0;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.port = options.port;
    this.logFile = options.logFile;
  }

  /** Resolves when it accepts connections. Nothing to do when it runs. Throws ClusterError, PortTaken. */
  async start(): Promise<void> {
    if (this.#runs()) return;
    const { name, folder, startWithinMs } = this.#options;
    this.#logStart = this.#openLog();
    // First, so that there is no moment in which the server runs and nobody watches.
    const watcher = (this.#watcher = watchOver(folder));
    const child = this.#spawn();
    child.once('exit', () => watcher.dismiss());
    let failure: Error | null = null;
    child.once('error', (error) => (failure = error));
    this.#child = child;
    const isOver = (): boolean => failure !== null || !this.#runs();
    await until(() => isOver() || isReady(folder, child.pid), startWithinMs);
    if (!isOver() && isReady(folder, child.pid)) {
      child.once('exit', () => this.#ending !== child && this.onUnexpectedEnd());
      return;
    }
    await this.stop('immediate');
    const circumstances: Circumstances = { attempt: `start the ${name}`, folder, logFile: this.logFile };
    throw explain(failure === null ? this.logSinceStart() : String(failure), circumstances);
  }

  /** Fast ends the sessions and writes everything out; immediate leaves that to the next start. Nothing to do when it is down. */
  async stop(mode: StopMode): Promise<void> {
    const child = this.#child;
    this.#ending = child;
    if (child?.pid !== undefined && this.#runs()) await endServer(child.pid, mode, () => !this.#runs());
    this.#child = null;
    this.#watcher?.dismiss();
  }

  /** What it wrote since it was last started. */
  logSinceStart(): string {
    return logSince(this.logFile, this.#logStart);
  }

  #runs(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #spawn(): ChildProcess {
    const { program, folder, port, account, settings = {} } = this.#options;
    const log = openSync(this.logFile, 'a', 0o600);
    try {
      if (account !== null) fchownSync(log, account.uid, account.gid);
      const identity = account === null ? {} : { uid: account.uid, gid: account.gid };
      const stdio: ['ignore', number, number] = ['ignore', log, log];
      const options = { cwd: folder, detached: true, windowsHide: true, env: plainEnvironment(), stdio, ...identity };
      const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
      const child = spawn(program, ['-D', folder, '-p', String(port), ...args], options);
      child.unref();
      return child;
    } finally {
      closeSync(log);
    }
  }

  /** Returns where this start's lines begin. */
  #openLog(): number {
    const bytes = statSync(this.logFile, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes <= LARGEST_LOG_BYTES) return bytes;
    renameSync(this.logFile, `${this.logFile}.1`);
    return 0;
  }
}

/** Stops what a killed process of ours left running in this data folder, and takes away its stale postmaster.pid. */
export async function stopLeftover(folder: string): Promise<void> {
  const file = join(folder, 'postmaster.pid');
  const pid = Number.parseInt(readOrNull(file) ?? '', 10);
  const isGone = (): boolean => processesIn(folder).length === 0;
  if (processesIn(folder).includes(pid)) await endServer(pid, 'fast', isGone);
  // Its backends end by themselves when they notice; a data folder must never have two generations of them.
  await endAll(folder);
  if (process.platform === 'linux') rmSync(file, { force: true });
}

/** Kills whatever works in this folder. */
export async function endAll(folder: string): Promise<void> {
  const isGone = (): boolean => processesIn(folder).length === 0;
  for (const pid of processesIn(folder)) signal(pid, 'SIGKILL');
  if (await until(isGone, IMMEDIATE_STOP_MS)) return;
  const pids = processesIn(folder).join(', ');
  throw new ClusterError(
    `Processes of an earlier run still work in ${folder} (pid ${pids}): end them and start again.`,
  );
}

/** The postmaster's own interrupts, harder each time. */
async function endServer(pid: number, mode: StopMode, isOver: () => boolean): Promise<void> {
  const steps: [NodeJS.Signals, number][] = [
    ['SIGINT', FAST_STOP_MS],
    ['SIGQUIT', IMMEDIATE_STOP_MS],
    ['SIGKILL', IMMEDIATE_STOP_MS],
  ];
  for (const [name, withinMs] of mode === 'fast' ? steps : steps.slice(1)) {
    signal(pid, name);
    if (await until(() => isOver() || markOf(pid) === null, withinMs, 5)) return;
  }
  throw new ClusterError(`PostgreSQL (pid ${pid}) does not stop, not even by SIGKILL: is its disk stuck?`);
}

/** The postmaster keeps its state in the eighth line of its pid file. */
function isReady(folder: string, pid: number | undefined): boolean {
  const lines = readOrNull(join(folder, 'postmaster.pid'))?.split('\n') ?? [];
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
}
