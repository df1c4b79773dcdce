import { parse } from 'pg-connection-string';
import { LoggableError } from '../kernel/loggable-error.ts';
import { obeyed, refusalOfParameter, settingsIn, type TlsDemand, type TlsVersion } from './url-parameters.ts';

/** What a URL says of a database, read once for all who connect to it. */
export interface DatabaseAddress {
  /** A name, an address, or the folder of a socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Null where the server asks for none. */
  readonly password: string | null;
  readonly database: string;
  readonly applicationName: string | null;
  /** Settings of the session. */
  readonly settings: ReadonlyMap<string, string>;
  readonly tls: TlsDemand | null;
  /** TLS from the first byte, without asking whether the server has it. */
  readonly negotiatesDirectly: boolean;
  readonly bindsChannel: boolean;
}

/** A URL that is refused. Its message repeats no value. */
class DatabaseUrlError extends LoggableError {
  override readonly name = 'DatabaseUrlError';
}

/** The URL, or why it is refused, in sentences that repeat no value. */
export type ReadUrl = { readonly address: DatabaseAddress } | { readonly refusals: readonly string[] };

const form = 'must be a URL like postgresql://user:password@host:5432/database';
type Parameters = ReadonlyMap<string, string>;

/** Reads the URL of a database. Every parameter is obeyed or refused by name. */
export function readDatabaseUrl(url: string): ReadUrl {
  if (!/^postgres(?:ql)?:\/\//.test(url) || !URL.canParse(url)) return { refusals: [form] };
  const { base, query } = split(url);
  const given = [...new URLSearchParams(query)];
  const parameters = new Map(given);
  const refusals = given.flatMap(([name, value]) => refusalOfParameter(name, value) ?? []);
  if (given.length > parameters.size) refusals.push('has a parameter twice');
  if (refusals.length > 0) return { refusals: [...new Set(refusals)] };
  const address = addressOf(base, parameters);
  const contradictions = address === null ? [form] : [...contradictionsIn(address, parameters)];
  return address === null || contradictions.length > 0 ? { refusals: contradictions } : { address };
}

/** The address of a URL that was checked at the start. Throws DatabaseUrlError for one that is refused. */
export function addressIn(url: string): DatabaseAddress {
  const read = readDatabaseUrl(url);
  if ('address' in read) return read.address;
  throw new DatabaseUrlError(`The URL of the database ${read.refusals.join('; ')}.`);
}

const none: ReadonlyMap<string, string> = new Map();

function split(url: string): { base: string; query: string } {
  const [whole = ''] = url.split('#');
  const at = whole.indexOf('?');
  return at === -1 ? { base: whole, query: '' } : { base: whole.slice(0, at), query: whole.slice(at + 1) };
}

function addressOf(base: string, given: Parameters): DatabaseAddress | null {
  const parts = partsOf(base);
  const said = (parameter: string, part: string | null | undefined): string => given.get(parameter) ?? part ?? '';
  const user = said('user', parts?.user);
  if (parts === null || user === '') return null;
  return {
    host: said('host', parts.host) || 'localhost',
    port: Number(said('port', parts.port) || 5432),
    user,
    password: said('password', parts.password) || null,
    database: said('dbname', parts.database) || user,
    applicationName: given.get('application_name') ?? null,
    settings: settingsIn(said('options', '')) ?? none,
    tls: tlsOf(given),
    negotiatesDirectly: given.get('sslnegotiation') === 'direct',
    bindsChannel: given.get('channel_binding') === 'prefer',
  };
}

// pg's own reading of what stands before the parameters: of characters that should have been encoded, of sockets, of IPv6.
function partsOf(base: string) {
  try {
    return parse(base);
  } catch {
    return null;
  }
}

function tlsOf(given: Parameters): TlsDemand | null {
  const verify = verificationOf(given);
  if (verify === null) return null;
  const root = given.get('sslrootcert') ?? null;
  return {
    verify,
    sslrootcert: root === 'system' ? null : root,
    sslcert: given.get('sslcert') ?? null,
    sslkey: given.get('sslkey') ?? null,
    sslpassword: given.get('sslpassword') ?? null,
    minVersion: (given.get('ssl_min_protocol_version') ?? null) as TlsVersion | null,
    maxVersion: (given.get('ssl_max_protocol_version') ?? null) as TlsVersion | null,
  };
}

const demandsOfTls = Object.keys(obeyed).filter((name) => name.startsWith('ssl') && name !== 'ssl');

function verificationOf(given: Parameters): TlsDemand['verify'] | null {
  const mode = given.get('sslmode') ?? modeOf(given);
  if (mode === 'disable') return null;
  if (mode === 'no-verify') return 'none';
  if (given.get('uselibpqcompat') !== 'true' || mode === 'verify-full') return 'name';
  return mode === 'verify-ca' || given.has('sslrootcert') ? 'chain' : 'none';
}

// Without sslmode: what pg takes `ssl` for, or TLS where something of it is named.
function modeOf(given: Parameters): string {
  const ssl = given.get('ssl');
  if (ssl === 'no-verify') return ssl;
  if (ssl !== undefined) return ssl === 'true' || ssl === '1' ? 'verify-full' : 'disable';
  const isNamed = demandsOfTls.some((name) => given.has(name) && given.get(name) !== 'postgres');
  return isNamed ? 'verify-full' : 'disable';
}

function* contradictionsIn({ host, port, tls }: DatabaseAddress, given: Parameters): Generator<string> {
  if (host.includes(',')) yield 'names several hosts: one URL leads to one server';
  if (port < 1 || port > 65_535) yield 'has a port that is none';
  if (given.has('sslcert') !== given.has('sslkey')) yield 'must have sslcert and sslkey together';
  if (
    tls === null &&
    demandsOfTls.some((name) => name !== 'sslmode' && given.has(name) && given.get(name) !== 'postgres')
  )
    yield 'names something of TLS beside sslmode=disable or ssl=false';
  if (given.get('uselibpqcompat') === 'true' && given.get('sslmode') === 'verify-ca' && !given.has('sslrootcert'))
    yield 'must have sslrootcert beside sslmode=verify-ca';
}
