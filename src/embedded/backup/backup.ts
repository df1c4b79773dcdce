import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { askArchive } from '../../database/wal-archive.ts';
import type { RunningCluster } from '../cluster.ts';
import { ClusterError } from '../problems.ts';
import { withClient } from '../roles.ts';
import { readState } from '../state.ts';
import { takeBaseBackup } from './base-backup.ts';
import { digestOf, FolderDraft, forEachOf, unpackInto } from './folder.ts';
import {
  compareNames,
  type KeptFile,
  type Manifest,
  manifestFile,
  newManifest,
  readManifest,
  sha256,
} from './manifest.ts';
import { TarReader } from './tar.ts';

/** Below a backup: the data folder of PostgreSQL, as pg_basebackup writes it, and what HOLDFAST_HOME keeps beside it. */
export const DATA = 'data';
export const HOME = 'home';
/** Files of HOLDFAST_HOME that make the data usable: the passwords of the roles, and the secret of the tokens. */
export const STATE = 'cluster.json';
export const SECRET = 'auth-secret';

export interface BackupRequest {
  readonly home: string;
  /** Runs from that home. */
  readonly cluster: RunningCluster;
  /** Made by the backup. */
  readonly target: string;
  /** Of Holdfast. */
  readonly version: string;
}

/** Copies the running database into a new folder. Writers go on meanwhile. Throws ClusterError. */
export async function makeBackup(request: BackupRequest): Promise<Manifest> {
  const target = resolve(request.target);
  let draft: FolderDraft | null = null;
  try {
    draft = new FolderDraft(target);
    const manifest = await fill(draft, request);
    const { name, text } = manifestFile(manifest);
    draft.add(name, text);
    await draft.complete();
    return manifest;
  } catch (error) {
    if (draft !== null) rmSync(draft.path, { recursive: true, force: true });
    if (error instanceof ClusterError) throw error;
    const { message } = error as Error;
    throw new ClusterError(`The backup could not be written to ${target}: ${message}.`, { cause: error });
  }
}

/** Reads every file of a backup and compares it. Throws ClusterError at the first that is not as it was written. */
export async function checkBackup(folder: string): Promise<Manifest> {
  const manifest = readManifest(folder);
  compareNames(folder, manifest);
  await forEachOf(Object.entries(manifest.files), async ([path, kept]) => {
    refuseOther(folder, path, kept, await digestOf(join(folder, path)));
  });
  return manifest;
}

/** Throws ClusterError when what was read is not what the backup had. */
export function refuseOther(folder: string, path: string, kept: KeptFile, found: KeptFile): void {
  if (kept.sha256 === found.sha256 && kept.bytes === found.bytes) return;
  throw new ClusterError(`The backup ${folder} is damaged: ${path} is not as it was written.`);
}

/** Says that the log is not archived although it should be; null when it is. The database keeps it meanwhile, on its own disk. */
export const findArchiveTrouble = (cluster: RunningCluster): Promise<string | null> =>
  withClient(cluster.url('superuser'), async (client) => {
    const state = await askArchive(client);
    if (typeof state !== 'object') return null;
    const since = state.lastArchivedAt === null ? '' : ` since ${state.lastArchivedAt.toISOString()}`;
    return `The write-ahead log has not been archived${since} (${state.segment} failed): see logs/primary.log, before the disk of the database is full.`;
  });

async function fill(draft: FolderDraft, { home, cluster, version }: BackupRequest): Promise<Manifest> {
  for (const folder of [DATA, HOME]) draft.folder(folder);
  const about = await describe(cluster);
  const tar = new TarReader(unpackInto(draft, DATA));
  const pieces: Buffer[] = [];
  const positions = await takeBaseBackup(cluster.url('replica'), {
    archive: (piece) => tar.write(piece),
    // The driver reads the next message into the same memory.
    manifest: (piece) => void pieces.push(Buffer.from(piece)),
  });
  tar.finish();
  const ofServer = Buffer.concat(pieces).toString();
  compareWithServer(ofServer, draft.files);
  draft.add(`${DATA}/backup_manifest`, ofServer);
  keepHome(home, draft);
  const { now: endedAt } = await describe(cluster);
  const { now: begunAt, ...rest } = about;
  const { folders } = draft;
  const files = { ...draft.files };
  return newManifest({ version, postgres: cluster.version, ...rest, begunAt, endedAt, ...positions, folders, files });
}

interface Described {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly now: string;
  readonly migrations: Record<string, string>;
}

const describe = (cluster: RunningCluster): Promise<Described> =>
  withClient(cluster.url('superuser'), async (client) => {
    const { rows } = await client.query<{ id: string; bytes: number; now: Date; migrated: boolean }>(
      `SELECT system_identifier::text AS id, bytes_per_wal_segment AS bytes, clock_timestamp() AS now,
         to_regclass('_prisma_migrations') IS NOT NULL AS migrated
       FROM pg_control_system(), pg_control_init()`,
    );
    const [{ id, bytes, now, migrated }] = rows as [{ id: string; bytes: number; now: Date; migrated: boolean }];
    const applied = migrated
      ? await client.query<{ name: string; checksum: string }>(
          'SELECT migration_name AS name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY 1',
        )
      : { rows: [] };
    const migrations = Object.fromEntries(applied.rows.map(({ name, checksum }) => [name, checksum]));
    return { systemIdentifier: id, segmentBytes: bytes, now: now.toISOString(), migrations };
  });

/** What arrived is what the server has read: its manifest names all files but the log. Throws ClusterError. */
function compareWithServer(text: string, files: Readonly<Record<string, KeptFile>>): void {
  const { Files } = JSON.parse(text) as { Files: { Path?: string; Size: number; Checksum: string }[] };
  const wrong = Files.find(({ Path = '', Size, Checksum }) => {
    const kept = files[`${DATA}/${Path}`];
    return kept?.bytes !== Size || kept.sha256 !== Checksum;
  });
  if (wrong === undefined && text.includes(`"Manifest-Checksum": "${checksumOf(text)}"`)) return;
  throw new ClusterError(
    `The base backup did not arrive as the server sent it (${wrong?.Path ?? 'its manifest'}): make it again.`,
  );
}

/** The server computes it over all lines above the one that holds it. */
const checksumOf = (text: string): string => sha256(text.slice(0, text.lastIndexOf('"Manifest-Checksum"')));

/** Without what is of this machine and this run: ports, place, holder. */
function keepHome(home: string, draft: FolderDraft): void {
  const state = readState(home);
  if (state === null)
    throw new ClusterError(`${join(home, STATE)} is missing, and the passwords of the database with it.`);
  const { passwords, version } = state;
  draft.add(`${HOME}/${STATE}`, `${JSON.stringify({ passwords, version }, null, 2)}\n`);
  const secret = join(home, SECRET);
  if (existsSync(secret)) draft.add(`${HOME}/${SECRET}`, readFileSync(secret));
}
