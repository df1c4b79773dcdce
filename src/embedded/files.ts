import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync } from 'node:fs';
import { chmod, copyFile, lchown, mkdir, readdir, readlink, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';

/** The user a program runs as and its files belong to. */
export interface Account {
  uid: number;
  gid: number;
  name: string;
}

export interface CopyRules {
  /** Asked with the path below the root, "base/1/1259". A folder that is not kept is not entered. */
  keep: (path: string) => boolean;
  owner: Account | null;
  /** Open to everybody for reading and entering, whatever the source allows and the umask says. */
  open: boolean;
}

/** Copies a tree whose files may vanish meanwhile, as those of a running database do. */
export async function copyTree(from: string, to: string, rules: CopyRules, below = ''): Promise<void> {
  const entries = await readdir(join(from, below), { withFileTypes: true });
  await make(from, to, below, rules);
  const kept = entries.filter((entry) => rules.keep(join(below, entry.name)));
  const files = kept.filter((entry) => !entry.isDirectory());
  await Promise.all(files.map((entry) => copyOne(from, to, join(below, entry.name), entry.isSymbolicLink(), rules)));
  for (const entry of kept) if (entry.isDirectory()) await copyTree(from, to, rules, join(below, entry.name));
}

/** Makes the folder and gives it to its owner; what exists stays. */
export function makeFolder(path: string, mode: number, owner: Account | null): void {
  if (!existsSync(path)) {
    mkdirSync(path, { recursive: true });
    // Said again, for the umask may have taken some of it.
    chmodSync(path, mode);
  }
  if (owner !== null && lstatSync(path).uid !== owner.uid) chownSync(path, owner.uid, owner.gid);
}

async function make(from: string, to: string, below: string, { owner, open }: CopyRules): Promise<void> {
  const target = join(to, below);
  await mkdir(target, { recursive: true });
  await chmod(target, open ? 0o755 : (await stat(join(from, below))).mode & 0o777);
  if (owner !== null) await lchown(target, owner.uid, owner.gid);
}

async function copyOne(from: string, to: string, path: string, isLink: boolean, rules: CopyRules): Promise<void> {
  const target = join(to, path);
  try {
    if (isLink) await symlink(await readlink(join(from, path)), target);
    else await copyFile(join(from, path), target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (isLink) return;
  if (rules.open) await chmod(target, (await stat(target)).mode & 0o100 ? 0o755 : 0o644);
  if (rules.owner !== null) await lchown(target, rules.owner.uid, rules.owner.gid);
}
