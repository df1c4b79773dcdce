import type pg from 'pg';
import { leavesOpen, sendCommit } from './commit.ts';
import type { Carrier, Connections } from './connection.ts';
import { DatabaseError, TransactionControlError, TransactionEndedError, TransactionExpiredError } from './errors.ts';
import { FlightPlan } from './flight-plan.ts';
import { type FinalStatement, sendFinal } from './final-statement.ts';
import { refusalIn } from './first-statement.ts';
import type { Flight } from './flight.ts';
import { LazyConnection } from './lazy-connection.ts';
import { isAfterFailure, isBreak } from './postgres-errors.ts';
import { hasEnded, nameOf } from './statements.ts';
import { UnderWay } from './under-way.ts';
import type { StatementFailure, WireState } from './wire-state.ts';
import type { WireTerms } from './wire-terms.ts';

type Answer = pg.QueryResult;

// How long ROLLBACK waits for the statements in front of it before the connection is cut.
const rollbackPatienceMs = 50;
const takesId = 'SELECT pg_current_xact_id()';

/**
 * One transaction on its way to the server. It takes a connection at its first statement, sends BEGIN and whatever goes before a
 * statement in the same flight, and knows how it ended, also when its caller cannot.
 */
export class WireTransaction {
  state: WireState = 'unsent';
  /** The statement that broke the transaction, unless a savepoint has mended it. */
  failure: StatementFailure | null = null;
  /** The position in the WAL behind COMMIT; null when it was not asked for or not told. */
  position: string | null = null;
  /** How many rows its statements have inserted, updated or deleted. */
  changedRows = 0;
  private isExpired = false;
  private readonly connection: LazyConnection;
  private readonly plan: FlightPlan;
  // Settled when the first flight has landed.
  private first: Promise<unknown> | null = null;
  private readonly underWay = new UnderWay();
  private undoing: Promise<void> | null = null;

  constructor(
    connections: Connections,
    private readonly terms: WireTerms,
  ) {
    this.connection = new LazyConnection(connections);
    this.plan = new FlightPlan(connections.limits, terms);
  }

  /** Whether it keeps a connection, or is about to. */
  get isConnected(): boolean {
    return this.connection.isTaken;
  }

  /** Milliseconds for which the server has waited for the next statement. */
  get idleMs(): number {
    return this.underWay.idleMs;
  }

  isFrom(connections: Connections): boolean {
    return this.connection.isFrom(connections);
  }

  /** The id that `pg_xact_status` knows it by; null as long as it has written nothing. */
  get id(): string | null {
    return this.plan.transactionId.value;
  }

  /**
   * No statement lasts beyond `endsAt` (`performance.now()`), or waits for a lock longer than this, until the answer lifts the limit.
   */
  limit(endsAt: number, lockTimeoutMs: number | null): () => void {
    return this.plan.limits.add(endsAt, lockTimeoutMs ?? Infinity);
  }

  /** What became of it was asked elsewhere. */
  settle(state: 'committed' | 'rolled-back'): void {
    this.state = state;
  }

  /** Its time is over: it is rolled back, and whatever still comes is refused. */
  async expire(): Promise<void> {
    if (this.state !== 'unsent' && this.state !== 'open') return;
    this.isExpired = true;
    await this.rollback().catch(() => undefined); // its connection is lost then, which ends it as well
  }

  /** Whether it has ended, the server has said so, and nobody was cut short. */
  get hasEndedCleanly(): boolean {
    return !this.isExpired && this.isWhole;
  }

  private get isWhole(): boolean {
    return this.underWay.count === 0 && (this.state === 'committed' || this.state === 'rolled-back');
  }

  /** Gives the connection back. */
  release(): void {
    this.connection.giveBack(this.isWhole);
  }

  /** Sends a statement; the first one takes a connection and begins. */
  async statement(query: pg.QueryConfig): Promise<Answer> {
    this.underWay.begin();
    try {
      const answer = await this.send(query, await this.connected());
      if (answer.command !== 'SELECT') this.changedRows += answer.rowCount ?? 0;
      if (hasEnded(answer.command)) throw new TransactionControlError();
      return answer;
    } catch (error) {
      throw this.failed(query.text, error);
    } finally {
      this.underWay.end();
    }
  }

  private async send(query: pg.QueryConfig, client: Carrier): Promise<Answer> {
    if (this.state !== 'open') throw this.ended();
    const landing = this.fly(this.plan.flightOf(query, client), client);
    this.first ??= Promise.allSettled([landing]);
    return landing;
  }

