import pg from 'pg';
import type { TransactionalAdapter } from '@nestjs-cls/transactional';
import { TransactionalAdapterPrisma } from '@nestjs-cls/transactional-adapter-prisma';
import { Databases } from '../database/databases.ts';
import type { Client } from '../database/client.ts';
import { beginningWith } from '../database/connection.ts';
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
  // A standby has no SERIALIZABLE.
  const mayReadElsewhere = options.readOnly && options.isolation !== 'serializable';
  const client = mayReadElsewhere ? await reads.client() : databases.write;
  const progress: Progress = { isDone: false };
  const on = ({ prisma }: Client) => runOn(prisma, options, progress, work, setClient);
  try {
    return await on(client);
  } catch (error) {
    // Work that only reads can be done again, on the server that is there.
    if (client !== databases.write && isUnreachable(error)) {
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
  isDone: boolean;
}

function runOn(prisma: PrismaClient, options: BeginOptions, progress: Progress, work: Work, setClient: SetClient) {
  const endsAt = performance.now() + options.timeoutMs;
  const inTransaction = async (transaction: TransactionClient): Promise<unknown> => {
    setClient(transaction);
    const result = await work();
    progress.isDone = true;
    return result;
  };
  return beginningWith(
    () => settingsOf(options, endsAt),
    () =>
      prisma.$transaction(inTransaction, {
        // The pool's own limit comes first and says better what was waited for.
        maxWait: options.poolWaitMs + beginMs,
        timeout: options.timeoutMs + (options.hasOwnTimeout ? 2 * graceMs : 0),
      }),
  );
}

/** What is sent with BEGIN. Nothing in it comes from outside: names and levels stand in the code, times are numbers. */
function settingsOf({ name, isolation, readOnly, hasOwnTimeout }: BeginOptions, endsAt: number): string {
  // So that pg_stat_activity tells who holds a lock and who waits for it.
  const settings = [`SET LOCAL application_name = ${pg.escapeLiteral(`holdfast ${name}`)}`];
  if (isolation !== null) settings.unshift(`SET TRANSACTION ISOLATION LEVEL ${isolation.replace('-', ' ')}`);
  if (readOnly) settings.push('SET TRANSACTION READ ONLY');
  if (hasOwnTimeout) {
    // Prisma's clock only forbids the next statement; the server's also ends the running one. `transaction_timeout` came with PostgreSQL 17.
    const left = Math.max(1, Math.ceil(endsAt - performance.now()));
    settings.push(
      `SET LOCAL statement_timeout = ${left}`,
      `SELECT set_config('transaction_timeout', '${left + graceMs}', true) WHERE current_setting('server_version_num')::int >= 170000`,
    );
  }
  return settings.join('; ');
}
