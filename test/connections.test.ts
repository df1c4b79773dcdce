/** @servers any */
import { connect, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { networkOf, Stage } from '../src/http/limits/stage.ts';
import { serve, startApp, type TestApp, type Variables } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';

let service: TestApp;
let ada: Person;
beforeAll(async () => {
  service = await startApp();
  const make = makers(service);
  ada = await make.user({ balance: 1000 });
});
afterAll(() => service.close());

/** Milliseconds within which a limit of time counts as kept, on a busy machine. */
const slackMs = 15_000;
const limitMs = 1000;

/** A client of one's own making, and what has come back so far. */
class Client {
  text = '';
  readonly closed: Promise<void>;
  readonly startedAt = performance.now();
  constructor(readonly socket: Socket) {
    socket.setEncoding('utf8').on('data', (chunk: string) => (this.text += chunk));
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()));
  }
  get age(): number {
    return performance.now() - this.startedAt;
  }
}

const open = (url: string, first = ''): Client => {
  const { hostname, port } = new URL(url);
  return new Client(
    connect(Number(port), hostname, function (this: Socket) {
      if (first !== '') this.write(first);
    }),
  );
};

async function limited(variables: Variables, work: (url: string, server: Server) => Promise<void>): Promise<void> {
  const { app, url } = await serve(service.database, variables);
  await work(url, app.getHttpServer()).finally(() => app.close());
}

const head = (first: string, ...lines: string[]): string => `${[first, 'Host: a', ...lines].join('\r\n')}\r\n\r\n`;
const json = 'Content-Type: application/json';
const half = head('POST /v1/sessions HTTP/1.1', json, 'Content-Length: 5000');
const quick = (url: string) => fetch(`${url}/v1/products`).then(({ status }) => status);

/** Sends a byte from time to time for as long as the other side listens. */
async function drip({ socket }: Client, byte: string): Promise<void> {
  while (!socket.destroyed) {
    await sleep(200);
    if (!socket.connecting) socket.write(byte);
  }
}

describe('a client that does not go on is cut', () => {
  const stages: [stage: string, first: string, byte: string | null, answer: RegExp][] = [
    ['connected, nothing sent', '', null, /^HTTP\/1\.1 408 |^$/],
    ['in the headers, silent', 'GET /v1/products HTTP/1.1\r\nHost: a\r\nX: ', null, /^HTTP\/1\.1 408 /],
    ['in the headers, a byte at a time', 'GET /v1/products HTTP/1.1\r\nHost: a\r\nX: ', 'y', /^HTTP\/1\.1 408 /],
    ['in the body, silent', `${half}{`, null, /^HTTP\/1\.1 408 /],
    ['in the body, a byte at a time', `${half}{`, ' ', /^HTTP\/1\.1 408 /],
    [
      'in the chunks of a body',
      `${head('POST /v1/sessions HTTP/1.1', json, 'Transfer-Encoding: chunked')}1\r\n{\r\n`,
      null,
      /^HTTP\/1\.1 408 /,
    ],
  ];
  it.each(stages)('%s', (_, first, byte, answer) =>
    limited({ HTTP_REQUEST_TIMEOUT_MS: String(limitMs) }, async (url) => {
      const client = open(url, first);
      if (byte !== null) void drip(client, byte);
      await client.closed;
      expect(client.age).toBeGreaterThan(limitMs * 0.9);
      expect(client.age).toBeLessThan(limitMs + slackMs);
      expect(client.text).toMatch(answer);
      if (client.text !== '') expect(client.text).toContain('"code":"request-too-slow"');
      expect(await quick(url)).toBe(200);
    }),
  );

  it('idle between two requests', () =>
    limited({ HTTP_KEEP_ALIVE_MS: '500' }, async (url) => {
      const client = open(url, head('GET /livez HTTP/1.1'));
      await client.closed;
      expect(client.text).toMatch(/^HTTP\/1\.1 200 /);
      expect(client.age).toBeLessThan(slackMs);
    }));

  it('that does not read its answers', () =>
    limited({ HTTP_RESPONSE_TIMEOUT_MS: String(limitMs) }, async (url, server) => {
      const client = open(url);
      client.socket.pause();
      // More than the buffers of the system hold.
      for (let sent = 0; sent < 200; sent++) client.socket.write(head('GET /openapi.json HTTP/1.1'));
      const connections = () => promisify(server.getConnections.bind(server))();
      await eventually(connections, (count) => count === 1, slackMs);
      // Who does not read does not see the end either.
      await eventually(connections, (count) => count === 0, limitMs + slackMs);
      client.socket.destroy();
      expect(await quick(url)).toBe(200);
    }));

  it('that reads its answers a little at a time', () =>
    limited({ HTTP_RESPONSE_TIMEOUT_MS: String(limitMs) }, async (url) => {
      const client = open(url);
      for (let sent = 0; sent < 200; sent++) client.socket.write(head('GET /openapi.json HTTP/1.1'));
      const reading = setInterval(() => {
        client.socket.resume();
        setImmediate(() => client.socket.pause());
      }, 300);
      await client.closed.finally(() => clearInterval(reading));
      expect(client.age).toBeLessThan(limitMs + slackMs);
    }));
});

