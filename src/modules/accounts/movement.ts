import type { Money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';
import type { AccountState } from './account.ts';

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
export const pointers: Partial<Record<TransferKind, Record<Side, string>>> = {
  deposit: { from: '', to: '/accountId' },
  transfer: { from: '/fromAccountId', to: '/toAccountId' },
  payment: { from: '/payment/accountId', to: '' },
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

/** How many reservations there are: of the sender, of the sender on each account, and on each account. They count up with what is decided. */
export interface PendingCounts {
  ofSender: number;
  readonly ofPair: Map<string, number>;
  readonly onReceiver: Map<string, number>;
}
