import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { valueOf } from './environment.ts';
import { replicasIn } from './replicas.ts';

type Env = Readonly<Record<string, string | undefined>>;

const files = ['sslrootcert', 'sslcert', 'sslkey'];

/** What the variables name and this machine does not have, or does not let us use: a sentence for each. */
export const findMachineFaults = (env: Env): string[] => [...faultsOfHome(env), ...faultsOfFiles(env)];

/** The embedded database needs a folder that it may write to, or make. */
function faultsOfHome(env: Env): string[] {
  if (env['DATABASE_WRITE_URL']) return [];
  const home = resolve(valueOf('HOLDFAST_HOME', env) ?? '.holdfast');
  const found = statSync(home, { throwIfNoEntry: false });
  if (found !== undefined && !found.isDirectory()) return [`HOLDFAST_HOME is no folder: ${home}`];
  const place = found === undefined ? firstThatExists(dirname(home)) : home;
  if (!statSync(place).isDirectory()) return [`HOLDFAST_HOME cannot be made: ${place} is no folder`];
  return isWritable(place) ? [] : [`HOLDFAST_HOME may not be written to by this user: ${place}`];
}

/** Certificates and keys that a database's URL names. */
function faultsOfFiles(env: Env): string[] {
  const single = ['DATABASE_WRITE_URL', 'DATABASE_OWNER_URL'].map((name) => ({ name, url: env[name] ?? '' }));
  const replicas = (replicasIn(env['DATABASE_READ_URL'] ?? '') ?? []).map(({ url }) => ({
    name: 'DATABASE_READ_URL',
    url,
  }));
  return [...single, ...replicas].flatMap(({ name, url }) => faultsOfUrl(name, url));
}

function faultsOfUrl(name: string, url: string): string[] {
  if (!URL.canParse(url)) return [];
  const { searchParams } = new URL(url);
  return files.flatMap((parameter) => {
    const path = searchParams.get(parameter);
    return path === null || path === 'system' || isReadable(path)
      ? []
      : [`${name} names a file in ${parameter} that cannot be read: ${path}`];
  });
}

function firstThatExists(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : firstThatExists(dirname(folder));
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isReadable(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
