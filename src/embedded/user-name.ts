import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { ClusterError } from './problems.ts';

/**
 * What initdb must be run with so that it finds a name for the user it runs as: nothing where the user has one. In a container a user may be
 * a number alone; nss_wrapper lends it a name, from two files beside `draft`. Throws ClusterError where that is not installed.
 */
export function lendName(draft: string): NodeJS.ProcessEnv {
  if (process.platform !== 'linux' || hasName()) return {};
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  const library = findLibrary();
  if (library === null) throw nameless(uid, gid);
  const [passwd, group] = [`${draft}.passwd`, `${draft}.group`];
  writeFileSync(passwd, `holdfast:x:${uid}:${gid}::/:/sbin/nologin\n`, { mode: 0o600 });
  writeFileSync(group, `holdfast:x:${gid}:\n`, { mode: 0o600 });
  return { LD_PRELOAD: library, NSS_WRAPPER_PASSWD: passwd, NSS_WRAPPER_GROUP: group };
}

function hasName(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

function findLibrary(): string | null {
  const roots = ['/usr/lib', '/usr/lib64', '/usr/local/lib', '/lib'].filter((root) => existsSync(root));
  const folders = roots.flatMap((root) => [root, ...readdirSync(root).map((name) => join(root, name))]);
  const found = folders.filter((folder) => folder.endsWith('-linux-gnu') || roots.includes(folder));
  return found.map((folder) => join(folder, 'libnss_wrapper.so')).find((path) => existsSync(path)) ?? null;
}

const nameless = (uid: number, gid: number): ClusterError =>
  new ClusterError(
    `PostgreSQL needs a name for the user it runs as, and user ${uid} has none here: add one (as root: echo "holdfast:x:${uid}:${gid}::/:/sbin/nologin" >> /etc/passwd), install libnss-wrapper, or set DATABASE_WRITE_URL to a database of your own.`,
  );