  private async fly(flight: Flight, client: Carrier): Promise<Answer> {
    const isFirst = this.first === null;
    try {
      return await client.fly(flight);
    } catch (error) {
      const said = this.connection.judged(refusalIn(flight, error), this.terms.readOnly || this.id !== null);
      const failed = this.failed(flight.query.text, said);
      // BEGIN itself has failed: there is no transaction for what else may come.
      if (isFirst && flight.done === 0 && this.state === 'open') this.state = 'rolled-back';
      throw failed;
    } finally {
      this.plan.landed(flight);
    }
  }

  private ended(cause: unknown = new TransactionEndedError()): unknown {
    return this.isExpired ? new TransactionExpiredError('The time of the boundary is over.', { cause }) : cause;
  }

  private failed(text: string, error: unknown): unknown {
    // When the time is over it is cut, or the server ends one of its statements just before that, and refuses those behind it.
    if (this.state !== 'unsent' && this.state !== 'open')
      return !(error instanceof DatabaseError) && (isBreak(error) || isAfterFailure(error)) ? this.ended(error) : error;
    this.failure ??= { statement: nameOf(text), error };
    if (this.state === 'open' && isBreak(error)) this.state = 'lost';
    return error;
  }

  private async connected(): Promise<Carrier> {
    // It may be there already while who asked for it first has not gone on: that one begins before anybody else.
    const client = (this.state === 'unsent' ? null : this.connection.client) ?? (await this.connection.take());
    if (client === null) throw this.ended();
    if (this.state !== 'unsent') return client;
    this.state = 'open';
    this.plan.begin(client);
    return client;
  }

  savepoint(name: string): void {
    this.refuseEnded();
    this.plan.ahead.savepoint(name);
  }

  releaseSavepoint(name: string): void {
    this.refuseEnded();
    this.plan.ahead.release(name);
  }

  async backToSavepoint(name: string): Promise<void> {
    this.refuseEnded();
    if (this.plan.ahead.backTo(name)) await this.goBack(`ROLLBACK TO SAVEPOINT ${name}`);
    this.failure = null;
  }

  // Where that fails, what was to be undone is still there, and must not be stored.
  private async goBack(text: string): Promise<void> {
    await this.connection.client?.query(this.plan.own(text)).catch((error: unknown) => {
      throw this.failed(text, error);
    });
  }

  private refuseEnded(): void {
    if (this.state !== 'unsent' && this.state !== 'open') throw this.ended();
  }

  /**
   * Stores all of it, with what the final statements do, which leave with COMMIT. Throws when it is not stored, or when that is not known:
   * {@link state} tells which. FinalStatementRefusedError where one of them has not done all that it was to do.
   */
  async commit(final: readonly FinalStatement[] = []): Promise<void> {
    if (final.length > 0) await this.takeId();
    const { client } = this.connection;
    if (client === null) return this.endUnsent('committed');
    // Outside a transaction COMMIT succeeds.
    await this.first;
    if (this.state !== 'open') throw this.ended();
    await this.plan.transactionId.known(client, this.plan.limits.patienceMs()).catch((error: unknown) => {
      throw this.failed('COMMIT', error);
    });
    if (this.state !== 'open') throw this.ended();
    const sent = sendFinal(final, this.plan, client);
    this.state = 'committing';
    try {
      const patienceMs = this.plan.limits.commitPatienceMs();
      this.position = await sendCommit(client, this.terms, { hasWritten: this.id !== null, patienceMs });
      this.state = 'committed';
    } catch (error) {
      this.state = leavesOpen(error) ? 'in-doubt' : 'rolled-back';
      const refused = await sent;
      if (refused === null) throw error;
      ({ state: this.state, failure: this.failure } = refused);
      throw refused.error;
    }
  }

  // Without an id it could not be asked for what became of its COMMIT. What has written before has one.
  private async takeId(): Promise<void> {
    if (this.id === null) await this.statement({ text: takesId });
  }

  /** Undoes all of it, unless it has ended. Who asks again waits for the same answer: the connection is nobody else's before. */
  async rollback(): Promise<void> {
    const { client } = this.connection;
    if (client !== null && this.state === 'open') this.undoing = this.undo(client);
    if (this.undoing === null) this.endUnsent('rolled-back');
    await this.undoing;
  }

  private async undo(client: Carrier): Promise<void> {
    this.state = 'rolled-back';
    // What is under way is rolled back with the rest. When it takes too long, the server rolls back by itself without the connection.
    const patience = this.underWay.count > 0 ? setTimeout(() => client.cut(), rollbackPatienceMs) : undefined;
    try {
      await client.query(this.plan.own('ROLLBACK'));
    } catch (error) {
      this.state = 'lost';
      throw error;
    } finally {
      clearTimeout(patience);
    }
  }

  private endUnsent(state: WireState): void {
    if (this.state === 'unsent') this.state = state;
    this.connection.giveUp();
  }
}
