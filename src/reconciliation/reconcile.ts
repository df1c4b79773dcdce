import { allChecks, type Check } from './check.ts';
import { inSnapshot, type Query } from './snapshot.ts';

/** What came of one check. */
export interface CheckResult {
  readonly mistake: string;
  readonly table: string;
  /** Rows of the table, all of which were looked at. */
  readonly rows: number;
  /** How many break it. */
  readonly found: number;
  /** The ids of the first of them. */
  readonly first: readonly string[];
}

/** The state of all the books at one moment. */
export interface Reconciliation {
  /** When the snapshot was taken, by the server's clock. On a replica the books may be older by its lag. */
  readonly asOf: Date;
  readonly server: 'primary' | 'replica';
  readonly checks: readonly CheckResult[];
  /** All that was found, however little of it is named. */
  readonly found: number;
}

// Of each check: enough to see what it is about, and no more memory for a ledger that is wrong throughout.
const named = 20;

/** Asks the checks of all modules that were loaded about the books on the server behind this URL, in one read-only snapshot. Throws what the server or the way to it says. */
export const reconcile = (url: string): Promise<Reconciliation> => inSnapshot(url, 'reconcile', reconcileIn);

/** The same where the caller has a snapshot, or a transaction, already. One statement after the other, on one connection. */
export async function reconcileIn(query: Query): Promise<Reconciliation> {
  const [now] = await query<{ as_of: Date; is_replica: boolean }>(
    'SELECT statement_timestamp() AS as_of, pg_is_in_recovery() AS is_replica',
  );
  const checks = allChecks();
  const counts = await countRows(query, checks);
  const results: CheckResult[] = [];
  for (const check of checks) results.push(await run(query, check, counts.get(check.table) ?? 0));
  return {
    asOf: now?.as_of ?? new Date(NaN),
    server: now?.is_replica === true ? 'replica' : 'primary',
    checks: results,
    found: results.reduce((sum, { found }) => sum + found, 0),
  };
}

async function countRows(query: Query, checks: readonly Check[]): Promise<Map<string, number>> {
  const tables = [...new Set(checks.map(({ table }) => table))];
  const counts = tables.map((table) => `SELECT '${table}' AS name, count(*)::text AS n FROM "${table}"`);
  const rows = await query<{ name: string; n: string }>(counts.join(' UNION ALL '));
  return new Map(rows.map(({ name, n }) => [name, Number(n)]));
}

// What is wrong is counted by the server: only the first of it leaves it.
async function run(query: Query, { mistake, table, wrong }: Check, rows: number): Promise<CheckResult> {
  const findings = await query<{ id: string; found: string }>(
    `SELECT id, count(*) OVER ()::text AS found FROM (${wrong}) AS wrong ORDER BY id LIMIT ${named}`,
  );
  return { mistake, table, rows, found: Number(findings[0]?.found ?? 0), first: findings.map(({ id }) => id) };
}
