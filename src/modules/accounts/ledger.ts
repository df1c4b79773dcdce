import { type AppError, conflict, invalid, notFound } from '../../kernel/errors.ts';
import { largestAmount, type Money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';
import { type AccountState, availableOf, canHold, mismatch, placed } from './account.ts';

// What a transfer may do is decided here, over accounts whose rows are locked, and nowhere else: for one, for a batch, for a preview.

export type TransferKind = 'deposit' | 'transfer' | 'payment' | 'refund' | 'reversal';

/** What must be true of an account for the transfer to be made. */
export interface Condition {
  /** Of what is available before the transfer. */
  readonly ifAvailableAtLeast?: Money | undefined;
  /** The balanceVersion that was seen. */
  readonly ifVersion?: number | undefined;
}

/** Money that is to move from one account to another. */
export interface Movement {
  /** Of the transfer. */
  readonly id: string;
  readonly kind: TransferKind;
  readonly fromAccountId: string;
  readonly toAccountId: string;
  readonly amount: Money;
  readonly note: string | null;
  /** Until when it may be posted; null: it is posted at once. */
  readonly expiresAt: Date | null;
  readonly conditions: { readonly from?: Condition | undefined; readonly to?: Condition | undefined };
  /** Of a reversal: what it reverses, the how-manieth it is, and how much is reversed with it. */
  readonly reverses: { readonly id: string; readonly seq: number; readonly total: bigint } | null;
  readonly by: Pick<Principal, 'userId' | 'role'>;
}

/** Both accounts as the movement leaves them. */
export interface Moved {
  readonly from: AccountState;
  readonly to: AccountState;
}

export type Accounts = ReadonlyMap<string, AccountState>;

/** Why it may not be, or what comes of it. */
export type Decision = AppError | Moved;

type Side = 'from' | 'to';
const sides = ['from', 'to'] as const;

/** Who may stand on either side of a transfer of each kind, and where in the body the account was named. */
const parties: Record<TransferKind, Record<Side, (account: AccountState, movement: Movement) => boolean>> = {
  deposit: { from: ({ house }) => house === 'cash', to: ({ house }) => house === null },
  transfer: { from: isOwn, to: ({ house }) => house === null },
  payment: { from: isOwn, to: ({ house }) => house === 'sales' },
  refund: { from: ({ house }) => house === 'sales', to: ({ house }) => house === null },
  // Of a transfer that was made, by somebody who may: that is known before.
  reversal: { from: () => true, to: () => true },
};
const pointers: Partial<Record<TransferKind, Record<Side, string>>> = {
  deposit: { from: '', to: '/accountId' },
  transfer: { from: '/fromAccountId', to: '/toAccountId' },
  payment: { from: '/payment/accountId', to: '' },
};

function isOwn(account: AccountState, { by }: Movement): boolean {
  return account.userId === by.userId;
}

/**
 * Decides about one movement. `account-not-found`, `same-account`, `currency-mismatch`, `account-closed`, `account-frozen`,
 * `condition-not-met`, `insufficient-funds`, `balance-too-large`.
 */
export function decide(accounts: Accounts, movement: Movement): Decision {
  const [from, to] = [accounts.get(movement.fromAccountId), accounts.get(movement.toAccountId)];
  const allowed = parties[movement.kind];
  if (from === undefined || !allowed.from(from, movement)) return missing(pointers[movement.kind]?.from);
  if (to === undefined || !allowed.to(to, movement)) return missing(pointers[movement.kind]?.to);
  return refuse(from, to, movement) ?? moved(from, to, movement);
}

function refuse(from: AccountState, to: AccountState, movement: Movement): AppError | null {
  const { amount, currency } = movement.amount;
  if (from.id === to.id) return invalid('same-account', 'Money cannot be moved from an account to itself.');
  if (from.currency !== currency || to.currency !== currency)
    return invalid('currency-mismatch', `Both accounts must be in ${currency}.`);
  return (
    refuseShut(from, to, pointers[movement.kind]) ??
    refuseConditions({ from, to }, movement) ??
    refuseRoom(from, to, amount)
  );
}

/** Nothing is posted from or to an account that is closed or frozen. */
export function refuseShut(from: AccountState, to: AccountState, at?: Record<Side, string>): AppError | null {
  const both = { from, to };
  for (const side of sides) {
    if (both[side].closedAt !== null)
      return conflict('account-closed', 'The account is closed.', placed('account-closed', at?.[side]));
    if (both[side].frozenAt !== null)
      return conflict('account-frozen', 'The account is frozen.', placed('account-frozen', at?.[side]));
  }
  return null;
}

function refuseConditions(accounts: Moved, { conditions, by }: Movement): AppError | null {
  for (const side of sides) {
    const condition = conditions[side];
    if (condition === undefined) continue;
    // Whoever could ask about any account would know its balance after some questions.
    if (by.role !== 'operator' && accounts[side].userId !== by.userId) return missing(`/conditions/${side}`);
    const refusal = refuseCondition(accounts[side], condition, `/conditions/${side}`);
    if (refusal) return refusal;
  }
  return null;
}

function refuseCondition(account: AccountState, condition: Condition, pointer: string): AppError | null {
  const { ifVersion, ifAvailableAtLeast: least } = condition;
  if (least && least.currency !== account.currency)
    return mismatch(account.currency, `${pointer}/ifAvailableAtLeast/currency`);
  if (ifVersion !== undefined && ifVersion !== account.balanceVersion) return unmet(`${pointer}/ifVersion`);
  if (least && availableOf(account) < least.amount) return unmet(`${pointer}/ifAvailableAtLeast`);
  return null;
}

function refuseRoom(from: AccountState, to: AccountState, amount: bigint): AppError | null {
  // Money enters the house through cash: its balance is what the outside world has paid in, below zero.
  if (from.house !== 'cash' && availableOf(from) < amount)
    return invalid('insufficient-funds', 'The account does not hold that much.');
  if (!canHold(to, amount) || from.balance - amount < -largestAmount)
    return invalid('balance-too-large', 'The account cannot hold that much.');
  return null;
}

/** Whether the room that an expired transfer still takes could be what is missing. */
export const wantsRoom = ({ code }: AppError): boolean =>
  code === 'insufficient-funds' || code === 'balance-too-large' || code === 'condition-not-met';

function moved(from: AccountState, to: AccountState, { amount: { amount }, expiresAt }: Movement): Moved {
  if (expiresAt === null) return { from: entered(from, -amount), to: entered(to, amount) };
  return {
    from: counted({ ...from, pendingOut: from.pendingOut + amount }),
    to: counted({ ...to, pendingIn: to.pendingIn + amount }),
  };
}

export const counted = (account: AccountState): AccountState => ({
  ...account,
  balanceVersion: account.balanceVersion + 1,
});

export const entered = (account: AccountState, amount: bigint): AccountState =>
  counted({ ...account, balance: account.balance + amount, entryCount: account.entryCount + 1 });

const unmet = (pointer: string): AppError =>
  conflict('condition-not-met', 'The account is not as the condition says.', placed('condition-not-met', pointer));

export const missing = (pointer = ''): AppError =>
  notFound('account-not-found', 'There is no such account.', placed('account-not-found', pointer));
