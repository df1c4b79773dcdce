import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerOf } from '../http/problems/problem-answer.ts';
import { newRequestId } from '../http/request-ids.ts';
import { generalProblems } from '../kernel/general.problems.ts';

/** What `listen` of a server is given to go on with the port of another. */
export interface ListeningPort {
  readonly host: string;
  readonly port: number;
  /** Node listens on what it is handed in place of host and port. */
  readonly handle: unknown;
}

/**
 * Holds the port while the service starts: /livez is 200, everything else 503. Whoever watches sees a process that starts, not one that
 * refuses connections; and a port that cannot be had is told before anything else is begun.
 */
export class EarlyListener {
  private readonly server: Server = createServer(answer);

  /** Takes the port; resolves with why it cannot be had, in a sentence, or null. */
  open(host: string, port: number): Promise<string | null> {
    const { server } = this;
    return new Promise((resolve) => {
      server.once('error', (error: NodeJS.ErrnoException) => resolve(reasonOf(error, host, port)));
      server.listen({ host, port }, () => resolve(null));
    });
  }

  /** Gives the port away without closing it: no connection is refused in between. */
  handOver(): ListeningPort {
    const inner = this.server as unknown as { _handle: unknown };
    const { address, port } = this.server.address() as AddressInfo;
    const handle = inner._handle;
    // From here on it is not ours to close.
    inner._handle = null;
    this.server.close();
    return { host: address, port, handle };
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

const starting = { status: 'error', details: { serving: { status: 'down', reason: 'starting' } } };
const probes: Record<string, [number, object]> = {
  '/livez': [200, { status: 'ok' }],
  '/readyz': [503, starting],
  '/startupz': [503, starting],
};

const answer: RequestListener = (request, response) => {
  const path = request.url?.split('?')[0] ?? '';
  const requestId = newRequestId();
  const probe = probes[path];
  const [status, body] = probe ?? [503, { ...problem(), instance: path, requestId }];
  response.writeHead(status, {
    'content-type': probe === undefined ? 'application/problem+json' : 'application/json',
    'cache-control': 'no-store',
    'request-id': requestId,
    connection: 'close',
    ...(status === 503 && { 'retry-after': '1' }),
  });
  response.end(request.method === 'HEAD' ? undefined : JSON.stringify(body));
};

function problem(): object {
  const { headers: _, ...told } = answerOf(generalProblems.reducedCapacity('This instance is starting.'));
  return told;
}

function reasonOf({ code, message }: NodeJS.ErrnoException, host: string, port: number): string {
  if (code === 'EADDRINUSE')
    return `Port ${port} is taken. Stop what listens there, or choose another: PORT=${port + 1} npm start`;
  if (code === 'EACCES') return `Port ${port} may not be used by this user. Choose one above 1023: PORT=3000 npm start`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `This machine has no address ${host}. Set HOST to one it has, or to 0.0.0.0.`;
  return `HOST ${host} and PORT ${port} cannot be listened on: ${message}`;
}
