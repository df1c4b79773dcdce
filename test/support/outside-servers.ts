import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer } from 'node:http';
import { type ClientHttp2Session, connect, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What outside work is for: a server of each kind, and what has come in. */
export interface OutsideServers {
  readonly port: number;
  readonly tcpPort: number;
  readonly http2Port: number;
  readonly udpPort: number;
  readonly socketPath: string;
  /** A module that does nothing. */
  readonly script: string;
  /** Keeps one connection to the HTTP server. */
  readonly agent: Agent;
  /** An open connection to the HTTP/2 server. */
  readonly session: ClientHttp2Session;
  /** Requests of HTTP, bytes and packets of the others, since the last call. */
  take(): { requests: number; bytes: number };
  close(): Promise<void>;
}

export async function startOutsideServers(): Promise<OutsideServers> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-outside-'));
  const seen = { requests: 0, bytes: 0 };
  // Answers after a moment, so that requests of the same time meet.
  const http = createServer((request, response) => {
    seen.requests++;
    request.resume();
    setTimeout(() => response.end('done'), 20);
  });
  const swallow = () =>
    createTcpServer((socket) => {
      socket.on('data', (chunk) => {
        seen.bytes += chunk.length;
        socket.end();
      });
      socket.on('error', () => undefined);
    });
  const [tcp, local] = [swallow(), swallow()];
  const http2 = createHttp2Server();
  http2.on('stream', (stream) => {
    stream.on('error', () => undefined);
    if (!stream.destroyed) stream.respond({ ':status': 200 });
    stream.end('done');
  });
  const udp = createSocket('udp4', (packet) => (seen.bytes += packet.length));
  const socketPath = join(folder, 'socket');
  const script = join(folder, 'nothing.cjs');
  writeFileSync(script, '');
  const servers: Server[] = [http, tcp, http2];
  for (const server of servers) server.listen(0, '127.0.0.1');
  local.listen(socketPath);
  udp.bind(0, '127.0.0.1');
  await Promise.all([...servers, local, udp].map((server) => once(server, 'listening')));
  const session = connect(`http://127.0.0.1:${portOf(http2)}`);
  await once(session, 'connect');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    ...{ port: portOf(http), tcpPort: portOf(tcp), http2Port: portOf(http2), udpPort: portOf(udp) },
    ...{ socketPath, script, agent, session },
    take: () => {
      const taken = { ...seen };
      Object.assign(seen, { requests: 0, bytes: 0 });
      return taken;
    },
    close: async () => {
      agent.destroy();
      session.destroy();
      http.closeAllConnections();
      udp.close();
      for (const server of [...servers, local]) server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const portOf = (server: Server | UdpSocket): number => (server.address() as AddressInfo).port;
