import type { TransactionalAdapter } from '@nestjs-cls/transactional';
import { TransactionalAdapterPrisma } from '@nestjs-cls/transactional-adapter-prisma';
import type { DatabaseClient } from '../../database/database-client.ts';
import { DatabaseClients } from '../../database/database-clients.ts';
import type { Prisma } from '../../database/generated/client.ts';
import { MisuseError } from '../../kernel/loggable-error.ts';
import { boundaryOfContext } from '../current.ts';
import { CommitOutcomeUnknownError, ConnectionLostError, LockUnavailableError } from '../errors.ts';
import { ReadRouter } from '../reads/router.ts';
import { DatabaseError, StaleSessionError, TransactionEndedError, TransactionExpiredError } from '../wire/errors.ts';
import { finalStatementsOf } from '../wire/final-statement.ts';
import { FirstStatementRefusedError } from '../wire/first-statement.ts';
import { enter } from '../wire/nesting.ts';
import { isBreak } from '../wire/postgres-errors.ts';
import { SlotsOfClients } from '../wire/slots.ts';
import type { TransactionHandle } from '../wire/transaction-handle.ts';
import type { WireTransaction } from '../wire/transaction.ts';
import { isExpiry } from './expiry.ts';
import { isConflict, isLockRefusal, namedError } from './named-errors.ts';
import { askOutcome } from './outcome.ts';

type TransactionClient = Prisma.TransactionClient;
type Work = () => Promise<unknown>;
type SetClient = (client?: TransactionClient) => void;

/** The options that the host passes when a boundary begins. */
export interface BeginOptions {
  readonly name: string;
  readonly beginning: TransactionHandle;
  /** Whether it may be done on a replica. */
  readonly mayUseReplica: boolean;
}

/** The adapter as the host sees it. */
export type Adapter = TransactionalAdapter<DatabaseClients, TransactionClient, BeginOptions>;

/** Begins boundaries on their client, nests them by savepoints, and determines their outcome. */
export class BoundaryAdapter extends TransactionalAdapterPrisma {
  readonly extraProviderTokens = [ReadRouter];

  constructor() {
    super({ prismaInjectionToken: DatabaseClients });
    this.optionsFactory = ((databases: DatabaseClients, [reads]: [ReadRouter]) => {
      const slots = new SlotsOfClients();
      return {
        wrapWithTransaction: async (options: BeginOptions | undefined, work: Work, setClient: SetClient) =>
          new TransactionRun(databases, reads, slots, begunByUs(options)).run(work, setClient),
        wrapWithNestedTransaction: (_: unknown, work: Work) => inSavepoint(work),
        getFallbackInstance: refuseClient,
      };
    }) as unknown as TransactionalAdapterPrisma['optionsFactory'];
  }
}

function begunByUs(options: BeginOptions | undefined): BeginOptions {
  if (options?.beginning !== undefined) return options;
  throw new MisuseError(
    'Draw the boundary with @Transactional() of src/transactions/transactional.ts, or with transactions.run: those of nestjs-cls know none of its promises.',
  );
}

function refuseClient(): never {
  throw new MisuseError(
    'There is no transaction here. A repository is given its client by @InjectDatabase() of src/transactions/tables.ts.',
  );
}

/** One transaction, from its beginning to the outcome in the database. */
class TransactionRun {
  private value: unknown;

  constructor(
    private readonly databases: DatabaseClients,
    private readonly reads: ReadRouter,
    private readonly slots: SlotsOfClients,
    private readonly options: BeginOptions,
  ) {}

  async run(work: Work, setClient: SetClient): Promise<unknown> {
    const { write } = this.databases;
    const client = this.options.mayUseReplica ? await this.reads.client(this.options.beginning.endsAt) : write;
    try {
      return await this.on(client, work, setClient);
    } catch (error) {
      if (!this.reads.passesOn(client, error)) return await this.explain(error);
      // Work that only reads can be done again, on the server that is there.
      this.options.beginning.wire = null;
      return await this.on(write, work, setClient).catch((again: unknown) => this.explain(again));
    } finally {
      const { wire, readOnly } = this.options.beginning;
      if (!readOnly && wire !== null && wire.state !== 'unsent') this.reads.wrote(wire);
    }
  }

