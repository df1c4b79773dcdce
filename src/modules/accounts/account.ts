import { type AppError, invalid } from '../../kernel/errors.ts';
import { largestAmount, type Money } from '../../kernel/money.ts';

/** What the rules need to know of an account. */
export interface AccountState {
  readonly id: string;
  readonly house: 'cash' | 'sales' | null;
  readonly currency: string;
  readonly balance: bigint;
}

/** Money that moves from one account to another, and who made it move. */
export interface Movement {
  readonly kind: 'deposit' | 'transfer' | 'payment' | 'refund';
  readonly fromAccountId: string;
  readonly toAccountId: string;
  readonly amount: Money;
  readonly note: string | null;
  readonly createdById: string;
}

/** Whether a person may send money there: accounts of the house take part in what the house does only. */
export const canReceive = ({ house }: AccountState): boolean => house === null;

/** Why the movement may not be made; null when it may. `same-account`, `currency-mismatch`, `insufficient-funds`, `balance-too-large`. */
export function refuseMovement(from: AccountState, to: AccountState, { amount, currency }: Money): AppError | null {
  if (from.id === to.id) return invalid('same-account', 'Money cannot be moved from an account to itself.');
  if (from.currency !== currency || to.currency !== currency)
    return invalid('currency-mismatch', `Both accounts must be in ${currency}.`);
  // Money enters the house through cash: its balance is what the outside world has paid in, below zero.
  if (from.house !== 'cash' && from.balance < amount)
    return invalid('insufficient-funds', 'The account does not hold that much.');
  if (to.balance + amount > largestAmount || from.balance - amount < -largestAmount)
    return invalid('balance-too-large', `A balance cannot go beyond ${largestAmount} minor units.`);
  return null;
}
