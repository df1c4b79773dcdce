import { Injectable } from '@nestjs/common';
import type { Slice } from '../../http/pages/page.ts';
import { newId } from '../../kernel/ids.ts';
import type { Scope } from '../../kernel/principal.ts';
import { InjectDatabase, type Reads, type Sql, type Tables } from '../../transactions/tables.ts';
import type { AccountState } from '../ledger/movement.ts';
import type { Settings } from './account.ts';
import type { NewAccount } from './accounts.schema.ts';

@Injectable()
export class AccountsRepository {
  // Sql: Prisma has no statement that writes two tables and none that searches by halves.
  constructor(@InjectDatabase() private readonly db: Tables<'account' | 'accountChange'> & Reads<'entry'> & Sql) {}

  create(userId: string, account: NewAccount) {
    return this.db.account.create({ data: { id: newId(), userId, ...account } });
  }

  find(scope: Scope, id: string) {
    return this.db.account.findFirst({ where: { id, ...scope } });
  }

  findAll(scope: Scope, ids: readonly string[]) {
    return this.db.account.findMany({ where: { id: { in: [...ids] }, ...scope } });
  }

  list(userId: string, { after, take }: Slice<string>) {
    return this.db.account.findMany({
      where: { userId, ...(after !== null && { id: { gt: after } }) },
      orderBy: { id: 'asc' },
      take,
    });
  }

  listEntries(accountId: string, { after, take }: Slice<number>) {
    return this.db.entry.findMany({
      where: { accountId, ...(after !== null && { seq: { lt: after } }) },
      orderBy: { seq: 'desc' },
      take,
    });
  }

  /** What the newest entry at or before the moment left. By halves, as the times of entries grow with their numbers. */
  async balanceAsOf(accountId: string, moment: Date): Promise<bigint> {
    const [entry] = await this.db.$queryRaw<{ balance: bigint }[]>`
      WITH RECURSIVE search (low, high) AS (
        SELECT 0, entry_count FROM account WHERE id = ${accountId}::uuid
        UNION ALL
        SELECT CASE WHEN e.created_at <= ${moment} THEN e.seq ELSE s.low END, CASE WHEN e.created_at <= ${moment} THEN s.high ELSE e.seq - 1 END
        FROM search s JOIN entry e ON e.account_id = ${accountId}::uuid AND e.seq = (s.low + s.high + 1) / 2 WHERE s.low < s.high)
      SELECT e.balance_after AS balance FROM search s JOIN entry e ON e.account_id = ${accountId}::uuid AND e.seq = s.low
      WHERE s.low = s.high`;
    return entry?.balance ?? 0n;
  }

  async findHouse(house: 'cash' | 'sales', currency: string): Promise<string | null> {
    const account = await this.db.account.findUnique({
      where: { house_currency: { house, currency } },
      select: { id: true },
    });
    return account?.id ?? null;
  }

  /** Nothing when there is one already; waits for whoever is making it. */
  async createHouse(account: { id: string; house: 'cash' | 'sales'; currency: string; name: string }): Promise<void> {
    await this.db.account.createMany({ data: [account], skipDuplicates: true });
  }

  /** How the settings were changed, newest first. */
  listChanges(accountId: string, { after, take }: Slice<number>) {
    return this.db.accountChange.findMany({
      where: { accountId, ...(after !== null && { version: { lt: after } }) },
      orderBy: { version: 'desc' },
      take,
    });
  }

  /** The next version of the settings, what has expired left out, and who made it; whether the account was still as it was. */
  async change(account: AccountState, settings: Settings, by: { userId: string; reason: string | null }) {
    const { name, overdraftLimit, maxBalance, frozenAt, closedAt } = settings;
    const { pendingOut, pendingIn, expiredThrough } = account;
    const version = account.version + 1;
    const made = await this.db.$queryRaw<unknown[]>`
      WITH changed AS (
        UPDATE account SET name = ${name}, overdraft_limit = ${overdraftLimit}, max_balance = ${maxBalance}, frozen_at = ${frozenAt},
          closed_at = ${closedAt}, pending_out = ${pendingOut}, pending_in = ${pendingIn}, expired_through = ${expiredThrough}, version = ${version}
        WHERE id = ${account.id}::uuid AND version = ${account.version} AND balance_version = ${account.balanceVersion}
        RETURNING *)
      INSERT INTO account_change (account_id, version, name, overdraft_limit, max_balance, is_frozen, is_closed, reason, created_by_id)
      SELECT id, version, name, overdraft_limit, max_balance, frozen_at IS NOT NULL, closed_at IS NOT NULL, ${by.reason}, ${by.userId}::uuid
      FROM changed RETURNING version`;
    return made.length === 1;
  }
}
