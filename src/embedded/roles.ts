import type { Client } from 'pg';
import { PlainClient } from '../transactions/wire/plain-client.ts';
import { ROLE_NAMES, urlOf, type ClusterState, type Ports } from './state.ts';

export const DATABASE = 'holdfast';

/** Every step may have been done by a run that was killed: each is made only when it is missing. */
export async function prepareRoles(state: ClusterState, ports: Ports): Promise<void> {
  await withClient(urlOf(state, ports, 'superuser', 'postgres'), (client) => makeRoles(client, state));
  await withClient(urlOf(state, ports, 'superuser', DATABASE), (client) => client.query(inDatabase()));
}

export async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new PlainClient(url, { connectionTimeoutMillis: 10_000 });
  // A server that stops ends the connection with an error event, which would end the process; the query says it too.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function makeRoles(client: Client, { passwords }: ClusterState): Promise<void> {
  const { owner, app, reader, replica } = ROLE_NAMES;
  await client.query(role(owner, 'LOGIN CREATEDB CREATEROLE', passwords.owner));
  await client.query(role(app, 'LOGIN', passwords.app));
  await client.query(role(reader, 'LOGIN', passwords.reader));
  await client.query(role(replica, 'LOGIN REPLICATION', passwords.replica));
  await client.query(`ALTER ROLE ${reader} SET default_transaction_read_only = on`);
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
  if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE} OWNER ${owner}`);
  await client.query(`REVOKE ALL ON DATABASE ${DATABASE} FROM PUBLIC`);
  await client.query(`GRANT CONNECT ON DATABASE ${DATABASE} TO ${app}, ${reader}`);
  // Only a superuser may make it. It shows the statements of all databases, so the one here is enough.
  await client.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
}

/** The password is random and of the alphabet of base64url: nothing in it needs quoting. */
function role(name: string, rights: string, password: string): string {
  return `DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${name}') THEN
      CREATE ROLE ${name} ${rights} PASSWORD '${password}';
    END IF;
  END $$`;
}

function inDatabase(): string {
  return `ALTER SCHEMA public OWNER TO ${ROLE_NAMES.owner}; REVOKE CREATE ON SCHEMA public FROM PUBLIC;`;
}
