/** @servers any */
import { readDatabaseUrl } from '../src/config/database-url.ts';
import { runningClient } from './support/surroundings.ts';
import { startBare } from './support/bare.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const base = 'postgresql://app:secret-in-it@db.example.com:5433/shop';
const refusal = (parameters: string): string => {
  const read = readDatabaseUrl(`${base}?${parameters}`);
  return 'refusals' in read ? read.refusals.join('; ') : 'accepted';
};
const address = (url: string) => {
  const read = readDatabaseUrl(url);
  if ('refusals' in read) throw new Error(read.refusals.join('; '));
  return read.address;
};

// Those that libpq, pg-connection-string and Prisma know.
const notObeyed =
  `connection_limit pool_timeout connect_timeout socket_timeout pgbouncer statement_cache_size statement_timeout
  lock_timeout idle_in_transaction_session_timeout query_timeout sslaccept sslidentity target_session_attrs load_balance_hosts hostaddr
  keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout fallback_application_name passfile service servicefile
  replication max_idle_connection_lifetime max_connection_lifetime binary keepAlive max min idleTimeoutMillis stream types krbsrvname
  gsslib gssdelegation requirepeer requiressl sslcompression sslcrl sslcrldir sslcertmode sslsni require_auth min_protocol_version
  max_protocol_version sslkeylogfile scram_client_key scram_server_key oauth_issuer oauth_client_id encoding db`.split(
    /\s+/,
  );

describe('a parameter of the URL of a database', () => {
  it.each(notObeyed)('%s is refused by its name, with a good value and with a bad one', (name) => {
    for (const value of ['1', 'true', '', 'verify-full', '???'])
      expect(refusal(`${name}=${encodeURIComponent(value)}`)).toMatch(new RegExp(`^must not have ${name}: .{5,}$`));
  });

  it.each([
    ['sslmode=prefer', /goes on without TLS/],
    ['sslmode=allow', /goes on without TLS/],
    ['sslmode=on', /^must have sslmode as one of/],
    ['sslmode=disable&sslmode=verify-full', /twice/],
    ['sslmode=disable&sslrootcert=/a', /beside sslmode=disable/],
    ['sslcert=/a', /sslcert and sslkey together/],
    ['uselibpqcompat=true&sslmode=verify-ca', /sslrootcert beside/],
    ['schema=shop', /the tables are in public/],
    ['port=0', /port that is none/],
    ['port=x', /port that is none/],
    ['host=a,b', /several hosts/],
    ['channel_binding=require', /^must have channel_binding as one of/],
    ['options=-c%20statement_timeout=0', /^must not set statement_timeout in options/],
    ['options=--search_path=x', /^must not set search_path in options/],
    ['options=-c%20synchronous_commit=off', /^must not set synchronous_commit in options/],
    ['options=nonsense', /^must have options as/],
    ['word@host', /a \? or & in a password/],
  ])('%s is refused in a sentence that repeats no value', (parameters, sentence) => {
    expect(refusal(parameters)).toMatch(sentence);
    expect(refusal(parameters)).not.toContain('secret-in-it');
  });

  it.each([
    ['', { host: 'db.example.com', port: 5433, user: 'app', password: 'secret-in-it', database: 'shop', tls: null }],
    [
      'host=/var/run/postgresql&port=5434&dbname=other&user=u&password=p',
      { host: '/var/run/postgresql', port: 5434, database: 'other', user: 'u', password: 'p' },
    ],
    ['schema=public&client_encoding=utf8&gssencmode=disable&sslmode=disable', { tls: null }],
    ['sslmode=require', { tls: expect.objectContaining({ verify: 'name' }) }],
    ['sslmode=verify-full&sslrootcert=system', { tls: expect.objectContaining({ verify: 'name', sslrootcert: null }) }],
    ['sslmode=require&uselibpqcompat=true', { tls: expect.objectContaining({ verify: 'none' }) }],
    ['sslmode=require&uselibpqcompat=true&sslrootcert=/ca', { tls: expect.objectContaining({ verify: 'chain' }) }],
    ['sslmode=no-verify', { tls: expect.objectContaining({ verify: 'none' }) }],
    ['ssl=true', { tls: expect.objectContaining({ verify: 'name' }) }],
    ['sslnegotiation=direct', { tls: expect.objectContaining({ verify: 'name' }), negotiatesDirectly: true }],
    ['application_name=shop', { applicationName: 'shop' }],
    [
      'options=-c%20work_mem=8MB%20-c%20jit=off',
      {
        settings: new Map([
          ['work_mem', '8MB'],
          ['jit', 'off'],
        ]),
      },
    ],
  ])('%s is obeyed', (parameters, expected) => {
    expect(address(`${base}?${parameters}`)).toMatchObject(expected);
  });

  it('changes what a connection really does', async () => {
    const core = await startBare({
      app: `${database.urls.app.split('?')[0]}?options=-c%20work_mem=8MB&sslmode=disable`,
    });
    expect(await core.run({}, () => core.show('work_mem'))).toBe('8MB');
    await core.close();
  });
});

describe('variables that pg looks for', () => {
  it('change nothing of a connection that says everything itself', async () => {
    const url = `${database.urls.app.split('?')[0]}`;
    const hostile = {
      PGHOST: '192.0.2.1',
      PGPORT: '1',
      PGUSER: 'nobody',
      PGPASSWORD: 'wrong',
      PGDATABASE: 'nothing',
      PGOPTIONS: '-c search_path=nowhere -c statement_timeout=1',
      PGSSLMODE: 'require',
      PGSSLNEGOTIATION: 'direct',
      PGAPPNAME: 'stranger',
      PGREPLICATION: 'database',
      PGCLIENTENCODING: 'SQL_ASCII',
      PGCLIENT_ENCODING: 'SQL_ASCII',
      PGBINARY: '1',
    };
    const plain = await runningClient(url, {});
    expect(plain).toMatchObject({ searchPath: '"$user", public', statementTimeout: '0', applicationName: 'holdfast' });
    for (const [name, value] of Object.entries(hostile)) {
      expect([name, await runningClient(url, { [name]: value })]).toEqual([name, plain]);
      const before = process.env[name];
      process.env[name] = value;
      const core = await startBare({ app: url }).finally(() => {
        if (before === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = before;
      });
      expect([name, await core.run({}, () => core.show('search_path'))]).toEqual([name, '"$user", public']);
      await core.close();
    }
  });
});
