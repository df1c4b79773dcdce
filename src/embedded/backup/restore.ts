import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type Binaries, findBinaries } from '../binaries.ts';
import { makeFolder } from '../files.ts';
import { chooseGround, type Ground } from '../ground.ts';
import { makeHome } from '../home.ts';
import { foldersOf, type Plan, restoredDraft } from '../launch.ts';
import { takeLock } from '../lock.ts';
import { asClusterError, ClusterError } from '../problems.ts';
import { stopLeftover } from '../server.ts';
import { type ClusterState, newState, readState, writeState } from '../state.ts';
import { type ArchivedLog, findLog, historiesIn, nameOfNumber } from './archive.ts';
import { DATA, HOME, refuseOther, SECRET, STATE } from './backup.ts';
import { copyOnto, forEachOf, syncPath } from './folder.ts';
import { compareNames, type Manifest, readManifest, sha256, thisPlatform } from './manifest.ts';
import { recover, type Recovered } from './recovery.ts';

export interface RestoreRequest {
  readonly backup: string;
  readonly home: string;
  /** Of this version, by name with their checksums. */
  readonly migrations: ReadonlyMap<string, string>;
  /** The archive from which later writes come; without one the data are those of the end of the backup. */
  readonly archive?: string;
  /** Which of several that go on from the backup. */
  readonly timeline?: number;
  /** The last moment whose writes are restored; default: all that the archive has. */
  readonly toTime?: Date;
  /** Data that are there already are moved aside. */
  readonly force?: boolean;
  /** Where the restored database archives its own log, and where timelines are named that it must not use again. */
  readonly ownArchive?: string | null;
  readonly binaries?: string;
  readonly onProgress?: (line: string) => void;
}

export interface Restored extends Recovered {
  readonly manifest: Manifest;
  /** Where the data were moved that had been there; null when there were none. */
  readonly movedTo: string | null;
}

/** What a restore works with, once it is known that it may. */
interface Work extends RestoreRequest {
  readonly backup: string;
  readonly manifest: Manifest;
  readonly log: ArchivedLog | null;
  readonly onProgress: (line: string) => void;
  readonly plan: Pick<Plan, 'ground' | 'binaries' | 'state'>;
  readonly draft: string;
  /** The secret of the tokens; null where the backup has none. */
  readonly secret: Buffer | null;
}

/**
 * Puts the data of a backup in place. Nothing that is there is touched until the restored database has recovered. Throws ClusterError.
 */
export async function restoreBackup(request: RestoreRequest): Promise<Restored> {
  const backup = resolve(request.backup);
  const home = resolve(request.home);
  const manifest = readManifest(backup);
  refuseForeign(manifest, request);
  compareNames(backup, manifest);
  const log = logFor(manifest, request);
  makeHome(home);
  const release = takeLock(home);
  try {
    const { onProgress = () => undefined } = request;
    const secret = keptIn(backup, manifest, SECRET);
    const common = { ...request, backup, home: realpathSync(home), manifest, log, secret, onProgress };
    return await restore({ ...common, ...(await prepare(common)) });
  } catch (error) {
    throw asClusterError(error, home);
  } finally {
    release();
  }
}

async function restore(work: Work): Promise<Restored> {
  const { draft, manifest, plan, onProgress } = work;
  try {
    onProgress(`copying and checking ${Object.keys(manifest.files).length} files`);
    await copyFiles(work);
    onProgress('recovering');
    const recovered = await recover(draft, plan, { ...work, segmentBytes: manifest.segmentBytes });
    return { ...recovered, manifest, movedTo: await putInPlace(work) };
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw error;
  }
}

/** Throws ClusterError where this version, or this machine, cannot work with the backup. */
function refuseForeign(manifest: Manifest, { migrations, backup }: RestoreRequest): void {
  if (manifest.platform !== thisPlatform)
    throw new ClusterError(
      `The backup ${backup} is of ${manifest.platform} and this is ${thisPlatform}: PostgreSQL's files cannot be read there.`,
    );
  const foreign = Object.entries(manifest.migrations).find(([name, checksum]) => migrations.get(name) !== checksum);
  if (foreign === undefined) return;
  throw new ClusterError(
    `The backup ${backup} has the migration ${foreign[0]}, which this version does not have or has with other contents: restore it with the version that made it (${manifest.version}).`,
  );
}

/** Throws ClusterError where the log does not reach what is asked for. */
function logFor(manifest: Manifest, { archive, timeline, toTime, backup }: RestoreRequest): ArchivedLog | null {
  if (toTime !== undefined && archive === undefined)
    throw new ClusterError(
      'A restore to a point in time needs the archive of the write-ahead log: name it with --archive.',
    );
  if (toTime !== undefined && toTime.getTime() < Date.parse(manifest.endedAt))
    throw new ClusterError(
      `The backup ${backup} ended at ${manifest.endedAt}, after ${toTime.toISOString()}: restore an earlier backup to that time.`,
    );
  if (archive === undefined) return null;
  const log = findLog(resolve(archive), manifest, timeline);
  if (log.gap === null || toTime !== undefined) return log;
  throw new ClusterError(
    `The archive ${log.folder} lacks the segment ${nameOfNumber(log.gap, manifest.segmentBytes)} and has later ones: what came after it cannot be restored. Name the last moment before it with --to-time, or restore a later backup.`,
  );
}

