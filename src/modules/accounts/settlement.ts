import { type AppError, conflict, invalid } from '../../kernel/errors.ts';
import type { Money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';
import { canHold, mismatch, ownAccount, placed, sees } from './account.ts';
import { type Accounts, counted, type Decision, entered, refuseShut, tooLarge } from './ledger.ts';
import type { Moved, TransferKind } from './movement.ts';
import { cannotReceive, missing } from './parties.ts';

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

/** What is to become of a pending transfer: so much of it is posted (null: all), or nothing. */
export type Resolution = { readonly outcome: 'posted'; readonly amount: Money | null } | { readonly outcome: 'voided' };

export type TransferStatus = 'pending' | 'posted' | 'voided' | 'expired';

/** One that nobody resolved in time is expired, whether or not that has been written down. */
export function statusOf({ expiresAt, settlement }: Pick<StoredTransfer, 'expiresAt' | 'settlement'>, now: Date) {
  if (expiresAt === null) return 'posted';
  return settlement?.outcome ?? (expiresAt <= now ? 'expired' : 'pending');
}

/** What was posted of it, in minor units; null when nothing was. */
export const postedOf = ({ expiresAt, amount, settlement }: StoredTransfer): bigint | null =>
  expiresAt === null ? amount : (settlement?.amount ?? null);

/**
 * Why it cannot be resolved whatever the accounts say; null while nothing became of it. `already-posted`, `already-voided`, `expired`.
 */
export function refuseResolution(transfer: StoredTransfer, now: Date): AppError | null {
  switch (statusOf(transfer, now)) {
    case 'posted':
      return conflict('already-posted', 'The transfer has been posted.');
    case 'voided':
      return conflict('already-voided', 'The transfer has been voided.');
    case 'expired':
      return conflict('expired', 'The transfer has expired.');
    case 'pending':
      return null;
  }
}

type By = Pick<Principal, 'userId' | 'role'>;

/**
 * Decides what becomes of a pending transfer. It was reserved, so posting it breaks no limit of the account that it leaves. `already-posted`,
 * `already-voided`, `expired`, `currency-mismatch`, `exceeds-pending`, `account-frozen`, `balance-too-large`, `own-account`; `cannot-receive`
 * where the other account is none of the caller's.
 */
export function settle(by: By, accounts: Accounts, transfer: StoredTransfer, asked: Asked): Decision {
  const [from, to] = [accounts.get(transfer.fromAccountId), accounts.get(transfer.toAccountId)];
  if (from === undefined || to === undefined) return missing();
  const { resolution } = asked;
  // What an account counts no more has expired, whatever a clock says.
  const now = new Date(Math.max(...[asked.now, from.expiredThrough, to.expiredThrough].map(Number)));
  const freed = {
    from: { ...from, pendingOut: from.pendingOut - transfer.amount },
    to: { ...to, pendingIn: to.pendingIn - transfer.amount },
  };
  const refusal = refuseResolution(transfer, now) ?? refusePosting(by, freed, transfer, resolution);
  if (refusal) return refusal;
  if (resolution.outcome === 'voided') return { from: counted(freed.from), to: counted(freed.to) };
  const amount = amountOf(resolution, transfer);
  return { from: entered(freed.from, -amount), to: entered(freed.to, amount) };
}

/** What is asked for, and when. */
export interface Asked {
  readonly resolution: Resolution;
  readonly now: Date;
}

const amountOf = (resolution: Resolution & { outcome: 'posted' }, transfer: Pick<StoredTransfer, 'amount'>): bigint =>
  resolution.amount?.amount ?? transfer.amount;

function refusePosting(by: By, both: Moved, transfer: StoredTransfer, what: Resolution): AppError | null {
  if (what.outcome === 'voided') return null;
  const { amount, currency } = transfer;
  if (what.amount && what.amount.currency !== currency) return mismatch(currency, '/amount/currency');
  if (what.amount && what.amount.amount > amount)
    return invalid('exceeds-pending', 'That is more than is pending.', placed('exceeds-pending', '/amount/amount'));
  if (by.userId === both.to.userId && by.userId !== both.from.userId) return ownAccount();
  return refuseShut({ from: both.from, to: null }) ?? refuseArrival(by, both, amountOf(what, transfer));
}

function refuseArrival(by: By, { to }: Moved, amount: bigint): AppError | null {
  const refusal = refuseShut({ from: to, to: null }) ?? (canHold(to, amount) ? null : tooLarge());
  return refusal && !sees(by, to) ? cannotReceive() : refusal;
}
