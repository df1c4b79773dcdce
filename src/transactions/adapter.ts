import type { TransactionalAdapter } from '@nestjs-cls/transactional';
import { TransactionalAdapterPrisma } from '@nestjs-cls/transactional-adapter-prisma';
import { Databases } from '../database/databases.ts';
import { isUnreachable } from '../database/failures.ts';
import type { PrismaClient, Prisma } from '../database/generated/client.ts';
import { type Isolation, milliseconds, type TransactionOptions } from './boundary.ts';
import { CommitOutcomeUnknownError } from './errors.ts';
import { ReadRouter } from './read-router.ts';

type TransactionClient = Prisma.TransactionClient;
type Work = () => Promise<unknown>;
type SetClient = (client?: TransactionClient) => void;

/** What the host hands over when a boundary begins: everything settled. */
export type BeginOptions = Required<Pick<TransactionOptions, 'readOnly' | 'name' | 'timeout'>> & {
  readonly isolation: Isolation | null;
  /** Milliseconds to wait for a connection. */
  readonly poolWaitMs: number;
};

const isolationLevels = {
  'read-committed': 'ReadCommitted',
  'repeatable-read': 'RepeatableRead',
  serializable: 'Serializable',
} as const;

/** The adapter as the host sees it. */
export type Adapter = TransactionalAdapter<Databases, TransactionClient, BeginOptions>;

/** Begins boundaries on the client they belong to, and nests them by Prisma's own savepoints. */
export class BoundaryAdapter extends TransactionalAdapterPrisma {
  readonly extraProviderTokens = [ReadRouter];

  constructor() {
    super({ prismaInjectionToken: Databases });
    this.optionsFactory = ((databases: Databases, [reads]: [ReadRouter]) => ({
      wrapWithTransaction: (options: BeginOptions, work: Work, setClient: SetClient) =>
        begin(databases, reads, options, work, setClient),
      // Prisma refuses two nested transactions at once, where raw savepoints would lose rows.
      wrapWithNestedTransaction: (_: unknown, work: Work, setClient: SetClient, outer: PrismaClient) =>
        outer.$transaction((nested) => {
          setClient(nested);
          return work();
        }),
      getFallbackInstance: () => reads.routed,
    })) as unknown as TransactionalAdapterPrisma['optionsFactory'];
  }
}

async function begin(databases: Databases, reads: ReadRouter, options: BeginOptions, work: Work, setClient: SetClient) {
  const client = options.readOnly ? await reads.client() : databases.write;
  let workIsDone = false;
  try {
    return await client.prisma.$transaction(
      async (transaction) => {
        await prepare(transaction, options, client === databases.write);
        setClient(transaction);
        const result = await work();
        workIsDone = true;
        return result;
      },
      {
        maxWait: options.poolWaitMs,
        timeout: milliseconds(options.timeout),
        ...(options.isolation && { isolationLevel: isolationLevels[options.isolation] }),
      },
    );
  } catch (error) {
    if (workIsDone && !options.readOnly && isUnreachable(error))
      throw new CommitOutcomeUnknownError(options.name, error);
    throw error;
  } finally {
    if (!options.readOnly) reads.wrote();
  }
}

async function prepare(transaction: TransactionClient, options: BeginOptions, onPrimary: boolean): Promise<void> {
  // On the replica the role and the server refuse writes by themselves.
  if (options.readOnly && onPrimary) await transaction.$executeRaw`SET TRANSACTION READ ONLY`;
}
