import { Prisma } from '../../database/generated/client.ts';
import { TransactionRequiredError } from '../errors.ts';
import type { Transactions } from '../transactions.ts';
import { waitForStandby } from '../wire/durability.ts';

const question = Prisma.sql([`SELECT ${waitForStandby}`]);

/**
 * To be called in a boundary that may write, before what it has looked up is acknowledged as stored (the answer to a repeated request):
 * its COMMIT then waits for the synchronous standby, as that of a write does. Costs one statement.
 * Throws TransactionRequiredError outside any boundary, TransactionJoinError in one that only reads.
 */
export async function acknowledgeLookUp(transactions: Transactions): Promise<void> {
  if (transactions.running() === null)
    throw new TransactionRequiredError('acknowledgeLookUp must run inside a boundary: its COMMIT is what waits.');
  await transactions.client.$executeRaw(question);
}
