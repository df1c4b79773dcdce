import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Config, makeConfig } from './config/config.ts';
import { type Environment, readEnvironment } from './config/environment.ts';
import { type Cluster, ClusterError, runningCluster, startCluster } from './database/embedded/cluster.ts';
import { runPrisma } from './database/embedded/prisma-cli.ts';
import { ownMigrations, schemaDifference } from './database/schema-version.ts';

/** A configuration whose database can be reached, and what has to be stopped when it is no longer needed. */
export interface Provision {
  readonly config: Config;
  /** The embedded cluster, when this process runs it. */
  readonly cluster: Cluster | null;
  readonly isEmbedded: boolean;
  stop(): Promise<void>;
}

type Progress = (line: string) => void;
type Urls = Pick<Cluster, 'url'>;

/** Reads .env and the environment; without DATABASE_WRITE_URL starts the embedded database and brings it to our migrations. */
export async function provision(progress: Progress): Promise<Provision> {
  const environment = readSurroundings();
  if (environment.DATABASE_WRITE_URL !== undefined) return external(environment);
  const cluster = await startCluster({ home: environment.HOLDFAST_HOME, durable: true, onProgress: progress });
  try {
    await migrate(cluster, progress);
    const config = embeddedConfig(environment, cluster);
    return { config, cluster, isEmbedded: true, stop: () => cluster.stop() };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** The same for a command beside a running service: uses the embedded database that is running, if one is. */
export async function provisionBeside(progress: Progress): Promise<Provision> {
  const environment = readSurroundings();
  const running = environment.DATABASE_WRITE_URL === undefined ? runningCluster(environment.HOLDFAST_HOME) : null;
  if (running === null) return provision(progress);
  return { config: embeddedConfig(environment, running), cluster: null, isEmbedded: true, stop: async () => undefined };
}

function readSurroundings(): Environment {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return readEnvironment(process.env);
}

function external(environment: Environment): Provision {
  // readEnvironment has seen to it that both are there.
  const settled = environment as Parameters<typeof makeConfig>[0];
  return { config: makeConfig(settled), cluster: null, isEmbedded: false, stop: async () => undefined };
}

function embeddedConfig(environment: Environment, cluster: Urls): Config {
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
  return readFileSync(path, 'utf8');
}

async function migrate(cluster: Cluster, progress: Progress): Promise<void> {
  if ((await differenceOf(cluster)) === null) return;
  progress('migrating the database');
  const { code, output } = await runPrisma(['migrate', 'deploy'], { databaseUrl: cluster.url('owner'), quiet: true });
  const difference = await differenceOf(cluster);
  if (code === 0 && difference === null) return;
  const reason = difference ?? output.trim().split('\n').at(-1) ?? '';
  throw new ClusterError(
    `The database in ${cluster.home} cannot be brought to this version: ${reason}. Start the version that made it, or set HOLDFAST_HOME to another folder.`,
  );
}

async function differenceOf(cluster: Cluster): Promise<string | null> {
  const client = new pg.Client({ connectionString: cluster.url('owner') });
  await client.connect();
  try {
    return await schemaDifference(client, await ownMigrations());
  } finally {
    await client.end();
  }
}
