import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { Admission } from './admission.ts';
import { type Carrier, Connection, type Connections, type PooledConnection, type ServerLimits } from './connection.ts';
import { type Beginning, unnamed } from './beginning.ts';
import { type Around, type Context, heldAround } from './context.ts';
import type { Pin, Taken } from './pin.ts';
import { type SlotConnection, TransactionConnection } from './prisma-connections.ts';
import { WireTransaction } from './wire-transaction.ts';

/** Times in milliseconds. */
export interface PoolSettings {
  readonly size: number;
  readonly waitMs: number;
  /** What each connection is set to. */
  readonly limits: ServerLimits;
}

/**
 * The pool that Prisma is given. To whoever asks for a connection, which Prisma does to begin a transaction, it gives something that
 * takes one only when it has something to say: a {@link SlotConnection} for boundaries, a {@link TransactionConnection} for its own.
 */
export class Pool extends pg.Pool implements Connections {
  readonly limits: ServerLimits;
  /** For tests: where everything goes that is asked of this pool; null for connections of its own. */
  pin: Pin | null = null;
  private readonly admission: Admission;
  // To single statements, which give back by pg's own way.
  private readonly lentOut = new WeakSet<pg.PoolClient>();
  // A connection outlives the request that opens it, and must not keep its context: neither its boundary nor its memory.
  private readonly outside = AsyncLocalStorage.snapshot();
  private readonly lent = new AsyncLocalStorage<SlotConnection>();

  constructor(config: pg.PoolConfig, { size, waitMs, limits }: PoolSettings) {
    super({ ...config, Client: Connection, max: size, connectionTimeoutMillis: waitMs });
    this.limits = limits;
    this.admission = new Admission(size, waitMs);
    // An idle connection that dies is replaced at the next use. Without a listener it would end the process.
    this.on('error', () => undefined);
    // Its next statement tells. From the first moment on: it may break before whoever waits for it is told that it is there.
    this.on('connect', (client) => client.on('error', ignore));
    this.on('release', (_, client) => {
      if (this.lentOut.delete(client)) this.admission.leave();
    });
  }

  /** Whether somebody who asked now would be given a connection without waiting. */
  get hasPlace(): boolean {
    return this.admission.hasPlace;
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(taken: Taken): void;
  override connect(taken?: Taken): Promise<pg.PoolClient> | void {
    // pg's own way, for a statement outside a transaction.
    if (taken !== undefined) {
      if (this.pin !== null) return this.pin.lend(taken);
      return void this.lend(heldAround(this), taken);
    }
    const connection = this.lent.getStore() ?? new TransactionConnection(this.begin(unnamed()));
    return Promise.resolve(connection as unknown as pg.PoolClient);
  }

  /** A transaction that takes a connection of this pool when it has something to say. */
  begin(beginning: Beginning): WireTransaction {
    return (beginning.wire = this.pin?.transaction(beginning) ?? new WireTransaction(this, beginning));
  }

  /** Runs the work; the transaction of Prisma's that it begins gets this connection. */
  lending<T>(connection: SlotConnection, work: () => Promise<T>): Promise<T> {
    return this.outside(() => this.lent.run(connection, work));
  }

  // It waits for its turn with the transactions. One beside a boundary that is set aside asks while that keeps its own.
  private async lend(held: readonly Around[], taken: Taken): Promise<void> {
    try {
      await this.admission.enter(held);
    } catch (error) {
      return taken(error as Error, undefined, () => undefined);
    }
    this.outside(() =>
      super.connect((error, client, done) => {
        if (client === undefined) this.admission.leave();
        else this.lentOut.add(client);
        taken(error, client, done);
      }),
    );
  }

  async takeConnection(place: Context | null): Promise<Carrier> {
    await this.admission.enter(heldAround(this, place));
    try {
      const client = (await this.outside(() => super.connect())) as PooledConnection;
      return client;
    } catch (error) {
      this.admission.leave();
      throw error;
    }
  }

  giveBack(carrier: Carrier, isBroken: boolean): void {
    const client = carrier as PooledConnection;
    if (isBroken) client.cut();
    client.release(isBroken);
    this.admission.leave();
  }
}

const ignore = (): void => undefined;
