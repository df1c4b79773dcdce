import type pg from 'pg';
import type { Connection, ServerLimits } from './connection.ts';
import { WrongServerError } from './errors.ts';

/** What a pool is for: the primary, or a standby. */
export type ServerRole = 'primary' | 'standby';

/** What a session is to be set to, milliseconds. */
export interface SessionSettings extends ServerLimits {
  readonly idle_in_transaction_session_timeout: number;
  /** How often the server looks, while a statement runs, whether its client is still there; absent where nobody asks for it. */
  readonly client_connection_check_interval?: number;
}

const question = `SELECT pg_is_in_recovery() AS "isStandby", (SELECT json_object_agg(name, setting::bigint) FROM pg_settings WHERE name IN
  ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'client_connection_check_interval')) AS settings`;

/** What a new connection must be. */
export interface Demand {
  /** Null for any server. */
  readonly role: ServerRole | null;
  readonly settings: SessionSettings;
}

/**
 * Asks a new connection whether it leads to the server that it should, and what its session is set to: what stands between us and the server
 * may have dropped what was said at its start. Throws WrongServerError, and whatever keeps it from being asked within `patienceMs`.
 */
export async function examine(connection: Connection, { role, settings }: Demand, patienceMs: number): Promise<void> {
  const { rows } = await connection.query<Answer>({ text: question, query_timeout: patienceMs } as pg.QueryConfig);
  const { isStandby = false, settings: given = {} } = rows[0] ?? {};
  connection.limits = {
    statement_timeout: given['statement_timeout'] ?? 0,
    lock_timeout: given['lock_timeout'] ?? 0,
  };
  connection.missing = Object.entries<number>({ ...settings }).filter(([name, wanted]) => given[name] !== wanted);
  if (isStandby && role === 'primary') throw new WrongServerError('The server is a standby, not the primary.');
  if (!isStandby && role === 'standby') throw new WrongServerError('The server is no standby.');
}

interface Answer {
  readonly isStandby: boolean;
  readonly settings: Readonly<Record<string, number | undefined>>;
}

// These are told to the server in front of the statement that they hold for.
const toldByStatement = new Set(['statement_timeout', 'lock_timeout']);

/** What a transaction says behind its BEGIN, because its session does not have it. */
export const settingsBehindBegin = (missing: Connection['missing']): readonly string[] =>
  missing.filter(([name]) => !toldByStatement.has(name)).map(([name, value]) => `SET LOCAL ${name} = ${value}`);
