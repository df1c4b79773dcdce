import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { makeHome } from './home.ts';

// Chromium is spoken to in its own protocol, on a pipe (chromedevtools.github.io/devtools-protocol): the little that is needed here is no package.

const names = ['chromium', 'chromium-browser', 'google-chrome'];
const program = (process.env['PATH'] ?? '')
  .split(delimiter)
  .flatMap((folder) => names.map((name) => join(folder, name)))
  .find((path) => existsSync(path));

export const hasBrowser = program !== undefined;

export interface Page {
  /** Runs a function in the page and gives what it returns, or resolves to. Throws what it throws. */
  run<T, A extends unknown[]>(work: (...args: A) => T | Promise<T>, ...args: A): Promise<T>;
  open(url: string): Promise<void>;
  /** What the page could not load or run so far, as its console tells. */
  problems(): readonly string[];
}

export interface Browser {
  newPage(url: string): Promise<Page>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** Messages of JSON, each ended by a zero byte. */
class Wire {
  private count = 0;
  private rest = '';
  private readonly waiting = new Map<number, { done(result: never): void; failed(error: Error): void }>();
  readonly heard: ((message: Message) => void)[] = [];

  constructor(
    private readonly out: Writable,
    back: Readable,
  ) {
    back.setEncoding('utf8').on('data', (text: string) => {
      const messages = (this.rest + text).split('\0');
      this.rest = messages.pop() ?? '';
      for (const message of messages) this.take(JSON.parse(message) as Message);
    });
    back.on('close', () => {
      for (const { failed } of this.waiting.values()) failed(new Error('The browser has ended.'));
    });
  }

  ask<T>(method: string, params: object = {}, sessionId?: string): Promise<T> {
    const id = ++this.count;
    this.out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise<T>((done, failed) => this.waiting.set(id, { done, failed }));
  }

  private take(message: Message): void {
    for (const listener of this.heard) listener(message);
    const asked = message.id === undefined ? undefined : this.waiting.get(message.id);
    if (message.id === undefined || asked === undefined) return;
    this.waiting.delete(message.id);
    if (message.error === undefined) asked.done(message.result as never);
    else asked.failed(new Error(message.error.message));
  }
}

export async function startBrowser(): Promise<Browser> {
  const home = makeHome('browser');
  const options = ['--headless', '--remote-debugging-pipe', '--disable-gpu', '--no-first-run', '--no-proxy-server'];
  // As root it has no sandbox of its own, and what it loads is ours.
  const child = spawn(program ?? '', [...options, '--no-sandbox', `--user-data-dir=${home}`, 'about:blank'], {
    env: { PATH: process.env['PATH'], HOME: home },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const wire = new Wire(child.stdio[3] as Writable, child.stdio[4] as Readable);
  await wire.ask('Browser.getVersion');
  return {
    newPage: async (url) => {
      const page = new ChromiumPage(wire);
      await page.begin();
      await page.open(url);
      return page;
    },
    close: () => end(child, wire, home),
  };
}

async function end(child: ChildProcess, wire: Wire, home: string): Promise<void> {
  const exit = once(child, 'close');
  await wire.ask('Browser.close').catch(() => undefined);
  await exit;
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}

class ChromiumPage implements Page {
  private session = '';
  private readonly told: string[] = [];

  constructor(private readonly wire: Wire) {}

  async begin(): Promise<void> {
    const { targetId } = await this.wire.ask<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
    const attached = { targetId, flatten: true };
    this.session = (await this.wire.ask<{ sessionId: string }>('Target.attachToTarget', attached)).sessionId;
    this.wire.heard.push((message) => {
      if (message.sessionId === this.session) this.told.push(...problemIn(message));
    });
    for (const part of ['Page', 'Runtime', 'Log']) await this.ask(`${part}.enable`);
  }

  async open(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.wire.heard.push(({ sessionId, method }) => {
        if (sessionId === this.session && method === 'Page.loadEventFired') resolve();
      });
    });
    const { errorText } = await this.ask<{ errorText?: string }>('Page.navigate', { url });
    if (errorText !== undefined) throw new Error(`${url} was not opened: ${errorText}`);
    await loaded;
  }

  async run<T, A extends unknown[]>(work: (...args: A) => T | Promise<T>, ...args: A): Promise<T> {
    const { result, exceptionDetails } = await this.ask<{
      result: { value: T };
      exceptionDetails?: { exception?: { description?: string } };
    }>('Runtime.evaluate', {
      expression: `(${work.toString()})(...${JSON.stringify(args)})`,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? 'thrown in the page');
    return result.value;
  }

  problems(): readonly string[] {
    return this.told;
  }

  private ask<T>(method: string, params?: object): Promise<T> {
    return this.wire.ask<T>(method, params, this.session);
  }
}

function problemIn({ method, params = {} }: Message): string[] {
  const { entry, exceptionDetails } = params as {
    entry?: { level: string; text: string; url?: string };
    exceptionDetails?: { text: string };
  };
  if (method === 'Log.entryAdded' && entry?.level === 'error') return [`${entry.text} ${entry.url ?? ''}`.trim()];
  return method === 'Runtime.exceptionThrown' && exceptionDetails !== undefined ? [exceptionDetails.text] : [];
}
