import { Socket } from 'node:net';

/** One message between the service and its database, either way. */
interface Line {
  readonly atMs: number;
  /** Which connection of this process. */
  readonly connection: number;
  readonly said: string;
}

const printable = (bytes: Buffer): string => bytes.toString('latin1').replace(/[^ -~]+/g, ' ');

// Parse, Bind, Query and Execute of the client; CommandComplete, ErrorResponse and ReadyForQuery of the server.
const told = { sent: 'PBQX', received: 'CEZ' } as const;
const longest = 160;

/** The messages in one direction of one connection: those that tell what is done, with their texts. */
class Direction {
  private rest = Buffer.alloc(0);
  private hasBegun: boolean;

  constructor(
    private readonly way: keyof typeof told,
    private readonly note: (said: string) => void,
  ) {
    // The client's first message has no type.
    this.hasBegun = way === 'received';
  }

  take(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk]);
    for (let head = this.hasBegun ? 1 : 0; this.rest.length >= head + 4; head = 1) {
      const end = head + this.rest.readInt32BE(head);
      if (this.rest.length < end) return;
      if (this.hasBegun) this.tell(this.rest.subarray(0, end));
      this.rest = this.rest.subarray(end);
      this.hasBegun = true;
    }
  }

  private tell(message: Buffer): void {
    const type = String.fromCharCode(message[0] as number);
    if (!told[this.way].includes(type)) return;
    this.note(`${this.way === 'sent' ? '→' : '←'} ${type} ${printable(message.subarray(5)).slice(0, longest)}`);
  }
}

const asBuffer = (chunk: unknown): Buffer | null => {
  if (typeof chunk === 'string') return Buffer.from(chunk);
  return chunk instanceof Uint8Array ? Buffer.from(chunk) : null;
};

/** Writes down what this process says to PostgreSQL and is answered, the last `size` messages of it, until it is ended. */
export class WireLog {
  private readonly lines: Line[] = [];
  private readonly connections = new WeakMap<Socket, { id: number; sent: Direction }>();
  private count = 0;
  private readonly write = Reflect.get(Socket.prototype, 'write') as (...params: unknown[]) => boolean;

  constructor(private readonly size: number) {
    const { write } = this;
    const seen = (socket: Socket, chunk: unknown): void => this.sent(socket, chunk);
    Socket.prototype.write = function logged(this: Socket, ...params: unknown[]): boolean {
      seen(this, params[0]);
      return write.apply(this, params);
    };
  }

  end(): void {
    Socket.prototype.write = this.write;
  }

  /** All of the connections on which this was said, from the moment before it was. */
  around(text: string): string[] {
    const at = this.lines.filter(({ said }) => said.includes(text));
    const connections = new Set(at.map(({ connection }) => connection));
    const [from, to] = [(at[0]?.atMs ?? 0) - 200, (at.at(-1)?.atMs ?? 0) + 1000];
    return this.lines
      .filter(({ connection, atMs }) => connections.has(connection) && atMs >= from && atMs <= to)
      .map(({ atMs, connection, said }) => `${atMs.toFixed(1)} #${connection} ${said}`);
  }

  private sent(socket: Socket, chunk: unknown): void {
    const bytes = asBuffer(chunk);
    if (bytes !== null) this.of(socket).sent.take(bytes);
  }

  private of(socket: Socket): { id: number; sent: Direction } {
    const known = this.connections.get(socket);
    if (known !== undefined) return known;
    const id = ++this.count;
    const note = (said: string): void => this.note(id, said);
    const received = new Direction('received', note);
    socket.on('data', (chunk: Buffer) => received.take(chunk));
    socket.on('close', () => note('closed'));
    const connection = { id, sent: new Direction('sent', note) };
    this.connections.set(socket, connection);
    return connection;
  }

  private note(connection: number, said: string): void {
    this.lines.push({ atMs: performance.now(), connection, said });
    if (this.lines.length > 2 * this.size) this.lines.splice(0, this.size);
  }
}
