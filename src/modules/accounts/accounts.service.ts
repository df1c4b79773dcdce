import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Currencies } from '../../config/currencies.ts';
import { noteSecurityEvent, type SecurityEvent } from '../../http/access/security-events.ts';
import { type ExpectedVersion, isExpected } from '../../http/conditional/if-match.ts';
import { Expands } from '../../http/expansion/expansions.ts';
import { page } from '../../http/pages/page.ts';
import { Clock } from '../../kernel/clock.ts';
import { changedMeanwhile, generalProblems } from '../../kernel/general.problems.ts';
import { money } from '../../kernel/money.ts';
import { type Principal, type Scope, scopeOf } from '../../kernel/principal.ts';
import { attempt, found, ProblemError, type ProblemType } from '../../kernel/problem.ts';
import { afterCommit } from '../../transactions/hooks.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { ledgerProblems } from '../ledger/ledger.problems.ts';
import { LedgerService, type LockedAccounts } from '../ledger/ledger.service.ts';
import { accountNotFound } from '../ledger/ledger.ts';
import { type AccountState, sees } from '../ledger/movement.ts';
import { ArrivalsService } from '../settlements/arrivals.service.ts';
import { AccountView, changeSettings, refuseClosing, type Settings, showAccount } from './account.ts';
import { accountProblems } from './accounts.problems.ts';
import { AccountsRepository } from './accounts.repository.ts';
import type {
  AccountPatch,
  AccountQuery,
  AsOf,
  ChangeQuery,
  Closing,
  EntryQuery,
  NewAccount,
} from './accounts.schema.ts';

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
      { ...query, reader: userId },
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
      { ...query, id, reader: principal.userId },
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
      { ...query, id, reader: principal.userId },
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
    const refusal = attempt(() => refuseClosing({ ...account, pendingIn: 0n }));
    if (refusal instanceof ProblemError && !wantsRoom(refusal)) throw refusal;
    await this.arrivals.void(by, books, arrivals);
    const later = arrivals.length === 0 ? books : await this.ledger.lock([id]);
    return this.change(by, { id, version, reason: reason ?? null }, later, (now) => {
      refuseClosing(now);
      return { ...now, closedAt: books.now };
    });
  }

  /** Called before any row is locked: an account of the house, or one that the caller may not see, is not found. */
  private async demandRight(by: Principal, id: string): Promise<void> {
    const account = (await this.ledger.parties([id])).get(id);
    if (account?.house !== null || !sees(by, account)) throw accountNotFound();
  }

  private async change(
    by: Principal,
    { id, version, reason }: { id: string; version: ExpectedVersion; reason: string | null },
    books: LockedAccounts,
    decide: (account: AccountState) => Settings,
  ) {
    refuseVersion(accountIn(books, id), version);
    const settings = await this.ledger.withRoom(books, () => decide(accountIn(books, id)), wantsRoom);
    const account = accountIn(books, id);
    if (!(await this.accounts.change(account, settings, { userId: by.userId, reason }))) changedMeanwhile();
    return this.get(by, id);
  }

  private async find(principal: Principal, id: string): Promise<Account> {
    return found(await this.accounts.find(scopeOf(principal), id), ledgerProblems.accountNotFound);
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
  if (isExpected(expected, version)) return;
  throw generalProblems.versionMismatch(`The account is at version ${version} by now.`, { version });
}

const accountIn = ({ accounts }: LockedAccounts, id: string): AccountState => accounts.get(id) ?? changedMeanwhile();

const roomProblems: ReadonlySet<ProblemType> = new Set([
  ledgerProblems.insufficientFunds,
  ledgerProblems.balanceTooLarge,
  accountProblems.pendingTransfers,
]);
const wantsRoom = ({ type }: ProblemError): boolean => roomProblems.has(type);

// Who decides over money asks afterwards who has set which bounds.
function eventsOf({ frozen, overdraftLimit, maxBalance }: AccountPatch): SecurityEvent[] {
  return [
    ...(frozen === undefined ? [] : [frozen ? ('account-frozen' as const) : ('account-unfrozen' as const)]),
    ...(overdraftLimit === undefined && maxBalance === undefined ? [] : ['account-limits-changed' as const]),
  ];
}
