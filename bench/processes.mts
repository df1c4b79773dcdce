// The processes of the bench: started, waited for, measured, and all ended in the end.
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processesIn } from '../src/embedded/processes.ts';

/** What a person is told in one sentence. */
export class BenchError extends Error {}

const children = new Set<ChildProcess>();
const ending = new AbortController();
/** Aborted when all is to end: for programs that others start. */
export const allEnd = ending.signal;
/** The most of what a process has said that is shown when it ends too early. */
const mostShown = 20_000;

export interface Started {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** The end of what it has written: to its error output, and to its standard output if that is kept. */
  said(): string;
}

/**
 * Starts a program of Node's. It ends with this process, whose channel it has. Its standard output is thrown away, if not said otherwise: to read
 * the log of the service would cost as much as to write it.
 */
export function start(
  name: string,
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  output: 'ignore' | 'pipe' = 'ignore',
): Started {
  const child = fork(file, args, {
    execArgv: ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON'],
    env: { ...plainEnvironment(), ...env },
    stdio: ['ignore', output, 'pipe', 'ipc'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  // Also where it could not be started, which the next wait for it tells.
  child.on('error', () => undefined);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-mostShown)));
  return { name, pid: child.pid ?? 0, child, said: () => said };
}

/** A file of this folder. */
export const ownFile = (...path: string[]): string => join(import.meta.dirname, ...path);

/** No setting of whoever runs the bench reaches what is measured. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR, LANG } = process.env;
  return { PATH, HOME, TMPDIR, LANG, NODE_ENV: 'production' };
}

/** Waits for an answer of a process: what `listen` passes on. Throws when the process ends before, or takes too long. */
export async function wait<T>(
  of: Started,
  what: string,
  withinMs: number,
  listen: (resolve: (value: T) => void) => void,
): Promise<T> {
  const { child, name } = of;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const ended = (): void =>
    reject(new BenchError(`${name} ended before ${what}${of.said() === '' ? '' : `: ${of.said().trim()}`}`));
  const timer = setTimeout(
    () => reject(new BenchError(`${name} took more than ${Math.round(withinMs / 1000)} s: ${what}.`)),
    withinMs,
  );
  child.once('exit', ended);
  if (child.exitCode !== null || child.signalCode !== null) ended();
  listen(resolve);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.off('exit', ended);
  }
}

/** The next message of a process. */
export const message = <T,>(of: Started, what: string, withinMs: number): Promise<T> =>
  wait<T>(of, what, withinMs, (resolve) => of.child.once('message', (value) => resolve(value as T)));

/** Waits until it has ended by itself; gives its exit code. */
export async function end(of: Started, withinMs: number): Promise<number | null> {
  const { child } = of;
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const { promise, resolve } = Promise.withResolvers<number | null>();
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
  child.once('exit', (code) => resolve(code));
  return promise.finally(() => clearTimeout(timer));
}

/** Asks a process to end, and ends it where it does not. */
export function stop(of: Started, withinMs = 10_000): Promise<number | null> {
  of.child.kill('SIGTERM');
  return end(of, withinMs);
}

/** At once, whatever they do. */
export async function stopAll(): Promise<void> {
  ending.abort();
  await Promise.all(
    [...children].map(async (child) => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await gone;
    }),
  );
}

// The unit of /proc/<pid>/stat: on Linux always a hundredth of a second.
const msPerTick = 10;

/** Processor time in milliseconds, user and system; of its children that have ended as well. 0 of a process that is gone. */
export function processorMs(pid: number): number {
  const fields = statOf(pid);
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * msPerTick;
}

function statOf(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command, in brackets, may itself hold spaces and brackets.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/** The same of a whole server: all its processes work in its folder. */
export const processorMsIn = (folder: string): number =>
  processesIn(folder).reduce((sum, pid) => sum + processorMs(pid), 0);

/** Resident memory, in MiB. */
export function residentMiB(pid: number): number {
  const [, kilobytes = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}
