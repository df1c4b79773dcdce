import { type AppError, conflict, invalid } from '../../kernel/errors.ts';
import type { Money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';
import { mismatch } from './account.ts';
import { postedOf, type StoredTransfer } from './settlement.ts';

/** What is left to reverse of a transfer, and the number of the next reversal. */
export interface Reversible {
  readonly remaining: bigint;
  readonly seq: number;
  readonly total: bigint;
}

/** How a transfer may be reversed after the reversals before. `not-reversible`, `not-posted`. */
export function reversible(
  transfer: StoredTransfer,
  last: { readonly reversalSeq: number | null; readonly reversedTotal: bigint | null } | null,
  { role }: Pick<Principal, 'role'>,
): AppError | Reversible {
  if (transfer.kind !== 'transfer' && !(transfer.kind === 'deposit' && role === 'operator'))
    return conflict('not-reversible', `A ${transfer.kind} cannot be reversed.`);
  const posted = postedOf(transfer);
  if (posted === null) return conflict('not-posted', 'Nothing of the transfer has been posted.');
  const total = last?.reversedTotal ?? 0n;
  return { remaining: posted - total, seq: (last?.reversalSeq ?? 0) + 1, total };
}

/** The amount of the next reversal. `exceeds-remaining`, `currency-mismatch`. */
export function reversalAmount({ remaining }: Reversible, currency: string, asked: Money | null): AppError | Money {
  if (asked && asked.currency !== currency) return mismatch(currency, '/amount/currency');
  const amount = asked?.amount ?? remaining;
  if (amount > remaining || amount === 0n)
    return invalid('exceeds-remaining', `Of the transfer ${remaining} minor units are left to reverse.`);
  return { amount, currency };
}
