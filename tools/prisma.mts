// npm run prisma -- <anything>: Prisma's command line, with a database to work on. That is DATABASE_OWNER_URL when it is
// set, else the embedded one: of the process that runs it now, or started for the duration of this command.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { refusalsOf as refusalsOfUrl } from '../src/config/database-variables.ts';
import { refusedVariables, shutOut } from '../src/config/platform-variables.ts';
import { variables } from '../src/config/variables.ts';
import { ClusterError, lastingCluster, startCluster } from '../src/embedded/cluster.ts';
import { runPrisma } from '../src/embedded/prisma-cli.ts';
import { findService } from './beside-service.mts';

const args = process.argv.slice(2);
const NEED_DATABASE = new Set(['migrate', 'db', 'studio']);
const INTERRUPTED = 130;
if (existsSync('.env')) process.loadEnvFile('.env');
const refusals = [...(needsDatabase() ? refusalsOf(process.env) : faultsOf(process.env)), ...waitFaults(process.env)];
// Neither pg nor Prisma reads behind our back how to connect.
shutOut(process.env);
const home = resolve(process.env.HOLDFAST_HOME || '.holdfast');

// Ctrl-C reaches Prisma too, which is of our process group; we wait for its end and then stop the database behind it.
const interruption = new AbortController();
let isInterrupted = false;
process.on('SIGINT', () => (isInterrupted = true));
process.on('SIGTERM', () => {
  isInterrupted = true;
  interruption.abort();
});

try {
  if (refusals.length > 0) throw new ClusterError(refusals.join('\n'));
  process.exitCode = needsDatabase() ? await runOnDatabase() : await run(process.env.DATABASE_OWNER_URL, null);
} catch (error) {
  if (!isInterrupted && !(error instanceof ClusterError)) throw error;
  if (!isInterrupted) process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = isInterrupted ? INTERRUPTED : 1;
}

function needsDatabase(): boolean {
  const isQuestion = args.includes('--help') || args.includes('-h');
  return !process.env.DATABASE_OWNER_URL && !isQuestion && NEED_DATABASE.has(args[0] ?? '');
}

/** Somebody who has named a database, or runs in production, does not mean the embedded one. */
function refusalsOf(env: NodeJS.ProcessEnv): string[] {
  if (env.EMBEDDED_DATABASE === 'true') return [];
  if (env.DATABASE_WRITE_URL)
    return ['DATABASE_OWNER_URL is required with DATABASE_WRITE_URL, which names another database.'];
  if (env.NODE_ENV === 'production') return ['DATABASE_OWNER_URL is required with NODE_ENV=production.'];
  return refusedVariables(env, { writeUrl: undefined, isEmbeddedMeant: false }).map((reason) =>
    reason.replace('DATABASE_WRITE_URL', 'DATABASE_OWNER_URL'),
  );
}

/** What is wrong with the URL itself is said before Prisma reads it: its own words for that show neither the name nor what to do. */
function faultsOf(env: NodeJS.ProcessEnv): string[] {
  const { DATABASE_OWNER_URL: url } = env;
  if (!url || !NEED_DATABASE.has(args[0] ?? '')) return [];
  const refusals = refusalsOfUrl(url);
  const isMisread = !isDecodable(url) || refusals.some((reason) => reason.startsWith('must be a URL like'));
  if (isMisread)
    return [
      'DATABASE_OWNER_URL must be a URL like postgresql://user:password@host:5432/database, in which user and password are percent-encoded.',
    ];
  return refusals.map((reason) => `DATABASE_OWNER_URL ${reason}`);
}

function waitFaults({ DATABASE_MIGRATION_WAIT_MS: text }: NodeJS.ProcessEnv): string[] {
  const { error } = variables.DATABASE_MIGRATION_WAIT_MS.safeParse(text || undefined);
  return error === undefined ? [] : ['DATABASE_MIGRATION_WAIT_MS must be a whole number from 0 to 3600000.'];
}

function isDecodable(url: string): boolean {
  try {
    const { username, password, pathname } = new URL(url);
    [username, password, pathname].forEach((part) => decodeURIComponent(part));
    return true;
  } catch {
    return false;
  }
}

async function runOnDatabase(): Promise<number> {
  const running = lastingCluster(home);
  if (running !== null) return run(running.url('owner'), home);
  const onProgress = (line: string): boolean => process.stderr.write(`embedded database: ${line}\n`);
  const cluster = await startCluster({ home, durable: true, onProgress, use: { isPassing: true } });
  try {
    return isInterrupted ? INTERRUPTED : await run(cluster.url('owner'), home);
  } finally {
    await cluster.stop();
  }
}

async function run(databaseUrl: string | undefined, ofHome: string | null): Promise<number> {
  const inTheWay = await findService(args, databaseUrl, ofHome);
  if (inTheWay !== null) throw new ClusterError(inTheWay);
  const { code } = await runPrisma(args, { ...(databaseUrl ? { databaseUrl } : {}), signal: interruption.signal });
  return code;
}
