import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, existsSync, lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Account } from './files.ts';
import { ClusterError } from './problems.ts';
import { readOrNull } from './processes.ts';

/** Where a cluster stands and as whom it runs. PostgreSQL refuses root, so root lends it another user. */
export interface Ground {
  /** Folder of primary/, replica/ and logs/. */
  place: string;
  /** Null: as the invoking user. */
  account: Account | null;
}

/** `place`: the one of an earlier start, when it was not `home` itself. */
export function chooseGround(home: string, place: string | null): Ground {
  if (process.geteuid?.() !== 0) return { place: place ?? home, account: null };
  const account = accountFor([place ?? home, home]);
  if (place !== null && existsSync(join(place, 'primary'))) return { place, account };
  if (canEnter(home, account)) return { place: home, account };
  if (existsSync(join(home, 'primary'))) throw unreachable(home, account);
  return { place: join(sharedFolder(), nameFor(home)), account };
}

/** True when `account` may enter the folder and every folder above it. */
export function canEnter(folder: string, account: Account): boolean {
  for (let path = realpathSync(folder); ; path = dirname(path)) {
    if (!mayEnter(path, account)) return false;
    if (path === dirname(path)) return true;
  }
}

/** A folder of root's that every user may enter: for data and programs which must not stay behind a private folder. */
export function sharedFolder(): string {
  const folder = isWritable('/var/lib') ? '/var/lib/holdfast' : join(tmpdir(), 'holdfast');
  mkdirSync(folder, { recursive: true });
  const { uid, mode } = lstatSync(folder);
  // In a temporary folder anybody may have made it first, and could then replace the programs we run from it.
  const isOurs = uid === process.geteuid?.() && lstatSync(folder).isDirectory() && (mode & 0o022) === 0;
  if (!isOurs) throw new ClusterError(`${folder} belongs to another user or is open to others: remove it.`);
  chmodSync(folder, 0o755);
  return folder;
}

/** The owner of data that exist already, so that one start as root does not lock out their user; else postgres, else nobody. */
function accountFor(places: string[]): Account {
  const owners = places.map((place) => join(place, 'primary')).filter((path) => existsSync(path));
  const owner = owners.map((path) => statSync(path)).find(({ uid }) => uid !== 0);
  if (owner !== undefined) return { uid: owner.uid, gid: owner.gid, name: `uid ${owner.uid}` };
  const account = lookUp('postgres') ?? lookUp('nobody');
  if (account === null) {
    throw new ClusterError(
      'PostgreSQL does not run as root, and there is no user postgres or nobody: run as a normal user.',
    );
  }
  return account;
}

function lookUp(name: string): Account | null {
  const line = readOrNull('/etc/passwd')
    ?.split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? null : { uid: Number(uid), gid: Number(gid), name };
}

/** By the bits alone: the started process has no further groups, and access lists are rare enough. */
function mayEnter(folder: string, { uid, gid }: Account): boolean {
  const { uid: owner, gid: group, mode } = statSync(folder);
  if (owner === uid) return (mode & 0o100) !== 0;
  if (group === gid) return (mode & 0o010) !== 0;
  return (mode & 0o001) !== 0;
}

function nameFor(home: string): string {
  const digest = createHash('sha256').update(realpathSync(home)).digest('hex');
  return `${basename(home).replace(/^\.+/, '')}-${digest.slice(0, 8)}`;
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function unreachable(home: string, { name }: Account): ClusterError {
  return new ClusterError(
    `The database in ${home} runs as user ${name}, who may not enter that folder: chmod a+x it and the folders above it.`,
  );
}
