import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterError } from './problems.ts';

const openToWrite = 0o022;

/**
 * Makes the folder of everything when it is missing, whatever the umask, and sees to it at each start that nobody else may read or change
 * what lies in it: whoever can put another file in the place of the secret is an operator. Where root lends PostgreSQL another user, that
 * one must be able to pass through, and no more. Throws ClusterError.
 */
export function makeHome(home: string): void {
  if (!existsSync(home)) mkdirSync(home, { recursive: true, mode: 0o700 });
  if (process.platform === 'win32') return;
  const isRoot = process.geteuid?.() === 0;
  const { mode, uid } = statSync(home);
  // Root's data may belong to another user, who has to pass through: not more and not less.
  const wanted = isRoot ? 0o711 : 0o700;
  if ((mode & 0o777) === wanted) return;
  // A folder that held something else before is not ours to close.
  if (belongsToUs(uid) && isOurs(home)) return chmodSync(home, wanted);
  if ((mode & openToWrite) === 0) return;
  throw new ClusterError(
    `Others may write to ${home} (mode ${(mode & 0o777).toString(8)}): run chmod go-w on it, or set HOLDFAST_HOME to a folder of its own.`,
  );
}

const belongsToUs = (uid: number): boolean => [0, uid].includes(process.geteuid?.() ?? -1);
const isOurs = (home: string): boolean => existsSync(join(home, 'cluster.json')) || readdirSync(home).length === 0;

/** Throws ClusterError when anybody else may read or change this file, or has made it. */
export function demandOwn(path: string): void {
  const { mode, uid } = lstatSync(path);
  const isRoot = process.geteuid?.() === 0;
  const isForeign = !isRoot && uid !== process.geteuid?.();
  if (process.platform === 'win32' || (!isForeign && (mode & 0o077) === 0 && lstatSync(path).isFile())) return;
  throw new ClusterError(
    `Others may have read or changed ${path} (mode ${(mode & 0o777).toString(8)}): remove it, and a new one is made; every session ends.`,
  );
}
