import type { Money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';
import { accountNotFound } from '../ledger/ledger.ts';
import { mismatch, type Movement, type Parties } from '../ledger/movement.ts';
import { directMovement } from './transfer.ts';

/** Money for the house from somebody's account, or back to it. */
export interface Payment {
  readonly by: Principal;
  readonly accountId: string;
  readonly amount: Money;
}

/** Pays the house, whose account of sales this is. */
export const paymentMovement = ({ by, accountId, amount }: Payment, sales: string): Movement =>
  directMovement('payment', by, { from: accountId, to: sales, amount });

/** Gives a payment back to the account it came from, whatever its largest balance is. */
export const refundMovement = ({ by, accountId, amount }: Payment, sales: string): Movement =>
  directMovement('refund', by, { from: sales, to: accountId, amount });

/** Whether somebody may pay from the account. */
export const isPayer = (parties: Parties, { userId }: Principal, accountId: string): boolean =>
  parties.get(accountId)?.userId === userId;

/** Refuses whoever could not pay from the account whatever it holds: before anything is locked. Throws account-not-found, currency-mismatch. */
export function refusePayer(parties: Parties, { by, accountId, amount }: Payment): void {
  const account = parties.get(accountId);
  if (account === undefined || !isPayer(parties, by, accountId)) throw accountNotFound('/payment/accountId');
  if (account.currency !== amount.currency) throw mismatch(account.currency);
}
