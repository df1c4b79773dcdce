import { Injectable } from '@nestjs/common';
import type { Slice } from '../../http/pages/page.ts';
import type { Scope } from '../../kernel/principal.ts';
import { InjectDatabase, type Reads, type ReadSql } from '../../transactions/tables.ts';
import { databaseFailure } from '../../transactions/wire/postgres-errors.ts';
import type { TransferStatus } from '../settlements/settlement.ts';

const settlement = { select: { outcome: true, amount: true, createdAt: true } } as const;

type Side = 'sender' | 'receiver' | 'either';

/** Whose transfers, of which account, of which status at this moment. */
export interface TransferFilter extends Scope {
  readonly accountId?: string | undefined;
  readonly status?: TransferStatus | undefined;
  readonly now: Date;
}

/** Whether the error says that somebody else has stored a transfer with the same id meanwhile. */
export const isTakenMeanwhile = (error: unknown): boolean => databaseFailure(error)?.constraint === 'transfer-exists';

/** Reads the transfers that the ledger has written. */
@Injectable()
export class TransfersRepository {
  // ReadSql: Prisma would sort all transfers of all accounts where each account has its own in order.
  constructor(@InjectDatabase() private readonly db: Reads<'transfer' | 'settlement'> & ReadSql) {}

  /** A transfer in which one of the owner's accounts is on this side. */
  find(scope: Scope, id: string, side: Side) {
    return this.db.transfer.findFirst({ where: { id, ...ofOwner(scope, side) } });
  }

  /** Those in which one of the owner's accounts is on either side, with what became of them. */
  findAll(scope: Scope, ids: readonly string[]) {
    return this.db.transfer.findMany({
      where: { id: { in: [...ids] }, ...ofOwner(scope, 'either') },
      include: { settlement },
    });
  }

  /** What became of a pending transfer; null as long as nothing did. */
  findSettlement(transferId: string) {
    return this.db.settlement.findUnique({ where: { transferId }, ...settlement });
  }

  /** The transfer with what became of it, which is asked for where it was pending. */
  async settled<T extends { readonly id: string; readonly expiresAt: Date | null }>(transfer: T) {
    return { ...transfer, settlement: transfer.expiresAt && (await this.findSettlement(transfer.id)) };
  }

  /** The newest reversal of a transfer. */
  findLastReversal(reversesId: string) {
    return this.db.transfer.findFirst({
      where: { reversesId },
      orderBy: { reversalSeq: 'desc' },
      select: { reversalSeq: true, reversedTotal: true },
    });
  }

  /** Which of these transfers exist, with the owners of their accounts. */
  listExisting(ids: readonly string[]) {
    const owner = { select: { userId: true } } as const;
    return this.db.transfer.findMany({
      where: { id: { in: [...ids] } },
      select: { id: true, fromAccount: owner, toAccount: owner },
    });
  }

  /** Newest first. */
  async list(filter: TransferFilter, slice: Slice<string>) {
    const ids = await (filter.status === 'pending' ? this.listPendingIds(filter, slice) : this.listIds(filter, slice));
    return this.db.transfer.findMany({
      where: { id: { in: ids.map(({ id }) => id) } },
      include: { settlement },
      orderBy: { id: 'desc' },
    });
  }

  /** Of each account as many as a page takes, from either side, and of those the newest. */
  private listIds({ now, ...filter }: TransferFilter, { after, take }: Slice<string>) {
    const [userId, accountId, status] = [filter.userId ?? null, filter.accountId ?? null, filter.status ?? null];
    const wasPending = status === 'voided' || status === 'expired';
    return this.db.$queryRaw<{ id: string }[]>`
      SELECT DISTINCT t.id FROM account a CROSS JOIN LATERAL (
        (SELECT t.id FROM transfer t LEFT JOIN settlement s ON s.transfer_id = t.id
         WHERE t.from_account_id = a.id AND (${after}::uuid IS NULL OR t.id < ${after}::uuid) AND (NOT ${wasPending} OR t.expires_at IS NOT NULL)
           AND (${status}::text IS NULL OR ${status}::text = CASE WHEN t.expires_at IS NULL THEN 'posted'
             ELSE coalesce(s.outcome::text, CASE WHEN t.expires_at <= ${now} THEN 'expired' ELSE 'pending' END) END)
         ORDER BY t.id DESC LIMIT ${take})
        UNION ALL
        (SELECT t.id FROM transfer t LEFT JOIN settlement s ON s.transfer_id = t.id
         WHERE t.to_account_id = a.id AND (${after}::uuid IS NULL OR t.id < ${after}::uuid) AND (NOT ${wasPending} OR t.expires_at IS NOT NULL)
           AND (${status}::text IS NULL OR ${status}::text = CASE WHEN t.expires_at IS NULL THEN 'posted'
             ELSE coalesce(s.outcome::text, CASE WHEN t.expires_at <= ${now} THEN 'expired' ELSE 'pending' END) END)
         ORDER BY t.id DESC LIMIT ${take})) AS t
      WHERE (${userId}::uuid IS NULL OR a.user_id = ${userId}::uuid) AND (${accountId}::uuid IS NULL OR a.id = ${accountId}::uuid)
      ORDER BY t.id DESC LIMIT ${take}`;
  }

  /** What is pending is reserved, however many there once were. */
  private listPendingIds({ now, ...filter }: TransferFilter, { after, take }: Slice<string>) {
    const [userId, accountId] = [filter.userId ?? null, filter.accountId ?? null];
    return this.db.$queryRaw<{ id: string }[]>`
      SELECT DISTINCT r.transfer_id AS id FROM account a JOIN reservation r ON r.account_id = a.id
      WHERE (${userId}::uuid IS NULL OR a.user_id = ${userId}::uuid) AND (${accountId}::uuid IS NULL OR a.id = ${accountId}::uuid)
        AND r.expires_at > ${now} AND (${after}::uuid IS NULL OR r.transfer_id < ${after}::uuid)
      ORDER BY r.transfer_id DESC LIMIT ${take}`;
  }
}

function ofOwner({ userId }: Scope, side: Side) {
  const [sent, received] = [{ fromAccount: { userId } }, { toAccount: { userId } }];
  const mine = { sender: [sent], receiver: [received], either: [sent, received] }[side];
  return userId === undefined ? {} : { OR: mine as [] };
}
