import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import type { Binaries } from './binaries.ts';
import { makeFolder } from './files.ts';
import type { Ground } from './ground.ts';
import { thisProcess } from './lock.ts';
import { freePorts } from './ports.ts';
import { asClusterError, ClusterError, PortTaken } from './problems.ts';
import { canFollow, createReplica, follows, isReplica } from './replica.ts';
import { prepareRoles, withClient } from './roles.ts';
import { PostgresServer } from './server.ts';
import { writeFollowing, writeSettings, type Wishes } from './settings.ts';
import { urlOf, type ClusterState, type Ports } from './state.ts';

const PORT_ATTEMPTS = 5;
const PRIMARY_START_MS = 60_000;
// A replica that takes longer than this is sooner built anew than waited for.
const REPLICA_START_MS = 15_000;

/** What a start works with. `state` is kept up to date; `save` writes it down. */
export interface Plan {
  ground: Ground;
  binaries: Binaries;
  state: ClusterState;
  wishes: Omit<Wishes, 'archive'>;
  onProgress: (line: string) => void;
  save: () => void;
}

export interface Servers {
  primary: PostgresServer;
  replica: PostgresServer;
  ports: Ports;
}

/** Both servers running, the replica streaming. On an error neither runs. */
export async function launch(plan: Plan): Promise<Servers> {
  for (let attempt = 1; ; attempt++) {
    const servers = await attemptLaunch(plan, attempt === PORT_ATTEMPTS);
    if (servers !== null) return servers;
  }
}

/** Null when somebody took a port meanwhile and this was not the last attempt. */
async function attemptLaunch(plan: Plan, isLast: boolean): Promise<Servers | null> {
  const servers = await serversOf(plan);
  try {
    await bringUp(plan, servers);
    plan.state.holder = thisProcess();
    plan.save();
    return servers;
  } catch (error) {
    await servers.replica.stop('immediate');
    await servers.primary.stop('fast');
    if (error instanceof PortTaken && !isLast) return null;
    throw asClusterError(error, plan.ground.place, servers.primary.logSinceStart());
  }
}

export function foldersOf(place: string): { primary: string; replica: string; logs: string } {
  return { primary: join(place, 'primary'), replica: join(place, 'replica'), logs: join(place, 'logs') };
}

/** Where a restore puts the primary together. */
export const restoredDraft = (place: string): string => join(place, 'primary.restoring');

async function serversOf({ ground, binaries, state }: Plan): Promise<Servers> {
  const { primary, replica, logs } = foldersOf(ground.place);
  makeFolder(logs, 0o700, ground.account);
  const ports = await freePorts(state.ports);
  state.ports = ports;
  const common = { program: binaries.postgres, account: ground.account };
  const ofPrimary = { name: 'primary', folder: primary, port: ports.primary, startWithinMs: PRIMARY_START_MS };
  const ofReplica = { name: 'replica', folder: replica, port: ports.replica, startWithinMs: REPLICA_START_MS };
  return {
    primary: new PostgresServer({ ...common, ...ofPrimary, logFile: join(logs, 'primary.log') }),
    replica: new PostgresServer({ ...common, ...ofReplica, logFile: join(logs, 'replica.log') }),
    ports,
  };
}

async function bringUp(plan: Plan, { primary, replica, ports }: Servers): Promise<void> {
  const { ground, state, wishes, onProgress, save } = plan;
  const folders = foldersOf(ground.place);
  const hasReplica = isReplica(folders.replica);
  onProgress(hasReplica ? 'starting the primary and its replica' : 'starting the primary');
  writeSettings(folders.primary, { ...wishes, archive: archiveOf(plan) }, ground.account);
  const replicaStart = hasReplica ? startReplica(plan, replica, ports) : Promise.resolve(new Error('there is none'));
  await primary.start();
  if (!state.prepared) {
    onProgress('making the roles and the database');
    await prepareRoles(state, ports);
    state.prepared = true;
    save();
  }
  const url = urlOf(state, ports, 'superuser', 'postgres');
  if (await withClient(url, (client) => isFollowing(client, replicaStart))) return;
  await replica.stop('immediate');
  onProgress(hasReplica ? 'the replica cannot follow: building it anew' : 'building the replica');
  await createReplica(url, folders, ground.account);
  await mustFollow(plan, replica, ports);
}

/** Each database has a folder of its own in the archive: another one's log is never taken for its own. */
export function archiveOf(
  { state, ground }: Pick<Plan, 'state' | 'ground'>,
  data = foldersOf(ground.place).primary,
): string | null {
  if (!state.archive) return null;
  const folder = join(state.archive, systemIdentifierOf(data));
  try {
    makeFolder(state.archive, 0o711, null);
    makeFolder(folder, 0o700, ground.account);
    return folder;
  } catch (error) {
    const { message } = error as Error;
    throw new ClusterError(
      `The write-ahead log cannot be archived in ${state.archive}: ${message}. Mend that, or set EMBEDDED_WAL_ARCHIVE to another folder or to off.`,
      { cause: error },
    );
  }
}

/** The control file begins with it. */
const systemIdentifierOf = (data: string): string =>
  readFileSync(join(data, 'global', 'pg_control'))
    .readBigUInt64LE(0)
    .toString();

/** Resolves with what went wrong, if anything. */
async function startReplica(
  { ground, state, wishes }: Plan,
  replica: PostgresServer,
  ports: Ports,
): Promise<Error | null> {
  try {
    const folder = foldersOf(ground.place).replica;
    writeSettings(folder, { ...wishes, archive: null }, ground.account);
    writeFollowing(folder, ports, state.passwords.replica, ground.account);
    await replica.start();
    return null;
  } catch (error) {
    return error as Error;
  }
}

async function isFollowing(client: Client, start: Promise<Error | null>): Promise<boolean> {
  if (!(await canFollow(client))) return false;
  const failure = await start;
  if (failure instanceof PortTaken) throw failure;
  return failure === null && follows(client);
}

async function mustFollow(plan: Plan, replica: PostgresServer, ports: Ports): Promise<void> {
  const failure = await startReplica(plan, replica, ports);
  if (failure !== null) throw failure;
  if (await withClient(urlOf(plan.state, ports, 'superuser', 'postgres'), follows)) return;
  throw new ClusterError(
    `The replica does not follow its primary, not even after it was built anew: see ${replica.logFile} and ${plan.ground.place}.`,
  );
}
