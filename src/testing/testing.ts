import type { INestApplicationContext } from '@nestjs/common';
import type pg from 'pg';
import { DatabaseClients } from '../database/database-clients.ts';
import { LoggableError, MisuseError } from '../kernel/loggable-error.ts';
import { Transactions } from '../transactions/transactions.ts';
import type { PooledConnection } from '../transactions/wire/connection.ts';
import type { Pool } from '../transactions/wire/pool.ts';
import { isBreak, type PlantedFault, PlantedFaults } from './planted-faults.ts';
import { TestConnection } from './test-connection.ts';

// For tests only: nothing of the service imports this. docs/testing.md says how it is used.

export interface KitOptions {
  /**
   * How long a boundary waits for the one before it while tests are rolled back, milliseconds; then it fails with
   * PinnedConnectionBusyError. Default 4000: sooner than the five seconds after which Jest gives a test up.
   */
  readonly waitMs?: number;
}

/** The hooks of a test runner, as Jest, Vitest and node:test have them. */
export interface Runner {
  readonly beforeEach: (work: () => Promise<void>) => unknown;
  readonly afterEach: (work: () => Promise<void>) => unknown;
}

/** A fault that cannot be planted: one that breaks the connection which the whole test stands on. */
export class ImpossibleFaultError extends LoggableError {
  override readonly name = 'ImpossibleFaultError';
  constructor(at: string) {
    super(
      `"${at}" breaks the connection, and with it the transaction of the whole test. Plant it without begin(), on a database of the ` +
        `test's own, or let the server raise a SQLSTATE at "statement" or "commit".`,
    );
  }
}

interface Pinned {
  readonly pin: TestConnection;
  readonly client: PooledConnection;
  readonly pools: readonly Pool[];
}

/** Rolls tests back, and makes boundaries fail. One for each application. */
export class TransactionKit {
  /** What was planted with `failAt`. */
  readonly faults = new PlantedFaults();
  /** The rows that a statement gives in the test's own transaction, which nobody else sees. With the rights of the application. */
  readonly query = async <Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]> => {
    const { rows } = await this.app().get(DatabaseClients).write.pool.query<Row>(sql, values);
    return rows;
  };
  private pinned: Pinned | null = null;

  constructor(
    private readonly app: () => INestApplicationContext,
    private readonly options: KitOptions = {},
  ) {
    const { waitMs = 1, ...others } = options;
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) throw new MisuseError(`The kit has no option ${unknown}. There is waitMs.`);
    if (!(Number.isFinite(waitMs) && waitMs > 0)) throw new MisuseError('waitMs is a number of milliseconds above 0.');
  }

  /**
   * From now on all that the application does on its databases happens in one transaction, on one connection. Boundaries are savepoints
   * in it, run one at a time, and know no difference: what they write is checked and their hooks run when they end.
   */
  async begin(): Promise<void> {
    if (this.pinned !== null) throw new MisuseError('The test before has not been rolled back.');
    if (this.faults.hasBreak) throw new ImpossibleFaultError('begin() after a fault that breaks a connection');
    const { write, replicas } = this.app().get(DatabaseClients);
    const client = (await write.pool.takeConnection(null)) as PooledConnection;
    const pin = new TestConnection(client, write.pool.limits, this.options.waitMs ?? 4000);
    const pools = [write, ...replicas].map(({ pool }) => pool);
    await pin.begin().catch((error: unknown) => {
      write.pool.giveBack(client, true);
      throw error;
    });
    this.pinned = { pin, client, pools };
    for (const pool of pools) pool.pin = pin;
  }

  /**
   * Rolls back what was done since `begin`, and forgets the faults. Throws FaultNotMetError; PinnedConnectionBusyError when a boundary is
   * still at work or one has waited in vain; PinnedTransactionLostError.
   */
  async rollback(): Promise<void> {
    const [unpinned] = await Promise.allSettled([this.unpin()]);
    const [ended] = await Promise.allSettled([this.end()]);
    for (const part of [unpinned, ended]) if (part.status === 'rejected') throw part.reason;
  }

  /** Forgets the faults, after a test that was not rolled back. Throws FaultNotMetError. */
  async end(): Promise<void> {
    this.app().get(Transactions).faults = null;
    this.faults.clear();
  }

  /**
   * Makes a boundary fail. What its caller sees is real: the server raises the error, the socket breaks. Throws ImpossibleFaultError when a
   * connection would have to break that a whole test stands on.
   */
  failAt(fault: PlantedFault): void {
    if (this.pinned !== null && isBreak(fault)) throw new ImpossibleFaultError(fault.at);
    this.faults.add(fault);
    this.app().get(Transactions).faults = this.faults.plan;
  }

  private async unpin(): Promise<void> {
    if (this.pinned === null) throw new MisuseError('There is no test to roll back: begin() comes first.');
    const { pin, client, pools } = this.pinned;
    this.pinned = null;
    let isWhole = false;
    try {
      await pin.end();
      isWhole = true;
    } finally {
      for (const pool of pools) pool.pin = null;
      pools[0]?.giveBack(client, !isWhole);
    }
  }
}

/** The kit of an application: `begin()` before a test, `rollback()` after it. */
export const transactionKit = (app: INestApplicationContext, options: KitOptions = {}): TransactionKit =>
  new TransactionKit(() => app, options);

/**
 * Rolls back every test of the file or `describe` in which it is called: `rollBackEachTest(() => app, { beforeEach, afterEach })`. The
 * application is asked for when a test begins. What `beforeAll` writes stays.
 */
export function rollBackEachTest(
  app: () => INestApplicationContext,
  { beforeEach, afterEach }: Runner,
  options: KitOptions = {},
): TransactionKit {
  const kit = new TransactionKit(app, options);
  beforeEach(() => kit.begin());
  afterEach(() => kit.rollback());
  return kit;
}
