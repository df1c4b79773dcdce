import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process as it was: the id alone may be given to another process later, the id and its start may not. */
export interface ProcessMark {
  pid: number;
  /** In the kernel's ticks since boot (field 22 of /proc/<pid>/stat); '' where that cannot be known. */
  startedAt: string;
}

/** Null when the process is gone. A zombie is gone: in a container nobody may ever collect it. */
export function markOf(pid: number): ProcessMark | null {
  const stat = readOrNull(`/proc/${pid}/stat`);
  if (stat === null) return answersSignals(pid) ? { pid, startedAt: '' } : null;
  // The command, in brackets, may itself hold spaces and brackets; behind the last bracket the fields are regular.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' || state === 'X' ? null : { pid, startedAt: fields[18] ?? '' };
}

export function isAlive(mark: ProcessMark): boolean {
  const now = markOf(mark.pid);
  if (now === null) return false;
  return now.startedAt === '' || mark.startedAt === '' || now.startedAt === mark.startedAt;
}

/** Those at work in this folder: initdb, a postmaster, on Linux its backends too (elsewhere they end with it). Not on Windows. */
export function processesIn(folder: string): number[] {
  if (process.platform === 'win32') return [];
  return process.platform === 'linux' ? workingIn(folder) : startedFor(folder);
}

/** False when the process is already gone. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

/** Asks again and again until the answer is true; false when `withinMs` have passed. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  withinMs: number,
  everyMs = 10,
): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    if (await condition()) return true;
    if (performance.now() > deadline) return false;
    await sleep(everyMs);
  }
}

/** The environment of the server's programs: ours could hold PGPORT or PGDATA, and a language in which we cannot read its log. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const { PATH, SystemRoot, TEMP, LD_LIBRARY_PATH } = process.env;
  return { PATH, SystemRoot, TEMP, LD_LIBRARY_PATH, LC_ALL: 'C', TZ: 'UTC' };
}

export function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function workingIn(folder: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && workingFolder(name) === folder);
  return pids.map(Number).filter((pid) => markOf(pid) !== null);
}

function startedFor(folder: string): number[] {
  const lines = execFileSync('ps', ['-axww', '-o', 'pid=,command='], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => `${line} `.includes(` -D ${folder} `)).map((line) => Number.parseInt(line, 10));
}

function answersSignals(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function workingFolder(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}
