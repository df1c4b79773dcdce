import { largestAmount, type Money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';
import type { ProblemError } from '../../kernel/problem.ts';
import { ledgerProblems } from './ledger.problems.ts';

// What the ledger decides over, and what it decides.

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

export type Parties = ReadonlyMap<string, Party>;

/** An operator decides about an account of somebody else. */
export const ownAccount = (): ProblemError =>
  ledgerProblems.ownAccount(
    'What an operator does to an account is done to one of somebody else. Ask another operator.',
  );

/** The amount is in another currency than it must be. */
export const mismatch = (currency: string, pointer?: string): ProblemError =>
  ledgerProblems.currencyMismatch(`The amount must be in ${currency}.`, { pointer });

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

export type Side = 'from' | 'to';
export const sides = ['from', 'to'] as const;

/** Where in the body the account of each side was named. */
export const pointers: Partial<Record<TransferKind, Partial<Record<Side, string>>>> = {
  deposit: { to: '/accountId' },
  transfer: { from: '/fromAccountId', to: '/toAccountId' },
  payment: { from: '/payment/accountId' },
};

/** How many reservations of one sender there may be at a time. */
export interface PendingBounds {
  /** Of all that somebody has pending from any of their accounts. */
  readonly perSender: number;
  /** Of those, for one account. */
  readonly perPair: number;
  /** On one account, from whomever. */
  readonly perReceiver: number;
}

/** How many reservations there are: of each sender, of each sender on each account, and on each account. They count up with what is decided. */
export interface PendingCounts {
  readonly ofSender: Map<string, number>;
  /** By {@link pairOf}. */
  readonly ofPair: Map<string, number>;
  readonly onReceiver: Map<string, number>;
}

/** A sender and the account that is to receive. */
export const pairOf = ({ by, toAccountId }: { by: { userId: string }; toAccountId: string }): string =>
  `${by.userId} ${toAccountId}`;

export type Accounts = ReadonlyMap<string, AccountState>;

/** The input of the decision on a movement. */
export interface Books {
  /** Every named account that exists. */
  readonly parties: Parties;
  /** Those that may take part, as they are by now. */
  readonly accounts: Accounts;
  /** Of reservations; null where nothing is to be pending. */
  readonly pending: { readonly counts: PendingCounts; readonly bounds: PendingBounds } | null;
}

/** What comes of it where the caller may see it. */
export interface Foreseen {
  readonly from: AccountState;
  readonly to: AccountState | null;
}
