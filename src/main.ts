import 'reflect-metadata';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { demo, seed } from '../prisma/seed.ts';
import { createApp } from './app.ts';
import { ConfigError } from './config/environment.ts';
import { ClusterError } from './database/embedded/cluster.ts';
import { SchemaVersionError } from './database/schema-version.ts';
import { explainError } from './operations/describe-error.ts';
import { Shutdown } from './operations/shutdown.ts';
import { type Provision, provision } from './provision.ts';
import { BoundaryTableError } from './transactions/errors.ts';
import { unitOfWork } from './transactions/unit-of-work.ts';
import { LoggableError } from './kernel/loggable-error.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const provided = provision((line) => say(`  ${line}`));
  const stopProvided = (): Promise<void> =>
    provided.then(
      (known) => known.stop(),
      () => undefined,
    );
  const shutdown = new Shutdown({ afterwards: stopProvided, exit: (code) => process.exit(code), report: say });
  try {
    await serve(await provided, shutdown);
  } catch (error) {
    // What fails because the ground is being taken away is no failure to tell of; the shutdown ends the process.
    if (shutdown.isOn) return;
    await stopProvided();
    throw error;
  }
}

async function serve(provided: Provision, shutdown: Shutdown): Promise<void> {
  const { config, isEmbedded } = provided;
  if (shutdown.isOn) return;
  const app = await createApp(config);
  shutdown.serve(app, config.shutdown);
  await unitOfWork('the start of the service', () => app.init());
  if (isEmbedded && (await unitOfWork('seed', () => seed(app)))) say('  demo data added');
  await listen(app, config.http);
  say(banner(await app.getUrl(), provided));
}

async function listen(app: NestFastifyApplication, { host, port }: Provision['config']['http']): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE')
      throw new StartError(
        `Port ${port} is taken. Stop what listens there, or choose another: PORT=${port + 1} npm start`,
      );
    if (code === 'EACCES')
      throw new StartError(`Port ${port} may not be used by this user. Choose one above 1023: PORT=3000 npm start`);
    if (code === 'EADDRNOTAVAIL')
      throw new StartError(`This machine has no address ${host}. Set HOST to one it has, or to 0.0.0.0.`);
    throw error;
  }
}

class StartError extends LoggableError {}

function banner(url: string, { isEmbedded, cluster }: Provision): string {
  const lines = [
    '',
    `Holdfast is ready at ${url} after ${(performance.now() / 1000).toFixed(1)} s`,
    `  documentation  ${url}/docs`,
  ];
  if (isEmbedded) {
    const people = Object.values(demo).map(({ email, password }) => `${email} · ${password}`);
    lines.push(
      `  demo people    ${people.join('\n                 ')}`,
      `  data           ${cluster?.home} (PostgreSQL ${cluster?.version}, primary and replica)`,
    );
  }
  return [...lines, '  to stop        Ctrl-C', ''].join('\n');
}

// A known reason is one sentence for a person; anything else shows where it arose.
const known = [ConfigError, ClusterError, SchemaVersionError, BoundaryTableError, StartError];

main().catch((error: unknown) => {
  say(
    known.some((kind) => error instanceof kind)
      ? (error as Error).message
      : `Holdfast could not start: ${explainError(error)}`,
  );
  process.exit(1);
});
