import { z } from 'zod';
import { expandable } from '../../http/expansion/expandable.ts';
import { CurrencyCode, idOut, instant, MoneyOut } from '../../http/schemas.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import { largestAmount, money, type Money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ledgerProblems } from '../ledger/ledger.problems.ts';
import { type AccountState, availableOf, mismatch, ownAccount } from '../ledger/movement.ts';
import { accountProblems } from './accounts.problems.ts';

export const AccountView = z
  .object({
    object: z.literal('account').default('account'),
    id: idOut('acct'),
    userId: idOut('usr').nullable().meta({ description: 'The owner; null for an account of the house' }),
    name: z.string().meta({ description: 'What its owner calls it', examples: ['Savings'] }),
    currency: z.string().pipe(CurrencyCode),
    balance: MoneyOut.meta({ description: 'What is posted' }),
    pending: MoneyOut.nullable().meta({
      description: 'What it will be when all that is pending is posted; null with asOf',
    }),
    available: MoneyOut.nullable().meta({
      description: 'What a transfer may take now, overdraft included; null with asOf',
    }),
    overdraftLimit: MoneyOut.meta({ description: 'How far below zero it may go' }),
    maxBalance: MoneyOut.nullable().meta({
      description: 'What it may hold at most, but for refunds, which go beyond; null without a limit',
    }),
    status: z
      .enum(['active', 'frozen', 'closed'])
      .meta({ description: 'Nothing is posted from or to one that is not active' }),
    version: z
      .int()
      .meta({ description: 'Of the settings (name, limits, freezing, closing): the ETag', examples: [1] }),
    balanceVersion: z.int().meta({ description: 'Counts every change of what is posted or pending', examples: [7] }),
    createdAt: instant,
  })
  .meta({ id: 'Account', description: 'Money of one owner in one currency' });
expandable(AccountView, { user: 'usr' });

/** An account as it is shown: `expired` is what transfers that have expired still count as pending. */
export function showAccount(account: AccountState, expired: { out: bigint; in: bigint } = { out: 0n, in: 0n }) {
  const [out, coming] = [account.pendingOut - expired.out, account.pendingIn - expired.in];
  const shown = (amount: bigint): Money => money(amount, account.currency);
  return {
    ...account,
    balance: shown(account.balance),
    pending: shown(account.balance + coming - out),
    available: shown(availableOf({ ...account, pendingOut: out })),
    overdraftLimit: shown(account.overdraftLimit),
    maxBalance: account.maxBalance === null ? null : shown(account.maxBalance),
    status: statusOf(account),
  };
}

function statusOf({ frozenAt, closedAt }: AccountState): 'active' | 'frozen' | 'closed' {
  if (closedAt !== null) return 'closed';
  return frozenAt === null ? 'active' : 'frozen';
}

/** What of the settings is to change; what is not mentioned stays. */
export interface SettingsPatch {
  readonly name?: string | undefined;
  readonly overdraftLimit?: Money | undefined;
  readonly maxBalance?: Money | null | undefined;
  readonly frozen?: boolean | undefined;
}

export type Settings = Pick<AccountState, 'name' | 'overdraftLimit' | 'maxBalance' | 'frozenAt' | 'closedAt'>;

type By = Pick<Principal, 'userId' | 'role'>;

/**
 * The settings after a change. Throws account-closed, not-allowed (limits and freezing are an operator's), own-account (and of
 * another one than its owner), currency-mismatch, and insufficient-funds or balance-too-large where a limit does not leave room for what is there.
 */
export function changeSettings(account: AccountState, patch: SettingsPatch, by: By, now: Date): Settings {
  refuseChange(account, patch, by);
  const { name = account.name, overdraftLimit, maxBalance, frozen } = patch;
  const changed = {
    ...account,
    name,
    overdraftLimit: overdraftLimit?.amount ?? account.overdraftLimit,
    maxBalance: maxBalance === undefined ? account.maxBalance : (maxBalance?.amount ?? null),
    frozenAt: frozen === undefined ? account.frozenAt : frozenSince(account, frozen, now),
  };
  refuseLimits(changed, account);
  return changed;
}

const frozenSince = ({ frozenAt }: AccountState, frozen: boolean, now: Date): Date | null =>
  frozen ? (frozenAt ?? now) : null;

function refuseChange({ closedAt, currency, ...account }: AccountState, patch: SettingsPatch, by: By): void {
  if (closedAt !== null) throw ledgerProblems.accountClosed('The account is closed.');
  const { overdraftLimit, maxBalance, frozen } = patch;
  const isForOperators = [overdraftLimit, maxBalance, frozen].some((member) => member !== undefined);
  if (isForOperators && by.role !== 'operator')
    throw generalProblems.notAllowed('Limits and freezing are decided by an operator.');
  if (isForOperators && account.userId === by.userId) throw ownAccount();
  const other = Object.entries({ overdraftLimit, maxBalance }).find(
    ([, limit]) => limit && limit.currency !== currency,
  );
  if (other !== undefined) throw mismatch(currency, `/${other[0]}/currency`);
}

function refuseLimits(account: AccountState, before: AccountState): void {
  if (availableOf(account) < 0n)
    throw ledgerProblems.insufficientFunds('The account is further below zero than that, with what is pending.', {
      pointer: '/overdraftLimit',
    });
  // A refund may have gone beyond the limit that was there.
  if (account.maxBalance !== before.maxBalance && account.balance > (account.maxBalance ?? largestAmount))
    throw ledgerProblems.balanceTooLarge('The account holds more than that.', { pointer: '/maxBalance' });
}

/** Throws account-closed, account-frozen, pending-transfers, balance-not-zero. */
export function refuseClosing(account: AccountState): void {
  if (account.closedAt !== null) throw ledgerProblems.accountClosed('The account is closed already.');
  if (account.frozenAt !== null) throw ledgerProblems.accountFrozen('The account is frozen.');
  if (account.pendingOut > 0n || account.pendingIn > 0n)
    throw accountProblems.pendingTransfers('Transfers from or to the account are pending.');
  if (account.balance !== 0n)
    throw accountProblems.balanceNotZero('There is money on the account, or missing from it.');
}
