import { existsSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findBinaries } from './binaries.ts';
import { makeFolder } from './files.ts';
import { chooseGround } from './ground.ts';
import { makeHome } from './home.ts';
import { foldersOf, launch, type Plan, restoredDraft, type Servers } from './launch.ts';
import { awaitLock, holderOf, type Lock, type Use } from './lock.ts';
import { checkVersion, createPrimary, removeDraft } from './primary.ts';
import { asClusterError, ClusterError } from './problems.ts';
import { isAlive } from './processes.ts';
import { DATABASE } from './roles.ts';
import { stopLeftover, type Server } from './server.ts';
import { newState, readState, urlOf, writeState, type Role } from './state.ts';
import { restartPausesMs, Supervisor } from './supervisor.ts';

export { ClusterError } from './problems.ts';
export type { Server } from './server.ts';
export type { Role } from './state.ts';

export interface ClusterOptions {
  /** Folder for everything; made when missing. */
  home: string;
  /** Folder with initdb and postgres; default: the npm package for this platform. */
  binaries?: string;
  /** False (tests): faster, and what was committed may be lost when the machine dies. */
  durable: boolean;
  /** Folder in which the primary archives its write-ahead log; null: it does not. Default: as at the last start. */
  archive?: string | null;
  /** Of each of the two servers; default 100. */
  maxConnections?: number;
  /** One short line per step, and when a server ends by itself. */
  onProgress?: (line: string) => void;
  /** Default: a service, for which nobody waits and which does not start anew by itself. */
  use?: Use;
  /** How long to wait before each time that a server which ended by itself is started again; afterwards it is given up. */
  restartPausesMs?: readonly number[];
}

export interface Cluster {
  /** Where the data lie: the home, unless PostgreSQL's user may not enter that (see ground.ts). */
  readonly home: string;
  /** "18.4" */
  readonly version: string;
  readonly primary: Server;
  readonly replica: Server;
  /** The data were made by this start. */
  readonly isNew: boolean;
  /** The reader's leads to the replica, all others to the primary; the replica's is for replication. Default database: holdfast. */
  url(role: Role | 'replica', database?: string): string;
  /** Resolves when a server has ended by itself too often to be started again. */
  readonly failed: Promise<ClusterError>;
  /** Who wants to start from this home may wait: it is about to be given free. */
  announceEnd(): void;
  /** Ends both servers and gives the home free. Calling it again changes nothing. */
  stop(): Promise<void>;
}

export type RunningCluster = Pick<Cluster, 'home' | 'version' | 'url'>;

/** Starts the primary and its replica, making what is missing. Waits for a process that is about to give the home free. Throws ClusterError. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const home = resolve(options.home);
  const { use = {}, onProgress = ignore } = options;
  try {
    makeHome(home);
    const release = await awaitLock(home, use, onProgress);
    return await start(realpathSync(home), options, release).catch((error: unknown) => {
      release();
      throw error;
    });
  } catch (error) {
    throw asClusterError(error, home);
  }
}

/** The same, unless the process that runs it gives it up soon: then who needs one waits and starts its own. */
export const lastingCluster = (home: string): RunningCluster | null =>
  holderOf(resolve(home))?.isPassing === true ? null : runningCluster(home);

/** The cluster that a living process runs from this home; null when there is none, or it is only starting. */
export function runningCluster(home: string): RunningCluster | null {
  const state = readState(resolve(home));
  if (state?.holder == null || state.ports === null || !isAlive(state.holder)) return null;
  const ports = state.ports;
  return {
    home: state.place ?? resolve(home),
    version: state.version,
    url: (role, database = DATABASE) => urlOf(state, ports, role, database),
  };
}

async function start(home: string, options: ClusterOptions, release: Lock): Promise<Cluster> {
  const plan = await prepare(home, options);
  const isNew = await ensurePrimary(plan);
  const servers = await launch(plan);
  const { primary, replica, ports } = servers;
  const { failed, stopSupervising } = supervise(plan, servers, options.restartPausesMs);
  let ending: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    release.announceEnd();
    stopSupervising();
    try {
      await replica.stop('fast');
      await primary.stop('fast');
    } finally {
      forgetHolder(plan);
      release();
    }
  };
  return {
    home: plan.ground.place,
    version: plan.binaries.version,
    primary,
    replica,
    isNew,
    failed,
    announceEnd: () => release.announceEnd(),
    url: (role, database = DATABASE) => urlOf(plan.state, ports, role, database),
    stop: () => (ending ??= stop()),
  };
}

