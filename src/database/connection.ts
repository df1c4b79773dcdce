import { Socket } from 'node:net';
import pg from 'pg';
import type { Context } from './context.ts';
import { StaleSessionError } from './errors.ts';
import { isReadOnlyRefusal } from './failures.ts';
import { type Flight, FlightQuery } from './flight.ts';
import { isStale } from './stale-session.ts';

type Send = (...params: unknown[]) => unknown;
type Answered = (error: unknown, answer?: pg.QueryResult) => void;

/** A connection that takes flights, and whose socket is known: it can be broken without a word. */
export class Connection extends pg.Client {
  /** What it was lent for cannot be done on it, and not on those made before it either. Told to its pool when it is given back. */
  isStale = false;
  private readonly socket: Socket;

  constructor(config?: pg.ClientConfig) {
    const socket = new Socket();
    super({ ...config, stream: () => socket });
    this.socket = socket;
    const send: Send = (...params) => super.query(...(params as [string]));
    this.query = ((...params: unknown[]) => this.ask(send, params)) as pg.Client['query'];
  }

  /** Sends all of the flight. Gives the answer to its query, or throws what the first of its statements that failed was answered. */
  async fly(flight: Flight): Promise<pg.QueryResult> {
    const wasPrepared = this.hasPrepared(flight.query);
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
      throw this.judged(error, wasPrepared);
    }
  }

  // As pg has it, with a callback for its pool. What is refused for what the session is rejects with StaleSessionError.
  private ask(send: Send, params: unknown[]): unknown {
    const wasPrepared = this.hasPrepared(params[0]);
    const answered = params.at(-1);
    if (params[0] instanceof FlightQuery) return send(...params);
    if (typeof answered !== 'function') return this.judging(send(...params), wasPrepared);
    const judged: Answered = (error, answer) =>
      (answered as Answered)(error && this.judged(error, wasPrepared), answer);
    return send(...params.slice(0, -1), judged);
  }

  private async judging(answer: unknown, wasPrepared: boolean): Promise<unknown> {
    try {
      return await answer;
    } catch (error) {
      throw this.judged(error, wasPrepared);
    }
  }

  private judged(error: unknown, wasPrepared: boolean): unknown {
    return isStale(error, wasPrepared) ? this.distrust(error) : error;
  }

  private hasPrepared(query: unknown): boolean {
    const { name } = (query ?? {}) as { name?: string };
    const { connection } = this as unknown as { connection: { parsedStatements: Record<string, string> } };
    return name !== undefined && name !== '' && connection.parsedStatements[name] !== undefined;
  }

  /** The error of a transaction that was begun to write: refused as one that only reads, its server is no primary. */
  asWriter(error: unknown): unknown {
    return isReadOnlyRefusal(error) ? this.distrust(error) : error;
  }

  private distrust(error: unknown): StaleSessionError {
    this.isStale = true;
    return new StaleSessionError(error);
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
export interface Carrier extends Pick<Connection, 'fly' | 'cut' | 'asWriter'> {
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
