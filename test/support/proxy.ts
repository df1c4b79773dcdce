import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

/**
 * How a connection breaks: `cut` on both sides · `half` on the client's side only, the server is not told · `stall` on neither side,
 * nothing passes any more but the end of the other side · `silence` not even that.
 */
export type Break = 'cut' | 'half' | 'stall' | 'silence';

/** What is to happen to a connection, once. */
export interface Trap {
  /** The connection that sends this. */
  readonly text: string;
  /** Only one that has sent this before, in the same chunk or an earlier one. */
  readonly on?: string;
  /**
   * `before` it reaches the server · `after` the server has answered, unheard by the client · `behind` its own answer, which the client
   * still hears, so that it loses the answers to what it sent with it, behind it. For `behind`, `text` is the command tag of the answer.
   */
  readonly when: 'before' | 'after' | 'behind';
  readonly how: Break;
}

/** A TCP proxy in this process, which can be told to fail in the ways a network does. */
export interface Proxy {
  /** The same URL, through the proxy. */
  through(url: string): string;
  /** From now on nothing passes in either direction and nobody is told: a black hole. New connections are taken and stay silent too. */
  goSilent(): void;
  /** New connections pass again, and no trap waits any more. Those that met the silence stay silent for ever, as when a firewall has forgotten them. */
  heal(): void;
  /** New connections are refused, or let in again. Those that are there are left alone. */
  refuseNew(isRefusing: boolean): void;
  /**
   * Cuts the next connection that sends this text: before it reaches the server, or after the server has answered, unheard by the client.
   * Ends all connections first, as a statement that a connection has prepared is sent by its name only.
   */
  cutAt(text: string, when: 'before' | 'after'): Promise<void>;
  /** Breaks one connection at this moment. Any number may wait, each for its own. */
  trap(trap: Trap): void;
  /** How often it has broken a connection. */
  readonly cuts: number;
  /** How many traps still wait. */
  readonly waiting: number;
  close(): Promise<void>;
}

export async function startProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const lose = new Set<() => void>();
  const traps = new Set<Trap>();
  let isSilent = false;
  let isRefusing = false;
  let cuts = 0;
  const server = createServer((client) => {
    if (isRefusing) return void client.destroy();
    const upstream = connect({ host: hostname, port: Number(port) });
    let doomed: Trap | null = null;
    let isLost = false;
    let isHalf = false;
    let isMute = false;
    let said = '';
    lose.add(() => {
      isLost = true;
      isMute = true;
    });
    const breakIt = ({ how }: Trap, last?: Buffer): void => {
      cuts++;
      isLost = true;
      isHalf = how === 'half';
      isMute = how === 'silence';
      if (how === 'silence' || how === 'stall') return void (last !== undefined && client.write(last));
      if (how === 'cut') upstream.destroy();
      if (last === undefined) client.destroy();
      else client.end(last);
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        if (isHalf || isMute || isSilent) return; // the other side is not told
        if (socket === client || !client.writableEnded) client.destroy();
        upstream.destroy();
      });
    }
    const sprung = (chunk: Buffer): Trap | undefined => {
      if (traps.size > 0) said += chunk.toString('latin1');
      return [...traps].find(
        ({ text, on, when }) => when !== 'behind' && chunk.includes(text) && said.includes(on ?? ''),
      );
    };
    client.on('data', (chunk) => {
      if (isLost || isSilent) return;
      const trap = sprung(chunk);
      if (trap !== undefined) {
        traps.delete(trap);
        if (trap.when === 'before') return breakIt(trap);
        doomed = trap;
      }
      upstream.write(chunk);
    });
    const answers = answersOf();
    upstream.on('data', (chunk) => {
      if (isLost || isSilent) return;
      if (doomed !== null) return breakIt(doomed);
      const behind = [...traps].find(({ when, on }) => when === 'behind' && said.includes(on ?? ''));
      const end = answers.endOf(chunk, behind?.text);
      if (behind === undefined || end === null) return void client.write(chunk);
      traps.delete(behind);
      breakIt(behind, chunk.subarray(0, end));
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
      if (isSilent) {
        for (const forget of lose) forget();
        lose.clear();
      }
      traps.clear();
      isSilent = false;
    },
    refuseNew: (now) => {
      isRefusing = now;
    },
    cutAt: async (text, when) => {
      dropAll();
      await sleep(50); // the pool sees them end
      traps.clear();
      traps.add({ text, when, how: 'cut' });
    },
    trap: (trap) => {
      traps.add(trap);
    },
    get cuts() {
      return cuts;
    },
    get waiting() {
      return traps.size;
    },
    close: async () => {
      dropAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Follows the messages of a server through the chunks of its stream. */
function answersOf() {
  let message = Buffer.alloc(0);
  return {
    /** Where in the chunk the answer with this command tag is complete. Null as long as it is not. */
    endOf(chunk: Buffer, tag: string | undefined): number | null {
      const before = message.length;
      message = Buffer.concat([message, chunk]);
      let at = 0;
      let end: number | null = null;
      while (message.length - at >= 5) {
        const next = at + 1 + message.readInt32BE(at + 1);
        if (next > message.length) break;
        const kind = String.fromCharCode(message[at] ?? 0);
        const isTagged = kind === 'C' && tag !== undefined && message.toString('latin1', at + 5, next).startsWith(tag);
        if (isTagged) end ??= next - before;
        at = next;
      }
      message = message.subarray(at);
      return end;
    },
  };
}
