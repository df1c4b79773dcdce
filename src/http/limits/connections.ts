import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from '../../config/config.ts';
import { networkOf } from './stage.ts';

/** How often Node looks for requests that take too long: they end within this behind their limit. */
const mostBetweenLooksMs = 1000;

/**
 * The limits of time for each stage of a connection (docs/connections.md), as `createServer` takes them: Node reads them once, when the
 * server is made, and would look every 30 s only.
 */
export const timeLimits = ({ requestTimeoutMs }: Config['http']) => ({
  requestTimeout: requestTimeoutMs,
  headersTimeout: requestTimeoutMs,
  connectionsCheckingInterval: Math.min(mostBetweenLooksMs, Math.ceil(requestTimeoutMs / 4)),
});

/** Bounds the connections there are, in all and of one address; proxies that are trusted bring many people. */
export function boundConnections(server: Server, { mostConnections, trustedProxies }: Config['http']): void {
  server.maxConnections = mostConnections;
  if (trustedProxies !== null) return;
  const mostOfAddress = Math.max(1, Math.floor(mostConnections / 2));
  const byAddress = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = networkOf(socket.remoteAddress ?? '');
    const count = (byAddress.get(address) ?? 0) + 1;
    if (count > mostOfAddress) return void socket.destroy();
    byAddress.set(address, count);
    socket.once('close', () => {
      const left = (byAddress.get(address) ?? 1) - 1;
      if (left > 0) byAddress.set(address, left);
      else byAddress.delete(address);
    });
  });
}
