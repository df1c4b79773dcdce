import type { ChildProcess } from 'node:child_process';
import type { Socket as UdpSocket } from 'node:dgram';
import type { ClientRequest } from 'node:http';
import type { ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Worker } from 'node:worker_threads';
import type { ExternalWorkKind } from '../errors.ts';

/** Work outside the database that has been started. */
export interface ExternalWork {
  readonly kind: ExternalWorkKind;
  /** As ExternalWorkInTransactionError tells it. */
  readonly host: string | null;
  /** Ends it, or has it ended as soon as that is possible. Whoever started it is told the error, where Node can tell it. */
  stop(error: Error): void;
}

/** A channel of Node on which outside work is published at its start, in the context of whoever starts it. */
interface Watch {
  readonly channel: string;
  /** What the message says; null when it is part of work that another channel tells of. `stack` is that of the call. */
  readonly read: (message: unknown, stack: string) => ExternalWork | null;
}

/** A channel on which work comes by again, at the moment when it can be stopped. */
interface Stop {
  readonly channel: string;
  readonly stop: (message: unknown) => void;
}

/** A request of undici, as its channels document it. */
interface FetchRequest {
  readonly origin?: string | URL;
  readonly completed: boolean;
}

const watch = <Message>(channel: string, read: (message: Message, stack: string) => ExternalWork | null): Watch => ({
  channel,
  read: read as Watch['read'],
});
const stopAt = <Message>(channel: string, stop: (message: Message) => void): Stop => ({
  channel,
  stop: stop as Stop['stop'],
});

// What cannot be stopped yet when its start is published.
const condemned = new WeakMap<object, Error>();
const condemn = (work: object) => (error: Error) => void condemned.set(work, error);

// Sources: Node 24, "Diagnostics Channel", Built-in Channels; undici, "Diagnostics Channel Support". Node publishes nothing of files,
// of DNS, of bytes on a connection that is open, and of what blocks the process (spawnSync, execSync).
export const watches: readonly Watch[] = [
  watch<{ request: FetchRequest }>('undici:request:create', ({ request }) => ({
    kind: 'fetch',
    host: hostOf(request.origin),
    stop: condemn(request),
  })),
  watch<{ request: ClientRequest }>('http.client.request.created', ({ request }) => ({
    kind: 'http',
    host: hostOf(`${request.protocol}//${String(request.getHeader('host') ?? request.host)}`),
    stop: (error) => void unheard(request).destroy(error),
  })),
  watch<{ stream: ClientHttp2Stream }>('http2.client.stream.created', ({ stream }) => ({
    kind: 'http2',
    host: hostOf(`https://${String(stream.sentHeaders[':authority'])}`),
    stop: (error) => void unheard(stream).destroy(error),
  })),
  watch<{ socket: Socket }>('net.client.socket', ({ socket }, stack) => {
    const opener = openerOf(stack);
    if (opener === 'request') return null;
    if (opener === 'http2') return { kind: 'http2', host: null, stop: () => undefined };
    return { kind: 'socket', host: null, stop: (error) => stopConnecting(socket, error) };
  }),
  watch<{ socket: UdpSocket }>('udp.socket', ({ socket }) => ({
    kind: 'udp',
    host: null,
    stop: () => void socket.close(),
  })),
  watch<{ process: ChildProcess }>('child_process', ({ process }) => ({
    kind: 'process',
    host: null,
    stop: condemn(process),
  })),
  watch<{ worker: Worker }>('worker_threads', ({ worker }) => ({
    kind: 'worker',
    host: null,
    stop: () => void worker.terminate(),
  })),
];

// The request that was last sent on a connection of undici.
const lastSent = new WeakMap<Socket, FetchRequest>();

export const stops: readonly Stop[] = [
  // Before the first byte. The connection goes with it, unless others have requests on it.
  stopAt<{ request: FetchRequest; socket: TLSSocket }>('undici:client:sendHeaders', ({ request, socket }) => {
    const before = lastSent.get(socket);
    lastSent.set(socket, request);
    const isShared = before?.completed === false || socket.alpnProtocol === 'h2';
    const error = condemned.get(request);
    if (error !== undefined && !isShared) socket.destroy(error);
  }),
  // The process exists, and may have begun to run.
  stopAt<{ process: ChildProcess }>('tracing:child_process.spawn:end', ({ process }) => {
    if (condemned.has(process)) process.kill('SIGKILL');
  }),
];

const hostOf = (url: string | URL | undefined): string | null => URL.parse(String(url))?.host ?? null;

// `error` without a listener ends the process, and the boundary tells of it in any case.
const unheard = <Emitter extends NodeJS.EventEmitter>(emitter: Emitter): Emitter =>
  emitter.on('error', () => undefined);

// Published before the socket begins to connect, which would bring a destroyed one to life. What is queued here comes before SYN is sent.
function stopConnecting(socket: Socket, error: Error): void {
  process.nextTick(() => void unheard(socket).destroy(error));
}

/** Who opened the socket, by the frames of Node between the channel and the call. A request, whose own channel tells of it, keeps it in a pool. */
function openerOf(stack: string): 'request' | 'http2' | null {
  const frames = stack.split('\n');
  const inside = frames.slice(frames.findIndex((frame) => frame.includes('node:diagnostics_channel')));
  const end = inside.findIndex((frame) => !/node:|<anonymous>|[/\\]undici[/\\]/.test(frame));
  const path = inside.slice(0, end === -1 ? inside.length : end).join('\n');
  if (/node:_http_(client|agent)|undici/.test(path)) return 'request';
  return path.includes('node:internal/http2') ? 'http2' : null;
}
