import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Currencies } from '../../config/currencies.ts';
import { Expands } from '../../http/expansions.ts';
import type { ExpectedVersion } from '../../http/if-match.ts';
import { page } from '../../http/page.ts';
import { Clock } from '../../kernel/clock.ts';
import { AppError, found, stale } from '../../kernel/errors.ts';
import { money } from '../../kernel/money.ts';
import { type Principal, type Scope, scopeOf } from '../../kernel/principal.ts';
import { noteSecurityEvent, type SecurityEvent } from '../../http/security-events.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { type AccountState, changeSettings, refuseClosing, sees, type Settings, showAccount } from './account.ts';
import { AccountsRepository } from './accounts.repository.ts';
import {
  type AccountPatch,
  type AccountQuery,
  AccountView,
  type AsOf,
  type ChangeQuery,
  type Closing,
  type EntryQuery,
  type NewAccount,
} from './accounts.schema.ts';
import { ArrivalsService } from './arrivals.service.ts';
import { changedMeanwhile, LedgerService, type OpenBooks } from './ledger.service.ts';
import { missing } from './parties.ts';

type Account = NonNullable<Awaited<ReturnType<AccountsRepository['find']>>>;

@Injectable()
export class AccountsService {
  constructor(
    private readonly accounts: AccountsRepository,
    private readonly arrivals: ArrivalsService,
    private readonly ledger: LedgerService,
    private readonly currencies: Currencies,
    private readonly clock: Clock,
  ) {}

  /** Throws currency-not-accepted. */
  @Transactional()
  async open({ userId }: Principal, account: NewAccount) {
    this.currencies.demand(account.currency, '/currency');
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

  /** How the settings were changed, by whom and why, newest first; for operators. Throws account-not-found. */
  async listChanges(principal: Principal, id: string, query: ChangeQuery) {
    const { currency } = await this.find(principal, id);
    const changes = await page(
      'account-changes',
      { ...query, id },
      z.int32(),
      (slice) => this.accounts.listChanges(id, slice),
      ({ version }) => version,
    );
    const data = changes.data.map((change) => ({
      ...change,
      overdraftLimit: money(change.overdraftLimit, currency),
      maxBalance: change.maxBalance === null ? null : money(change.maxBalance, currency),
    }));
    return { ...changes, data };
  }

  /**
   * Changes the settings that were seen: the name by its owner, all by an operator who is not. Throws account-not-found, version-mismatch,
   * not-allowed, own-account, account-closed, currency-mismatch, insufficient-funds, balance-too-large.
   */
  @Transactional()
  async edit(by: Principal, id: string, version: ExpectedVersion, { reason, ...patch }: AccountPatch) {
    afterCommit(() => {
      for (const event of eventsOf(patch)) noteSecurityEvent(event, { accountId: id });
    });
    await this.demandRight(by, id);
    const books = await this.ledger.lock([id]);
    return this.change(by, { id, version, reason: reason ?? null }, books, (account) =>
      changeSettings(account, patch, by, books.now),
    );
  }

  /**
   * For good; by its owner or an operator. What others have pending to it is given back: nobody can keep it open. Throws account-not-found,
   * version-mismatch, account-closed, account-frozen, pending-transfers, balance-not-zero.
   */
  @Transactional()
  async close(by: Principal, id: string, version: ExpectedVersion, { reason }: Closing) {
    afterCommit(() => noteSecurityEvent('account-closed', { accountId: id }));
    await this.demandRight(by, id);
    const { books, arrivals } = await this.arrivals.lock(id);
    const account = accountIn(books, id);
    refuseVersion(account, version);
    const refusal = refuseClosing({ ...account, pendingIn: 0n });
    if (refusal && !wantsRoom(refusal)) throw refusal;
    await this.arrivals.void(by, books, arrivals);
    const later = arrivals.length === 0 ? books : await this.ledger.lock([id]);
    return this.change(
      by,
      { id, version, reason: reason ?? null },
      later,
      (now) => refuseClosing(now) ?? { ...now, closedAt: books.now },
    );
  }

  /** Before anything is locked. The accounts of the house are as they are. */
  private async demandRight(by: Principal, id: string): Promise<void> {
    const account = await this.ledger.party(id);
    if (account?.house !== null || !sees(by, account)) throw missing();
  }

  private async change(
    by: Principal,
    { id, version, reason }: { id: string; version: ExpectedVersion; reason: string | null },
    books: OpenBooks,
    decide: (account: AccountState) => Settings | AppError,
  ) {
    refuseVersion(accountIn(books, id), version);
    const settings = await this.ledger.withRoom(books, () => decide(accountIn(books, id)), wantsRoom);
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
    const expired = await this.ledger.sumExpired(pending.map(({ id }) => id));
    return accounts.map((account) => showAccount(account, expired.get(account.id)));
  }
}

function refuseVersion({ version }: AccountState, expected: ExpectedVersion): void {
  if (expected === 'any' || expected.includes(version)) return;
  throw stale('version-mismatch', `The account is at version ${version} by now.`, { version });
}

const accountIn = ({ accounts }: OpenBooks, id: string): AccountState => accounts.get(id) ?? changedMeanwhile();

const roomCodes: ReadonlySet<string> = new Set(['insufficient-funds', 'balance-too-large', 'pending-transfers']);
const wantsRoom = ({ code }: AppError): boolean => roomCodes.has(code);

// Who decides over money asks afterwards who has set which bounds.
function eventsOf({ frozen, overdraftLimit, maxBalance }: AccountPatch): SecurityEvent[] {
  return [
    ...(frozen === undefined ? [] : [frozen ? ('account-frozen' as const) : ('account-unfrozen' as const)]),
    ...(overdraftLimit === undefined && maxBalance === undefined ? [] : ['account-limits-changed' as const]),
  ];
}
