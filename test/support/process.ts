import { randomUUID } from 'node:crypto';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmdirSync, statSync } from 'node:fs';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keepLine } from './service-errors.ts';
import { unlimited } from './unlimited.ts';

/** The built service in a process of its own. */
export interface ServiceProcess {
  readonly pid: number;
  /** Where it listens; rejects with what it said when it ends before that. */
  readonly url: Promise<string>;
  readonly exit: Promise<Exit>;
  /** What it has written for people so far. */
  said(): string;
  /** The lines of its log so far. */
  logged(): readonly string[];
  kill(signal: NodeJS.Signals): void;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly said: string;
}

const running = new Set<ChildProcess>();

/** Builds what has changed. One test file at a time: they share the folder. */
export async function buildService(): Promise<void> {
  const lock = join(tmpdir(), 'holdfast-build-lock');
  while (!taken(lock)) await sleep(100);
  try {
    const { status, stderr } = spawnSync(process.execPath, ['tools/start.mjs', '--build-only'], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  } finally {
    rmdirSync(lock);
  }
}

const staleMs = 60_000;
function taken(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch {
    const made = statSync(lock, { throwIfNoEntry: false })?.mtimeMs;
    if (made !== undefined && Date.now() - made > staleMs) rmdirSync(lock);
    return false;
  }
}

/** What a program needs of our environment: where others lie, and what Node has compiled already. */
export function leastEnvironment(): Record<string, string | undefined> {
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE } = process.env;
  return { PATH, HOME, NODE_COMPILE_CACHE };
}

/** Starts it with these variables and none of ours. `cwd`: where it looks for .env and the migrations. */
export const startService = (variables: Record<string, string | undefined>, cwd = process.cwd()): ServiceProcess =>
  startProgram([join(process.cwd(), 'dist', 'src', 'main.js')], variables, cwd);

/** The same for another program that says where it is ready. */
export function startProgram(
  program: readonly string[],
  variables: Record<string, string | undefined>,
  cwd = process.cwd(),
): ServiceProcess {
  const child = spawn(process.execPath, program, {
    cwd,
    env: { ...leastEnvironment(), HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'warn', ...unlimited, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    keepLine(line);
  });
  let said = '';
  const exit = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal, said });
    });
  });
  const url = new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const [, ready] = /ready at (http\S+)/.exec(said) ?? [];
      if (ready !== undefined) resolve(ready);
    });
    void exit.then((end) => reject(new Error(`the service ended with ${end.code ?? end.signal}:\n${end.said}`)));
  });
  url.catch(() => undefined);
  const kill = (signal: NodeJS.Signals): void => void child.kill(signal);
  return { pid: child.pid ?? 0, url, exit, said: () => said, logged: () => lines, kill };
}

/** For afterAll: nothing that a failed test has started goes on. */
export async function killServices(): Promise<void> {
  for (const child of running) child.kill('SIGKILL');
  while (running.size > 0) await sleep(10);
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

/** A client that keeps its connections, as a balancer does. Rejects when a connection breaks. */
export function keepAliveClient(connections = 8) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const send = (
    method: string,
    url: string,
    token?: string,
    body?: object,
    key: string = randomUUID(),
  ): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const headers = {
        ...(method === 'POST' && { 'idempotency-key': key }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      };
      const sent = request(url, { method, agent, headers }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('error', reject);
        response.on('end', () => {
          const parsed: unknown = text === '' ? null : JSON.parse(text);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed });
        });
      });
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  return { send, close: () => agent.destroy() };
}
