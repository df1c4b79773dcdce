import type pg from 'pg';
import { Ahead, type ServerLimits } from './ahead.ts';
import type { WireTerms } from './wire-terms.ts';
import { TransactionControlError, TransactionEndedError, TransactionRolledBackError } from './errors.ts';
import { isBreak } from './failures.ts';
import { cut, type Moment, plant } from './faults.ts';
import { nameOf, spokenBy } from './statements.ts';
import { TimeLimits } from './time-limits.ts';
import { answerTo, TransactionId } from './transaction-id.ts';

/** Where connections come from. */
export interface Connections {
  /** What the server keeps to unless it is told otherwise. */
  readonly limits: ServerLimits;
  takeConnection(): Promise<pg.PoolClient>;
  /** Takes it back; a broken one is thrown away. */
  giveBack(client: pg.PoolClient, isBroken: boolean): void;
}

/** A statement that failed; the transaction is broken since then. */
export interface StatementFailure {
  /** Verb and table, never its text: `INSERT product`. */
  readonly statement: string;
  readonly error: unknown;
}

/**
 * `unsent` nothing has been sent · `open` · `committing` COMMIT was sent · `committed` · `rolled-back` ·
 * `lost` the connection broke before COMMIT was sent: nothing is stored · `in-doubt` it broke while COMMIT was under way.
 */
export type WireState = 'unsent' | 'open' | 'committing' | 'committed' | 'rolled-back' | 'lost' | 'in-doubt';

type Query = pg.QueryConfig;
type Answer = pg.QueryResult;

// How long ROLLBACK waits for the statements in front of it before the connection is cut.
const rollbackPatienceMs = 50;
const positionQuery = { name: 'wal_position', text: 'SELECT pg_current_wal_flush_lsn()::text AS answer' };

/**
 * One transaction on its way to the server; to Prisma it is a connection. It takes a real one at its first statement, sends BEGIN and
 * whatever goes before a statement in the same flight, and knows how it ended, also when its caller cannot.
 */
export class WireTransaction {
  state: WireState = 'unsent';
  /** The statement that broke the transaction, unless a savepoint has mended it. */
  failure: StatementFailure | null = null;
  /** The position in the WAL behind COMMIT; null when it was not asked for or not told. */
  position: string | null = null;
  /** Milliseconds for which the server has waited for the next statement. */
  idleMs = 0;
  private client: pg.PoolClient | null = null;
  private connecting: Promise<pg.PoolClient> | null = null;
  private readonly ahead: Ahead;
  private underWay = 0;
  private readonly transactionId = new TransactionId();
  private quietSince = 0;
  private readonly limits: TimeLimits;

  constructor(
    private readonly connections: Connections,
    private readonly terms: WireTerms,
  ) {
    this.ahead = new Ahead(connections.limits);
    this.limits = new TimeLimits(connections.limits, terms);
  }

  /** Whether it keeps a connection, or is about to. */
  get isConnected(): boolean {
    return this.client !== null || this.connecting !== null;
  }

  isFrom(connections: Connections): boolean {
    return this.connections === connections;
  }

  /** The id that `pg_xact_status` knows it by; null as long as it has written nothing. */
  get id(): string | null {
    return this.transactionId.value;
  }

  /**
   * No statement lasts beyond `endsAt` (`performance.now()`), or waits for a lock longer than this, until the limit is lifted, which
   * the answer does.
   */
  limit(endsAt: number, lockTimeoutMs: number | null): () => void {
    return this.limits.add(endsAt, lockTimeoutMs ?? Infinity);
  }

  /** What became of it was asked elsewhere. */
  settle(state: 'committed' | 'rolled-back'): void {
    this.state = state;
  }

  /** What Prisma says: begin and end of the transaction, savepoints, statements. */
  async query(query: Query): Promise<Answer> {
    const { verb, savepoint } = spokenBy(query.text);
    switch (verb) {
      case 'BEGIN':
        return emptyAnswer(verb);
      case 'COMMIT':
        return this.commit();
      case 'ROLLBACK':
        return this.rollback();
      case undefined:
        return this.statement(query);
      default:
        return this.mark(verb, savepoint);
    }
  }

  /** Prisma gives the connection back. */
  release(error?: unknown): void {
    const { client } = this;
    this.client = null;
    if (client === null) return;
    const isWhole = error === undefined && this.underWay === 0 && ['committed', 'rolled-back'].includes(this.state);
    this.connections.giveBack(client, !isWhole);
  }

  // Prisma listens for errors of the connection. It hears of them by the next statement.
  on = (): this => this;
  removeListener = (): this => this;

  private async statement(query: Query): Promise<Answer> {
    if (this.underWay++ === 0 && this.quietSince > 0) this.idleMs += performance.now() - this.quietSince;
    try {
      const client = this.client ?? (await this.connected());
      const answer = await this.send(query, client);
      if (this.state === 'open' && client.getTransactionStatus() === 'I') throw new TransactionControlError();
      return answer;
    } catch (error) {
      throw this.failed(query.text, error);
    } finally {
      if (--this.underWay === 0) this.quietSince = performance.now();
    }
  }

