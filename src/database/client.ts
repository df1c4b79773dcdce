import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Config } from '../config/config.ts';
import { Connection } from './connection.ts';
import { PrismaClient } from './generated/client.ts';

/** A Prisma client and the pool under it. Both are bounded in every direction: places, waiting, statement time, idle time. */
export interface Client {
  readonly prisma: PrismaClient;
  readonly pool: pg.Pool;
}

// How many distinct statements are prepared by name on each connection. Lists of ids of every length would otherwise fill the server's memory.
const preparedStatements = 1000;
// How often the server looks, while a statement runs, whether its client is still there: a statement is not carried on for nobody, with its locks.
// PostgreSQL cannot look on Windows, and refuses the setting there; `?options=` in the URL replaces it.
const goneCheck = process.platform === 'win32' ? {} : { options: '-c client_connection_check_interval=500' };

/** Opens a client; nothing connects before the first statement. Times in `settings` are milliseconds. */
export function openClient(url: string, name: string, settings: Config['database']): Client {
  const pool = new pg.Pool({
    Client: Connection,
    connectionString: url,
    application_name: name,
    max: settings.poolSize,
    connectionTimeoutMillis: settings.poolWaitMs,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    // Statements that Prisma sends together inside a transaction travel together, where pg 9 would refuse them.
    pipeline: true,
    ...goneCheck,
    statement_timeout: settings.statementTimeoutMs,
    lock_timeout: settings.lockTimeoutMs,
    idle_in_transaction_session_timeout: settings.idleInTransactionTimeoutMs,
    // The server's own limit comes first; this one ends the wait for a server that has gone silent.
    query_timeout: settings.statementTimeoutMs + 1000,
  });
  // An idle connection that dies is replaced at the next use. Without a listener it would end the process.
  pool.on('error', () => undefined);
  const adapter = new PrismaPg(pool, { statementNameGenerator: statementNames(), disposeExternalPool: true });
  return { pool, prisma: new PrismaClient({ adapter, errorFormat: 'minimal' }) };
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
