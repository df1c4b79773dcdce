import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** An address that leads to one server, or to another: a name or a balancer that is pointed elsewhere. */
export interface Switch {
  /** The same URL, through the address. */
  through(url: string): string;
  /** Where new connections go. Those that are there stay, unless they are cut. */
  lead(url: string): void;
  cut(): void;
  close(): Promise<void>;
}

export async function startSwitch(target: string): Promise<Switch> {
  let { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect({ host: hostname, port: Number(port) });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    through: (url) => Object.assign(new URL(url), { host: `127.0.0.1:${(server.address() as AddressInfo).port}` }).href,
    lead: (url) => {
      ({ hostname, port } = new URL(url));
    },
    cut,
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
