import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { Admission } from './admission.ts';
import type { ServerLimits } from './ahead.ts';
import { type Beginning, heldAround, nextBeginning } from './beginning.ts';
import { cut } from './faults.ts';
import { type Connections, WireTransaction } from './wire-transaction.ts';

/** Times in milliseconds. */
export interface PoolSettings {
  readonly size: number;
  readonly waitMs: number;
  /** What each connection is set to. */
  readonly limits: ServerLimits;
}

type Taken = (error: Error | undefined, client: pg.PoolClient | undefined, done: (release?: unknown) => void) => void;

/** Whatever begins without a boundary: the writes of one Prisma call, which Prisma puts into a transaction of its own. */
const unnamed = (): Beginning => ({
  readOnly: false,
  settings: () => '',
  endsAt: Infinity,
  hasOwnTime: false,
  lockTimeoutMs: null,
  asksPosition: false,
  wire: null,
});

/**
 * The pool that Prisma is given. To whoever asks for a connection, which Prisma does to begin a transaction, it gives a
 * {@link WireTransaction}, which takes one when it has something to say.
 */
export class Pool extends pg.Pool implements Connections {
  readonly limits: ServerLimits;
  private readonly admission: Admission;
  // A connection outlives the request that opens it, and must not keep its context: neither its boundary nor its memory.
  private readonly outside = AsyncLocalStorage.snapshot();

  constructor(config: pg.PoolConfig, { size, waitMs, limits }: PoolSettings) {
    super({ ...config, max: size, connectionTimeoutMillis: waitMs });
    this.limits = limits;
    this.admission = new Admission(size, waitMs);
    // An idle connection that dies is replaced at the next use. Without a listener it would end the process.
    this.on('error', () => undefined);
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(taken: Taken): void;
  override connect(taken?: Taken): Promise<pg.PoolClient> | void {
    // pg's own way, for a statement outside a transaction.
    if (taken !== undefined) {
      const held = heldAround(this);
      if (held.length > 0) return void this.connectBeside(held, taken);
      return this.outside(() => super.connect(taken));
    }
    const beginning = nextBeginning() ?? unnamed();
    beginning.wire = new WireTransaction(this, beginning);
    return Promise.resolve(beginning.wire as unknown as pg.PoolClient);
  }

  // A statement outside the boundary that is set aside asks for a connection while that one keeps its own.
  private async connectBeside(held: readonly WireTransaction[], taken: Taken): Promise<void> {
    try {
      await this.admission.enter(held);
    } catch (error) {
      return taken(error as Error, undefined, () => undefined);
    }
    this.outside(() =>
      super.connect((error, client, done) => {
        if (client === undefined) this.admission.leave();
        else this.onceReleased(client, () => this.admission.leave());
        taken(error, client, done);
      }),
    );
  }

  private onceReleased(client: pg.PoolClient, then: () => void): void {
    const heard = (_: unknown, released: pg.PoolClient): void => {
      if (released !== client) return;
      this.off('release', heard);
      then();
    };
    this.on('release', heard);
  }

  async takeConnection(): Promise<pg.PoolClient> {
    await this.admission.enter(heldAround(this));
    try {
      const client = await this.outside(() => super.connect());
      client.on('error', ignore);
      return client;
    } catch (error) {
      this.admission.leave();
      throw error;
    }
  }

  giveBack(client: pg.PoolClient, isBroken: boolean): void {
    client.off('error', ignore);
    if (isBroken) cut(client);
    client.release(isBroken);
    this.admission.leave();
  }
}

// Its next statement tells.
const ignore = (): void => undefined;
