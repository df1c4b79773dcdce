import { type AppError, conflict, invalid } from '../../kernel/errors.ts';
import type { Money } from '../../kernel/money.ts';
import { mismatch, placed } from './account.ts';
import {
  type Accounts,
  counted,
  type Decision,
  entered,
  missing,
  type Moved,
  refuseShut,
  type TransferKind,
} from './ledger.ts';

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
 * Decides what becomes of a pending transfer. It was reserved, so posting can break no limit. `already-posted`, `already-voided`, `expired`,
 * `currency-mismatch`, `exceeds-pending`, `account-frozen`.
 */
export function settle(accounts: Accounts, transfer: StoredTransfer, resolution: Resolution, now: Date): Decision {
  const [from, to] = [accounts.get(transfer.fromAccountId), accounts.get(transfer.toAccountId)];
  if (from === undefined || to === undefined) return missing();
  const refusal = refuseResolution(transfer, now) ?? refusePosting({ from, to }, transfer, resolution);
  if (refusal) return refusal;
  const freed = {
    from: { ...from, pendingOut: from.pendingOut - transfer.amount },
    to: { ...to, pendingIn: to.pendingIn - transfer.amount },
  };
  if (resolution.outcome === 'voided') return { from: counted(freed.from), to: counted(freed.to) };
  const amount = resolution.amount?.amount ?? transfer.amount;
  return { from: entered(freed.from, -amount), to: entered(freed.to, amount) };
}

function refuseResolution(transfer: StoredTransfer, now: Date): AppError | null {
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

function refusePosting({ from, to }: Moved, { amount, currency }: StoredTransfer, what: Resolution): AppError | null {
  if (what.outcome === 'voided') return null;
  if (what.amount && what.amount.currency !== currency) return mismatch(currency, '/amount/currency');
  if (what.amount && what.amount.amount > amount)
    return invalid('exceeds-pending', 'That is more than is pending.', placed('exceeds-pending', '/amount/amount'));
  return refuseShut(from, to);
}
