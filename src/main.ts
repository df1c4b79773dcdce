import { ConfigError, valueOf } from './config/environment.ts';
import { ClusterError } from './embedded/cluster.ts';
import { SchemaVersionError } from './database/schema-version.ts';
import { StatementNamesError } from './database/statement-names.ts';
import { explainError } from './operations/describe-error.ts';
import { EarlyListener } from './operations/early-listener.ts';
import { Shutdown } from './operations/shutdown.ts';
import { StartError } from './operations/start-error.ts';
import { type Provision, provision as provide } from './provision.ts';
import { readSurroundings } from './surroundings.ts';
import { BoundaryTableError } from './transactions/errors.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

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
    const provision = provide(surroundings, progress);
    provided = provision;
    const known = await provision;
    const { serve } = await loadService();
    void known.failed.then(({ message }) => shutdown.fail(message));
    await serve(known, { early, shutdown, say });
  } catch (error) {
    // What fails because the ground is being taken away is no failure to tell of; the shutdown ends the process.
    if (shutdown.isOn) return;
    await stopProvided();
    throw error;
  }
}

// It takes longer to load than its database to start, and holds up this process meanwhile.
const load = () => import('./serve.ts');
let loading: ReturnType<typeof load> | null = null;
const loadService = () => (loading ??= load());

/** What is told is done next, by a process of PostgreSQL's: once that is under way the service is loaded beside it. */
function progress(line: string): void {
  say(`  ${line}`);
  setImmediate(() => void loadService().catch(() => undefined)); // who serves is told
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
