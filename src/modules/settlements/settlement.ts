import type { Money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';
import { attempt, ProblemError } from '../../kernel/problem.ts';
import { accountNotFound, cannotReceive, refuseShut, tooLarge, withEntry, withNextVersion } from '../ledger/ledger.ts';
import {
  type Accounts,
  type AccountState,
  canHold,
  mismatch,
  type Moved,
  ownAccount,
  sees,
  type TransferKind,
} from '../ledger/movement.ts';
import { settlementProblems } from './settlements.problems.ts';

/** A transfer as it is stored, with what became of it. */
export interface StoredTransfer {
  readonly id: string;
  readonly kind: TransferKind;
  readonly fromAccountId: string;
  readonly toAccountId: string;
  readonly amount: bigint;
  readonly currency: string;
  readonly expiresAt: Date | null;
  readonly settlement: { readonly outcome: 'posted' | 'voided' | 'expired'; readonly amount: bigint | null } | null;
}

/** The requested outcome of a pending transfer: this amount is posted (null: all), or nothing. */
export type Resolution = { readonly outcome: 'posted'; readonly amount: Money | null } | { readonly outcome: 'voided' };

export type TransferStatus = 'pending' | 'posted' | 'voided' | 'expired';

/** A transfer that was not settled in time is expired, whether or not its settlement has been written. */
export function statusOf({ expiresAt, settlement }: Pick<StoredTransfer, 'expiresAt' | 'settlement'>, now: Date) {
  if (expiresAt === null) return 'posted';
  return settlement?.outcome ?? (expiresAt <= now ? 'expired' : 'pending');
}

/** What was posted of it, in minor units; null when nothing was. */
export const postedOf = ({ expiresAt, amount, settlement }: StoredTransfer): bigint | null =>
  expiresAt === null ? amount : (settlement?.amount ?? null);

/**
 * Refuses what something became of, whatever the accounts say. Throws already-posted, already-voided, expired.
 */
export function refuseResolution(transfer: StoredTransfer, now: Date): void {
  switch (statusOf(transfer, now)) {
    case 'posted':
      throw settlementProblems.alreadyPosted('The transfer has been posted.');
    case 'voided':
      throw settlementProblems.alreadyVoided('The transfer has been voided.');
    case 'expired':
      throw settlementProblems.expired('The transfer has expired.');
    case 'pending':
      return;
  }
}

type By = Pick<Principal, 'userId' | 'role'>;

/**
 * Decides what becomes of a pending transfer. It was reserved, so posting it breaks no limit of the account that it leaves. Throws `already-posted`,
 * `already-voided`, `expired`, `currency-mismatch`, `exceeds-pending`, `account-frozen`, `balance-too-large`, `own-account`; `cannot-receive`
 * where the other account is none of the caller's.
 */
export function settle(by: By, accounts: Accounts, transfer: StoredTransfer, asked: Asked): Moved {
  const [from, to] = [accounts.get(transfer.fromAccountId), accounts.get(transfer.toAccountId)];
  if (from === undefined || to === undefined) throw accountNotFound();
  const { resolution } = asked;
  // A reservation that the account has stopped counting has expired, whatever the clock says.
  const now = new Date(Math.max(...[asked.now, from.expiredThrough, to.expiredThrough].map(Number)));
  const freed = {
    from: { ...from, pendingOut: from.pendingOut - transfer.amount },
    to: { ...to, pendingIn: to.pendingIn - transfer.amount },
  };
  refuseResolution(transfer, now);
  if (resolution.outcome === 'voided') return { from: withNextVersion(freed.from), to: withNextVersion(freed.to) };
  refusePosting(by, freed, transfer, resolution);
  const amount = amountOf(resolution, transfer);
  return { from: withEntry(freed.from, -amount), to: withEntry(freed.to, amount) };
}

/** What is asked for, and when. */
export interface Asked {
  readonly resolution: Resolution;
  readonly now: Date;
}

type Posting = Resolution & { outcome: 'posted' };

const amountOf = (posting: Posting, transfer: Pick<StoredTransfer, 'amount'>): bigint =>
  posting.amount?.amount ?? transfer.amount;

function refusePosting(by: By, both: Moved, transfer: StoredTransfer, posting: Posting): void {
  const { amount, currency } = transfer;
  if (posting.amount && posting.amount.currency !== currency) throw mismatch(currency, '/amount/currency');
  if (posting.amount && posting.amount.amount > amount)
    throw settlementProblems.exceedsPending('That is more than is pending.', { pointer: '/amount/amount' });
  if (by.userId === both.to.userId && by.userId !== both.from.userId) throw ownAccount();
  refuseShut({ from: both.from, to: null });
  const refusal = attempt(() => refuseArrival(both.to, amountOf(posting, transfer)));
  if (refusal instanceof ProblemError) throw sees(by, both.to) ? refusal : cannotReceive();
}

function refuseArrival(to: AccountState, amount: bigint): void {
  refuseShut({ from: to, to: null });
  if (!canHold(to, amount)) throw tooLarge();
}
