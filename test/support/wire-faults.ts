import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What can go wrong with one of the statements that leave together. */
export const faults = ['cannot be parsed', 'breaks the protocol', 'cancelled', 'terminated', 'lost'] as const;
export const moments = ['before', 'in', 'after'] as const;

export interface WireFault {
  /** Which statement from now on, from 0. */
  readonly at: number;
  readonly fault: (typeof faults)[number];
  readonly moment: (typeof moments)[number];
}

/** The messages of one statement: Parse, Bind, Describe and Execute, or one Query. */
interface Unit {
  readonly text: string;
  readonly isSimple: boolean;
  readonly bytes: Buffer;
}

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const executed = (text: string): Buffer =>
  Buffer.concat([
    message('P', Buffer.from(`\0${text}\0\0\0`, 'latin1')),
    message('B', Buffer.alloc(8)),
    message('E', Buffer.alloc(5)),
  ]);
const asked = (text: string): Buffer => message('Q', Buffer.from(`${text}\0`, 'latin1'));

const bad: Readonly<Record<Exclude<WireFault['fault'], 'lost'>, string>> = {
  'cannot be parsed': 'BEGIN AT THE BEGINNING',
  'breaks the protocol': 'SELECT 1\0 AS one',
  cancelled: 'SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)',
  terminated: 'SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)',
};

/** The messages in a stream of a client; the first one has no type. */
class Messages {
  private rest = Buffer.alloc(0);
  private isStarted = false;

  take(chunk: Buffer): Buffer[] {
    this.rest = Buffer.concat([this.rest, chunk]);
    const messages: Buffer[] = [];
    for (let end = this.end(); end <= this.rest.length; end = this.end()) {
      messages.push(this.rest.subarray(0, end));
      this.rest = this.rest.subarray(end);
      this.isStarted = true;
    }
    return messages;
  }

  private end(): number {
    const typed = this.isStarted ? 1 : 0;
    return this.rest.length < typed + 4 ? Infinity : typed + this.rest.readInt32BE(typed);
  }
}

/** Gathers what a client says until the server is to answer. */
class Flights {
  private readonly texts = new Map<string, string>();
  private units: Unit[] = [];
  private open: Buffer[] = [];
  private text = '';

  /** The statements that leave with this message; null when nothing leaves yet. */
  add(said: Buffer): { units: Unit[]; tail: Buffer } | null {
    const type = String.fromCharCode(said[0] ?? 0);
    if (type === 'Q') return this.leave(said, { text: said.toString('latin1', 5, said.length - 1), isSimple: true });
    if (type === 'S') return this.leave(said);
    if (!'PBDEC'.includes(type)) return { units: [], tail: said };
    this.open.push(said);
    if (type === 'P' || type === 'B') this.name(type, said.toString('latin1', 5).split('\0'));
    if (type === 'E') this.close();
    return null;
  }

  private name(type: string, [first = '', second = '']: string[]): void {
    if (type === 'P') this.texts.set(first, second);
    this.text = this.texts.get(type === 'P' ? first : second) ?? '';
  }

  private close(): void {
    this.units.push({ text: this.text, isSimple: false, bytes: Buffer.concat(this.open) });
    this.open = [];
  }

  private leave(said: Buffer, simple?: Omit<Unit, 'bytes'>): { units: Unit[]; tail: Buffer } {
    const units = [...this.units, ...(simple === undefined ? [] : [{ ...simple, bytes: said }])];
    const tail = Buffer.concat([...this.open, simple === undefined ? said : Buffer.alloc(0)]);
    this.units = [];
    this.open = [];
    return { units, tail };
  }
}

/** What of these statements reaches the server, and whether the connection is lost behind it. */
function spoil(unit: Unit, { fault, moment }: WireFault): { bytes: Buffer; isLost: boolean } {
  const { bytes, text, isSimple } = unit;
  if (fault === 'lost') {
    const length = { before: 0, in: Math.floor(bytes.length / 2), after: bytes.length }[moment];
    return { bytes: bytes.subarray(0, length), isLost: true };
  }
  const wrong = bad[fault];
  if (isSimple) {
    const said = { before: `${wrong}; ${text}`, in: wrong, after: `${text}; ${wrong}` }[moment];
    return { bytes: asked(said), isLost: false };
  }
  const said = { before: [executed(wrong), bytes], in: [executed(wrong)], after: [bytes, executed(wrong)] }[moment];
  return { bytes: Buffer.concat(said), isLost: false };
}

/**
 * A way to a database on which one statement of those that leave together can be spoilt. It writes down each statement that passes, with
 * its connection and its time.
 */
export async function startFaultyWire(target: string) {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const passed: string[] = [];
  let planted: WireFault | null = null;
  let count = 0;
  let connections = 0;
  const server = createServer({ noDelay: true }, (client) => {
    const number = ++connections;
    const upstream = connect({ host: hostname, port: Number(port), noDelay: true });
    const messages = new Messages();
    const flights = new Flights();
    const pass = (unit: Unit): boolean => {
      passed.push(`${performance.now().toFixed(1)} ${number} ${unit.text}`);
      const spoilt = planted?.at === count++ ? spoil(unit, planted) : null;
      upstream.write(spoilt?.bytes ?? unit.bytes);
      if (spoilt?.isLost !== true) return true;
      upstream.end();
      client.destroy();
      return false;
    };
    client.on('data', (chunk: Buffer) => {
      for (const said of messages.take(chunk)) {
        const flight = flights.add(said);
        if (flight === null) continue;
        upstream.cork();
        const isWhole = flight.units.every(pass);
        if (isWhole) upstream.write(flight.tail);
        upstream.uncork();
        if (!isWhole) return;
      }
    });
    upstream.on('data', (chunk) => client.write(chunk));
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(socket);
          other.end();
        });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: Object.assign(new URL(target), { port: String((server.address() as AddressInfo).port) }).href,
    plant: (fault: WireFault | null): void => {
      planted = fault;
      count = 0;
    },
    /** What has passed since the last call. */
    take: (): string[] => passed.splice(0),
    close: async (): Promise<void> => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
