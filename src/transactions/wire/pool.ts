import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import type { ConnectCallback, PinnedPool } from './pinned-pool.ts';
import { Admission } from './admission.ts';
import {
  type Carrier,
  Connection,
  type ConnectionConfig,
  type Connections,
  type PooledConnection,
  type ServerLimits,
} from './connection.ts';
import { ConnectError, PoolEndedError } from './errors.ts';
import { Generations } from './generations.ts';
import { type OuterTransaction, type Context, contextNow, connectionsHeldOutside } from './nesting.ts';
import { type SlotConnection, TransactionConnection } from './prisma-connections.ts';
import { type Demand, examine } from './session.ts';
import { type TransactionHandle, defaultTerms } from './transaction-handle.ts';
import { WireTransaction } from './transaction.ts';

/** Times in milliseconds. */
export interface PoolSettings {
  readonly size: number;
  /** How long somebody waits for a connection: for a place and for connecting together. */
  readonly waitMs: number;
  /** What each new connection must be. */
  readonly demand: Demand;
}

/**
 * The pool that Prisma is given. To whoever asks for a connection, which Prisma does to begin a transaction, it gives something that
 * takes one only when it has something to say: a {@link SlotConnection} for boundaries, a {@link TransactionConnection} for its own.
 */
export class Pool extends pg.Pool implements Connections {
  readonly limits: ServerLimits;
  /** For tests: where everything goes that is asked of this pool; null for connections of its own. */
  pin: PinnedPool | null = null;
  /** Why no connection could be made last; null since one was. */
  trouble: ConnectError | null = null;
  private readonly admission: Admission;
  private readonly generations = new Generations();
  // To single statements, which give back by pg's own way.
  private readonly lentOut = new WeakSet<pg.PoolClient>();
  // A connection outlives the request that opens it, and must not keep its context: neither its boundary nor its memory.
  private readonly outside = AsyncLocalStorage.snapshot();
  private readonly lent = new AsyncLocalStorage<SlotConnection>();
  private readonly waitMs: number;
  private end_: Promise<void> | null = null;

  constructor(config: pg.PoolConfig & ConnectionConfig, { size, waitMs, demand }: PoolSettings) {
    const onConnect = (client: PooledConnection): Promise<void> => accept(client, demand, waitMs);
    const own: object = { Client: Connection, max: size, connectionTimeoutMillis: waitMs, onConnect };
    super({ ...config, ...own });
    // How many wait for a connection: pg knows of those only whom it has let wait itself.
    Object.defineProperty(this, 'waitingCount', { get: () => this.admission.waitingCount });
    this.limits = demand.settings;
    this.waitMs = waitMs;
    this.admission = new Admission(size, waitMs);
    // An idle connection that dies is replaced at the next use. Without a listener it would end the process.
    this.on('error', ignore);
    // Its next statement tells. From the first moment on: it may break before whoever waits for it is told that it is there.
    this.on('connect', (client) => client.on('error', ignore));
    this.on('release', (_, client) => {
      this.generations.judge(client as PooledConnection);
      if (this.lentOut.delete(client)) this.admission.leave();
    });
  }

  /** Whether somebody who asked now would be given a connection without waiting. */
  get hasPlace(): boolean {
    return this.admission.hasPlace;
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(taken: ConnectCallback): void;
  override connect(taken?: ConnectCallback): Promise<pg.PoolClient> | void {
    // pg's own way, for a statement outside a transaction.
    if (taken !== undefined) return this.pin === null ? this.lend(taken) : this.pin.lend(taken);
    const connection = this.lent.getStore() ?? new TransactionConnection(this.begin(defaultTerms()));
    return Promise.resolve(connection as unknown as pg.PoolClient);
  }

  /** A transaction that takes a connection of this pool when it has something to say. */
  begin(beginning: TransactionHandle): WireTransaction {
    return (beginning.wire = this.pin?.transaction(beginning) ?? new WireTransaction(this, beginning));
  }

  /** Runs the work; the transaction of Prisma's that it begins gets this connection. */
  lending<T>(connection: SlotConnection, work: () => Promise<T>): Promise<T> {
    return this.outside(() => this.lent.run(connection, work));
  }

  private lend(taken: ConnectCallback): void {
    this.take(connectionsHeldOutside(this)).then(
      (client) => {
        this.lentOut.add(client);
        taken(undefined, client, (release) => client.release(release as Error | undefined));
      },
      (error: unknown) => taken(error as Error, undefined, ignore),
    );
  }

  takeConnection(place: Context | null = contextNow()): Promise<Carrier> {
    return this.take(connectionsHeldOutside(this, place));
  }

  giveBack(carrier: Carrier, isBroken: boolean): void {
    const client = carrier as PooledConnection;
    const isUnfit = isBroken || client.isStale;
    if (isUnfit) client.cut();
    client.release(isUnfit);
    this.admission.leave();
  }

  /** No connection that there is will be lent again. */
  renew(): void {
    this.generations.renew();
  }

  /** Refuses whoever comes from now on, waits for those who have a connection or wait for one, and closes. */
  override end(): Promise<void>;
  override end(ended: () => void): void;
  override end(ended?: () => void): Promise<void> | void {
    this.end_ ??= this.close();
    if (ended === undefined) return this.end_;
    this.end_.then(ended, ended);
  }

  private async close(): Promise<void> {
    await this.admission.drained();
    await super.end();
  }

  /** A place and a connection, both within `DATABASE_POOL_WAIT_MS`. One beside a boundary that is set aside asks while that keeps its own. */
  private async take(held: readonly OuterTransaction[]): Promise<PooledConnection> {
    if (this.end_ !== null) throw new PoolEndedError();
    const endsAt = performance.now() + this.waitMs;
    await this.admission.enter(held);
    const made = this.fresh();
    const late = Promise.withResolvers<never>();
    const clock = setTimeout(
      () => late.reject(new ConnectError(new Error(tooLate))),
      Math.max(0, endsAt - performance.now()),
    );
    try {
      return await Promise.race([made, late.promise]);
    } catch (error) {
      // One that comes after all is for whoever is next; its place is kept until then.
      made.then(
        (client) => this.giveBack(client, false),
        () => this.admission.leave(),
      );
      throw this.refused(error);
    } finally {
      clearTimeout(clock);
    }
  }

  // Those that were made before a stale one was found are closed, one after the other, as they come.
  private async fresh(): Promise<PooledConnection> {
    for (;;) {
      const client = (await this.outside(() => super.connect())) as PooledConnection;
      this.trouble = null;
      if (this.generations.isCurrent(client)) return client;
      client.release(true);
    }
  }

  private refused(error: unknown): ConnectError {
    const refusal = error instanceof ConnectError ? error : new ConnectError(error);
    return (this.trouble = refusal);
  }
}

const tooLate = 'the server did not answer in time';

async function accept(connection: PooledConnection, demand: Demand, patienceMs: number): Promise<void> {
  try {
    await examine(connection, demand, patienceMs);
  } catch (error) {
    // Its end is not waited for: it may have gone silent.
    connection.cut();
    throw error;
  }
}

function ignore(): void {
  return undefined;
}
