import type pg from 'pg';

/** Where a fault can be planted: in place of a statement, in place of COMMIT, or between COMMIT and its answer. */
export type Moment = 'statement' | 'commit' | 'answer';

/** A SQLSTATE that the server is made to raise, or a connection that breaks. */
export type Fault = { readonly sqlState: string } | 'cut';

/** Breaks the connection at once. The server rolls back what was under way as soon as it notices. */
export function cut(client: pg.PoolClient): void {
  // pg has no public way to end a connection without a word.
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

/** What the client sees of the fault is what it would see of the real one: the server raises it, the socket breaks. */
export async function plant(fault: Fault, moment: Moment, client: pg.PoolClient): Promise<pg.QueryResult> {
  if (fault === 'cut') {
    cut(client);
    return client.query('SELECT 1');
  }
  const raised = client.query(`DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '${fault.sqlState}'; END $$`);
  // A COMMIT that fails leaves no transaction behind.
  if (moment === 'commit') await Promise.allSettled([raised, client.query('ROLLBACK')]);
  return raised;
}
