import type { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import type { TlsFiles } from '../../config/tls-files.ts';
import { StaleSessionError } from './errors.ts';
import { type Flight, FlightQuery } from './flight.ts';
import type { Context } from './nesting.ts';
import { shutOutSurroundings } from './plain-client.ts';
import { isReadOnlyRefusal } from './postgres-errors.ts';
import { isStale } from './stale-session.ts';

type Send = (...params: unknown[]) => unknown;
interface Reported {
  readonly parameterName: string;
  readonly parameterValue: string;
}
type AnsweredListener = (error: unknown, answer?: pg.QueryResult) => void;

/** A connection that takes flights, and whose socket is known: it can be broken without a word. */
export class Connection extends pg.Client {
  /** What it was lent for cannot be done on it, and not on those made before it either. Told to its pool when it is given back. */
  isStale = false;
  /** What the session is set to, as the server says. */
  limits: ServerLimits = { statement_timeout: 0, lock_timeout: 0 };
  /** What it should be set to and is not: name and value. */
  missing: readonly (readonly [name: string, value: number])[] = [];
  private readonly socket: Socket;
  private readonly reported = new Map<string, string>();
  private readonly namesStatements: boolean;

  constructor(config: ConnectionConfig = {}) {
    const socket = new Socket();
    const tls = tlsFor(config);
    // pg's pool hides the password from whoever spreads its options.
    super({
      ...config,
      ...(config.password && { password: config.password }),
      ...('ssl' in tls && tls),
      stream: () => socket,
    });
    shutOutSurroundings(this, config);
    this.socket = socket;
    const { connection } = this as unknown as { connection: EventEmitter };
    connection.on('parameterStatus', ({ parameterName, parameterValue }: Reported) =>
      this.reported.set(parameterName, parameterValue),
    );
    this.namesStatements = config.namesStatements ?? true;
    if ('failure' in tls) this.connect = failing(tls.failure);
    const send: Send = (...params) => super.query(...(params as [string]));
    this.query = ((...params: unknown[]) => this.ask(send, params)) as pg.Client['query'];
  }

  /** Sends all of the flight. Gives the answer to its query, or throws what the first of its statements that failed was answered. */
  async fly(flight: Flight): Promise<pg.QueryResult> {
    const werePrepared = [...flight.ahead, flight.query].map((one) => this.hasPrepared(one));
    try {
      return await new Promise((resolve, reject) => {
        const landed = (error: Error | null, result?: pg.QueryResult): void => {
          if (error === null) resolve(result as pg.QueryResult);
          else reject(error);
        };
        this.query(new FlightQuery(flight, landed, this.namesStatements) as unknown as pg.Submittable);
      });
    } catch (error) {
      Error.captureStackTrace(error as Error); // else it leads to the socket
      throw this.judged(error, werePrepared[flight.done] ?? false);
    }
  }

  // As pg has it, with a callback for its pool. What is refused for what the session is rejects with StaleSessionError.
  private ask(send: Send, params: unknown[]): unknown {
    const wasPrepared = this.hasPrepared(params[0]);
    const answered = params.at(-1);
    if (params[0] instanceof FlightQuery) return send(...params);
    if (!this.namesStatements && typeof params[0] === 'object') Object.assign(params[0] as object, { name: undefined });
    if (typeof answered !== 'function') return this.judging(send(...params), wasPrepared);
    const judged: AnsweredListener = (error, answer) =>
      (answered as AnsweredListener)(error && this.judged(error, wasPrepared), answer);
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

  /**
   * The error of a transaction that was begun to write: refused as one that only reads, its server is no primary, unless that has said so;
   * then it was told inside to read only.
   */
  asWriter(error: unknown): unknown {
    return isReadOnlyRefusal(error) && !this.isPrimary ? this.distrust(error) : error;
  }

  // The server reports both at the start of a session, and whenever they change (PostgreSQL 14, 54.2.7).
  private get isPrimary(): boolean {
    return (
      this.reported.get('in_hot_standby') === 'off' && this.reported.get('default_transaction_read_only') === 'off'
    );
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
    const { connection } = this as unknown as { connection: { stream: { destroy(): void } } };
    connection.stream.destroy(); // TLS has a stream of its own around the socket
    this.socket.destroy();
  }
}

/** How a pool makes one. */
export interface ConnectionConfig extends pg.ClientConfig {
  /** Files that are looked at for each connection. */
  readonly tlsFiles?: TlsFiles | null;
  /** Whether it may prepare statements by name. Default true. */
  readonly namesStatements?: boolean;
}

// Nobody can catch what a constructor throws in pg's pool: it fails when it is told to connect.
function tlsFor({ tlsFiles }: ConnectionConfig): { ssl: ConnectionOptions | false } | { failure: Error } | object {
  if (tlsFiles === undefined) return {};
  try {
    return { ssl: tlsFiles?.options() ?? false };
  } catch (failure) {
    return { failure: failure as Error };
  }
}

const failing = (failure: Error): pg.Client['connect'] =>
  ((connected?: (error: unknown) => void) => {
    if (connected === undefined) return Promise.reject(failure);
    process.nextTick(connected, failure);
  }) as pg.Client['connect'];

/** As a pool lends it. */
export type PooledConnection = Connection & pg.PoolClient;

/** What a transaction needs of a connection. */
export interface Carrier extends Pick<Connection, 'fly' | 'cut' | 'asWriter' | 'limits' | 'missing'> {
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