/** Both servers are started again when they end by themselves. */
function supervise({ ground, onProgress }: Plan, servers: Servers, pausesMs = restartPausesMs) {
  const folders = foldersOf(ground.place);
  const { promise: failed, resolve: giveUp } = Promise.withResolvers<ClusterError>();
  const supervisors = (['primary', 'replica'] as const).map(
    (name) => new Supervisor(servers[name], { name, folder: folders[name], pausesMs, report: onProgress, giveUp }),
  );
  return { failed, stopSupervising: () => supervisors.forEach((supervisor) => supervisor.stop()) };
}

const ignore = (): void => undefined;

/** A courtesy: whoever reads the file finds out by itself that the holder is gone. The folder may be full, or removed. */
function forgetHolder({ state, save }: Plan): void {
  state.holder = null;
  try {
    save();
  } catch {
    return;
  }
}

/** What is known of this home, with nothing of an earlier run still at work in it. */
async function prepare(home: string, options: ClusterOptions): Promise<Plan> {
  const { durable, maxConnections = 100, onProgress = ignore } = options;
  const known = readState(home);
  const ground = chooseGround(home, known?.place ?? null);
  const binaries = await findBinaries(options.binaries, ground.account);
  const state = known ?? newState(binaries.version);
  state.holder = null;
  state.place = ground.place === home ? null : ground.place;
  if (options.archive !== undefined) state.archive = options.archive === null ? null : resolve(options.archive);
  refuseUnfinishedRestore(ground.place);
  const save = (): void => writeState(home, state);
  makeFolder(ground.place, 0o755, null);
  await clearLeftovers(ground.place);
  if (known === null) setAside(home, ground.place);
  return { ground, binaries, state, wishes: { durable, maxConnections }, onProgress, save };
}

/** Without the data that were to be restored it would make a new database, which looks like a working one. */
function refuseUnfinishedRestore(place: string): void {
  const draft = restoredDraft(place);
  if (!existsSync(draft)) return;
  throw new ClusterError(
    `A restore into ${place} was not finished: run "npm run restore" again, or remove ${draft} to go on with what was there before.`,
  );
}

async function clearLeftovers(place: string): Promise<void> {
  const { primary, replica } = foldersOf(place);
  await stopLeftover(replica);
  await stopLeftover(primary);
  await removeDraft(`${primary}.partial`);
  await removeDraft(`${replica}.partial`);
}

/** Without cluster.json nobody knows the passwords of data that are still there. */
function setAside(home: string, place: string): void {
  const { primary, replica } = foldersOf(place);
  if (!existsSync(primary)) return;
  if (place === home) {
    throw new ClusterError(
      `${join(home, 'cluster.json')} is missing, and the passwords of the database with it: put it back, or remove ${home} to begin anew.`,
    );
  }
  // The home was removed to begin anew, and did not hold the data: the last ones are kept, in case it was a mistake.
  rmSync(`${primary}.removed`, { recursive: true, force: true });
  renameSync(primary, `${primary}.removed`);
  rmSync(replica, { recursive: true, force: true });
}

/** True when it was made now. A run that was killed before the roles were made leaves one that counts as new. */
async function ensurePrimary({ ground, binaries, state, wishes, onProgress, save }: Plan): Promise<boolean> {
  const { primary, replica } = foldersOf(ground.place);
  if (existsSync(primary)) {
    checkVersion(primary, binaries);
    state.version = binaries.version;
    return !state.prepared;
  }
  onProgress('creating the database cluster');
  state.prepared = false;
  state.version = binaries.version;
  save();
  rmSync(replica, { recursive: true, force: true });
  const password = state.passwords.superuser;
  await createPrimary({ folder: primary, binaries, account: ground.account, password, durable: wishes.durable });
  return true;
}