/** A small file that HOLDFAST_HOME had; null when it had none. Throws ClusterError. */
function keptIn(backup: string, { files }: Manifest, name: string): Buffer | null {
  const path = `${HOME}/${name}`;
  const kept = files[path];
  if (kept === undefined) return null;
  const content = readFileSync(join(backup, path));
  refuseOther(backup, path, kept, { bytes: content.length, sha256: sha256(content) });
  return content;
}

async function prepare(request: Omit<Work, 'plan' | 'draft'>): Promise<Pick<Work, 'plan' | 'draft'>> {
  const { home, backup, manifest, force = false, ownArchive = null } = request;
  const ground = groundFor(home, force);
  const { primary, replica } = foldersOf(ground.place);
  const binaries = await findBinaries(request.binaries, ground.account);
  refuseOtherMajor(backup, manifest, binaries);
  const { passwords } = JSON.parse(keptIn(backup, manifest, STATE)?.toString() ?? '{}') as ClusterState;
  const archive = ownArchive === null ? null : resolve(ownArchive);
  const place = ground.place === home ? null : ground.place;
  const state: ClusterState = { ...newState(binaries.version), passwords, prepared: true, place, archive };
  const draft = restoredDraft(ground.place);
  makeFolder(ground.place, 0o755, null);
  for (const folder of [draft, primary, replica]) await stopLeftover(folder);
  rmSync(draft, { recursive: true, force: true });
  return { draft, plan: { ground, binaries, state } };
}

/** Throws ClusterError when the home has data and nobody has said that they may go. */
function groundFor(home: string, force: boolean): Ground {
  const known = stateOf(home, force);
  const ground = chooseGround(home, known?.place ?? null);
  if (force || (known === null && !existsSync(foldersOf(ground.place).primary))) return ground;
  throw new ClusterError(
    `${home} has a database already: add --force to move it aside, or set HOLDFAST_HOME to another folder.`,
  );
}

function refuseOtherMajor(backup: string, { postgres, version: maker }: Manifest, { major, version }: Binaries): void {
  if (Number.parseInt(postgres, 10) === major) return;
  throw new ClusterError(
    `The backup ${backup} is of PostgreSQL ${postgres} and this is PostgreSQL ${version}: restore it with the version of Holdfast that made it (${maker}).`,
  );
}

/** A damaged one is no obstacle where it is moved aside. */
function stateOf(home: string, force: boolean): ClusterState | null {
  try {
    return readState(home);
  } catch (error) {
    if (force) return null;
    throw error;
  }
}

/** Each file is compared as it is copied: what is used is what was checked. */
async function copyFiles({ backup, draft, manifest, log, plan }: Work): Promise<void> {
  const { account } = plan.ground;
  const below = (path: string): string => join(draft, path.slice(DATA.length + 1));
  const isData = (path: string): boolean => path.startsWith(`${DATA}/`);
  makeFolder(draft, 0o700, account);
  for (const folder of manifest.folders.filter(isData)) makeFolder(below(folder), 0o700, account);
  const own = (path: string): void => {
    if (account !== null) chownSync(path, account.uid, account.gid);
  };
  const files = Object.entries(manifest.files).filter(([path]) => isData(path));
  await forEachOf(files, async ([path, kept]) => {
    refuseOther(backup, path, kept, await copyOnto(join(backup, path), below(path)));
    own(below(path));
  });
  const { archive } = plan.state;
  const ownLog = archive ? join(archive, manifest.systemIdentifier) : null;
  const paths = new Map(
    [
      ...(ownLog === null ? [] : historiesIn(ownLog).map((name) => join(ownLog, name))),
      ...(log === null ? [] : log.files.map((name) => join(log.folder, name))),
    ].map((path) => [basename(path), path]),
  );
  await forEachOf([...paths], async ([name, path]) => {
    const target = join(draft, 'pg_wal', name);
    if (existsSync(target)) return;
    await copyOnto(path, target);
    own(target);
  });
}

/** The state is written last: without it a start refuses what is there, and does not make a new database. */
async function putInPlace({ home, plan, draft, secret }: Work): Promise<string | null> {
  const { place } = plan.ground;
  const { primary, replica } = foldersOf(place);
  const movedTo = moveAside(home, place);
  renameSync(draft, primary);
  // It is built anew from the primary.
  rmSync(replica, { recursive: true, force: true });
  if (secret !== null) writeFileSync(join(home, SECRET), secret, { mode: 0o600 });
  writeState(home, plan.state);
  for (const name of [SECRET, STATE, '.']) if (existsSync(join(home, name))) await syncPath(join(home, name));
  await syncPath(place);
  return movedTo;
}

/** Nothing is deleted: a person does that, once the restored data are known to be right. */
function moveAside(home: string, place: string): string | null {
  const { primary } = foldersOf(place);
  const there = [join(home, STATE), join(home, SECRET), primary].filter((path) => existsSync(path));
  if (there.length === 0) return null;
  let n = 1;
  while ([home, place].some((folder) => existsSync(join(folder, `before-restore-${n}`)))) n++;
  for (const path of there) {
    const folder = join(dirname(path), `before-restore-${n}`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    renameSync(path, join(folder, basename(path)));
  }
  return join(place, `before-restore-${n}`);
}
