import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterError } from './problems.ts';
import { readOrNull, type ProcessMark } from './processes.ts';

export type Role = 'superuser' | 'owner' | 'app' | 'reader';

export interface Ports {
  primary: number;
  replica: number;
}

/** What cluster.json keeps. */
export interface ClusterState {
  passwords: Record<Role | 'replica', string>;
  /** The last ones; preferred at the next start. */
  ports: Ports | null;
  /** Where the data lies when that is not the folder of cluster.json itself. */
  place: string | null;
  /** Where the primary's write-ahead log is archived; null, or missing in a file of an earlier version: nowhere. */
  archive?: string | null;
  /** Roles and database are made. */
  prepared: boolean;
  version: string;
  /** The process that runs the cluster, from ready to stop. */
  holder: ProcessMark | null;
}

export const ROLE_NAMES: Record<Role | 'replica', string> = {
  superuser: 'postgres',
  owner: 'holdfast_owner',
  app: 'holdfast_app',
  reader: 'holdfast_reader',
  replica: 'holdfast_replica',
};

export function newState(version: string): ClusterState {
  const password = (): string => randomBytes(24).toString('base64url');
  return {
    passwords: { superuser: password(), owner: password(), app: password(), reader: password(), replica: password() },
    ports: null,
    place: null,
    prepared: false,
    version,
    holder: null,
  };
}

/** Null when there is none. */
export function readState(home: string): ClusterState | null {
  const path = join(home, 'cluster.json');
  if (!existsSync(path)) return null;
  const text = readOrNull(path);
  if (text === null) {
    throw new ClusterError(
      `${path} belongs to another user: run as that user, or set HOLDFAST_HOME to another folder.`,
    );
  }
  try {
    return JSON.parse(text) as ClusterState;
  } catch {
    throw new ClusterError(
      `${path} is damaged, and the passwords of the database with it: remove ${home} to begin anew.`,
    );
  }
}

/** Written beside and renamed, so that a full disk or a crash leaves the old one. */
export function writeState(home: string, state: ClusterState): void {
  const path = join(home, 'cluster.json');
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
    // Root working in somebody's folder leaves the file theirs.
    if (process.geteuid?.() === 0 && existsSync(path)) chownSync(draft, statSync(path).uid, statSync(path).gid);
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}

export function urlOf(state: ClusterState, ports: Ports, role: Role | 'replica', database: string): string {
  const port = role === 'reader' ? ports.replica : ports.primary;
  const password = state.passwords[role];
  return `postgresql://${ROLE_NAMES[role]}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable`;
}
