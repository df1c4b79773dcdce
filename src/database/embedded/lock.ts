import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterError } from './problems.ts';
import { isAlive, markOf, readOrNull, type ProcessMark } from './processes.ts';

const ATTEMPTS = 50;

/** This process, as the lock names it. */
export function thisProcess(): ProcessMark {
  return markOf(process.pid) ?? { pid: process.pid, startedAt: '' };
}

/** Takes `home` for this process until the returned function is called. A dead holder's lock is taken over. */
export function takeLock(home: string): () => void {
  const lock = join(home, 'lock');
  const claim = `${lock}.${process.pid}`;
  const mine = JSON.stringify(thisProcess());
  try {
    writeFileSync(claim, mine, { mode: 0o600 });
    if (gained(claim, lock, home)) return () => release(lock, mine);
    throw new ClusterError(`Cannot take the lock ${lock}: too many programs ask for it at once. Try again.`);
  } finally {
    rmSync(claim, { force: true });
  }
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
  if (holder !== null && isAlive(holder)) throw alreadyRuns(home, holder.pid);
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

function parse(text: string): ProcessMark | null {
  try {
    return JSON.parse(text) as ProcessMark;
  } catch {
    return null;
  }
}

function alreadyRuns(home: string, pid: number): ClusterError {
  return new ClusterError(
    `Holdfast already runs from ${home} (pid ${pid}). Stop it, or set HOLDFAST_HOME to another folder.`,
  );
}
