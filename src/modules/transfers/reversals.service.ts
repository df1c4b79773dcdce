import { Injectable } from '@nestjs/common';
import type { Principal } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { LedgerService } from '../ledger/ledger.service.ts';
import { ownAccount } from '../ledger/movement.ts';
import { directMovement, reversalAmount, reversible, showBooked } from './transfer.ts';
import { TransfersRepository } from './transfers.repository.ts';
import type { NewReversal } from './transfers.schema.ts';
import { TransfersService } from './transfers.service.ts';

@Injectable()
export class ReversalsService {
  constructor(
    private readonly transfers: TransfersService,
    private readonly stored: TransfersRepository,
    private readonly ledger: LedgerService,
  ) {}

  /**
   * Moves back what a transfer has moved, or a part of it; all reversals together never more. By whoever owns the account that received, or
   * an operator for others. Throws transfer-not-found, not-posted, not-reversible, exceeds-remaining, own-account, and what a transfer throws.
   */
  @Transactional()
  async reverse(by: Principal, id: string, { amount, note }: NewReversal) {
    const transfer = await this.stored.settled(await this.transfers.findAs(by, id, 'receiver'));
    const { fromAccountId, toAccountId, currency } = transfer;
    // What can be said without a lock is said without one: a payment would lock the house.
    reversible(transfer, null, by);
    const books = await this.ledger.lock([fromAccountId, toAccountId]);
    const [sender, receiver] = [books.parties.get(fromAccountId), books.parties.get(toAccountId)];
    if (sender?.userId === by.userId && receiver?.userId !== by.userId) throw ownAccount();
    // Every reversal of a transfer holds both accounts: this is the last one before ours.
    const last = await this.stored.findLastReversal(id);
    const left = reversible(transfer, last, by);
    const reversed = reversalAmount(left, currency, amount ?? null);
    const back = { from: toAccountId, to: fromAccountId, amount: reversed, note: note ?? null };
    const reverses = { id, seq: left.seq, total: left.total + reversed.amount };
    return showBooked(await this.ledger.bookIn(books, { ...directMovement('reversal', by, back), reverses }));
  }
}
