/** Variables that platforms and other programs set to name a database. We read none of them. */
const locations = [
  'DATABASE_URL',
  'DATABASE_PRIVATE_URL',
  'DATABASE_PUBLIC_URL',
  'POSTGRES_URL',
  'POSTGRES_URL_NON_POOLING',
  'POSTGRES_PRISMA_URL',
  'POSTGRESQL_URL',
  'DIRECT_URL',
  'PGHOST',
  'PGHOSTADDR',
  'PGSERVICE',
];
// What decides whether and with whom a connection is encrypted, or what each session is set to.
const demands = /^PG(SSL\w*|OPTIONS|SSLMODE|REQUIREAUTH|REQUIRE_AUTH|CHANNELBINDING|GSSENCMODE|TARGETSESSIONATTRS)$/;
// What libpq and pg read of a connection; other programs have variables that begin with PG as well.
const ofConnections =
  /^PG(HOST|HOSTADDR|PORT|DATABASE|USER|PASSWORD|PASSFILE|SERVICE|SERVICEFILE|OPTIONS|APPNAME|SSL\w*|REQUIREAUTH|REQUIREPEER|REQUIRESSL|CHANNELBINDING|GSSENCMODE|GSSLIB|GSSDELEGATION|KRBSRVNAME|CONNECT_TIMEOUT|CLIENTENCODING|TARGETSESSIONATTRS|LOADBALANCEHOSTS|MINPROTOCOLVERSION|MAXPROTOCOLVERSION|DATESTYLE|TZ|GEQO|BINARY|REPLICATION|CLIENT_ENCODING|SSLNEGOTIATION)$/;

type Env = Readonly<Record<string, string | undefined>>;
/** What is known of where the database is. */
interface Database {
  readonly writeUrl: string | undefined;
  /** The embedded one is asked for by name. */
  readonly isEmbeddedMeant: boolean;
}

const isSet = (env: Env, name: string): boolean => (env[name] ?? '') !== '';

/** Those that are set and would be ignored although somebody relies on them: a sentence for each, without its value. */
export function refusedVariables(env: Env, { writeUrl, isEmbeddedMeant }: Database): string[] {
  if (isEmbeddedMeant) return [];
  if (writeUrl === undefined)
    return locations
      .filter((name) => isSet(env, name))
      .map(
        (name) =>
          `${name} is set and is not read: name the database in DATABASE_WRITE_URL, or set EMBEDDED_DATABASE=true, or unset it`,
      );
  return Object.keys(env)
    .filter((name) => demands.test(name) && isSet(env, name))
    .map(
      (name) => `${name} is set and is not read: say it in DATABASE_WRITE_URL (?sslmode=…, ?options=…), or unset it`,
    );
}

/** Those that are set, and that nothing depends on: the URL says where the database is. */
export const unreadVariables = (env: Env): string[] =>
  Object.keys(env)
    .filter((name) => (locations.includes(name) || ofConnections.test(name)) && isSet(env, name))
    .sort();

/** Takes from the environment what pg, libpq and their like would read behind our back: a connection of ours says everything itself. */
export function shutOut(env: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(env)) if (ofConnections.test(name)) Reflect.deleteProperty(env, name);
}
