import type pg from 'pg';
import type { Carrier } from './connection.ts';

// Where the test kit (src/testing) may have something go wrong. The kit implements this; the service never has any.

/** Where a fault can be planted: in place of a statement, in place of COMMIT, or between COMMIT and its answer. */
export type Moment = 'statement' | 'commit' | 'answer';

/** What goes wrong in place of a statement or of COMMIT. */
export interface Fault {
  /** What is sent instead of the statement; null: the connection breaks before it is sent. */
  readonly statement: pg.QueryConfig | null;
  /** Has it happen in place of COMMIT or of its answer. */
  happen(moment: Moment, client: Carrier): Promise<pg.QueryResult>;
}
