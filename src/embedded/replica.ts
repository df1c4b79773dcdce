import { existsSync, renameSync, rmSync, writeFileSync, chownSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import { copyTree, type Account } from './files.ts';
import { removeDraft } from './primary.ts';
import { until } from './processes.ts';
import { withClient } from './roles.ts';
import { endAll } from './server.ts';
import { REPLICATION } from './settings.ts';

const APPEAR_MS = 10_000;
const CATCH_UP_MS = 60_000;

// What a copy must not have (as pg_basebackup's own list): the marks of the running server, and what a server makes anew at its start.
const FILES_LEFT_OUT = new Set([
  'postmaster.pid',
  'postmaster.opts',
  'backup_label',
  'tablespace_map',
  'current_logfiles',
]);
const FOLDERS_LEFT_EMPTY = [
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
  // The log is streamed: the slot holds everything since before the copy began.
  'pg_wal',
];
const CONTROL_FILE = join('global', 'pg_control');

export interface Folders {
  primary: string;
  replica: string;
}

/** Copies the running primary into the replica's folder, ready to be started as its standby. */
export async function createReplica(superuserUrl: string, folders: Folders, account: Account | null): Promise<void> {
  const { primary, replica } = folders;
  const draft = `${replica}.partial`;
  await removeDraft(draft);
  await endAll(replica);
  rmSync(replica, { recursive: true, force: true });
  const label = await withClient(superuserUrl, async (client) => {
    await renewSlot(client);
    await client.query("SELECT pg_backup_start('replica', fast => true)");
    await copyTree(primary, draft, { keep, owner: account, open: false });
    // Last, as every copy that ends up newer than it is brought up by the log from the place it names.
    await copyTree(primary, draft, { keep: (path) => CONTROL_FILE.startsWith(path), owner: account, open: false });
    const { rows } = await client.query<{ labelfile: string }>(
      'SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)',
    );
    return rows[0]?.labelfile ?? '';
  });
  write(join(draft, 'backup_label'), label, account);
  write(join(draft, 'standby.signal'), '', account);
  renameSync(draft, replica);
}

/** False when its place in the primary's log is lost: it would ask in vain. */
export async function canFollow(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ wal_status: string | null }>(
    'SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1',
    [REPLICATION.slot],
  );
  return rows[0] !== undefined && rows[0].wal_status !== 'lost';
}

/** True once the replica streams. One that has appeared gets more time, for it is catching up. */
export async function follows(client: Client): Promise<boolean> {
  const state = async (): Promise<string | undefined> => {
    const { rows } = await client.query<{ state: string }>(
      'SELECT state FROM pg_stat_replication WHERE application_name = $1',
      [REPLICATION.applicationName],
    );
    return rows[0]?.state;
  };
  if (!(await until(async () => (await state()) !== undefined, APPEAR_MS))) return false;
  return until(async () => (await state()) === 'streaming', CATCH_UP_MS);
}

export function isReplica(folder: string): boolean {
  return existsSync(join(folder, 'standby.signal')) && existsSync(join(folder, 'PG_VERSION'));
}

async function renewSlot(client: Client): Promise<void> {
  const { slot } = REPLICATION;
  // The sender to a replica that was just ended may not have noticed yet.
  await client.query(
    'SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE active_pid IS NOT NULL',
  );
  await client.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [
    slot,
  ]);
  await client.query('SELECT pg_create_physical_replication_slot($1, immediately_reserve => true)', [slot]);
}

function keep(path: string): boolean {
  if (FILES_LEFT_OUT.has(path) || path === CONTROL_FILE) return false;
  if (path.includes('pgsql_tmp') || path.endsWith('pg_internal.init')) return false;
  return !FOLDERS_LEFT_EMPTY.some((folder) => path.startsWith(join(folder, '/')));
}

function write(path: string, text: string, account: Account | null): void {
  writeFileSync(path, text, { mode: 0o600 });
  if (account !== null) chownSync(path, account.uid, account.gid);
}
