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
  const e = error as {
    meta?: { driverAdapterError?: { cause?: DriverCause } };
    cause?: DriverCause;
    code?: string;
    message?: string;
  };
  if (e?.meta?.driverAdapterError?.cause) return e.meta.driverAdapterError.cause;
  if (e?.cause?.originalCode !== undefined) return e.cause;
  return /^[0-9A-Z]{5}$/.test(e?.code ?? '') && !/^P\d{4}$/.test(e?.code ?? '')
    ? { originalCode: e.code as string, originalMessage: e.message ?? '' }
    : undefined;
}

// Sentences of pg 8 and codes of the socket, none of which PostgreSQL itself answers with.
const lostSentences =
  /Connection terminated|not queryable|Client has encountered a connection error|timeout exceeded when trying to connect|Query read timeout|Server has closed the connection|Can't reach database server|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|DatabaseNotReachable|ConnectionClosed|SocketTimeout/;
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
