import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError } from './problems.ts';
import { isAlive, markOf, readOrNull, type ProcessMark } from './processes.ts';

const ATTEMPTS = 50;
// A drain, its deadline, and two servers that stop.
const LONGEST_WAIT_MS = 90_000;

/** This process, as the lock names it. */
export function thisProcess(): ProcessMark {
  return markOf(process.pid) ?? { pid: process.pid, startedAt: '' };
}

/** What a process is to the home that it holds. */
export interface Use {
  /** It is ending, or is a command that ends soon, so that it can be waited for. */
  readonly isPassing?: boolean;
  /** It starts its service anew when the tables change. */
  readonly reloads?: boolean;
}

/** What the lock says of its holder. */
interface Holder extends ProcessMark, Use {}

/** A home is held by a process that lets go of it soon. */
class PassingHolder extends ClusterError {}

export interface Lock {
  (): void;
  /** Whoever wants to start from here may wait: this process is about to end. */
  announceEnd(): void;
}

/** Takes `home` for this process until the returned function is called. A dead holder's lock is taken over. */
export function takeLock(home: string, use: Use = {}): Lock {
  const lock = join(home, 'lock');
  const claim = `${lock}.${process.pid}`;
  const holder: Holder = { ...thisProcess(), ...use };
  try {
    writeFileSync(claim, JSON.stringify(holder), { mode: 0o600 });
    if (gained(claim, lock, home)) return lockOf(lock, holder);
    throw new ClusterError(`Cannot take the lock ${lock}: too many programs ask for it at once. Try again.`);
  } finally {
    rmSync(claim, { force: true });
  }
}

/** The same, but waits for a holder that lets go of it soon. */
export async function awaitLock(home: string, use: Use, onProgress: (line: string) => void): Promise<Lock> {
  const deadline = performance.now() + LONGEST_WAIT_MS;
  for (let isFirst = true; ; isFirst = false) {
    const taken = attempt(home, use);
    if (!(taken instanceof PassingHolder)) return taken;
    if (performance.now() > deadline) throw taken;
    if (isFirst) onProgress('waiting for a process that is about to give this home free');
    await sleep(50);
  }
}

function attempt(home: string, use: Use): Lock | PassingHolder {
  try {
    return takeLock(home, use);
  } catch (error) {
    if (error instanceof PassingHolder) return error;
    throw error;
  }
}

/** The process that holds this home; null when none does. */
export function holderOf(home: string): Holder | null {
  const holder = parse(readOrNull(join(home, 'lock')) ?? '');
  return holder !== null && isAlive(holder) ? holder : null;
}

function lockOf(lock: string, holder: Holder): Lock {
  let mine = JSON.stringify(holder);
  const announceEnd = (): void => {
    if (readOrNull(lock) !== mine) return;
    const next = JSON.stringify({ ...holder, isPassing: true });
    const draft = `${lock}.${process.pid}`;
    writeFileSync(draft, next, { mode: 0o600 });
    renameSync(draft, lock);
    mine = next;
  };
  return Object.assign(() => release(lock, mine), { announceEnd });
}

function gained(claim: string, lock: string, home: string): boolean {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (linked(claim, lock)) return true;
    removeIfStale(lock, home);
  }
  return false;
}

/** A hard link appears at once and with its content, or fails because the name exists. */
function linked(claim: string, lock: string): boolean {
  try {
    linkSync(claim, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function removeIfStale(lock: string, home: string): void {
  const seen = readOrNull(lock);
  if (seen === null) return;
  const holder = parse(seen);
  if (holder !== null && isAlive(holder)) throw alreadyRuns(home, holder);
  const aside = `${lock}.stale.${process.pid}`;
  if (!moved(lock, aside)) return;
  // Between our look and our move another process may have taken over: then it is its lock we hold, and it goes back.
  if (readFileSync(aside, 'utf8') !== seen) linked(aside, lock);
  rmSync(aside, { force: true });
}

function moved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function release(lock: string, mine: string): void {
  if (readOrNull(lock) === mine) rmSync(lock, { force: true });
}

function parse(text: string): Holder | null {
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return null;
  }
}

function alreadyRuns(home: string, { pid, isPassing = false }: Holder): ClusterError {
  const Kind = isPassing ? PassingHolder : ClusterError;
  return new Kind(`Holdfast already runs from ${home} (pid ${pid}). Stop it, or set HOLDFAST_HOME to another folder.`);
}
