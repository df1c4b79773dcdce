import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { valueOf } from './environment.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What the variables name and this machine does not have, or does not let us use: the folder of the embedded database. A sentence for each. */
export function findMachineFaults(env: Env): string[] {
  if (env['DATABASE_WRITE_URL']) return [];
  const home = resolve(valueOf('HOLDFAST_HOME', env) ?? '.holdfast');
  const found = statSync(home, { throwIfNoEntry: false });
  if (found !== undefined && !found.isDirectory()) return [`HOLDFAST_HOME is no folder: ${home}`];
  const place = found === undefined ? firstThatExists(dirname(home)) : home;
  if (!statSync(place).isDirectory()) return [`HOLDFAST_HOME cannot be made: ${place} is no folder`];
  return isWritable(place) ? [] : [`HOLDFAST_HOME may not be written to by this user: ${place}`];
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
