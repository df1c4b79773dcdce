import type pg from 'pg';
import type { Carrier } from './connection.ts';
import { WrongServerError } from './errors.ts';

/** What a pool is for: the primary, or a standby. */
export type ServerRole = 'primary' | 'standby';

const question = 'SELECT pg_is_in_recovery() AS "isStandby"';

/**
 * Asks a new connection whether it leads to the server that it should. Throws WrongServerError, and whatever keeps it from being asked
 * within `patienceMs`.
 */
export async function examine(connection: Carrier, role: ServerRole, patienceMs: number): Promise<void> {
  const { rows } = await connection.query({ text: question, query_timeout: patienceMs } as pg.QueryConfig);
  const { isStandby } = rows[0] as { isStandby: boolean };
  if (isStandby && role === 'primary') throw new WrongServerError('The server is a standby, not the primary.');
  if (!isStandby && role === 'standby') throw new WrongServerError('The server is no standby.');
}
