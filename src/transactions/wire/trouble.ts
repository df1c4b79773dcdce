import { type ConnectError, WrongServerError } from './errors.ts';
import { databaseFailure } from './postgres-errors.ts';

const bySqlState: readonly [start: string, said: string][] = [
  ['28', 'refuses the role or its password'],
  ['3D000', 'has no such database'],
  ['42501', 'does not let the role into the database'],
  ['53', 'has no connection left'],
  ['57P03', 'is starting or stopping'],
];
// Node's codes: of name look-up, of OpenSSL's verification (X509_V_ERR_…, without that beginning), of TLS.
const byCode: readonly [code: RegExp, said: string][] = [
  [/^(?:ENOTFOUND|EAI_)/, 'its name cannot be looked up'],
  [
    /CERT|ISSUER|CRL|CHAIN|SIGNATURE|^ERR_(?:TLS|SSL|OSSL)|^EPROTO/,
    'TLS: the certificate is not accepted, or there is no TLS',
  ],
  [/^E(?:NOENT|ACCES|PERM|ISDIR)/, 'a file that its URL names cannot be read'],
  [/^(?:EMFILE|ENFILE|ENOMEM|ENOBUFS)/, 'this machine has no sockets or memory left'],
];

/** Why no connection can be made, for probes: nothing in it is secret, and nothing names a host or a person. */
export function troubleOf(trouble: ConnectError | null): string {
  const cause = trouble?.cause;
  if (cause instanceof WrongServerError) return cause.message;
  const sqlState = databaseFailure(cause)?.sqlState;
  const said = sqlState === undefined ? ofCode(cause) : ofSqlState(sqlState);
  return said ?? 'not reachable';
}

const ofSqlState = (sqlState: string): string | undefined =>
  bySqlState.find(([start]) => sqlState.startsWith(start))?.[1];

function ofCode(cause: unknown): string | undefined {
  const { code, message } = (cause ?? {}) as { code?: string; message?: string };
  const said = byCode.find(([pattern]) => pattern.test(code ?? ''))?.[1];
  return said ?? (message?.includes('SSL') ? 'TLS: the server has none' : undefined);
}
