import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from './app.ts';
import { ConfigError, valueOf } from './config/environment.ts';
import { ClusterError } from './embedded/cluster.ts';
import { publishedPeople, seed } from './embedded/demo/seed.ts';
import { SchemaVersionError } from './database/schema-version.ts';
import { StatementNamesError } from './database/statement-names.ts';
import { explainError } from './operations/describe-error.ts';
import { EarlyListener } from './operations/early-listener.ts';
import { Shutdown } from './operations/shutdown.ts';
import { type Provision, provision as provide } from './provision.ts';
import { readSurroundings } from './surroundings.ts';
import { BoundaryTableError } from './transactions/errors.ts';
import { unitOfWork } from './transactions/unit-of-work.ts';
import { LoggableError } from './kernel/loggable-error.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

class StartError extends LoggableError {}

async function main(): Promise<void> {
  const early = new EarlyListener();
  let provided: Promise<Provision | null> = Promise.resolve(null);
  const stopProvided = (): Promise<void> =>
    provided.then(
      (known) => known?.stop(),
      () => undefined,
    );
  const shutdown = new Shutdown({
    announce: () => void provided.then((known) => known?.announceEnd()).catch(() => undefined),
    afterwards: stopProvided,
    exit: (code) => process.exit(code),
    report: say,
  });
  followParent();
  const surroundings = await readSurroundings((env) => openPort(early, env));
  for (const name of surroundings.unread) say(`  ${name} is set and is not read: DATABASE_WRITE_URL names a database`);
  try {
    const provision = provide(surroundings, (line) => say(`  ${line}`));
    provided = provision;
    const known = await provision;
    void known.failed.then(({ message }) => shutdown.fail(message));
    await serve(known, early, shutdown);
  } catch (error) {
    // What fails because the ground is being taken away is no failure to tell of; the shutdown ends the process.
    if (shutdown.isOn) return;
    await stopProvided();
    throw error;
  }
}

/** Whoever has started us with a channel to us is gone when that ends. */
function followParent(): void {
  process.channel?.unref();
  process.once('disconnect', () => process.kill(process.pid, 'SIGHUP'));
}

/** A wrong HOST or PORT is told with the other faults of the configuration. */
async function openPort(early: EarlyListener, env: Readonly<Record<string, string | undefined>>): Promise<string[]> {
  const [host, port] = [valueOf('HOST', env), valueOf('PORT', env)];
  if (host === undefined || port === undefined) return [];
  const reason = await early.open(host, port);
  return reason === null ? [] : [reason];
}

async function serve(provided: Provision, early: EarlyListener, shutdown: Shutdown): Promise<void> {
  if (shutdown.isOn) return;
  const app = await createApp(provided.config);
  shutdown.serve(app, provided.config.shutdown);
  await unitOfWork('the start of the service', () => app.init());
  const people = await seedOrRefuse(app, provided);
  if (shutdown.isOn) return;
  await app.listen(early.handOver());
  shutdown.drains = true;
  say(banner(addressOf(app), provided, people));
}

/** The demo people as they can log in; none where others could log in as well. */
async function seedOrRefuse(app: NestFastifyApplication, { isEmbedded, isPrivate }: Provision) {
  if (isPrivate && isEmbedded && (await unitOfWork('seed', () => seed(app))) === 'added') say('  demo data added');
  const people = await unitOfWork('the published passwords', () => publishedPeople(app));
  if (isPrivate || people.length === 0) return people;
  throw new StartError(
    'The demo people of this database have published passwords, and this start is for production or for a HOST that others reach. Give them other passwords, or use another database.',
  );
}

/** Where it really listens. */
function addressOf(app: NestFastifyApplication): string {
  const { address, family, port } = app.getHttpServer().address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function banner(
  url: string,
  { isEmbedded, isPrivate, home, version }: Provision,
  people: Awaited<ReturnType<typeof publishedPeople>>,
): string {
  const lines = [
    '',
    `Holdfast is ready at ${url} after ${(performance.now() / 1000).toFixed(1)} s`,
    `  documentation  ${url}/docs`,
  ];
  const named = people.map(({ email, password }) => `${email} · ${password}`);
  if (named.length > 0) lines.push(`  demo people    ${named.join('\n                 ')}`);
  if (isEmbedded) lines.push(`  data           ${home} (PostgreSQL ${version}, primary and replica)`);
  if (isEmbedded && !isPrivate)
    lines.push('                 all data and the generated secret are lost with this folder (EMBEDDED_DATABASE)');
  return [...lines, '  to stop        Ctrl-C', ''].join('\n');
}

// A known reason is one sentence for a person; anything else shows where it arose.
const known = [ConfigError, ClusterError, SchemaVersionError, StatementNamesError, BoundaryTableError, StartError];

main().catch((error: unknown) => {
  say(
    known.some((kind) => error instanceof kind)
      ? (error as Error).message
      : `Holdfast could not start: ${explainError(error)}`,
  );
  process.exit(1);
});
