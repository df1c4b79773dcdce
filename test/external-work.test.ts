/** @servers any */
import { createHook } from 'node:async_hooks';
import { spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runInThisContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { Injectable } from '@nestjs/common';
import { makeConfig } from '../src/config/config.ts';
import { readEnvironment } from '../src/config/environment.ts';
import { externalWorkFound } from '../src/transactions/boundary/channels.ts';
import { stops, watches } from '../src/transactions/boundary/external-work-channels.ts';
import type { TransactionOptions } from '../src/transactions/boundary/options.ts';
import { openBoundary } from '../src/transactions/current.ts';
import { ExternalWorkInTransactionError } from '../src/transactions/errors.ts';
import { allowExternalWork } from '../src/transactions/external-work.ts';
import { afterCommit, afterRollback } from '../src/transactions/hooks.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { type Core, startCore } from './support/core.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { Marks, marksLike } from './support/marks.ts';
import { type OutsideServers, startOutsideServers } from './support/outside-servers.ts';
import { testSecret } from './support/secret.ts';

type Start = (servers: OutsideServers) => Promise<unknown>;
const load = createRequire(__filename);
const ownWork = load('./support/outside-work.cjs') as Record<string, Start>;
const kinds: Record<string, string> = {
  ...{ fetch: 'fetch', webSocket: 'fetch', http: 'http', https: 'http', http2: 'http2', http2Session: 'http2' },
  ...{ net: 'socket', unixSocket: 'socket', tls: 'socket', udp: 'udp' },
  ...{ spawn: 'process', exec: 'process', execFile: 'process', fork: 'process', worker: 'worker' },
};

/** Writes a mark, and does something else in the same boundary. */
@Injectable()
class Shop {
  constructor(private readonly marks: Marks) {}

  @Transactional()
  async pay(mark: string, rest: () => Promise<unknown>): Promise<void> {
    await this.marks.write(mark);
    await rest();
  }

  @Transactional({ propagation: 'requires-new' })
  async payApart(mark: string, rest: () => Promise<unknown>): Promise<void> {
    await this.marks.write(mark);
    await rest();
  }
}

let database: TestDatabase;
let servers: OutsideServers;
let core: Core;
let shop: Shop;
let folder: string;
let library: Record<string, Start>;
beforeAll(async () => {
  [database, servers] = await Promise.all([createDatabase(), startOutsideServers()]);
  core = await startCore(database, [Marks, Shop]);
  shop = core.get(Shop);
  folder = mkdtempSync(join(tmpdir(), 'holdfast-library-'));
  library = installLibrary(folder);
});
afterAll(async () => {
  await core.close();
  await Promise.all([database.drop(), servers.close()]);
  rmSync(folder, { recursive: true, force: true });
});

/** A package whose face asks its client, which asks its transport, which does it. */
function installLibrary(home: string): Record<string, Start> {
  const room = join(home, 'node_modules', 'outside-library');
  mkdirSync(room, { recursive: true });
  copyFileSync(join(__dirname, 'support', 'outside-work.cjs'), join(room, 'transport.cjs'));
  const passOn = (next: string): string => `const next = require('./${next}.cjs');
    for (const name of Object.keys(next)) exports[name] = async (servers) => await next[name](servers);`;
  writeFileSync(join(room, 'client.cjs'), passOn('transport'));
  writeFileSync(join(room, 'index.cjs'), passOn('client'));
  return load(join(room, 'index.cjs')) as Record<string, Start>;
}

let counted = 0;
const fresh = (): string => `mark-${++counted}-`;
const stored = (mark: string): Promise<string[]> => marksLike(database, mark);
const errorOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'it was stored',
    (error: unknown) => error,
  );
const ignore = (): void => undefined;
const request = (): Promise<unknown> => ownWork['http']!(servers);

/** What is published while the work runs. */
async function found(work: () => Promise<unknown>): Promise<{ boundary: string; error: Error }[]> {
  const messages: { boundary: string; error: Error }[] = [];
  const heard = (message: unknown): void => void messages.push(message as (typeof messages)[0]);
  externalWorkFound.subscribe(heard);
  try {
    await work();
  } finally {
    externalWorkFound.unsubscribe(heard);
  }
  return messages;
}

