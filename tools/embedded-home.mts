// What the commands of the embedded database share: where it is, and how they end.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { shutOut } from '../src/config/platform-variables.ts';
import { ClusterError } from '../src/embedded/cluster.ts';

export const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Called in a way that the command does not understand. */
export class UsageError extends Error {}

/** Throws ClusterError when the environment names another database. */
export function embeddedHome(command: string): { home: string; archive: string | null } {
  const { DATABASE_WRITE_URL, HOLDFAST_HOME, EMBEDDED_WAL_ARCHIVE: archive } = process.env;
  if (DATABASE_WRITE_URL)
    throw new ClusterError(
      `"${command}" is for the embedded database, and DATABASE_WRITE_URL names another: docs/backup.md says how to back that up.`,
    );
  return {
    home: resolve(HOLDFAST_HOME || '.holdfast'),
    archive: archive && archive !== 'off' ? resolve(archive) : null,
  };
}

/** Reads .env, runs the work, and says in a sentence what went wrong: exit code 1, and 2 for a call that is not understood. */
export async function runCommand(usage: string, work: () => Promise<void>): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  shutOut(process.env);
  try {
    await work();
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const isMiscalled = error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS') === true;
    if (!isMiscalled && !(error instanceof ClusterError)) throw error;
    say(isMiscalled ? usage : message);
    process.exitCode = isMiscalled ? 2 : 1;
  }
}
