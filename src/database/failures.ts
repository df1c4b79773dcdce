import { PoolStarvedError, PoolTimeoutError } from './errors.ts';

/** What PostgreSQL said, wherever Prisma put it: a model query, a raw query and COMMIT each wrap it differently. */
export interface DatabaseFailure {
  readonly sqlState: string;
  /** The violated constraint, named after the error code it raises. */
  readonly constraint: string | null;
}

interface DriverCause {
  originalCode?: string;
  originalMessage?: string;
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
  const cause = driverCause(error);
  const sqlState = cause?.originalCode;
  if (sqlState === undefined) return null;
  // A CHECK has no kind of its own in Prisma's adapter: its name stands in the message only.
  const named = cause?.constraint?.index ?? /constraint "([^"]+)"/.exec(cause?.originalMessage ?? '')?.[1];
  return { sqlState, constraint: named ?? null };
}

/** What PostgreSQL has said in words: its message, and the detail and the hint that it gave. They may quote values of a row. */
export function databaseWords(error: unknown): string | null {
  const cause = driverCause(error);
  if (cause?.originalCode === undefined) return null;
  const { originalMessage, message = originalMessage, detail, hint } = cause;
  return [originalMessage ?? message, detail, hint].filter(Boolean).join(' · ') || null;
}

function driverCause(error: unknown): DriverCause | undefined {
  const { meta, cause } = (error ?? {}) as Wrapping;
  if (meta?.driverAdapterError?.cause) return meta.driverAdapterError.cause;
  if (cause?.originalCode !== undefined) return cause;
  return causeOfPg(error ?? {});
}

// The server's own answer, as pg gives it.
function causeOfPg({ code = '', message = '', severity, detail, hint }: Wrapping): DriverCause | undefined {
  if (!isSqlState(code, severity)) return undefined;
  return { originalCode: code, originalMessage: message, ...(detail && { detail }), ...(hint && { hint }) };
}

// Prisma's own codes have the form of a SQLSTATE, P2002, and so has a code of the socket, EPIPE; but every SQLSTATE has a digit.
const isSqlState = (code: string, severity?: string): boolean =>
  severity !== undefined || (/^(?=.*\d)[0-9A-Z]{5}$/.test(code) && !/^P\d{4}$/.test(code));

/**
 * Whether the connection broke. Without a SQLSTATE nobody has judged the statement; class 57P (shutdown, crash) says that the
 * server is about to leave.
 */
export const isBreak = (error: unknown): boolean => databaseFailure(error)?.sqlState.startsWith('57P') ?? true;

// Sentences of pg 8, codes of the socket and of Prisma, none of which PostgreSQL itself answers with.
const lost =
  /Connection terminated|not queryable|Client has encountered a connection error|timeout exceeded when trying to connect|Unable to start a transaction in the given time|Query read timeout|Server has closed the connection|Can't reach database server|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|DatabaseNotReachable|ConnectionClosed|SocketTimeout|^P(1001|1002|1008|1017|2024) /;
const lostStates = new Set(['57P01', '57P02', '57P03', '08000', '08003', '08006', '53300']);

/** Whether the error means that the database could not be reached, went away, or had no place left. */
export function isUnreachable(error: unknown): boolean {
  if (hadNoPlace(error)) return true;
  const failure = databaseFailure(error);
  return failure === null ? lost.test(whatIsSaid(error)) : lostStates.has(failure.sqlState);
}

const neverSent =
  /not queryable|timeout exceeded when trying to connect|connection timeout|Unable to start a transaction|ECONNREFUSED|ENOTFOUND|Can't reach database server|DatabaseNotReachable|TooManyConnections/;
const neverSentStates = new Set(['53300', '57P03']);

/** Whether the error of a write leaves open if it is stored: the connection was lost after the statement had been sent. */
export function isOutcomeUnknown(error: unknown): boolean {
  if (!isUnreachable(error) || hadNoPlace(error)) return false;
  const failure = databaseFailure(error);
  return failure === null ? !neverSent.test(whatIsSaid(error)) : !neverSentStates.has(failure.sqlState);
}

/** Whether all connections of the pool were in use, which says nothing of the server behind it. */
export const hadNoPlace = (error: unknown): boolean =>
  error instanceof PoolTimeoutError || error instanceof PoolStarvedError;

function whatIsSaid(error: unknown): string {
  const { code, cause, message } = (error ?? {}) as { code?: string; cause?: { kind?: string }; message?: string };
  return `${code} ${cause?.kind} ${message}`;
}
