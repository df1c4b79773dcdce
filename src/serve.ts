import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from './app.ts';
import { DatabaseClients } from './database/database-clients.ts';
import { publishedPeople, seed } from './embedded/demo/seed.ts';
import { explainError } from './operations/describe-error.ts';
import { Drain } from './operations/drain.ts';
import type { EarlyListener } from './operations/early-listener.ts';
import type { Drainable, Shutdown } from './operations/shutdown.ts';
import { StartError } from './operations/start-error.ts';
import type { Provision } from './provision.ts';
import { unitOfWork } from './transactions/unit-of-work.ts';

interface Surrounding {
  readonly early: EarlyListener;
  readonly shutdown: Shutdown;
  readonly say: (line: string) => void;
}

/**
 * Makes the service on what was provided, starts it, and listens where the early listener does; nothing more where it is stopped meanwhile.
 * Apart from main, which loads it while the database starts. Throws StartError, and what else keeps it from starting.
 */
export async function serve(provided: Provision, { early, shutdown, say }: Surrounding): Promise<void> {
  if (shutdown.isOn) return;
  const app = await createApp(provided.config);
  shutdown.serve(drainable(app), provided.config.shutdown);
  await unitOfWork('the start of the service', () => app.init());
  const isNew = provided.isPrivate && provided.isEmbedded && (await unitOfWork('seed', () => seed(app))) === 'added';
  if (isNew) say('  demo data added');
  if (!provided.isPrivate) await refusePublishedPasswords(app);
  if (shutdown.isOn) return;
  await app.listen(early.handOver());
  shutdown.drains = true;
  const seconds = performance.now() / 1000;
  // Which of the demo people still have their passwords takes some hashing. It is only told: a service that serves does not end for it.
  const people = provided.isPrivate ? await demoPeople(app).catch((error: unknown) => unknown(error, say)) : [];
  if (shutdown.isOn) return;
  say(banner(app, { ...provided, seconds, people }));
}

function drainable(app: NestFastifyApplication): Drainable {
  const begin = (): void => {
    app.get(Drain).begin();
    // Nest closes an application when its start has come to an end.
    app.get(DatabaseClients).stopWaiting();
  };
  return { begin, close: () => app.close() };
}

/** The demo people as they can log in. */
const demoPeople = (app: NestFastifyApplication) => unitOfWork('the published passwords', () => publishedPeople(app));

function unknown(error: unknown, say: Surrounding['say']): [] {
  say(`  the demo people could not be looked up: ${explainError(error)}`);
  return [];
}

async function refusePublishedPasswords(app: NestFastifyApplication): Promise<void> {
  const people = await demoPeople(app);
  if (people.length === 0) return;
  throw new StartError(
    'The demo people of this database have published passwords, and this start is for production or for a HOST that others reach. Give them other passwords, or use another database.',
  );
}

/** Where it really listens. */
function addressOf(app: NestFastifyApplication): string {
  const { address, family, port } = app.getHttpServer().address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

interface Told extends Provision {
  /** Since the process began. */
  readonly seconds: number;
  readonly people: Awaited<ReturnType<typeof publishedPeople>>;
}

function banner(app: NestFastifyApplication, told: Told): string {
  const { config, isEmbedded, isPrivate, home, version, seconds, people } = told;
  const url = addressOf(app);
  const lines = ['', `Holdfast is ready at ${url} after ${seconds.toFixed(1)} s`, `  documentation  ${url}/docs`];
  if (config.mail.goes === 'into a list') lines.push(`  caught mail    ${url}/dev/mail`);
  const named = people.map(({ email, password }) => `${email} · ${password}`);
  if (named.length > 0) lines.push(`  demo people    ${named.join('\n                 ')}`);
  if (isEmbedded) lines.push(`  data           ${home} (PostgreSQL ${version}, primary and replica)`);
  if (isEmbedded && !isPrivate)
    lines.push('                 all data and the generated secret are lost with this folder (EMBEDDED_DATABASE)');
  return [...lines, '  to stop        Ctrl-C', ''].join('\n');
}
