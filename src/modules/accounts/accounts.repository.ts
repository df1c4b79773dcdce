import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Sql, type Tables } from '../../database/tables.ts';
import type { Slice } from '../../http/page.ts';
import { newId } from '../../kernel/ids.ts';
import type { Scope } from '../../kernel/principal.ts';
import { lockRows } from '../../transactions/locks.ts';
import type { NewAccount } from './accounts.schema.ts';

@Injectable()
export class AccountsRepository {
  // Sql: Prisma has no row locks.
  constructor(@InjectDatabase() private readonly db: Tables<'account' | 'entry'> & Sql) {}

  create(userId: string, account: NewAccount) {
    return this.db.account.create({ data: { id: newId(), userId, ...account } });
  }

  find(scope: Scope, id: string) {
    return this.db.account.findFirst({ where: { id, ...scope } });
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

  async findHouse(house: 'cash' | 'sales', currency: string): Promise<string | null> {
    const account = await this.db.account.findUnique({
      where: { house_currency: { house, currency } },
      select: { id: true },
    });
    return account?.id ?? null;
  }

  /** Locks the accounts in id order until the boundary ends, and gives them by id. */
  async lock(ids: readonly string[]) {
    await lockRows(this.db, { account: ids });
    const accounts = await this.db.account.findMany({ where: { id: { in: [...ids] } } });
    return new Map(accounts.map((account) => [account.id, account]));
  }

  /** Takes the amount, provided it is there; null when it is not. */
  async takeFrom(id: string, amount: bigint) {
    const [account] = await this.db.account.updateManyAndReturn({
      where: { id, OR: [{ house: 'cash' }, { balance: { gte: amount } }] },
      data: { balance: { decrement: amount }, entryCount: { increment: 1 } },
      select: { balance: true, entryCount: true },
    });
    return account ?? null;
  }

  addTo(id: string, amount: bigint) {
    return this.db.account.update({
      where: { id },
      data: { balance: { increment: amount }, entryCount: { increment: 1 } },
      select: { balance: true, entryCount: true },
    });
  }
}
