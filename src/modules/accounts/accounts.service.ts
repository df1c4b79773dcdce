import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Expands } from '../../http/expansions.ts';
import type { ExpectedVersion } from '../../http/if-match.ts';
import { page } from '../../http/page.ts';
import { Clock } from '../../kernel/clock.ts';
import { AppError, found, stale } from '../../kernel/errors.ts';
import { money } from '../../kernel/money.ts';
import { type Principal, type Scope, scopeOf } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { type AccountState, changeSettings, refuseClosing, type Settings, showAccount } from './account.ts';
import { AccountsRepository } from './accounts.repository.ts';
import {
  type AccountPatch,
  type AccountQuery,
  AccountView,
  type AsOf,
  type Closing,
  type EntryQuery,
  type NewAccount,
} from './accounts.schema.ts';
import { missing } from './ledger.ts';
import { changedMeanwhile, LedgerService, type OpenBooks } from './ledger.service.ts';

type Account = NonNullable<Awaited<ReturnType<AccountsRepository['find']>>>;

@Injectable()
export class AccountsService {
  constructor(
    private readonly accounts: AccountsRepository,
    private readonly ledger: LedgerService,
    private readonly clock: Clock,
  ) {}

  @Transactional()
  async open({ userId }: Principal, account: NewAccount) {
    return showAccount(await this.accounts.create(userId, account));
  }

  /** As it is, or with the posted balance of a moment. Throws account-not-found. */
  async get(principal: Principal, id: string, { asOf }: AsOf = {}) {
    const account = await this.find(principal, id);
    if (asOf === undefined) return (await this.show([account]))[0];
    const balance = money(await this.accounts.balanceAsOf(id, asOf), account.currency);
    return { ...showAccount(account), balance, pending: null, available: null };
  }

  /** Those that one may see. */
  @Expands('acct', AccountView)
  async getAll(scope: Scope, ids: readonly string[]) {
    return this.show(await this.accounts.findAll(scope, ids));
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
    return { ...accounts, data: await this.show(accounts.data) };
  }

  /** What moved on an account, newest first, with the balance each entry left. Throws account-not-found. */
  async listEntries(principal: Principal, id: string, query: EntryQuery) {
    const { currency } = await this.find(principal, id);
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

  /**
   * Changes the settings that were seen: the name by its owner, all by an operator. Throws account-not-found, version-mismatch, not-allowed,
   * account-closed, currency-mismatch, insufficient-funds, balance-too-large.
   */
  @Transactional()
  async edit(by: Principal, id: string, version: ExpectedVersion, { reason, ...patch }: AccountPatch) {
    const now = this.clock.now();
    return this.change(by, { id, version, reason: reason ?? null }, (account) =>
      changeSettings(account, patch, by, now),
    );
  }

  /** For good; by its owner or an operator. Throws account-not-found, version-mismatch, account-closed, account-frozen, pending-transfers, balance-not-zero. */
  @Transactional()
  async close(by: Principal, id: string, version: ExpectedVersion, { reason }: Closing) {
    const closedAt = this.clock.now();
    return this.change(
      by,
      { id, version, reason: reason ?? null },
      (account) => refuseClosing(account) ?? { ...account, closedAt },
    );
  }

  private async change(
    by: Principal,
    { id, version, reason }: { id: string; version: ExpectedVersion; reason: string | null },
    decide: (account: AccountState) => Settings | AppError,
  ) {
    const books = await this.ledger.open([id]);
    const locked = books.accounts.get(id);
    if (locked === undefined || !mayChange(by, locked)) throw missing();
    if (version !== 'any' && !version.includes(locked.version))
      throw stale('version-mismatch', `The account is at version ${locked.version} by now.`, {
        version: locked.version,
      });
    const settings = await this.ledger.withRoom(books, [id], () => decide(accountIn(books, id)), wantsRoom);
    if (settings instanceof AppError) throw settings;
    const account = accountIn(books, id);
    if (!(await this.accounts.change(account, settings, { userId: by.userId, reason }))) changedMeanwhile();
    return this.get(by, id);
  }

  private async find(principal: Principal, id: string): Promise<Account> {
    return found(await this.accounts.find(scopeOf(principal), id), 'account-not-found', 'There is no such account.');
  }

  /** As they are seen: what has expired is not pending any more, whether or not that has been written down. */
  private async show(accounts: readonly Account[]) {
    const pending = accounts.filter(({ pendingOut, pendingIn }) => pendingOut > 0n || pendingIn > 0n);
    if (pending.length === 0) return accounts.map((account) => showAccount(account));
    const expired = await this.accounts.sumExpired(
      pending.map(({ id }) => id),
      this.clock.now(),
    );
    const freed = (id: string, side: 'out' | 'in'): bigint =>
      expired.find((sum) => sum.accountId === id && sum.side === side)?.amount ?? 0n;
    return accounts.map((account) =>
      showAccount(account, { out: freed(account.id, 'out'), in: freed(account.id, 'in') }),
    );
  }
}

// The accounts of the house are as they are.
const mayChange = ({ userId, role }: Principal, account: AccountState): boolean =>
  account.house === null && (role === 'operator' || account.userId === userId);

const accountIn = ({ accounts }: OpenBooks, id: string): AccountState => accounts.get(id) ?? changedMeanwhile();

const roomCodes: ReadonlySet<string> = new Set(['insufficient-funds', 'balance-too-large', 'pending-transfers']);
const wantsRoom = ({ code }: AppError): boolean => roomCodes.has(code);
