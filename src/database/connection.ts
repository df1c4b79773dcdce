import { Socket } from 'node:net';
import pg from 'pg';
import type { Context } from './context.ts';

/** A connection whose socket is known: what is sent together leaves in one packet, and it can be broken without a word. */
export class Connection extends pg.Client {
  private readonly socket: Socket;

  constructor(config?: pg.ClientConfig) {
    const socket = new Socket();
    super({ ...config, stream: () => socket });
    this.socket = socket;
  }

  /** Runs what sends, and lets all of it leave at once. */
  together<T>(send: () => T): T {
    this.socket.cork();
    try {
      return send();
    } finally {
      this.socket.uncork();
    }
  }

  /** Ends it at once. The server rolls back what was under way as soon as it notices. */
  cut(): void {
    this.socket.destroy();
  }
}

/** As a pool lends it. */
export type PooledConnection = Connection & pg.PoolClient;

/** What a transaction needs of a connection. */
export interface Carrier extends Pick<Connection, 'together' | 'cut'> {
  query(query: string | pg.QueryConfig): Promise<pg.QueryResult>;
}

/** Limits that the server keeps, milliseconds. */
export interface ServerLimits {
  readonly statement_timeout: number;
  readonly lock_timeout: number;
}

/** Where connections come from. */
export interface Connections {
  /** What the server keeps to unless it is told otherwise. */
  readonly limits: ServerLimits;
  /** For a transaction at this place, which says what its caller holds already. */
  takeConnection(place: Context | null): Promise<Carrier>;
  /** Takes it back; a broken one is thrown away. */
  giveBack(client: Carrier, isBroken: boolean): void;
}
