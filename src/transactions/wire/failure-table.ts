import { generalProblems } from '../../kernel/general.problems.ts';
import type { ProblemType } from '../../kernel/problem.ts';
/**
 * What a failure of the database means for the request. This table decides the status and code of the response, whether the outermost
 * boundary retries its work, and whether the connection is kept. `npm run failures` writes docs/database-failures.md from it.
 */

/** `unreachable`: nothing was sent · `lost`: sent, then the connection broke · `stale`: refused because of the state of the session. */
export type FailureKind =
  'unreachable' | 'exhausted' | 'lost' | 'stale' | 'conflict' | 'busy' | 'constraint' | 'statement';

/** What follows from a kind. */
export interface Verdict {
  readonly meaning: string;
  /** What is answered; null for the problem of the violated constraint. */
  readonly problem: ProblemType | null;
  /** Whether the outermost boundary runs its work again, within its time. */
  readonly again: boolean;
  readonly keepsConnection: boolean;
}

export const verdicts: Record<FailureKind, Verdict> = {
  unreachable: {
    meaning: 'No connection could be made, or none became free. Nothing was sent.',
    problem: generalProblems.reducedCapacity,
    again: false,
    keepsConnection: false,
  },
  exhausted: {
    meaning: 'The server or its machine has run out of a resource. The statement was not executed.',
    problem: generalProblems.reducedCapacity,
    again: false,
    keepsConnection: true,
  },
  lost: {
    meaning:
      'The connection broke after the statement was sent. In a boundary nothing is stored; outside a boundary a write is `outcome-unknown`.',
    problem: generalProblems.reducedCapacity,
    again: true,
    keepsConnection: false,
  },
  stale: {
    meaning:
      'The statement was refused because of the state of its session, not because of its text. It was not executed. All older connections are replaced.',
    problem: generalProblems.reducedCapacity,
    again: true,
    keepsConnection: false,
  },
  conflict: {
    meaning: 'Another transaction changed the same data. Nothing is stored.',
    problem: generalProblems.transientContention,
    again: true,
    keepsConnection: true,
  },
  busy: {
    meaning: 'A time limit ended the statement. Nothing is stored.',
    problem: generalProblems.transientContention,
    again: false,
    keepsConnection: true,
  },
  constraint: {
    meaning:
      'A constraint of the database was violated. If the constraint has a code, the response has that code with 409 or 422.',
    problem: null,
    again: false,
    keepsConnection: true,
  },
  statement: {
    meaning: 'The statement itself is wrong, or a function that it calls.',
    problem: generalProblems.internalError,
    again: false,
    keepsConnection: true,
  },
};

/** A SQLSTATE (five characters) or its class (two), and the kind of failure that it means. */
export type Row = readonly [sign: string, kind: FailureKind, name: string];

/** PostgreSQL 18, appendix A. A SQLSTATE comes before its class; a class that is not here is `statement`. */
export const sqlStates: readonly Row[] = [
  ['08', 'lost', 'connection exception'],
  ['23', 'constraint', 'integrity constraint violation'],
  ['25P03', 'busy', 'idle_in_transaction_session_timeout'],
  ['25P04', 'busy', 'transaction_timeout'],
  ['26000', 'stale', 'invalid_sql_statement_name'],
  ['28', 'unreachable', 'invalid authorization specification'],
  ['3D000', 'unreachable', 'invalid_catalog_name: the database is not there'],
  ['40', 'conflict', 'transaction rollback'],
  ['40002', 'constraint', 'transaction_integrity_constraint_violation'],
  ['40003', 'lost', 'statement_completion_unknown'],
  ['42P05', 'stale', 'duplicate_prepared_statement'],
  ['53', 'exhausted', 'insufficient resources: disk, memory, connections'],
  ['55006', 'busy', 'object_in_use'],
  ['55P03', 'busy', 'lock_not_available'],
  ['57000', 'exhausted', 'operator_intervention'],
  ['57014', 'busy', 'query_canceled'],
  ['57P', 'lost', 'shutdown, crash, database dropped, idle session ended'],
  ['58', 'exhausted', 'system error: input and output, files'],
  ['72', 'conflict', 'snapshot failure'],
  ['F0', 'exhausted', 'configuration file error'],
];

/** What cannot be told by the SQLSTATE alone, and is looked at first. */
export const exceptions: readonly Row[] = [
  ['any, FATAL or PANIC', 'lost', 'the server has ended the session'],
  ['08P01, not FATAL', 'statement', 'protocol_violation: parameters that the statement does not have'],
  ['0A000 of RevalidateCachedQuery', 'stale', 'cached plan must not change result type'],
  [
    '25006 where the boundary may write and has not',
    'stale',
    'read_only_sql_transaction: the connection leads to a standby',
  ],
  ['42… but 42501, of a statement prepared before', 'stale', 'what it was prepared for has changed since'],
  ['XX000 "cache lookup failed", "could not open relation"', 'stale', 'what it was prepared for is gone'],
];

/** What says so without a SQLSTATE: it breaks a connection that is there. */
export const withoutSqlState: readonly Row[] = [
  [
    'ECONNRESET, EPIPE, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENETDOWN, ENOTCONN',
    'lost',
    'system errors of the socket',
  ],
  ['ERR_SSL_…, ERR_TLS_…, EPROTO', 'lost', 'TLS of a connection that is there'],
  ['Query read timeout', 'lost', 'the server has gone silent'],
  ['P1001, P1002, P1008, P1017, P2024', 'lost', "Prisma's own words for the same"],
];

/** Before the first statement, whatever it is: any SQLSTATE, system error, name look-up, certificate or file. */
export const whileConnecting: Row = ['anything', 'unreachable', 'while a connection is made'];

const known = new Map(sqlStates.map(([sign, kind]) => [sign, kind]));

/** The kind of a SQLSTATE as the answer to a statement. */
export const kindOfSqlState = (sqlState: string): FailureKind =>
  known.get(sqlState) ?? known.get(sqlState.slice(0, 3)) ?? known.get(sqlState.slice(0, 2)) ?? 'statement';

// Connection lost, resources, cancelled or shut down, system, internal: the question behind COMMIT may have met it, or COMMIT after it was
// stored. All others are COMMIT's own refusals.
const ambiguousClasses = ['08', '53', '55', '57', '58', 'XX'] as const;

/** Whether this SQLSTATE as the answer to COMMIT leaves open what became of it: then the database is asked. */
export const leavesCommitOpen = (sqlState: string): boolean =>
  sqlState === '40003' || ambiguousClasses.some((one) => sqlState.startsWith(one));
