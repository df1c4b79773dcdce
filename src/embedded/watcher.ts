import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { plainEnvironment } from './processes.ts';

// It reads from a pipe that nobody writes to: the read ends when this process does, by whatever signal. The server's pid file may be a
// moment late, and its number may have been given to another process: on Linux only one that works in that folder is ended.
const script = `
trap '' HUP INT TERM
read -r line
isOurs() {
  read -r pid < "$1/postmaster.pid" || return 1
  folder=$(readlink "/proc/$pid/cwd") || folder=$1
  [ "$folder" = "$1" ] && kill -0 "$pid"
}
n=0; until isOurs "$1"; do n=$((n + 1)); [ $n -lt 50 ] || exit 0; sleep 0.1; done
kill -INT "$pid"
n=0; while isOurs "$1"; do n=$((n + 1)); [ $n -lt 150 ] || break; sleep 0.1; done
isOurs "$1" && kill -QUIT "$pid"
`;

/** Ends a server when this process has ended without doing so. */
export interface Watcher {
  dismiss(): void;
}

/** Watches over the server that is about to run in this data folder. Not on Windows, where the next start ends what is left. */
export function watchOver(folder: string): Watcher {
  if (process.platform === 'win32') return { dismiss: () => undefined };
  const env = plainEnvironment();
  const shell = spawn('/bin/sh', ['-c', script, 'holdfast-watcher', folder], {
    cwd: '/',
    detached: true,
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a shell the next start ends what is left.
  shell.on('error', () => undefined);
  forget(shell);
  return { dismiss: () => void shell.kill('SIGKILL') };
}

/** It is nothing that this process waits for. */
function forget(shell: ChildProcess): void {
  shell.unref();
  const pipe = shell.stdin as Socket | null;
  pipe?.on('error', () => undefined);
  pipe?.unref();
}
