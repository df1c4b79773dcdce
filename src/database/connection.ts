import { Socket } from 'node:net';
import pg from 'pg';
import type { Context } from './context.ts';
import { type Flight, FlightQuery } from './flight.ts';

/** A connection that takes flights, and whose socket is known: it can be broken without a word. */
export class Connection extends pg.Client {
  private readonly socket: Socket;

  constructor(config?: pg.ClientConfig) {
    const socket = new Socket();
    super({ ...config, stream: () => socket });
    this.socket = socket;
  }

  /** Sends all of the flight. Gives the answer to its query, or throws what the first of its statements that failed was answered. */
  async fly(flight: Flight): Promise<pg.QueryResult> {
    try {
      return await new Promise((resolve, reject) => {
        const landed = (error: Error | null, result?: pg.QueryResult): void => {
          if (error === null) resolve(result as pg.QueryResult);
          else reject(error);
        };
        this.query(new FlightQuery(flight, landed) as unknown as pg.Submittable);
      });
    } catch (error) {
      Error.captureStackTrace(error as Error); // else it leads to the socket
      throw error;
    }
  }

  /** Whether no transaction is open, as the server said last. */
  get isIdle(): boolean {
    return this.getTransactionStatus() === 'I';
  }

  /** Ends it at once. The server rolls back what was under way as soon as it notices. */
  cut(): void {
    this.socket.destroy();
  }
}

/** As a pool lends it. */
export type PooledConnection = Connection & pg.PoolClient;

/** What a transaction needs of a connection. */
export interface Carrier extends Pick<Connection, 'fly' | 'cut'> {
  /** Whether no transaction is open on it. */
  readonly isIdle: boolean;
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
