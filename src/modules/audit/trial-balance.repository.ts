import { Injectable } from '@nestjs/common';
import { InjectReads, type ReadSql } from '../../transactions/tables.ts';

interface AccountTotals {
  readonly currency: string;
  readonly balances: bigint;
  readonly accountCount: bigint;
  readonly countedEntries: bigint;
}

interface EntryTotals {
  readonly currency: string;
  readonly debits: bigint;
  readonly credits: bigint;
  readonly entryCount: bigint;
}

@Injectable()
export class TrialBalanceRepository {
  // ReadSql: Prisma sums neither by a condition nor over a join, and numbers no clock. Sums come as text: they may be larger than a bigint.
  constructor(@InjectReads() private readonly db: ReadSql) {}

  /** The time by the clock of the server that is read from. */
  async now(): Promise<Date> {
    const [row] = await this.db.$queryRaw<{ now: Date }[]>`SELECT statement_timestamp() AS now`;
    return row?.now ?? new Date(NaN);
  }

  /** By currency, in its order. */
  async sumAccounts(): Promise<AccountTotals[]> {
    const rows = await this.db.$queryRaw<(Omit<AccountTotals, 'balances'> & { balances: string })[]>`
      SELECT currency::text, sum(balance)::text AS balances, count(*) AS "accountCount", sum(entry_count)::bigint AS "countedEntries"
      FROM account GROUP BY currency ORDER BY currency`;
    return rows.map((row) => ({ ...row, balances: BigInt(row.balances) }));
  }

  async sumEntries(): Promise<Map<string, EntryTotals>> {
    const rows = await this.db.$queryRaw<{ currency: string; debits: string; credits: string; entryCount: bigint }[]>`
      SELECT a.currency::text, count(*) AS "entryCount",
        coalesce(-sum(e.amount) FILTER (WHERE e.amount < 0), 0)::text AS debits,
        coalesce(sum(e.amount) FILTER (WHERE e.amount > 0), 0)::text AS credits
      FROM entry e JOIN account a ON a.id = e.account_id GROUP BY a.currency`;
    return new Map(
      rows.map((row) => [row.currency, { ...row, debits: BigInt(row.debits), credits: BigInt(row.credits) }]),
    );
  }

  async countTransfers(): Promise<Map<string, bigint>> {
    const rows = await this.db.$queryRaw<{ currency: string; n: bigint }[]>`
      SELECT currency::text, count(*) AS n FROM transfer GROUP BY currency`;
    return new Map(rows.map(({ currency, n }) => [currency, n]));
  }
}
