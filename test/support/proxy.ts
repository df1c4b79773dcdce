import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

/** A TCP proxy in this process, which can be told to fail in the ways a network does. */
export interface Proxy {
  /** The same URL, through the proxy. */
  through(url: string): string;
  /** From now on nothing passes in either direction and nobody is told: a black hole. New connections are taken and stay silent too. */
  goSilent(): void;
  /** New connections pass again. Those that met the silence stay silent for ever, as when a firewall has forgotten them. */
  heal(): void;
  /**
   * Cuts the next connection that sends this text: before it reaches the server, or after the server has answered, unheard by the client.
   * Ends all connections first, as a statement that a connection has prepared is sent by its name only.
   */
  cutAt(text: string, when: 'before' | 'after'): Promise<void>;
  /** How often it has cut. */
  readonly cuts: number;
  close(): Promise<void>;
}

export async function startProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const lose = new Set<() => void>();
  let isSilent = false;
  let trap: { text: string; when: 'before' | 'after' } | null = null;
  let cuts = 0;
  const server = createServer((client) => {
    const upstream = connect({ host: hostname, port: Number(port) });
    let isDoomed = false;
    let isLost = false;
    lose.add(() => (isLost = true));
    const cut = (): void => {
      cuts++;
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk) => {
      if (isLost || isSilent) return;
      if (trap !== null && chunk.includes(trap.text)) {
        const { when } = trap;
        trap = null;
        if (when === 'before') return cut();
        isDoomed = true;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (isLost || isSilent) return;
      if (isDoomed) return cut();
      client.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const dropAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    through: (url) => Object.assign(new URL(url), { host: `127.0.0.1:${(server.address() as AddressInfo).port}` }).href,
    goSilent: () => {
      isSilent = true;
    },
    heal: () => {
      for (const forget of lose) forget();
      lose.clear();
      isSilent = false;
    },
    cutAt: async (text, when) => {
      dropAll();
      await sleep(50); // the pool sees them end
      trap = { text, when };
    },
    get cuts() {
      return cuts;
    },
    close: async () => {
      dropAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
