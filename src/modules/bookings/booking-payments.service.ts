import { Injectable } from '@nestjs/common';
import type { Principal } from '../../kernel/principal.ts';
import { HouseAccounts } from '../accounts/house-accounts.ts';
import { LedgerService } from '../ledger/ledger.service.ts';
import { type Payment, paymentMovement, refundMovement, refusePayer } from '../transfers/payment.ts';

/** How bookings are paid, and their money comes back. Runs inside the boundary of its caller, as the last that locks. */
@Injectable()
export class BookingPayments {
  constructor(
    private readonly ledger: LedgerService,
    private readonly houses: HouseAccounts,
  ) {}

  /** Gives the id of the transfer. Throws account-not-found, currency-mismatch, insufficient-funds, and what the ledger says. */
  async pay(payment: Payment): Promise<string> {
    refusePayer(await this.ledger.parties([payment.accountId]), payment);
    const movement = paymentMovement(payment, await this.houses.find('sales', payment.amount.currency));
    await this.ledger.book(movement);
    return movement.id;
  }

  /** Gives the id of the transfer. Throws what the ledger says. */
  async refund(by: Principal, { accountId, amount }: Omit<Payment, 'by'>): Promise<string> {
    const movement = refundMovement({ by, accountId, amount }, await this.houses.find('sales', amount.currency));
    await this.ledger.book(movement);
    return movement.id;
  }
}
