import type { TransactionalAdapter } from '@nestjs-cls/transactional';
import { TransactionalAdapterPrisma } from '@nestjs-cls/transactional-adapter-prisma';
import type { Beginning } from '../database/beginning.ts';
import type { Client } from '../database/client.ts';
import { beginningWith } from '../database/context.ts';
import { Databases } from '../database/databases.ts';
import {
  DatabaseError,
  StaleSessionError,
  TransactionEndedError,
  TransactionExpiredError,
} from '../database/errors.ts';
import { isBreak } from '../database/failures.ts';
import type { Prisma } from '../database/generated/client.ts';
import type { WireTransaction } from '../database/wire-transaction.ts';
import { boundaryOfContext } from './current.ts';
import { CommitOutcomeUnknownError, ConnectionLostError } from './errors.ts';
import { expired, isExpiry } from './expiry.ts';
import { askOutcome } from './outcome.ts';
import { ReadRouter } from './read-router.ts';
import { isConflict } from './retry.ts';
import { MisuseError } from '../kernel/loggable-error.ts';
import { SlotsOfClients } from './slots.ts';

type TransactionClient = Prisma.TransactionClient;
type Work = () => Promise<unknown>;
type SetClient = (client?: TransactionClient) => void;

/** What the host hands over when a boundary begins. */
export interface BeginOptions {
  readonly name: string;
  readonly beginning: Beginning;
  /** Whether it may be done on a replica. */
  readonly mayUseReplica: boolean;
}

/** The adapter as the host sees it. */
export type Adapter = TransactionalAdapter<Databases, TransactionClient, BeginOptions>;

/** Begins boundaries on the client they belong to, nests them by savepoints, and finds out how they ended. */
export class BoundaryAdapter extends TransactionalAdapterPrisma {
  readonly extraProviderTokens = [ReadRouter];

  constructor() {
    super({ prismaInjectionToken: Databases });
    this.optionsFactory = ((databases: Databases, [reads]: [ReadRouter]) => {
      const slots = new SlotsOfClients();
      return {
        wrapWithTransaction: async (options: BeginOptions | undefined, work: Work, setClient: SetClient) =>
          new Ending(databases, reads, slots, begunByUs(options)).run(work, setClient),
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
    'There is no transaction here. A repository is given its client by @InjectDatabase() of src/database/tables.ts.',
  );
}

/** One transaction from its beginning to the end that the database knows of. */
class Ending {
  private value: unknown;

  constructor(
    private readonly databases: Databases,
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

  private async on(client: Client, work: Work, setClient: SetClient): Promise<unknown> {
    const { beginning } = this.options;
    const wire = client.pool.begin(beginning);
    const slots = this.slots.of(client);
    const slot = await slots.take(wire);
    const clock = setTimeout(() => void wire.expire(), Math.max(0, beginning.endsAt - performance.now()));
    try {
      setClient(slot.transaction);
      this.value = await beginningWith(beginning, work);
      // Its clock is a timer, which comes late where the event loop is busy.
      if (performance.now() > beginning.endsAt) await wire.expire();
      await wire.commit();
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

  /** The work's value when it is stored after all; else throws what has really happened. */
  private async explain(error: unknown): Promise<unknown> {
    const { name, beginning } = this.options;
    const { wire } = beginning;
    if (wire?.state === 'in-doubt') return await this.resolve(error);
    const reason = wire?.failure?.error ?? error;
    // Also when the work has put another error in the place of the conflict.
    if (isConflict(reason)) throw reason;
    if (wire !== null && wasCutOff(wire)) throw this.cutOff(reason);
    throw expired(error, { name, endsAt: beginning.endsAt });
  }

  private async resolve(error: unknown): Promise<unknown> {
    const { name, beginning } = this.options;
    const id = beginning.wire?.id ?? null;
    // Without an id it has written nothing, and whatever became of COMMIT is the same.
    const outcome = id === null ? 'stored' : await askOutcome(this.databases.write.pool, id, beginning.endsAt);
    if (outcome === 'unknown') throw new CommitOutcomeUnknownError(name, error);
    if (outcome === 'not stored') {
      beginning.wire?.settle('rolled-back');
      throw this.cutOff(error);
    }
    beginning.wire?.settle('committed');
    return this.value;
  }

  // The end of its time may have been what ended the connection.
  private cutOff(cause: unknown): Error {
    const { name, beginning } = this.options;
    return performance.now() < beginning.endsAt
      ? new ConnectionLostError(name, cause)
      : new TransactionExpiredError(`The time of ${name} is over.`, { cause });
  }
}

// Not Prisma's own nested transactions, which would send the same: each makes a client that costs as much as all those around it
// together, so that one begun 14 deep takes 1.6 s (7.10.0). That no two run at once is seen to by the boundary.
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

// Not when we have cut it ourselves, to be rid of a statement that nobody waited for: then the work has failed for a reason of its own.
const wasCutOff = ({ state, failure }: WireTransaction): boolean =>
  state === 'lost' &&
  failure !== null &&
  (failure.error instanceof StaleSessionError || !(failure.error instanceof DatabaseError)) &&
  !isExpiry(failure.error) &&
  isBreak(failure.error);
