import { TransactionHost } from '@nestjs-cls/transactional';
import { Prisma } from '../database/generated/client.ts';
import type { Sql } from '../database/tables.ts';
import { TransactionRequiredError } from './errors.ts';

/** Tables whose rows may be locked, by their name in the database. */
export type Lockable = 'account' | 'order' | 'stock' | 'session';
const keys = { account: 'id', order: 'id', stock: 'sku_id', session: 'id' } as const;

/**
 * Locks rows against change until the boundary ends, always in the order of their keys, so that two callers can never wait for each other.
 * Gives the keys of the rows that exist. NO KEY UPDATE, because a row that refers to one of them takes a share of its key.
 * Throws TransactionRequiredError outside a boundary, where the lock would be gone at once.
 */
export async function lockRows(db: Sql, table: Lockable, ids: readonly string[]): Promise<Set<string>> {
  if (!TransactionHost.getInstance().isTransactionActive())
    throw new TransactionRequiredError('lockRows must run inside a boundary; call it from a @Transactional() method.');
  const key = Prisma.raw(`"${keys[table]}"`);
  // Prisma has no row locks (prisma/orm #8580); the names come from the list above, never from a caller.
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT ${key}::text AS id FROM ${Prisma.raw(`"${table}"`)} WHERE ${key} = ANY(${[...new Set(ids)]}::uuid[]) ORDER BY ${key} FOR NO KEY UPDATE`;
  return new Set(rows.map(({ id }) => id));
}
