import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Reads, type ReadSql } from '../../transactions/tables.ts';

/** A transfer that is pending, and the account that it is to leave. */
export interface PendingArrival {
  readonly transferId: string;
  readonly fromAccountId: string;
}

const settlement = { outcome: true, amount: true, createdAt: true } as const;

/** Reads what the ledger has written of pending transfers. */
@Injectable()
export class SettlementsRepository {
  // ReadSql: what is pending is read with the transfer that it belongs to, by one statement.
  constructor(@InjectDatabase() private readonly db: Reads<'transfer' | 'settlement'> & ReadSql) {}

  /** What became of those of the transfers that are no longer pending, by their ids. */
  async findSettlements(transferIds: readonly string[]) {
    const rows = await this.db.settlement.findMany({
      where: { transferId: { in: [...transferIds] } },
      select: { transferId: true, ...settlement },
    });
    return new Map(rows.map(({ transferId, ...rest }) => [transferId, rest]));
  }

  /** Transfers with what became of them. */
  listTransfers(ids: readonly string[]) {
    return this.db.transfer.findMany({
      where: { id: { in: [...ids] } },
      include: { settlement: { select: settlement } },
    });
  }

  /** What is pending to an account by a moment, oldest first. */
  listArrivals(accountId: string, now: Date, take: number): Promise<PendingArrival[]> {
    return this.db.$queryRaw<PendingArrival[]>`
      SELECT r.transfer_id AS "transferId", t.from_account_id AS "fromAccountId"
      FROM reservation r JOIN transfer t ON t.id = r.transfer_id
      WHERE r.account_id = ${accountId}::uuid AND r.side = 'in' AND r.expires_at > ${now} ORDER BY r.expires_at, r.transfer_id LIMIT ${take}`;
  }
}
