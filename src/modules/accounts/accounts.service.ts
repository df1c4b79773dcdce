import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { page } from '../../http/page.ts';
import { found } from '../../kernel/errors.ts';
import { money } from '../../kernel/money.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { AccountsRepository } from './accounts.repository.ts';
import type { AccountQuery, EntryQuery, NewAccount } from './accounts.schema.ts';

@Injectable()
export class AccountsService {
  constructor(private readonly accounts: AccountsRepository) {}

  async open({ userId }: Principal, account: NewAccount) {
    return showBalance(await this.accounts.create(userId, account));
  }

  /** Throws account-not-found. */
  async get(principal: Principal, id: string) {
    return showBalance(
      found(await this.accounts.find(scopeOf(principal), id), 'account-not-found', 'There is no such account.'),
    );
  }

  /** One's own accounts, oldest first. */
  async list({ userId }: Principal, query: AccountQuery) {
    const accounts = await page(
      'accounts',
      { ...query, userId },
      z.uuid(),
      (slice) => this.accounts.list(userId, slice),
      ({ id }) => id,
    );
    return { ...accounts, data: accounts.data.map(showBalance) };
  }

  /** What moved on an account, newest first, with the balance each entry left. Throws account-not-found. */
  async listEntries(principal: Principal, id: string, query: EntryQuery) {
    const { currency } = await this.get(principal, id);
    const entries = await page(
      'entries',
      { ...query, id },
      z.int32(),
      (slice) => this.accounts.listEntries(id, slice),
      ({ seq }) => seq,
    );
    const data = entries.data.map((entry) => ({
      ...entry,
      amount: money(entry.amount, currency),
      balanceAfter: money(entry.balanceAfter, currency),
    }));
    return { ...entries, data };
  }
}

const showBalance = <T extends { balance: bigint; currency: string }>(account: T) => ({
  ...account,
  balance: money(account.balance, account.currency),
});
