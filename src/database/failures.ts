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
}

interface Wrapping {
  meta?: { driverAdapterError?: { cause?: DriverCause } };
  cause?: DriverCause;
  code?: string;
  message?: string;
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

function driverCause(error: unknown): DriverCause | undefined {
  const { meta, cause, code = '', message = '' } = (error ?? {}) as Wrapping;
  if (meta?.driverAdapterError?.cause) return meta.driverAdapterError.cause;
  if (cause?.originalCode !== undefined) return cause;
  return isSqlState(code) ? { originalCode: code, originalMessage: message } : undefined;
}

// Prisma's own codes have the form of a SQLSTATE, P2002, and so has a code of the socket, EPIPE; but every SQLSTATE has a digit.
const isSqlState = (code: string): boolean => /^(?=.*\d)[0-9A-Z]{5}$/.test(code) && !/^P\d{4}$/.test(code);

// Sentences of pg 8 and codes of the socket, none of which PostgreSQL itself answers with.
const lostSentences =
  /Connection terminated|not queryable|Client has encountered a connection error|timeout exceeded when trying to connect|Unable to start a transaction in the given time|Query read timeout|Server has closed the connection|Can't reach database server|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|DatabaseNotReachable|ConnectionClosed|SocketTimeout/;
const lostStates = new Set(['57P01', '57P02', '57P03', '08000', '08003', '08006', '53300']);
const lostCodes = new Set([
  'P1001',
  'P1002',
  'P1008',
  'P1017',
  'P2024',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
]);

/** Whether the error means that the database could not be reached, went away, or had no place left. */
export function isUnreachable(error: unknown): boolean {
  const failure = databaseFailure(error);
  if (failure) return lostStates.has(failure.sqlState);
  const e = error as { code?: string; message?: string; cause?: { kind?: string } };
  return lostCodes.has(e?.code ?? '') || lostSentences.test(`${e?.cause?.kind ?? ''} ${e?.message ?? ''}`);
}

const neverSentSentences =
  /not queryable|timeout exceeded when trying to connect|connection timeout|Unable to start a transaction|ECONNREFUSED|ENOTFOUND|Can't reach database server|DatabaseNotReachable|TooManyConnections/;

/** Whether the error of a write leaves open if it is stored: the connection was lost after the statement had been sent. */
export function isOutcomeUnknown(error: unknown): boolean {
  if (!isUnreachable(error)) return false;
  const sqlState = databaseFailure(error)?.sqlState;
  if (sqlState !== undefined) return !['53300', '57P03'].includes(sqlState);
  const e = error as { code?: string; message?: string; cause?: { kind?: string } };
  return !neverSentSentences.test(`${e.code ?? ''} ${e.cause?.kind ?? ''} ${e.message ?? ''}`);
}
