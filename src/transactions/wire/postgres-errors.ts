import {
  ConnectError,
  DatabaseError,
  LaneFullError,
  NamedAnswerError,
  PoolEndedError,
  PoolStarvedError,
  PoolTimeoutError,
  StaleSessionError,
} from './errors.ts';
import { type FailureKind, kindOfSqlState } from './failure-table.ts';

/** What PostgreSQL said, wherever Prisma put it: a model query, a raw query and COMMIT each wrap it differently. */
export interface DatabaseFailure {
  readonly sqlState: string;
  /** The violated constraint, named after the error code it raises. */
  readonly constraint: string | null;
}

interface DriverCause {
  originalCode?: string;
  originalMessage?: string;
  kind?: string;
  severity?: string;
  constraint?: { index?: string };
  message?: string;
  detail?: string;
  hint?: string;
}

interface Wrapping {
  meta?: { driverAdapterError?: { cause?: DriverCause } };
  cause?: DriverCause;
  code?: string;
  message?: string;
  detail?: string;
  hint?: string;
  /** Only what PostgreSQL itself has said has one. */
  severity?: string;
}

/** The failure inside an error of Prisma or pg; null when the database did not answer with one. */
export function databaseFailure(error: unknown): DatabaseFailure | null {
  const cause = driverCause(reasonOf(error));
  const sqlState = cause?.originalCode;
  if (sqlState === undefined) return null;
  // A CHECK has no kind of its own in Prisma's adapter: its name stands in the message only.
  const named = cause?.constraint?.index ?? /constraint "([^"]+)"/.exec(cause?.originalMessage ?? '')?.[1];
  return { sqlState, constraint: named ?? null };
}

// The name of a conflict may have been given to that of a boundary inside.
const reasonOf = (error: unknown): unknown => (error instanceof NamedAnswerError ? reasonOf(error.cause) : error);

/** What PostgreSQL has said in words: its message, and the detail and the hint that it gave. They may quote values of a row. */
export function databaseWords(error: unknown): string | null {
  const cause = driverCause(error);
  if (cause?.originalCode === undefined) return null;
  const { originalMessage, message = originalMessage, detail, hint } = cause;
  return [originalMessage ?? message, detail, hint].filter(Boolean).join(' · ') || null;
}

function driverCause(error: unknown): DriverCause | undefined {
  const { meta, cause } = (error ?? {}) as Wrapping;
  return meta?.driverAdapterError?.cause ?? (cause?.originalCode === undefined ? causeOfPg(error ?? {}) : cause);
}

// The server's own answer, as pg gives it.
function causeOfPg({ code = '', message = '', severity, detail, hint }: Wrapping): DriverCause | undefined {
  if (!isSqlState(code, severity)) return undefined;
  const said = { ...(severity && { severity }), ...(detail && { detail }), ...(hint && { hint }) };
  return { originalCode: code, originalMessage: message, ...said };
}

// Prisma's own codes have the form of a SQLSTATE, P2002, and so has a code of the socket, EPIPE; but every SQLSTATE has a digit.
const isSqlState = (code: string, severity?: string): boolean =>
  severity !== undefined || (/^(?=.*\d)[0-9A-Z]{5}$/.test(code) && !/^P\d{4}$/.test(code));

/** What the error is, by failure-table.ts; null when it has nothing to do with the database. */
export function kindOf(error: unknown): FailureKind | null {
  if (error instanceof ConnectError || error instanceof PoolEndedError || hadNoPlace(error)) return 'unreachable';
  if (error instanceof StaleSessionError) return 'stale';
  const cause = driverCause(error);
  if (cause?.originalCode !== undefined) return kindOfAnswer(cause.originalCode, cause.severity);
  return !(error instanceof DatabaseError) && saysLost.test(whatIsSaid(error)) ? 'lost' : null;
}

// Also of a severity in another language: what says that the session has ended has a SQLSTATE of its own, mostly.
function kindOfAnswer(sqlState: string, severity = ''): FailureKind {
  const kind = kindOfSqlState(sqlState);
  if (severity === 'FATAL' || severity === 'PANIC') return kind === 'statement' ? 'lost' : kind;
  return sqlState === '08P01' && severity === 'ERROR' ? 'statement' : kind;
}

/**
 * Whether the connection broke. Without a SQLSTATE nobody has judged the statement; what is lost, or could not have been answered by a
 * session that is there, says that the server has left or is about to.
 */
export function isBreak(error: unknown): boolean {
  if (databaseFailure(error) === null) return true;
  const kind = kindOf(error);
  return kind === 'lost' || kind === 'unreachable' || kind === 'stale';
}

// Codes of the socket and of TLS, what Prisma makes of them, and sentences of pg 8 that come without a code. Failures to connect are told
// by their type.
const saysLost =
  /Connection terminated|not queryable|Client has encountered a connection error|timeout exceeded when trying to connect|Unable to start a transaction in the given time|Query read timeout|Server has closed the connection|Can't reach database server|\bE(?:CONNREFUSED|CONNRESET|CONNABORTED|PIPE|TIMEDOUT|HOSTUNREACH|HOSTDOWN|NETUNREACH|NETDOWN|NETRESET|NOTCONN|PROTO)\b|\bERR_(?:SSL|TLS)_|DatabaseNotReachable|ConnectionClosed|SocketTimeout|TlsConnectionError|^P(1001|1002|1008|1017|2024) /;

const withoutConnection: ReadonlySet<FailureKind | null> = new Set(['unreachable', 'lost', 'stale']);

/** Whether the error means that the database could not be reached, went away, or had no place left. */
export const isUnreachable = (error: unknown): boolean => withoutConnection.has(kindOf(error));

const neverSent =
  /not queryable|timeout exceeded when trying to connect|connection timeout|Unable to start a transaction|ECONNREFUSED|ENOTFOUND|Can't reach database server|DatabaseNotReachable|TooManyConnections/;

/** Whether the error of a write leaves open if it is stored: the connection was lost after the statement had been sent. */
export const isOutcomeUnknown = (error: unknown): boolean =>
  kindOf(error) === 'lost' && (databaseFailure(error) !== null || !neverSent.test(whatIsSaid(error)));

/** Whether all connections of the pool were in use, or a lane was full, which says nothing of the server behind it. */
export const hadNoPlace = (error: unknown): boolean =>
  error instanceof PoolTimeoutError || error instanceof PoolStarvedError || error instanceof LaneFullError;

/** A statement was refused because one before it in its transaction had failed: 25P02, in_failed_sql_transaction. */
export const isAfterFailure = (error: unknown): boolean => databaseFailure(error)?.sqlState === '25P02';

/** A write was refused because the transaction only reads. Where it was begun to write, its server is a standby. */
export const isReadOnlyRefusal = (error: unknown): boolean => databaseFailure(error)?.sqlState === '25006';

function whatIsSaid(error: unknown): string {
  const { code, cause, message } = (error ?? {}) as { code?: string; cause?: { kind?: string }; message?: string };
  return `${code} ${cause?.kind} ${message}`;
}
