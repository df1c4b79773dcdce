import { PrismaPg } from '@prisma/adapter-pg';
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import type pg from 'pg';
import type { Config } from '../config/config.ts';
import { addressIn, type DatabaseAddress } from '../config/database-url.ts';
import { TlsFiles } from '../config/tls-files.ts';
import { optionsOf, PlainClient, settingsOf } from '../transactions/wire/plain-client.ts';
import { Pool } from '../transactions/wire/pool.ts';
import type { ServerRole, SessionSettings } from '../transactions/wire/session.ts';
import { PrismaClient } from './generated/client.ts';

/** A Prisma client and the pool under it. Both are bounded in every direction: places, waiting, statement time, idle time. */
export interface DatabaseClient {
  /** What it is called in metrics, logs and probes: `primary`, `replica`, or the replica's own name. */
  readonly name: string;
  readonly prisma: PrismaClient;
  /** What Prisma sends its statements by. */
  readonly driver: Promise<SqlDriverAdapter>;
  readonly pool: Pool;
  /** A connection of its own, beside the pool, which is not connected yet. Throws TlsFileError. */
  beside(application: string): pg.Client;
}

// How many distinct statements are prepared by name on each connection. Lists of ids of every length would otherwise fill the server's memory.
const preparedStatements = 1000;
// How often the server looks, while a statement runs, whether its client is still there: a statement is not carried on for nobody, with its locks.
// PostgreSQL cannot look on Windows, and refuses the setting there; `?options=` in the URL replaces it.
const goneCheck = 'client_connection_check_interval';
const goneCheckMs = 500;

interface Place {
  readonly url: string;
  readonly role: ServerRole;
  /** What pg_stat_activity shows, where it is not the name of the role. */
  readonly application?: string;
}

/** Opens a client; nothing connects before the first statement. Times in `settings` are milliseconds. */
export function openClient({ name, ...place }: Place & { name: string }, settings: Config['database']): DatabaseClient {
  const pool = openPool(place, settings);
  const adapter = new PrismaPg(pool, { statementNameGenerator: statementNames(), disposeExternalPool: true });
  const beside = (application_name: string): pg.Client =>
    new PlainClient(place.url, { application_name, connectionTimeoutMillis: settings.poolWaitMs, query_timeout: 5000 });
  const prisma = new PrismaClient({ adapter, errorFormat: 'minimal' });
  return { name, pool, beside, prisma, driver: adapter.connect() };
}

/** A pool without Prisma, for statements outside boundaries. */
export function openPool({ url, role, application }: Place, settings: Config['database']): Pool {
  const address = addressIn(url);
  const session = sessionOf(address, settings);
  return new Pool(
    {
      ...connectingTo(address, session, application ?? (role === 'primary' ? 'holdfast write' : 'holdfast read')),
      idleTimeoutMillis: 60_000,
      keepAlive: true,
      // Statements that Prisma sends together inside a transaction travel together, where pg 9 would refuse them.
      pipeline: true,
      namesStatements: settings.statementNames === 'on',
      // The server's own limit comes first; this one ends the wait for a server that has gone silent.
      query_timeout: settings.statementTimeoutMs + 1000,
    },
    { size: settings.poolSize, waitMs: settings.poolWaitMs, demand: { role, settings: session } },
  );
}

function sessionOf({ settings }: DatabaseAddress, config: Config['database']): SessionSettings {
  const isOurs = process.platform !== 'win32' && !settings.has(goneCheck);
  return {
    statement_timeout: config.statementTimeoutMs,
    lock_timeout: config.lockTimeoutMs,
    idle_in_transaction_session_timeout: config.idleInTransactionTimeoutMs,
    ...(isOurs && { [goneCheck]: goneCheckMs }),
  };
}

// Said at the start of the session; PostgreSQL, not pg, knows the last one.
function connectingTo(address: DatabaseAddress, session: SessionSettings, application_name: string): pg.PoolConfig {
  const { [goneCheck]: check, ...limits } = session;
  const options = new Map([...(check === undefined ? [] : [[goneCheck, `${check}`] as const]), ...address.settings]);
  const own: object = {
    application_name,
    ...settingsOf(address),
    ...limits,
    options: optionsOf(options),
    tlsFiles: address.tls === null ? null : new TlsFiles(address.tls),
  };
  return own;
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
