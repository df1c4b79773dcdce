import { type AppError, conflict, type ErrorPlace, forbidden, invalid } from '../../kernel/errors.ts';
import { largestAmount, type Money, money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';

/** An account as it is while its row is locked. Amounts are minor units of its currency. */
export interface AccountState {
  readonly id: string;
  readonly userId: string | null;
  readonly house: 'cash' | 'sales' | null;
  readonly name: string;
  readonly currency: string;
  /** What is posted. */
  readonly balance: bigint;
  /** What unresolved pending transfers may still take. */
  readonly pendingOut: bigint;
  /** What unresolved pending transfers may still bring. */
  readonly pendingIn: bigint;
  /** Reservations that end by then count in neither. */
  readonly expiredThrough: Date;
  readonly entryCount: number;
  readonly overdraftLimit: bigint;
  /** Null: as much as can be counted. */
  readonly maxBalance: bigint | null;
  readonly frozenAt: Date | null;
  readonly closedAt: Date | null;
  /** Of the settings. */
  readonly version: number;
  /** Counts every change of what is posted or pending. */
  readonly balanceVersion: number;
  readonly createdAt: Date;
}

/** What of an account never changes, as a trigger keeps it: it may be read without a lock, and remembered. */
export type Party = Pick<AccountState, 'id' | 'userId' | 'house' | 'currency'>;

/** Whether somebody may see the account: their own, and an operator any. */
export const sees = ({ userId, role }: Pick<Principal, 'userId' | 'role'>, account: Party): boolean =>
  role === 'operator' || account.userId === userId;

/** What a transfer may take from the account. */
export const availableOf = ({ balance, overdraftLimit, pendingOut }: AccountState): bigint =>
  balance + overdraftLimit - pendingOut;

/** Whether so much more can be counted on it, with all that is pending. */
export const canCount = ({ balance, pendingIn }: AccountState, more: bigint): boolean =>
  balance + pendingIn + more <= largestAmount;

/** Whether it may hold so much more. What is pending takes no room: anybody may put that on anybody's account. */
export const canHold = (account: AccountState, more: bigint): boolean =>
  account.balance + more <= (account.maxBalance ?? largestAmount) && canCount(account, more);

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
 * The settings after a change, or why it may not be: account-closed, not-allowed (limits and freezing are an operator's), own-account (and of
 * another one than its owner), currency-mismatch, and insufficient-funds or balance-too-large where a limit does not leave room for what is there.
 */
export function changeSettings(account: AccountState, patch: SettingsPatch, by: By, now: Date): Settings | AppError {
  const refusal = refuseChange(account, patch, by);
  if (refusal) return refusal;
  const { name = account.name, overdraftLimit, maxBalance, frozen } = patch;
  const changed = {
    ...account,
    name,
    overdraftLimit: overdraftLimit?.amount ?? account.overdraftLimit,
    maxBalance: maxBalance === undefined ? account.maxBalance : (maxBalance?.amount ?? null),
    frozenAt: frozen === undefined ? account.frozenAt : frozenSince(account, frozen, now),
  };
  return refuseLimits(changed, account) ?? changed;
}

const frozenSince = ({ frozenAt }: AccountState, frozen: boolean, now: Date): Date | null =>
  frozen ? (frozenAt ?? now) : null;

function refuseChange({ closedAt, currency, ...account }: AccountState, patch: SettingsPatch, by: By): AppError | null {
  if (closedAt !== null) return conflict('account-closed', 'The account is closed.');
  const { overdraftLimit, maxBalance, frozen } = patch;
  const isForOperators = [overdraftLimit, maxBalance, frozen].some((member) => member !== undefined);
  if (isForOperators && by.role !== 'operator')
    return forbidden('not-allowed', 'Limits and freezing are decided by an operator.');
  if (isForOperators && account.userId === by.userId) return ownAccount();
  const other = Object.entries({ overdraftLimit, maxBalance }).find(
    ([, limit]) => limit && limit.currency !== currency,
  );
  return other === undefined ? null : mismatch(currency, `/${other[0]}/currency`);
}

function refuseLimits(account: AccountState, before: AccountState): AppError | null {
  if (availableOf(account) < 0n)
    return invalid('insufficient-funds', 'The account is further below zero than that, with what is pending.', {
      errors: [{ pointer: '/overdraftLimit', code: 'insufficient-funds' }],
    });
  // A refund may have gone beyond the limit that was there.
  if (account.maxBalance !== before.maxBalance && account.balance > (account.maxBalance ?? largestAmount))
    return invalid('balance-too-large', 'The account holds more than that.', {
      errors: [{ pointer: '/maxBalance', code: 'balance-too-large' }],
    });
  return null;
}

/** Why the account cannot be closed; null when it can. `account-closed`, `pending-transfers`, `balance-not-zero`, `account-frozen`. */
export function refuseClosing(account: AccountState): AppError | null {
  if (account.closedAt !== null) return conflict('account-closed', 'The account is closed already.');
  if (account.frozenAt !== null) return conflict('account-frozen', 'The account is frozen.');
  if (account.pendingOut > 0n || account.pendingIn > 0n)
    return conflict('pending-transfers', 'Transfers from or to the account are pending.');
  if (account.balance !== 0n) return conflict('balance-not-zero', 'There is money on the account, or missing from it.');
  return null;
}

/** An operator decides about an account of somebody else. */
export const ownAccount = (): AppError =>
  forbidden(
    'own-account',
    'What an operator does to an account is done to one of somebody else. Ask another operator.',
  );

/** The amount is in another currency than it must be. */
export const mismatch = (currency: string, pointer?: string): AppError =>
  invalid('currency-mismatch', `The amount must be in ${currency}.`, placed('currency-mismatch', pointer));

/** Where in the body a refusal has its reason. */
export const placed = (code: string, pointer?: string): { errors?: readonly ErrorPlace[] } =>
  pointer ? { errors: [{ pointer, code }] } : {};
