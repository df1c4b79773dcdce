import type { TransactionalAdapter } from '@nestjs-cls/transactional';
import { TransactionalAdapterPrisma } from '@nestjs-cls/transactional-adapter-prisma';
import { type Beginning, beginningWith } from '../database/beginning.ts';
import type { Client } from '../database/client.ts';
import { Databases } from '../database/databases.ts';
import { isUnreachable } from '../database/failures.ts';
import type { Prisma, PrismaClient } from '../database/generated/client.ts';
import { CommitOutcomeUnknownError, ConnectionLostError } from './errors.ts';
import { expired, isExpiry } from './expiry.ts';
import { askOutcome } from './outcome.ts';
import { ReadRouter } from './read-router.ts';
import { isConflict } from './retry.ts';

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

// Prisma begins at once: a connection is taken by the first statement.
const maxWaitMs = 1000;

/** Begins boundaries on the client they belong to, nests them by Prisma's own savepoints, and finds out how they ended. */
export class BoundaryAdapter extends TransactionalAdapterPrisma {
  readonly extraProviderTokens = [ReadRouter];

  constructor() {
    super({ prismaInjectionToken: Databases });
    this.optionsFactory = ((databases: Databases, [reads]: [ReadRouter]) => ({
      wrapWithTransaction: (options: BeginOptions, work: Work, setClient: SetClient) =>
        new Ending(databases, reads, options).run(work, setClient),
      // Prisma refuses two nested transactions at once, where raw savepoints would lose rows.
      wrapWithNestedTransaction: (_: unknown, work: Work, setClient: SetClient, outer: PrismaClient) =>
        outer.$transaction((nested) => {
          setClient(nested);
          return work();
        }),
      getFallbackInstance: () => databases.write.prisma,
    })) as unknown as TransactionalAdapterPrisma['optionsFactory'];
  }
}

/** One transaction from its beginning to the end that the database knows of. */
class Ending {
  private value: unknown;

  constructor(
    private readonly databases: Databases,
    private readonly reads: ReadRouter,
    private readonly options: BeginOptions,
  ) {}

  async run(work: Work, setClient: SetClient): Promise<unknown> {
    const { write } = this.databases;
    const client = this.options.mayUseReplica ? await this.reads.client() : write;
    try {
      return await this.on(client, work, setClient);
    } catch (error) {
      if (client === write || !isUnreachable(error)) return await this.explain(error);
      // Work that only reads can be done again, on the server that is there.
      this.reads.lost(client, error);
      this.options.beginning.wire = null;
      return await this.on(write, work, setClient).catch((again: unknown) => this.explain(again));
    } finally {
      const { wire, readOnly } = this.options.beginning;
      if (!readOnly && wire !== null && wire.state !== 'unsent') this.reads.wrote(wire);
    }
  }

  private on({ prisma }: Client, work: Work, setClient: SetClient): Promise<unknown> {
    const { beginning } = this.options;
    const inTransaction = async (transaction: TransactionClient): Promise<unknown> => {
      setClient(transaction);
      return (this.value = await work());
    };
    const timeout = Math.max(1, Math.ceil(beginning.endsAt - performance.now()));
    return beginningWith(beginning, () => prisma.$transaction(inTransaction, { maxWait: maxWaitMs, timeout }));
  }

  /** The work's value when it is stored after all; else throws what has really happened. */
  private async explain(error: unknown): Promise<unknown> {
    const { name, beginning } = this.options;
    const { wire } = beginning;
    if (wire?.state === 'in-doubt') return await this.resolve(error);
    const reason = wire?.failure?.error ?? error;
    // Also when the work has put another error in the place of the conflict.
    if (isConflict(reason)) throw reason;
    if (wire?.state === 'lost' && !isExpiry(reason)) throw new ConnectionLostError(name, reason);
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
      throw new ConnectionLostError(name, error);
    }
    beginning.wire?.settle('committed');
    return this.value;
  }
}
