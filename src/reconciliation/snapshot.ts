import type pg from 'pg';
import { refuseForeignSchema } from '../database/schema-version.ts';
import { ConnectError } from '../transactions/wire/errors.ts';
import { PlainClient } from '../transactions/wire/plain-client.ts';

/** Runs one statement and gives its rows. */
export type Query = <Row extends pg.QueryResultRow>(sql: string) => Promise<Row[]>;

/**
 * Reads in one READ ONLY REPEATABLE READ transaction, for as long as it takes: the whole of the books as they were at one moment.
 * Throws ConnectError when the server is not reached or lets nobody in, SchemaVersionError when the tables are not those of this version, and
 * what the server says.
 */
export async function inSnapshot<T>(url: string, name: string, work: (query: Query) => Promise<T>): Promise<T> {
  const application_name = `holdfast ${name}`;
  const client = new PlainClient(url, { application_name, connectionTimeoutMillis: 10_000, keepAlive: true });
  // A server that goes away says it here as well; the statement in hand tells.
  client.on('error', () => undefined);
  await client.connect().catch((error: unknown) => {
    throw new ConnectError(error);
  });
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0');
    await refuseForeignSchema(client);
    return await work(async (sql) => (await client.query(sql)).rows as never);
  } finally {
    // Nothing was written: the connection's end is the transaction's.
    await client.end().catch(() => undefined);
  }
}
