import { appendFileSync, chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from './files.ts';
import { ROLE_NAMES, type Ports } from './state.ts';

export interface Wishes {
  /** False: what was committed may be lost when the machine (not the server) dies. */
  durable: boolean;
  maxConnections: number;
  /** Folder for the write-ahead log that is written in full; null: it is not archived. */
  archive: string | null;
}

const SLOT = 'replica';
export const REPLICATION = { slot: SLOT, applicationName: 'holdfast_replica' } as const;

// postgresql.auto.conf is read after this file: ALTER SYSTEM on the primary wins over what is said here.
const ALWAYS = `listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
shared_preload_libraries = 'pg_stat_statements'
wal_level = replica
hot_standby = on
hot_standby_feedback = on
# A replica that is away keeps at most this much log on the primary's disk; after that it is built anew.
max_slot_wal_keep_size = '512MB'
wal_keep_size = '64MB'
# Both servers start at once: a replica that finds no primary yet asks again soon, not after the usual 5 s.
wal_retrieve_retry_interval = '50ms'
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_checkpoints = off
# DETAIL of a refusal quotes the row: e-mail addresses, notes.
log_error_verbosity = terse
`;

// synchronous_commit stays on: a read waits for the replica by the flushed position, which a commit that does not wait is not part of.
const NOT_DURABLE = `fsync = off
full_page_writes = off
`;

// PostgreSQL's own module: it writes beside, flushes and renames, and refuses to put another file in the place of one. A segment that is
// not full goes there after a minute.
const archiving = (folder: string): string => `archive_mode = on
archive_library = 'basic_archive'
basic_archive.archive_directory = '${folder.replaceAll('\\', '/').replaceAll("'", "''")}'
archive_timeout = '60s'
`;

const ACCESS = `host all all 127.0.0.1/32 scram-sha-256
host replication ${ROLE_NAMES.replica} 127.0.0.1/32 scram-sha-256
`;

/** Once, in a new data folder. */
export function includeSettings(folder: string): void {
  appendFileSync(join(folder, 'postgresql.conf'), "\ninclude_if_exists = 'holdfast.conf'\n");
}

/** At every start: the wishes may have changed. A replica must not have fewer connections than its primary. */
export function writeSettings(folder: string, wishes: Wishes, account: Account | null): void {
  const { durable, maxConnections, archive } = wishes;
  const further = `${durable ? '' : NOT_DURABLE}${archive === null ? '' : archiving(archive)}`;
  const text = `${ALWAYS}max_connections = ${maxConnections}\n${further}`;
  write(join(folder, 'holdfast.conf'), text, account);
  write(join(folder, 'pg_hba.conf'), ACCESS, account);
}

/** At every start of the replica: the primary's port may have changed. */
export function writeFollowing(folder: string, ports: Ports, password: string, account: Account | null): void {
  const whom = `host=127.0.0.1 port=${ports.primary} user=${ROLE_NAMES.replica} password=${password}`;
  const text = `primary_conninfo = '${whom} application_name=${REPLICATION.applicationName}'\nprimary_slot_name = '${SLOT}'\n`;
  write(join(folder, 'postgresql.auto.conf'), text, account);
}

/** Rewritten in place when it exists with this content already: nothing to do, nothing to lose on a full disk. */
function write(path: string, text: string, account: Account | null): void {
  if (contentOf(path) === text) return;
  writeFileSync(path, text, { mode: 0o600 });
  if (account !== null) chownSync(path, account.uid, account.gid);
}

function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
