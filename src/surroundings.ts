import { existsSync } from 'node:fs';
import { isLoopback } from './config/address.ts';
import { ConfigError, type Environment, examineEnvironment, valueOf } from './config/environment.ts';
import { findMachineFaults } from './config/machine.ts';
import { shutOut, unreadVariables } from './config/platform-variables.ts';
import { instead } from './config/rules.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What a process is started with: its variables, and who can reach it. */
export interface Surroundings {
  readonly environment: Environment;
  /** Nobody but this machine reaches the service, and it is not run in production: demo people may exist. */
  readonly isPrivate: boolean;
  /** Variables that are set for other programs, and that we do not read. */
  readonly unread: readonly string[];
}

/**
 * Reads .env and the environment, and looks whether the machine has what they name. Afterwards no library reads from the environment how
 * to connect. `more` finds further faults, for they are told all at once. Throws ConfigError.
 */
export async function readSurroundings(
  more: (env: Env) => Promise<readonly string[]> = async () => [],
): Promise<Surroundings> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const env = { ...process.env };
  shutOut(process.env);
  const { environment, reasons } = examineEnvironment(env);
  const isLocal = await isLoopback(valueOf('HOST', env) ?? '');
  const others = [...findMachineFaults(env), ...(await more(env))];
  // Where nothing can be listened on, nobody reaches it.
  const faults = [...reasons, ...(others.length > 0 ? [] : reach(env, isLocal)), ...others];
  if (environment === null || faults.length > 0) throw new ConfigError(faults);
  const isPrivate = isLocal && environment.NODE_ENV !== 'production';
  return { environment, isPrivate, unread: unreadVariables(env) };
}

/** Without the variable it goes on as at the last start: a command that lacks it leaves no gap in the archive. */
export function archiveIn({ EMBEDDED_WAL_ARCHIVE: archive }: Environment): { archive?: string | null } {
  return archive === undefined ? {} : { archive: archive === 'off' ? null : archive };
}

// Which addresses a host stands for is known to the machine alone: this rule cannot stand with the others.
function reach(env: Env, isLocal: boolean): string[] {
  const isProduction = env['NODE_ENV'] === 'production';
  if (isLocal || isProduction || env['EMBEDDED_DATABASE'] || env['DATABASE_WRITE_URL']) return [];
  return [`DATABASE_WRITE_URL is required with a HOST that others reach: ${instead}`];
}
