// npm run prisma -- <anything>: Prisma's command line, with a database to work on. That is DATABASE_OWNER_URL when it is
// set, else the embedded one: of the process that runs it now, or started for the duration of this command.
import { resolve } from 'node:path';
import { ClusterError, runningCluster, startCluster } from '../src/database/embedded/cluster.ts';
import { runPrisma } from '../src/database/embedded/prisma-cli.ts';

const NEED_DATABASE = new Set(['migrate', 'db', 'studio']);
const INTERRUPTED = 130;
const home = resolve(process.env.HOLDFAST_HOME ?? '.holdfast');
const args = process.argv.slice(2);

// Ctrl-C reaches Prisma too, which is of our process group; we wait for its end and then stop the database behind it.
const interruption = new AbortController();
let isInterrupted = false;
process.on('SIGINT', () => (isInterrupted = true));
process.on('SIGTERM', () => {
  isInterrupted = true;
  interruption.abort();
});

try {
  process.exitCode = needsDatabase() ? await runOnDatabase() : await run();
} catch (error) {
  if (!isInterrupted && !(error instanceof ClusterError)) throw error;
  if (!isInterrupted) process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = isInterrupted ? INTERRUPTED : 1;
}

function needsDatabase(): boolean {
  const isQuestion = args.includes('--help') || args.includes('-h');
  return !process.env.DATABASE_OWNER_URL && !isQuestion && NEED_DATABASE.has(args[0] ?? '');
}

async function runOnDatabase(): Promise<number> {
  const running = runningCluster(home);
  if (running !== null) return run(running.url('owner'));
  const onProgress = (line: string): boolean => process.stderr.write(`embedded database: ${line}\n`);
  const cluster = await startCluster({ home, durable: true, onProgress });
  try {
    return isInterrupted ? INTERRUPTED : await run(cluster.url('owner'));
  } finally {
    await cluster.stop();
  }
}

async function run(databaseUrl?: string): Promise<number> {
  const { code } = await runPrisma(args, { ...(databaseUrl ? { databaseUrl } : {}), signal: interruption.signal });
  return code;
}
