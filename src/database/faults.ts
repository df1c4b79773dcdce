import type pg from 'pg';
import type { Carrier } from './connection.ts';

/** Where a fault can be planted: in place of a statement, in place of COMMIT, or between COMMIT and its answer. */
export type Moment = 'statement' | 'commit' | 'answer';

/** A SQLSTATE that the server is made to raise, or a connection that breaks. */
export type Fault = { readonly sqlState: string } | 'cut';

/** A statement that raises it. */
export const raising = (sqlState: string): pg.QueryConfig => ({
  text: `DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '${sqlState}'; END $$`,
});

/** What the client sees of the fault is what it would see of the real one: the server raises it, the socket breaks. */
export async function plant(fault: Fault, moment: Moment, client: Carrier): Promise<pg.QueryResult> {
  if (fault === 'cut') {
    client.cut();
    return client.query('SELECT 1');
  }
  const raised = client.query(raising(fault.sqlState));
  // A COMMIT that fails leaves no transaction behind.
  if (moment === 'commit') await Promise.allSettled([raised, client.query('ROLLBACK')]);
  return raised;
}
