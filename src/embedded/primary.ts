import { execFile } from 'node:child_process';
import { chownSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './binaries.ts';
import { makeFolder, type Account } from './files.ts';
import { ClusterError, explain } from './problems.ts';
import { plainEnvironment, readOrNull } from './processes.ts';
import { endAll } from './server.ts';
import { includeSettings } from './settings.ts';
import { ROLE_NAMES } from './state.ts';
import { lendName } from './user-name.ts';

const INITDB_MS = 120_000;
// The builtin provider knows C.UTF-8 on every system; before 17 it must come from the system's C library, which may lack it.
const BUILTIN_SINCE = 17;

export interface NewPrimary {
  folder: string;
  binaries: Binaries;
  account: Account | null;
  password: string;
  durable: boolean;
}

/** Made beside and renamed when complete: a folder called `primary` is a whole one. */
export async function createPrimary(made: NewPrimary): Promise<void> {
  const draft = `${made.folder}.partial`;
  const passwordFile = `${made.folder}.password`;
  await removeDraft(draft);
  makeFolder(draft, 0o700, made.account);
  try {
    writePassword(passwordFile, made);
    await initialise(draft, passwordFile, made);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  includeSettings(draft);
  renameSync(draft, made.folder);
  for (const kind of ['log', 'passwd', 'group']) rmSync(`${draft}.${kind}`, { force: true });
}

/** A killed run leaves it half made, perhaps with its initdb still at work inside. */
export async function removeDraft(draft: string): Promise<void> {
  if (!existsSync(draft)) return;
  await endAll(draft);
  rmSync(draft, { recursive: true, force: true });
}

/** Throws ClusterError when the data are of another major version, or are none. */
export function checkVersion(folder: string, { major, version }: Binaries): void {
  const made = readOrNull(join(folder, 'PG_VERSION'))?.trim();
  if (made === undefined) {
    throw new ClusterError(
      `${folder} is not a PostgreSQL data folder: move it away, or set HOLDFAST_HOME to another folder.`,
    );
  }
  if (Number(made) === major) return;
  throw new ClusterError(
    `The database in ${folder} was made by PostgreSQL ${made} and this is PostgreSQL ${version}: ` +
      'start it with the older one, or move the folder away to begin anew.',
  );
}

async function initialise(folder: string, passwordFile: string, made: NewPrimary): Promise<void> {
  const common = [
    '-D',
    folder,
    '-U',
    ROLE_NAMES.superuser,
    `--pwfile=${passwordFile}`,
    '-A',
    'scram-sha-256',
    '-E',
    'UTF8',
  ];
  const sync = made.durable ? [] : ['--no-sync'];
  // A backup ends the current segment twice, and every segment is written in full, on both servers: 16 MB are the usual size.
  const args = [...common, '--no-instructions', '--wal-segsize=4', ...sync];
  if (made.binaries.major >= BUILTIN_SINCE) {
    return initdb([...args, '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'], folder, made);
  }
  try {
    await initdb([...args, '--locale=C.UTF-8'], folder, made);
  } catch (error) {
    if (!(error instanceof ClusterError) || !error.message.includes('invalid locale')) throw error;
    await initdb([...args, '--locale=C'], folder, made);
  }
}

/** Its own folder is its working folder: so a later start finds it there when we are killed. */
async function initdb(args: string[], folder: string, { binaries, account }: NewPrimary): Promise<void> {
  const identity = account === null ? {} : { uid: account.uid, gid: account.gid };
  const env = { ...plainEnvironment(), ...(account === null ? lendName(folder) : {}) };
  const options = { cwd: folder, env, timeout: INITDB_MS, windowsHide: true, ...identity };
  try {
    await promisify(execFile)(binaries.initdb, args, options);
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    const logFile = `${folder}.log`;
    writeFileSync(logFile, `${stdout}${stderr}` || message);
    throw explain(stderr || message, { attempt: 'create its data folder', folder, logFile });
  }
}

function writePassword(file: string, { password, account }: NewPrimary): void {
  rmSync(file, { force: true });
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  if (account !== null) chownSync(file, account.uid, account.gid);
}