  // The pipeline takes all of it before the first is answered. BEGIN alone cannot fail; where something else in front does, the
  // transaction is broken and so is the statement behind it, which then reports what was wrong.
  private async send(query: Query, client: pg.PoolClient): Promise<Answer> {
    if (this.state !== 'open') throw new TransactionEndedError();
    const longestMs = this.limits.tell(this.ahead);
    const aheadFailure = sendAhead(client, this.ahead.take());
    const sent = this.planted('statement', client, query.text) ?? client.query(patient(query, longestMs));
    if (!this.terms.readOnly) this.transactionId.askBehind(query.text, client);
    if (aheadFailure !== null) await Promise.all([aheadFailure, sent.catch(() => undefined)]);
    return sent;
  }

  private failed(text: string, error: unknown): unknown {
    if (this.state !== 'unsent' && this.state !== 'open') return error;
    this.failure ??= { statement: nameOf(text), error };
    if (this.state === 'open' && isBreak(error)) this.state = 'lost';
    return error;
  }

  private async connected(): Promise<pg.PoolClient> {
    if (this.state === 'unsent') await (this.connecting ??= this.connect());
    if (this.client === null) throw new TransactionEndedError();
    return this.client;
  }

  private async connect(): Promise<pg.PoolClient> {
    try {
      const client = await this.connections.takeConnection();
      if (this.state === 'unsent') {
        this.client = client;
        this.state = 'open';
        this.ahead.begin(this.terms.settings());
        // It ended while it waited.
      } else this.connections.giveBack(client, false);
      return client;
    } finally {
      this.connecting = null;
    }
  }

  private async mark(verb: string, name: string): Promise<Answer> {
    if (!['unsent', 'open'].includes(this.state)) throw new TransactionEndedError();
    if (verb === 'SAVEPOINT') this.ahead.savepoint(name);
    else if (verb === 'RELEASE SAVEPOINT') this.ahead.release(name);
    else await this.backTo(name);
    return emptyAnswer(verb);
  }

  private async backTo(name: string): Promise<void> {
    if (this.ahead.backTo(name)) await this.client?.query(`ROLLBACK TO SAVEPOINT ${name}`);
    this.failure = null;
  }

  private async commit(): Promise<Answer> {
    const { client } = this;
    if (client === null) return this.endUnsent('committed', 'COMMIT');
    await this.transactionId.known(client);
    if (this.state !== 'open') throw new TransactionEndedError();
    this.state = 'committing';
    try {
      return await this.sendCommit(client);
    } catch (error) {
      if (this.state === 'committing') this.state = isBreak(error) ? 'in-doubt' : 'rolled-back';
      throw error;
    }
  }

  private async sendCommit(client: pg.PoolClient): Promise<Answer> {
    const sent = this.planted('commit', client, 'COMMIT') ?? client.query('COMMIT');
    const asked = this.terms.asksPosition && this.id !== null ? answerTo(client, positionQuery) : null;
    const answer = await sent;
    await this.planted('answer', client, 'COMMIT');
    this.state = answer.command === 'COMMIT' ? 'committed' : 'rolled-back';
    if (this.state === 'rolled-back') throw new TransactionRolledBackError();
    this.position = await asked;
    return answer;
  }

  private async rollback(): Promise<Answer> {
    const { client } = this;
    if (client === null || this.state !== 'open') return this.endUnsent('rolled-back', 'ROLLBACK');
    this.state = 'rolled-back';
    // What is under way is rolled back with the rest. When it takes too long, the server rolls back by itself without the connection.
    const patience = this.underWay > 0 ? setTimeout(() => cut(client), rollbackPatienceMs) : undefined;
    try {
      return await client.query('ROLLBACK');
    } catch (error) {
      this.state = 'lost';
      throw error;
    } finally {
      clearTimeout(patience);
    }
  }

  private async endUnsent(state: WireState, command: string): Promise<Answer> {
    if (this.state === 'unsent') this.state = state;
    return emptyAnswer(command);
  }

  private planted(moment: Moment, client: pg.PoolClient, text: string): Promise<Answer> | null {
    const fault = this.terms.fault?.(moment, text) ?? null;
    return fault === null ? null : plant(fault, moment, client);
  }
}

// The server's own limit comes first; this one ends the wait for a server that has gone silent.
const patient = (query: Query, longestMs: number): Query => Object.assign(query, { query_timeout: longestMs + 1000 });
const emptyAnswer = (command: string): Answer => ({ command, rowCount: null, oid: 0, fields: [], rows: [] });

/** Sends it; null when there is nothing to send. */
const sendAhead = (client: pg.PoolClient, message: string | null): Promise<Answer> | null =>
  message === null ? null : client.query(message);