describe.each(Object.entries(kinds))('%s', (name, kind) => {
  it('started by a service in a boundary fails it, and nothing is stored', async () => {
    const mark = fresh();
    const error = await errorOf(shop.pay(mark, () => ownWork[name]!(servers)));
    expect(error).toBeInstanceOf(ExternalWorkInTransactionError);
    expect(error).toMatchObject({ kind, boundary: 'Shop.pay' });
    expect((error as ExternalWorkInTransactionError).startedAt).toMatch(/outside-work\.cjs.*external-work\.test\.ts/s);
    expect(await stored(mark)).toEqual([]);
  });

  it('started by a library three calls deep, which says nothing of its failure, fails it as well', async () => {
    const mark = fresh();
    const error = await errorOf(shop.pay(mark, () => library[name]!(servers).catch(ignore)));
    expect(error).toMatchObject({ name: 'ExternalWorkInTransactionError', kind });
    const { startedAt, stack } = error as ExternalWorkInTransactionError;
    expect(startedAt).toContain('external-work.test.ts');
    expect(startedAt).not.toMatch(/node:|node_modules|src\/transactions/);
    expect(stack).toContain(startedAt);
    expect(await stored(mark)).toEqual([]);
  });

  it('is nobody’s business outside a boundary, or where a reason is given', async () => {
    const mark = fresh();
    const messages = await found(async () => {
      await ownWork[name]!(servers).catch(ignore);
      await shop.pay(mark, () => allowExternalWork('a test of it', () => ownWork[name]!(servers).catch(ignore)));
    });
    expect(messages).toEqual([]);
    expect(await stored(mark)).toEqual([mark]);
  });
});

