// Which commands of Prisma's change tables under a service that runs, and whether one does.
import { Client } from 'pg';
import { holderOf } from '../src/embedded/lock.ts';

/** `empties`: all data are lost, whoever is at work on them. `changes`: the tables become others than the service knows. */
export function harmOf(args: readonly string[]): 'empties' | 'changes' | null {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'));
  if (args.some((arg) => arg === '--help' || arg === '-h')) return null;
  if ((first === 'migrate' && second === 'reset') || (first === 'db' && second === 'push')) return 'empties';
  return first === 'migrate' && second === 'dev' && !args.includes('--create-only') ? 'changes' : null;
}

/** Why the command must not run now, in a sentence; null when nothing is in its way. `home`: of the embedded database; null for another. */
export async function findService(
  args: readonly string[],
  databaseUrl: string | undefined,
  home: string | null,
): Promise<string | null> {
  const harm = harmOf(args);
  if (harm === null || databaseUrl === undefined) return null;
  const holder = home === null ? null : holderOf(home);
  const command = args
    .filter((arg) => !arg.startsWith('-'))
    .slice(0, 2)
    .join(' ');
  if (holder !== null && holder.pid !== process.pid) {
    // It starts its service anew when the tables have changed.
    if (harm === 'changes' && holder.reloads === true) return null;
    if (harm === 'empties')
      return `Holdfast runs from ${home} (pid ${holder.pid}). Stop it first: "${command}" would take the tables away under it.`;
  }
  const sessions = await countSessions(databaseUrl);
  if (sessions === 0) return null;
  return `A service is at work on this database (sessions of its roles: ${sessions}). Stop it first: "${command}" would change the tables under it. With "npm run dev" it is started anew by itself.`;
}

/** Of the service's roles in this database; 0 where it cannot be asked, for the command itself will say so. */
async function countSessions(databaseUrl: string): Promise<number> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()
         AND (usename IN ('holdfast_app', 'holdfast_reader') OR application_name IN ('holdfast write', 'holdfast probe'))`,
    );
    return rows[0]?.n ?? 0;
  } catch {
    return 0;
  } finally {
    await client.end().catch(() => undefined);
  }
}