describe('however many do not go on, others are served', () => {
  it('while bodies are stalled, of which none counts as in flight', () =>
    limited({ HTTP_MAX_IN_FLIGHT: '2', HTTP_REQUEST_TIMEOUT_MS: '3000' }, async (url) => {
      const stalled = Array.from({ length: 50 }, () => open(url, `${half}{`));
      const statuses: number[] = [];
      for (let turn = 0; turn < 20; turn++) statuses.push(await quick(url));
      expect(new Set(statuses)).toEqual(new Set([200]));
      await Promise.all(stalled.map(({ closed }) => closed));
      for (const { text } of stalled) expect(text).toMatch(/^HTTP\/1\.1 408 /);
    }));

  it('and the one that takes longest makes room for the next', () =>
    limited({ HTTP_MAX_ARRIVING: '8', HTTP_REQUEST_TIMEOUT_MS: '60000' }, async (url) => {
      const stalled: Client[] = [];
      for (let count = 0; count < 6; count++) {
        stalled.push(open(url, `${half}{`));
        await sleep(50);
      }
      // Four of one address at a time: the first two are gone.
      await Promise.all(stalled.slice(0, 2).map(({ closed }) => closed));
      for (const { text } of stalled.slice(0, 2)) expect(text).toContain('"code":"request-too-slow"');
      const { status } = await fetch(`${url}/v1/accounts`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ada.token}`, 'content-type': 'application/json' },
        body: '{"currency":"EUR"}',
      });
      expect(status).toBe(201);
      expect(stalled[5]?.text).toBe('');
      for (const { socket } of stalled) socket.destroy();
    }));

  it('and connections beyond their bound are closed', () =>
    limited({ HTTP_MAX_CONNECTIONS: '8' }, async (url) => {
      const clients = Array.from({ length: 12 }, () => open(url));
      // Four of one address.
      await Promise.race(clients.slice(8).map(({ closed }) => closed));
      for (const { socket } of clients) socket.destroy();
      await Promise.all(clients.map(({ closed }) => closed));
      expect(await quick(url)).toBe(200);
    }));
});

describe('a stage', () => {
  const bounds = { most: 4, mostOfAddress: 2, mostBytes: 100 };
  const stageOf = () => {
    const cut: string[] = [];
    const stage = new Stage(bounds);
    return {
      cut,
      enter: (name: string, address: string, bytes = 1) => stage.enter(address, bytes, () => cut.push(name)),
    };
  };

  it('cuts the oldest of an address that has too many, and of all where all are too many', () => {
    const { cut, enter } = stageOf();
    for (const [name, address] of [
      ['a1', 'a'],
      ['a2', 'a'],
      ['a3', 'a'],
      ['b1', 'b'],
      ['b2', 'b'],
      ['c1', 'c'],
    ] as const)
      enter(name, address);
    expect(cut).toEqual(['a1', 'a2']);
  });

  it('cuts the oldest where their bytes are too many, and lets in alone who has more', () => {
    const { cut, enter } = stageOf();
    enter('a', 'a', 60);
    const leave = enter('b', 'b', 30);
    leave();
    enter('c', 'c', 40);
    enter('d', 'd', 50);
    expect(cut).toEqual(['a']);
    enter('e', 'e', 1000);
    expect(cut).toEqual(['a', 'c', 'd']);
  });

  it('counts a network of IPv6 as one address, and IPv4 however it is written', () => {
    expect(networkOf('::ffff:10.0.0.1')).toBe(networkOf('10.0.0.1'));
    expect(networkOf('2001:db8::1')).toBe(networkOf('2001:db8:0:0:ffff::2'));
    expect(networkOf('2001:db8:0:1::1')).not.toBe(networkOf('2001:db8::1'));
    expect(networkOf('::1')).toBe('0:0:0:0');
  });
});
