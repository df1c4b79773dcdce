import type pg from 'pg';
import type { Carrier } from '../transactions/wire/connection.ts';
import type { Fault, Moment } from '../transactions/wire/planned-fault.ts';

// What the client sees of a fault is what it would see of the real one: the server raises it, the socket breaks.

/** The server raises this SQLSTATE. */
export const raised = (sqlState: string): Fault => ({
  statement: raising(sqlState),
  happen: async (moment: Moment, client: Carrier): Promise<pg.QueryResult> => {
    const answered = client.query(raising(sqlState));
    // A COMMIT that fails leaves no transaction behind.
    if (moment === 'commit') await Promise.allSettled([answered, client.query('ROLLBACK')]);
    return answered;
  },
});

/** The connection breaks. */
export const cut: Fault = {
  statement: null,
  happen: (_, client) => {
    client.cut();
    return client.query('SELECT 1');
  },
};

const raising = (sqlState: string): pg.QueryConfig => ({
  text: `DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '${sqlState}'; END $$`,
});
