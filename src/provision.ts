import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, makeConfig } from './config/config.ts';
import type { Environment } from './config/environment.ts';
import { ownMigrations, type SchemaDifference, schemaDifference } from './database/schema-version.ts';
import {
  type Cluster,
  ClusterError,
  lastingCluster,
  type RunningCluster,
  runningCluster,
  startCluster,
} from './embedded/cluster.ts';
import { demandOwn } from './embedded/home.ts';
import type { Use } from './embedded/lock.ts';
import { runPrisma } from './embedded/prisma-cli.ts';
import { archiveIn, readSurroundings, type Surroundings } from './surroundings.ts';
import { PlainClient } from './transactions/wire/plain-client.ts';

/** A configuration whose database can be reached, and what has to be stopped when it is no longer needed. */
export interface Provision {
  readonly config: Config;
  /** Its database is the one that comes along, run by this process or by another one. */
  readonly isEmbedded: boolean;
  /** As {@link Surroundings} say. */
  readonly isPrivate: boolean;
  /** Of the embedded database; '' without. */
  readonly home: string;
  readonly version: string;
  /** Resolves when the embedded database cannot be kept running; never without one of our own. */
  readonly failed: Promise<Error>;
  /** Says to whoever starts from the same home that it is about to be given free. */
  announceEnd(): void;
  stop(): Promise<void>;
}

type Progress = (line: string) => void;

/** Without DATABASE_WRITE_URL starts the embedded database and brings it to our migrations. */
export async function provision(surroundings: Surroundings, progress: Progress, use: Use = {}): Promise<Provision> {
  const { environment } = surroundings;
  if (environment.DATABASE_WRITE_URL !== undefined) return external(surroundings);
  const home = environment.HOLDFAST_HOME;
  const ofParent = clusterOfParent(home);
  if (ofParent !== null) {
    await migrate(ofParent, progress);
    return embedded(surroundings, ofParent);
  }
  const archive = archiveIn(environment);
  const cluster = await startCluster({ home, durable: true, onProgress: progress, use, ...archive });
  try {
    await migrate(cluster, progress);
    return { ...embedded(surroundings, cluster), ...pick(cluster) };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** The one that `npm run dev` keeps up while it starts the service again and again. */
const clusterOfParent = (home: string): RunningCluster | null =>
  process.env['HOLDFAST_CLUSTER_HOLDER'] === String(process.ppid) ? runningCluster(home) : null;

/** The same for a command beside a running service: uses the embedded database that is running, if one is. */
export async function provisionBeside(progress: Progress): Promise<Provision> {
  const surroundings = await readSurroundings();
  const { DATABASE_WRITE_URL, HOLDFAST_HOME } = surroundings.environment;
  const running = DATABASE_WRITE_URL === undefined ? lastingCluster(HOLDFAST_HOME) : null;
  return running === null ? provision(surroundings, progress, { isPassing: true }) : embedded(surroundings, running);
}

// Of a database that somebody else runs.
const elsewhere = {
  failed: new Promise<Error>(() => undefined),
  announceEnd: (): void => undefined,
  stop: async (): Promise<void> => undefined,
};
const pick = (cluster: Cluster): Pick<Provision, 'failed' | 'announceEnd' | 'stop'> => ({
  failed: cluster.failed,
  announceEnd: () => cluster.announceEnd(),
  stop: () => cluster.stop(),
});

function external({ environment, isPrivate }: Surroundings): Provision {
  // readEnvironment has seen to it that both are there.
  const config = makeConfig(environment as Parameters<typeof makeConfig>[0]);
  return { config, isEmbedded: false, isPrivate, home: '', version: '', ...elsewhere };
}

function embedded({ environment, isPrivate }: Surroundings, cluster: RunningCluster): Provision {
  const { home, version } = cluster;
  return { config: embeddedConfig(environment, cluster), isEmbedded: true, isPrivate, home, version, ...elsewhere };
}

function embeddedConfig(environment: Environment, cluster: RunningCluster): Config {
  return makeConfig({
    ...environment,
    DATABASE_WRITE_URL: cluster.url('app'),
    DATABASE_READ_URL: cluster.url('reader'),
    AUTH_SECRET: environment.AUTH_SECRET ?? keptSecret(environment.HOLDFAST_HOME),
  });
}

function keptSecret(home: string): string {
  const path = join(home, 'auth-secret');
  if (!existsSync(path)) writeFileSync(path, randomBytes(48).toString('base64url'), { mode: 0o600 });
  demandOwn(path);
  return readFileSync(path, 'utf8');
}

async function migrate(cluster: RunningCluster, progress: Progress): Promise<void> {
  const before = await differenceOf(cluster);
  if (before === null) return;
  if (before.kind !== 'behind') throw cannotBeBrought(cluster.home, before);
  progress('migrating the database');
  const { code, output } = await runPrisma(['migrate', 'deploy'], { databaseUrl: cluster.url('owner'), quiet: true });
  const after = await differenceOf(cluster);
  if (code === 0 && after === null) return;
  const failed = { kind: 'unfinished', migration: null, sentence: output.trim().split('\n').at(-1) ?? '' } as const;
  throw cannotBeBrought(cluster.home, after === null || after.kind === 'behind' ? failed : after);
}

const reset = '"npm run db:reset -- --force", which deletes all its data';
const remedies: Record<SchemaDifference['kind'], (migration: string | null) => string> = {
  behind: () => 'Run "npm run db:migrate".',
  ahead: () => 'Start the version that made it, or a later one, or set HOLDFAST_HOME to another folder.',
  unfinished: (name) =>
    `Mend what it says${name === null ? '' : `, run "npm run prisma -- migrate resolve --rolled-back ${name}"`} and start again; or run ${reset}.`,
  other: () =>
    `It was migrated from another branch, or a file was changed after it had run. Put the files in prisma/migrations back as they were then, or set HOLDFAST_HOME to another folder, or run ${reset}.`,
};

const cannotBeBrought = (home: string, { kind, migration, sentence }: SchemaDifference): ClusterError =>
  new ClusterError(
    `The database in ${home} cannot be brought to this version: ${sentence}. ${remedies[kind](migration)}`,
  );

async function differenceOf(cluster: RunningCluster): Promise<SchemaDifference | null> {
  const client = new PlainClient(cluster.url('owner'));
  await client.connect();
  try {
    return await schemaDifference(client, await ownMigrations());
  } finally {
    await client.end();
  }
}
