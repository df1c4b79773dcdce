import type pg from 'pg';
import { Admission } from '../transactions/wire/admission.ts';
import type { PooledConnection, ServerLimits } from '../transactions/wire/connection.ts';
import { Flight } from '../transactions/wire/flight.ts';
import { type Context, contextNow, transactionsAround } from '../transactions/wire/nesting.ts';
import { WireTransaction } from '../transactions/wire/transaction.ts';
import type { ConnectCallback, PinnedPool } from '../transactions/wire/pinned-pool.ts';
import type { WireTerms } from '../transactions/wire/wire-terms.ts';
import { PinnedConnection, type Shared } from './pinned-connection.ts';
import { PinnedConnectionBusyError, PinnedTransactionLostError } from './pinned-errors.ts';

type Answered = (error: unknown, answer?: pg.QueryResult) => void;
/**
 * For tests: one connection with one transaction, in which everything happens that is asked of the pools that are pinned to it, and which
 * is rolled back at the end.
 */
export class TestConnection implements PinnedPool, Shared {
  readonly turns: Admission;
  isOver = false;
  deferRules = '';
  private complaint: PinnedConnectionBusyError | null = null;
  private readonly connections = new WeakMap<object, PinnedConnection>();

  /** Times in milliseconds. */
  constructor(
    readonly client: PooledConnection,
    readonly limits: ServerLimits,
    readonly waitMs: number,
  ) {
    this.turns = new Admission(1, waitMs);
  }

  async begin(): Promise<void> {
    // A test may think as long as it likes.
    const begun = this.client.query('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0');
    const asked = this.client.query<{ names: string | null }>(
      `SELECT string_agg(DISTINCT format('%I.%I', n.nspname, c.conname), ', ') AS names
       FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.condeferrable AND NOT c.condeferred`,
    );
    const [, { rows }] = await Promise.all([begun, asked]);
    const atOnce = rows[0]?.names ?? null;
    this.deferRules = `SET CONSTRAINTS ALL DEFERRED${atOnce === null ? '' : `; SET CONSTRAINTS ${atOnce} IMMEDIATE`}`;
  }

  /**
   * Rolls everything back, when whoever speaks now has ended. Throws PinnedConnectionBusyError when that takes too long or had taken
   * somebody too long before, and PinnedTransactionLostError when there is nothing left to roll back.
   */
  async end(): Promise<void> {
    const isFree = await this.turns.enter([]).then(
      () => true,
      () => false,
    );
    this.isOver = true;
    if (!isFree) throw new PinnedConnectionBusyError(this.waitMs);
    // Whoever still waits is told that it is over.
    this.turns.leave();
    if (this.client.getTransactionStatus() === 'I') throw new PinnedTransactionLostError();
    await this.client.query('ROLLBACK');
    if (this.complaint !== null) throw this.complaint;
  }

  /** What Prisma is given for a transaction. */
  transaction(terms: WireTerms): WireTransaction {
    const connection = new PinnedConnection(this);
    const wire = new WireTransaction(connection, terms);
    this.connections.set(wire, connection);
    return wire;
  }

  /** Lends it for one statement outside any transaction, which is one of its own. */
  lend(taken: ConnectCallback): void {
    const connection = new PinnedConnection(this);
    const query = (text: string | pg.QueryConfig, values: unknown[] | undefined, answered: Answered): void => {
      single(connection, typeof text === 'string' ? { text, ...(values && { values }) } : text).then(
        (answer) => answered(undefined, answer),
        answered,
      );
    };
    const lent = { query, once: ignore, removeListener: ignore, release: () => connection.giveBack() };
    connection.takeConnection(contextNow()).then(
      () => taken(undefined, lent as unknown as pg.PoolClient, ignore),
      (error: unknown) => taken(error as Error, undefined, ignore),
    );
  }

  around(place: Context | null): PinnedConnection | null {
    for (const wire of transactionsAround(place)) {
      const connection = this.connections.get(wire);
      if (connection !== undefined) return connection;
    }
    return null;
  }

  complain(error: PinnedConnectionBusyError): void {
    this.complaint = error;
  }
}

async function single(connection: PinnedConnection, query: pg.QueryConfig): Promise<pg.QueryResult> {
  const sent = [
    connection.fly(new Flight(['BEGIN'], query)),
    connection.fly(new Flight([], { text: 'COMMIT' })),
  ] as const;
  const [answered, committed] = await Promise.allSettled(sent);
  if (answered.status === 'rejected') throw answered.reason;
  if (committed.status === 'rejected') throw committed.reason;
  return answered.value;
}

function ignore(): void {
  return undefined;
}