describe('outside work in a boundary', () => {
  it('is stopped before a byte of it has left', async () => {
    servers.take();
    for (const name of ['fetch', 'webSocket', 'http', 'net', 'unixSocket', 'tls', 'http2', 'udp'])
      await errorOf(shop.pay(fresh(), () => ownWork[name]!(servers)));
    await sleep(100);
    expect(servers.take()).toEqual({ requests: 0, bytes: 0 });
  });

  it('is stopped where it is started: who waits for it is told why', async () => {
    for (const name of ['fetch', 'http', 'https', 'net', 'unixSocket', 'tls', 'http2', 'http2Session']) {
      let told: unknown;
      const error = await errorOf(shop.pay(fresh(), async () => void (told = await errorOf(ownWork[name]!(servers)))));
      // fetch takes the cause over as a text when the Error is of another realm, as Jest's is.
      const reason = name === 'fetch' ? (told as Error).cause : told;
      expect([name, String(reason)]).toEqual([name, expect.stringContaining('ExternalWorkInTransactionError: ')]);
      expect(error).toMatchObject({ kind: kinds[name] });
    }
  });

  it('that is a process is killed, that is a thread is ended', async () => {
    let signal: unknown;
    const error = await errorOf(
      shop.pay(fresh(), async () => {
        const child = spawn('sleep', ['25']);
        [, signal] = (await once(child, 'exit')) as [number | null, string | null];
        await once(new Worker('setInterval(() => undefined, 1000)', { eval: true }), 'exit');
      }),
    );
    expect(error).toMatchObject({ name: 'ExternalWorkInTransactionError', kind: 'process' });
    expect(signal).toBe('SIGKILL');
  });

  it('is told with the host, and without path, query, user and body', async () => {
    for (const name of ['fetch', 'http', 'http2Session']) {
      const error = (await errorOf(shop.pay(fresh(), () => ownWork[name]!(servers)))) as ExternalWorkInTransactionError;
      expect(error.host).toMatch(/^127\.0\.0\.1:\d+$/);
      expect(error.message).toContain(`${kinds[name]} to ${error.host} was started inside Shop.pay`);
      expect(`${error.stack} ${JSON.stringify(error)}`).not.toMatch(/hunter2|token|\/pay/);
    }
  });

  it('is found on connections that are open: a second request of http, of fetch', async () => {
    const opened = jest.fn();
    await request();
    await ownWork['fetch']!(servers);
    subscribe('net.client.socket', opened);
    for (const name of ['http', 'fetch']) {
      const mark = fresh();
      const error = await errorOf(shop.pay(mark, () => ownWork[name]!(servers)));
      expect(error).toMatchObject({ name: 'ExternalWorkInTransactionError', kind: kinds[name] });
      expect(await stored(mark)).toEqual([]);
    }
    unsubscribe('net.client.socket', opened);
    expect(opened).not.toHaveBeenCalled();
  });

  it('is stopped without harm to others who use the same agent', async () => {
    const others = [request(), request()];
    const error = errorOf(shop.pay(fresh(), request));
    const more = [request(), request()];
    expect(await error).toBeInstanceOf(ExternalWorkInTransactionError);
    expect(await Promise.all([...others, ...more])).toEqual([200, 200, 200, 200]);
  });

  it('is left to go on, and nothing is stored, where a connection of fetch is shared with another request', async () => {
    await ownWork['fetch']!(servers);
    // Node's own agent is only within reach of a program by this symbol; one that pipelines comes from a package otherwise.
    const nodes = runInThisContext(`globalThis[Symbol.for('undici.globalDispatcher.1')]`) as object;
    const PipeliningAgent = nodes.constructor as new (options: object) => { close(): Promise<void> };
    const dispatcher = new PipeliningAgent({ connections: 1, pipelining: 10 });
    const ask = async () => (await fetch(`http://127.0.0.1:${servers.port}/`, { dispatcher } as object)).text();
    await ask();
    const other = ask();
    const mark = fresh();
    const [error, answer] = await Promise.all([errorOf(shop.pay(mark, ask)), other]);
    expect(error).toBeInstanceOf(ExternalWorkInTransactionError);
    expect(answer).toBe('done');
    expect(await stored(mark)).toEqual([]);
    await dispatcher.close();
  });

  it('does not end the process when nobody listens for its errors', async () => {
    const unheard = jest.fn();
    process.on('uncaughtException', unheard);
    for (const start of [
      () => get({ host: '127.0.0.1', port: servers.port, agent: servers.agent }),
      () => servers.session.request({ ':path': '/' }),
    ]) {
      const error = await errorOf(
        shop.pay(fresh(), async () => {
          start();
          await sleep(50);
        }),
      );
      expect(error).toBeInstanceOf(ExternalWorkInTransactionError);
    }
    process.off('uncaughtException', unheard);
    expect(unheard).not.toHaveBeenCalled();
  });

  it.each<TransactionOptions['propagation']>(['required', 'mandatory', 'supports', 'nested', 'not-supported'])(
    'fails the outermost boundary also when a %s one in it swallows it',
    async (propagation) => {
      const mark = fresh();
      let inner: unknown;
      const error = await errorOf(
        shop.pay(mark, async () => {
          inner = await errorOf(
            core.run({ name: 'inner', propagation } as TransactionOptions, () => request().catch(ignore)),
          );
        }),
      );
      expect(error).toMatchObject({ name: 'ExternalWorkInTransactionError', kind: 'http' });
      // Its own transaction ends with the savepoint; what has joined, or is set aside, has none.
      if (propagation === 'nested') expect(inner).toBe(error);
      else expect(inner).toBe('it was stored');
      expect(await stored(mark)).toEqual([]);
    },
  );

  it('of a boundary of its own fails that one, and leaves the outer one to who catches it', async () => {
    const [mark, inner] = [fresh(), fresh()];
    await shop.pay(mark, async () => {
      expect(await errorOf(shop.payApart(inner, request))).toMatchObject({ boundary: 'Shop.payApart' });
    });
    expect(await stored(mark)).toEqual([mark]);
    expect(await stored(inner)).toEqual([]);
  });

  it('is named in place of what the work has made of it', async () => {
    const answer = (): Promise<never> =>
      request().then(
        () => Promise.reject(new Error('it was done')),
        () => Promise.reject(new Error('the payment provider is away')),
      );
    expect(await errorOf(shop.pay(fresh(), answer))).toBeInstanceOf(ExternalWorkInTransactionError);
  });

  it('is no reason to run the work again', async () => {
    const work = jest.fn(request);
    await errorOf(shop.pay(fresh(), work));
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('is published once for each transaction, by the application whose it is', async () => {
    const other = await startCore(database, [Marks, Shop]);
    const messages = await found(async () => {
      await errorOf(shop.pay(fresh(), () => Promise.allSettled([request(), request(), ownWork['net']!(servers)])));
      await errorOf(other.get(Shop).pay(fresh(), request));
    });
    await other.close();
    expect(messages.map(({ boundary, error }) => [boundary, error.name])).toEqual([
      ['Shop.pay', 'ExternalWorkInTransactionError'],
      ['Shop.pay', 'ExternalWorkInTransactionError'],
    ]);
    expect(messages[0]?.error).not.toBe(messages[1]?.error);
  });
});

describe('allowExternalWork', () => {
  it('gives what the work gives, and what it throws', async () => {
    expect(allowExternalWork('it answers', () => 7)).toBe(7);
    await expect(allowExternalWork('it answers later', async () => 8)).resolves.toBe(8);
    expect(() =>
      allowExternalWork('it fails', () => {
        throw new RangeError('failed');
      }),
    ).toThrow(RangeError);
  });

  it.each(['', '  '])('needs a reason: not %j', (reason) => {
    const work = jest.fn();
    expect(() => allowExternalWork(reason, work)).toThrow(TypeError);
    expect(work).not.toHaveBeenCalled();
  });

  it('ends with its work: what the boundary starts beside it is found', async () => {
    const mark = fresh();
    const error = await errorOf(
      shop.pay(mark, async () => {
        await allowExternalWork('the first is small', request);
        await request();
      }),
    );
    expect(error).toBeInstanceOf(ExternalWorkInTransactionError);
    expect(await stored(mark)).toEqual([]);
  });
});

describe('what is no outside work in a boundary', () => {
  it('new connections of the pool, by name and with DNS, also beside a boundary that is set aside', async () => {
    const { app, reader } = database.urls;
    const byName = (url: string): string => Object.assign(new URL(url), { hostname: 'localhost' }).href;
    const named = await startCore(database, [Marks, Shop], { urls: { app: byName(app), reader: byName(reader) } });
    const [marks, itsShop] = [named.get(Marks), named.get(Shop)];
    const contexts: unknown[] = [];
    const heard = (): void => void contexts.push(openBoundary());
    const lookups = countLookups();
    subscribe('net.client.socket', heard);
    const mark = fresh();
    const pids = new Set<number>();
    const deep = (depth: number): Promise<void> =>
      itsShop.payApart(`${mark}${depth}`, async () => {
        pids.add(await marks.pid());
        if (depth > 0) await deep(depth - 1);
        else await named.run({ propagation: 'not-supported' }, async () => pids.add(await marks.pid()));
      });
    await deep(2);
    unsubscribe('net.client.socket', heard);
    await named.close();
    expect(pids.size).toBe(4);
    // One was there: the start asks the primary for its version.
    expect(contexts.length).toBeGreaterThanOrEqual(3);
    expect(new Set(contexts)).toEqual(new Set([null]));
    expect(lookups.count()).toBeGreaterThanOrEqual(3);
    expect(await stored(mark)).toHaveLength(3);
  });

  it('work before and after it, in its hooks, and work that has outlived it', async () => {
    const done: unknown[] = [];
    const mark = fresh();
    let late: Promise<unknown> = Promise.resolve();
    const messages = await found(async () => {
      done.push(await request());
      await shop.pay(mark, async () => {
        afterCommit(async () => done.push(await request()));
        late = sleep(100).then(request);
      });
      done.push(await request(), await late);
      const failed = shop.pay(fresh(), async () => {
        afterRollback(async () => done.push(await request()));
        throw new Error('thrown');
      });
      await errorOf(failed);
      for (const propagation of ['supports', 'not-supported', 'never'] as const)
        done.push(await core.run({ propagation }, request));
    });
    expect(done).toEqual(Array(8).fill(200));
    expect(messages).toEqual([]);
    expect(await stored(mark)).toEqual([mark]);
  });

  it('but a hook of a boundary of its own is work inside the one around it, which keeps its locks', async () => {
    const [mark, inner] = [fresh(), fresh()];
    const error = await errorOf(
      shop.pay(mark, () => shop.payApart(inner, async () => afterCommit(() => request().catch(ignore)))),
    );
    expect(error).toMatchObject({ name: 'ExternalWorkInTransactionError', boundary: 'Shop.pay' });
    expect(await stored(mark)).toEqual([]);
    expect(await stored(inner)).toEqual([inner]);
  });

  it('cannot be told from what Node publishes nothing of: files, DNS, what blocks, bytes on an open socket', async () => {
    const mark = fresh();
    const open = createSocket('udp4');
    await shop.pay(mark, async () => {
      readFileSync(__filename);
      spawnSync(process.execPath, ['-e', '']);
      await lookup('localhost');
      await new Promise((resolve) => open.send('x', servers.udpPort, '127.0.0.1', resolve));
    });
    open.close();
    expect(await stored(mark)).toEqual([mark]);
  });
});

describe('EXTERNAL_WORK', () => {
  const modeOf = (variables: Record<string, string>): string => {
    const own = { DATABASE_WRITE_URL: database.urls.app, AUTH_SECRET: testSecret };
    const environment = readEnvironment({ ...own, ...variables });
    return makeConfig(environment as Parameters<typeof makeConfig>[0]).transactions.externalWork;
  };

  it('is raise unless it is set, and log in production', () => {
    expect(modeOf({})).toBe('raise');
    expect(modeOf({ NODE_ENV: 'test' })).toBe('raise');
    expect(modeOf({ NODE_ENV: 'production' })).toBe('log');
    expect(modeOf({ NODE_ENV: 'production', EXTERNAL_WORK: 'raise' })).toBe('raise');
    expect(modeOf({ EXTERNAL_WORK: 'off' })).toBe('off');
  });

  it('log: the work is done, the boundary is stored, one warning says what was started where', async () => {
    const warnings: unknown[][] = [];
    const logger = { log: ignore, error: ignore, warn: (...line: unknown[]) => void warnings.push(line) };
    const logging = await startCore(database, [Marks, Shop], {
      variables: { EXTERNAL_WORK: 'log' },
      logger: logger,
    });
    const mark = fresh();
    servers.take();
    warnings.length = 0;
    const messages = await found(() =>
      logging.get(Shop).pay(mark, async () => {
        expect(await request()).toBe(200);
        expect(await ownWork['fetch']!(servers)).toBe('done');
      }),
    );
    await logging.close();
    expect(await stored(mark)).toEqual([mark]);
    expect(servers.take().requests).toBe(2);
    expect(messages.map(({ boundary }) => boundary)).toEqual(['Shop.pay']);
    expect(warnings).toHaveLength(1);
    const [said, text] = warnings[0] as [
      { err: ExternalWorkInTransactionError; boundary: string; kind: string },
      string,
    ];
    expect(text).toBe('outside work was started inside a boundary');
    expect(said).toMatchObject({ boundary: 'Shop.pay', kind: 'http' });
    expect(said.err.stack).toContain('external-work.test.ts');
    expect(`${said.err.stack} ${JSON.stringify(warnings)}`).not.toMatch(/hunter2|token|\/pay/);
  });

  it('off, or a shutdown: nothing listens to Node', async () => {
    const names = [...watches, ...stops].map(({ channel: name }) => name);
    const heard = (): string[] => names.filter((name) => channel(name).hasSubscribers);
    expect(new Set(heard())).toEqual(new Set(names));
    await core.close();
    const before = heard();
    const off = await startCore(database, [Marks, Shop], { variables: { EXTERNAL_WORK: 'off' } });
    const mark = fresh();
    await off.get(Shop).pay(mark, request);
    const during = heard();
    await off.close();
    core = await startCore(database, [Marks, Shop]);
    shop = core.get(Shop);
    expect([before, during]).toEqual([[], []]);
    expect(await stored(mark)).toEqual([mark]);
  });
});

/** How often a name is looked up, in this process. */
function countLookups(): { count(): number } {
  let lookups = 0;
  const hook = createHook({ init: (_, type) => void (type === 'GETADDRINFOREQWRAP' && lookups++) }).enable();
  return {
    count: () => {
      hook.disable();
      return lookups;
    },
  };
}
