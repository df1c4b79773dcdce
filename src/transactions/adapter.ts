import type { TransactionalAdapter } from '@nestjs-cls/transactional';
import { TransactionalAdapterPrisma } from '@nestjs-cls/transactional-adapter-prisma';
import { Databases } from '../database/databases.ts';
import type { Client } from '../database/client.ts';
import { isOutcomeUnknown, isUnreachable } from '../database/failures.ts';
import type { PrismaClient, Prisma } from '../database/generated/client.ts';
import type { Isolation, TransactionOptions } from './boundary.ts';
import { CommitOutcomeUnknownError } from './errors.ts';
import { ReadRouter } from './read-router.ts';

type TransactionClient = Prisma.TransactionClient;
type Work = () => Promise<unknown>;
type SetClient = (client?: TransactionClient) => void;

/** What the host hands over when a boundary begins: everything settled. */
export interface BeginOptions extends Required<Pick<TransactionOptions, 'readOnly' | 'name'>> {
  readonly isolation: Isolation | null;
  readonly timeoutMs: number;
  /** The boundary asks for a time of its own: the server is told as well. */
  readonly hasOwnTimeout: boolean;
  /** Milliseconds to wait for a connection. */
  readonly poolWaitMs: number;
}

const isolationLevels = {
  'read-committed': 'ReadCommitted',
  'repeatable-read': 'RepeatableRead',
  serializable: 'Serializable',
} as const;

// What BEGIN may take when there is a connection.
const beginMs = 1000;
// A statement that is cancelled leaves a connection that can be used, so it comes before the end of the session, and that before Prisma's clock.
const graceMs = 50;

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
  const progress: Progress = { hasBegun: false, isDone: false };
  const on = (chosen: Client) =>
    runOn({ prisma: chosen.prisma, isPrimary: chosen === databases.write }, options, progress, work, setClient);
  try {
    return await on(client);
  } catch (error) {
    // The replica is away and nothing has been done yet.
    if (client !== databases.write && !progress.hasBegun && isUnreachable(error)) {
      reads.lost(error);
      return await on(databases.write);
    }
    if (progress.isDone && !options.readOnly && isOutcomeUnknown(error))
      throw new CommitOutcomeUnknownError(options.name, error);
    throw error;
  } finally {
    if (!options.readOnly) reads.wrote();
  }
}

interface Progress {
  hasBegun: boolean;
  isDone: boolean;
}

function runOn(
  { prisma, isPrimary }: Pick<Client, 'prisma'> & { isPrimary: boolean },
  options: BeginOptions,
  progress: Progress,
  work: Work,
  setClient: SetClient,
): Promise<unknown> {
  return prisma.$transaction(
    async (transaction) => {
      await prepare(transaction, options, isPrimary);
      progress.hasBegun = true;
      setClient(transaction);
      const result = await work();
      progress.isDone = true;
      return result;
    },
    {
      // The pool's own limit comes first and says better what was waited for.
      maxWait: options.poolWaitMs + beginMs,
      timeout: options.timeoutMs + (options.hasOwnTimeout ? 2 * graceMs : 0),
      ...(options.isolation && { isolationLevel: isolationLevels[options.isolation] }),
    },
  );
}

async function prepare(transaction: TransactionClient, options: BeginOptions, isPrimary: boolean): Promise<void> {
  // On the replica the role and the server refuse writes by themselves.
  if (options.readOnly && isPrimary) await transaction.$executeRaw`SET TRANSACTION READ ONLY`;
  if (!options.hasOwnTimeout) return;
  // Prisma's clock only forbids the next statement; the server's also ends the running one. `transaction_timeout` came with PostgreSQL 17.
  const [each, all] = [options.timeoutMs, options.timeoutMs + graceMs].map((limit) => `${Math.ceil(limit)}`);
  await transaction.$queryRaw`
    SELECT set_config('statement_timeout', ${each}, true),
      CASE WHEN current_setting('server_version_num')::int >= 170000 THEN set_config('transaction_timeout', ${all}, true) END`;
}
