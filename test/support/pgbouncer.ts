import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ask } from './own-cluster.ts';
import { eventually } from './crowd.ts';
import { makeHome } from './home.ts';

const program = '/usr/sbin/pgbouncer';

/** Debian's; CI installs it. */
export const hasPgBouncer = existsSync(program);

export interface PgBouncer {
  /** The same database through it, with the rights of the URL that it was started for, whoever asks. */
  readonly url: string;
  close(): Promise<void>;
}

export interface PgBouncerSettings {
  readonly mode: 'transaction' | 'session';
  readonly size?: number;
  /** The session that was not used for longest comes next, not the one that was used last. */
  readonly isRoundRobin?: boolean;
}

/** A PgBouncer that carries no prepared statements over and drops the limits that are told at the start of a session. */
export async function startPgBouncer(
  url: string,
  { mode, size = 4, isRoundRobin = false }: PgBouncerSettings,
): Promise<PgBouncer> {
  const home = makeHome('pgbouncer');
  const { hostname, port, username, password } = new URL(url);
  const ownPort = await freePort();
  const limits = 'statement_timeout,lock_timeout,idle_in_transaction_session_timeout';
  const carriesNames = / 1\.(1\d|20)\./.test(spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout);
  const settings = [
    '[databases]',
    `* = host=${hostname} port=${port} user=${decodeURIComponent(username)} password='${decodeURIComponent(password)}'`,
    '[pgbouncer]',
    `listen_addr = 127.0.0.1`,
    `listen_port = ${ownPort}`,
    'unix_socket_dir =',
    'auth_type = any',
    `pool_mode = ${mode}`,
    `default_pool_size = ${size}`,
    `server_round_robin = ${Number(isRoundRobin)}`,
    `ignore_startup_parameters = extra_float_digits,options,${limits}`,
    // Since 1.21 it can keep them.
    ...(carriesNames ? [] : ['max_prepared_statements = 0']),
  ];
  const file = join(home, 'pgbouncer.ini');
  writeFileSync(file, `${settings.join('\n')}\n`);
  const asNobody = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn(program, ['-q', ...asNobody, file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const own = Object.assign(new URL(url), { port: String(ownPort) }).href;
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(home, { recursive: true, force: true });
  };
  const isUp = await eventually(
    () =>
      ask(own, 'SELECT 1').then(
        () => true,
        () => false,
      ),
    (up) => up || child.exitCode !== null,
  );
  if (isUp) return { url: own, close };
  await close();
  throw new Error(`PgBouncer has not started:\n${said}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