  private async on(client: DatabaseClient, work: Work, setClient: SetClient): Promise<unknown> {
    const { beginning } = this.options;
    const wire = client.pool.begin(beginning);
    const slots = this.slots.of(client);
    const slot = await slots.take(wire);
    const clock = setTimeout(() => void wire.expire(), Math.max(0, beginning.endsAt - performance.now()));
    try {
      setClient(slot.transaction);
      this.value = await enter(beginning, work);
      // The deadline is a timer, which fires late if the event loop is busy.
      if (performance.now() > beginning.endsAt) await wire.expire();
      await wire.commit(finalStatementsOf(beginning.final));
      return this.value;
    } catch (error) {
      await wire.rollback().catch(() => undefined); // what is thrown is why
      throw error;
    } finally {
      clearTimeout(clock);
      wire.release();
      slots.giveBack(slot, wire.hasEndedCleanly && beginning.underWay === 0 && !beginning.hasFailed);
    }
  }

  /** Returns the value of the work if it was committed after all; otherwise throws the actual error. */
  private async explain(error: unknown): Promise<unknown> {
    const { name, beginning } = this.options;
    const { wire } = beginning;
    if (wire?.state === 'in-doubt') return await this.resolve(error);
    const reason = wire?.failure?.error ?? error;
    // Also if the work replaced the conflict by another error.
    if (isConflict(reason) || reason instanceof FirstStatementRefusedError) throw reason;
    if (wire !== null && wasCutOff(wire)) throw this.cutOff(reason);
    throw namedError(error, 'COMMIT', { name, endsAt: beginning.endsAt });
  }

  private async resolve(error: unknown): Promise<unknown> {
    const { name, beginning } = this.options;
    const id = beginning.wire?.id ?? null;
    // Without an id it has written nothing, so the outcome of COMMIT does not matter.
    const outcome = id === null ? 'stored' : await askOutcome(this.databases.write.pool, id, beginning.endsAt);
    if (outcome === 'unknown') throw new CommitOutcomeUnknownError(name, error);
    if (outcome === 'not stored') {
      beginning.wire?.settle('rolled-back');
      // A deferred trigger made COMMIT wait for a lock; the connection is intact.
      throw isLockRefusal(error) ? new LockUnavailableError(null, error) : this.cutOff(error);
    }
    beginning.wire?.settle('committed');
    return this.value;
  }

  // The deadline may have ended the connection.
  private cutOff(cause: unknown): Error {
    const { name, beginning } = this.options;
    return performance.now() < beginning.endsAt
      ? new ConnectionLostError(name, cause)
      : new TransactionExpiredError(`The time of ${name} is over.`, { cause });
  }
}

// Not Prisma's own nested transactions, which would send the same: each makes a client that costs as much as all those around it
// together, so that one begun 14 deep takes 1.6 s (7.10.0). The boundary ensures that no two run at once.
async function inSavepoint(work: Work): Promise<unknown> {
  const wire = boundaryOfContext()?.transaction.beginning.wire;
  if (!wire) throw new TransactionEndedError();
  const name = `nested_${++savepoints}`;
  wire.savepoint(name);
  try {
    const value = await work();
    wire.releaseSavepoint(name);
    return value;
  } catch (error) {
    await goBack(wire, name).catch(() => undefined); // the transaction is at its end then as well; what is thrown is why
    throw error;
  }
}

async function goBack(wire: WireTransaction, name: string): Promise<void> {
  await wire.backToSavepoint(name);
  wire.releaseSavepoint(name);
}
let savepoints = 0;

// Not if the service closed it, to end a statement that nobody awaited: then the work failed for another reason.
const wasCutOff = ({ state, failure }: WireTransaction): boolean =>
  state === 'lost' &&
  failure !== null &&
  (failure.error instanceof StaleSessionError || !(failure.error instanceof DatabaseError)) &&
  !isExpiry(failure.error) &&
  isBreak(failure.error);
