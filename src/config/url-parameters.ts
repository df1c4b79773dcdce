/** What DATABASE_…_URL may say behind its `?`. Every parameter is obeyed, or refused by name with what to do instead. */

/** How a connection is encrypted and whom it believes. */
export interface TlsDemand {
  /** `name`: certificate and name are verified · `chain`: the certificate alone · `none`: encrypted, but with anybody. */
  readonly verify: 'name' | 'chain' | 'none';
  /** Files. Without `sslrootcert` the public authorities that Node knows. */
  readonly sslrootcert: string | null;
  readonly sslcert: string | null;
  readonly sslkey: string | null;
  readonly sslpassword: string | null;
  readonly minVersion: TlsVersion | null;
  readonly maxVersion: TlsVersion | null;
}
export const tlsVersions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
export type TlsVersion = (typeof tlsVersions)[number];

/** The values that an obeyed parameter may have; null for any text. */
export const obeyed: Readonly<Record<string, readonly string[] | RegExp | null>> = {
  host: null,
  port: /^\d{1,5}$/,
  user: null,
  password: null,
  dbname: null,
  application_name: /^.{1,63}$/,
  options: null,
  schema: ['public'],
  client_encoding: ['utf8', 'UTF8', 'UTF-8', 'auto'],
  ssl: ['true', '1', 'false', '0', 'no-verify'],
  sslmode: ['disable', 'require', 'verify-ca', 'verify-full', 'no-verify'],
  uselibpqcompat: ['true', 'false'],
  sslrootcert: null,
  sslcert: null,
  sslkey: null,
  sslpassword: null,
  sslnegotiation: ['postgres', 'direct'],
  ssl_min_protocol_version: tlsVersions,
  ssl_max_protocol_version: tlsVersions,
  channel_binding: ['disable', 'prefer'],
  gssencmode: ['disable'],
};

const limits = 'set the variables DATABASE_…_TIMEOUT_MS instead';
const socket = 'the service keeps connections alive by itself';

/** Names that libpq, pg or Prisma know, which are not obeyed here, and what to do instead. */
const advice: Readonly<Record<string, string>> = {
  connection_limit: 'set DATABASE_POOL_SIZE instead',
  pool_timeout: 'set DATABASE_POOL_WAIT_MS instead',
  connect_timeout: 'set DATABASE_POOL_WAIT_MS instead',
  socket_timeout: 'set DATABASE_STATEMENT_TIMEOUT_MS instead',
  pgbouncer: 'set DATABASE_STATEMENT_NAMES=off instead',
  statement_cache_size: 'set DATABASE_STATEMENT_NAMES=off instead',
  statement_timeout: 'set DATABASE_STATEMENT_TIMEOUT_MS instead',
  lock_timeout: 'set DATABASE_LOCK_TIMEOUT_MS instead',
  idle_in_transaction_session_timeout: 'set DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS instead',
  query_timeout: limits,
  sslaccept: 'write sslmode=verify-full or sslmode=no-verify',
  sslidentity: 'write sslcert and sslkey',
  target_session_attrs: 'the service itself asks each new connection whether it leads to the right server',
  load_balance_hosts: 'one URL leads to one server',
  hostaddr: 'write the address in the place of the host',
  keepalives: socket,
  keepalives_idle: socket,
  keepalives_interval: socket,
  keepalives_count: socket,
  tcp_user_timeout: socket,
  fallback_application_name: 'write application_name',
  passfile: 'write the password in the URL',
  service: 'write what the service file says in the URL',
  replication: 'the service sends statements',
};

/** Settings of the session that are the service's own: through `options` they would replace its limits or its terms. */
const ownSettings = new Set([
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'transaction_timeout',
  'search_path',
  'role',
  'session_authorization',
  'session_replication_role',
  'default_transaction_read_only',
  'default_transaction_isolation',
  'synchronous_commit',
  'standard_conforming_strings',
  'client_encoding',
]);

// More than a name could be a piece of a password with a `?` in it.
const isName = (text: string): boolean => /^[a-z_]{2,40}$/i.test(text);

/** Why a parameter is refused, in a sentence that repeats no value; null when it is obeyed. */
export function refusalOfParameter(name: string, value: string): string | null {
  if (!Object.hasOwn(obeyed, name)) return refusalOfName(name);
  if (value === '') return `must not have ${name} without a value`;
  return (special[name]?.(value) ?? null) || refusalOfValue(name, value);
}

const special: Readonly<Record<string, (value: string) => string | null>> = {
  sslmode: (value) =>
    value === 'prefer' || value === 'allow'
      ? 'must not have a sslmode that goes on without TLS: write sslmode=disable, or sslmode=verify-full'
      : null,
  schema: (value) => (value === 'public' ? null : 'must not have schema: the tables are in public'),
  options: refusalOfOptions,
};

function refusalOfValue(name: string, value: string): string | null {
  const allowed = obeyed[name] ?? null;
  if (allowed instanceof RegExp) return allowed.test(value) ? null : `has a ${name} that is none`;
  return allowed === null || allowed.includes(value) ? null : `must have ${name} as one of ${allowed.join(', ')}`;
}

function refusalOfName(name: string): string {
  if (!isName(name)) return 'has a parameter that is not known: a ? or & in a password is written %3F or %26';
  return `must not have ${name}: ${Object.hasOwn(advice, name) ? advice[name] : 'it would not be obeyed'}`;
}

const setting = /^(?:-c ?|--)([a-z_][a-z0-9_.]*)=(\S*)$/i;

/** The settings in `options`, as `-c name=value`; null when it has another form. */
export function settingsIn(options: string): ReadonlyMap<string, string> | null {
  const words = options.trim().split(/\s+(?=-)/);
  const found = words.map((word) => setting.exec(word));
  if (found.includes(null)) return null;
  return new Map(found.map((match) => [(match?.[1] ?? '').toLowerCase().replaceAll('-', '_'), match?.[2] ?? '']));
}

function refusalOfOptions(value: string): string | null {
  const settings = settingsIn(value);
  if (settings === null) return 'must have options as -c name=value';
  const own = [...settings.keys()].find((name) => ownSettings.has(name));
  return own === undefined ? null : `must not set ${own} in options: ${limits}`;
}
