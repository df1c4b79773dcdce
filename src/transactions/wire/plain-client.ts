import pg from 'pg';
import { addressIn, type DatabaseAddress } from '../../config/database-url.ts';
import { TlsFiles } from '../../config/tls-files.ts';

/** What of a connection is pg's to know: all of it is said, as pg would look for what is missing in PG… variables and in files at home. */
export function settingsOf(address: DatabaseAddress): pg.ClientConfig {
  const { host, port, user, password, database, tls, negotiatesDirectly, bindsChannel } = address;
  const all: object = {
    host,
    port,
    user,
    // A function, as pg would take an empty one for none.
    password: () => password ?? undefined,
    database,
    ssl: tls === null ? false : new TlsFiles(tls).options(),
    sslnegotiation: negotiatesDirectly ? 'direct' : 'postgres',
    client_encoding: 'utf8',
    enableChannelBinding: bindsChannel,
    ...(address.applicationName !== null && { application_name: address.applicationName }),
    ...(address.settings.size > 0 && { options: optionsOf(address.settings) }),
  };
  return all;
}

/** Settings of the session, as the server reads them at its start. */
export const optionsOf = (settings: ReadonlyMap<string, string>): string =>
  [...settings].map(([name, value]) => `-c ${name}=${value}`).join(' ');

/** Takes away what pg has found in PG… variables all the same. */
export function shutOutSurroundings(client: pg.Client, config: pg.ClientConfig): void {
  const { connectionParameters } = client as unknown as { connectionParameters: object };
  Object.assign(client, { replication: undefined });
  Object.assign(connectionParameters, {
    replication: undefined,
    options: config.options,
    application_name: config.application_name,
  });
}

/** A connection beside the pools, for commands and for the embedded database. */
export class PlainClient extends pg.Client {
  /** Throws TlsFileError when a file of its URL cannot be read. */
  constructor(url: string, more: pg.ClientConfig = {}) {
    const config = { application_name: 'holdfast', ...settingsOf(addressIn(url)), ...more };
    super(config);
    shutOutSurroundings(this, config);
  }
}
