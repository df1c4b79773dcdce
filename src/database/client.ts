import { PrismaPg } from '@prisma/adapter-pg';
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import type { Config } from '../config/config.ts';
import { PrismaClient } from './generated/client.ts';
import { Pool } from './pool.ts';
import type { ServerRole } from './session.ts';

/** A Prisma client and the pool under it. Both are bounded in every direction: places, waiting, statement time, idle time. */
export interface Client {
  /** What it is called in metrics, logs and probes: `primary`, `replica`, or the replica's own name. */
  readonly name: string;
  readonly prisma: PrismaClient;
  /** What Prisma sends its statements by. */
  readonly driver: Promise<SqlDriverAdapter>;
  readonly pool: Pool;
}

// How many distinct statements are prepared by name on each connection. Lists of ids of every length would otherwise fill the server's memory.
const preparedStatements = 1000;
// How often the server looks, while a statement runs, whether its client is still there: a statement is not carried on for nobody, with its locks.
// PostgreSQL cannot look on Windows, and refuses the setting there; `?options=` in the URL replaces it.
const goneCheck = process.platform === 'win32' ? {} : { options: '-c client_connection_check_interval=500' };

interface Place {
  readonly url: string;
  readonly role: ServerRole;
  /** What pg_stat_activity shows, where it is not the name of the role. */
  readonly application?: string;
}

/** Opens a client; nothing connects before the first statement. Times in `settings` are milliseconds. */
export function openClient({ name, ...place }: Place & { name: string }, settings: Config['database']): Client {
  const pool = openPool(place, settings);
  const adapter = new PrismaPg(pool, { statementNameGenerator: statementNames(), disposeExternalPool: true });
  return { name, pool, prisma: new PrismaClient({ adapter, errorFormat: 'minimal' }), driver: adapter.connect() };
}

/** A pool without Prisma, for statements outside boundaries. */
export function openPool({ url, role, application }: Place, settings: Config['database']): Pool {
  const limits = { statement_timeout: settings.statementTimeoutMs, lock_timeout: settings.lockTimeoutMs };
  return new Pool(
    {
      connectionString: url,
      application_name: application ?? (role === 'primary' ? 'holdfast write' : 'holdfast read'),
      idleTimeoutMillis: 60_000,
      keepAlive: true,
      // Statements that Prisma sends together inside a transaction travel together, where pg 9 would refuse them.
      pipeline: true,
      ...goneCheck,
      ...limits,
      idle_in_transaction_session_timeout: settings.idleInTransactionTimeoutMs,
      // The server's own limit comes first; this one ends the wait for a server that has gone silent.
      query_timeout: settings.statementTimeoutMs + 1000,
    },
    { size: settings.poolSize, waitMs: settings.poolWaitMs, limits, role },
  );
}

function statementNames(): (query: { sql: string }) => string {
  const names = new Map<string, string>();
  return ({ sql }) => {
    const known = names.get(sql);
    if (known !== undefined) return known;
    if (names.size >= preparedStatements) return ''; // pg parses a statement without a name anew each time
    const name = `s${names.size}`;
    names.set(sql, name);
    return name;
  };
}
