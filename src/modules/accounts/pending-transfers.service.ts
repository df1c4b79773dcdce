import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel/clock.ts';
import { AppError } from '../../kernel/errors.ts';
import type { Principal } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { changedMeanwhile, changesOf, entryPair, keep, LedgerService } from './ledger.service.ts';
import type { SettlementRow } from './ledger-rows.ts';
import { LedgerRepository } from './ledger.repository.ts';
import { type Resolution, settle } from './settlement.ts';
import { showTransfer, TransfersService } from './transfers.service.ts';
import type { Posting } from './transfers.schema.ts';
import { TransfersRepository } from './transfers.repository.ts';

type Stored = NonNullable<Awaited<ReturnType<TransfersRepository['find']>>>;

@Injectable()
export class PendingTransfersService {
  constructor(
    private readonly transfers: TransfersService,
    private readonly stored: TransfersRepository,
    private readonly ledger: LedgerService,
    private readonly books: LedgerRepository,
    private readonly clock: Clock,
  ) {}

  /**
   * Posts what is pending, or a part of it, once; the rest is free again. By whoever owns the account it leaves, or an operator.
   * Throws transfer-not-found, already-posted, already-voided, expired, exceeds-pending, currency-mismatch, account-frozen.
   */
  @Transactional()
  async post(by: Principal, id: string, { amount }: Posting) {
    const transfer = await this.transfers.findAs(by, id, 'sender');
    return this.resolve(by, transfer, { outcome: 'posted', amount: amount ?? null });
  }

  /**
   * Gives back what is pending, once. By whoever owns one of the accounts, or an operator.
   * Throws transfer-not-found, already-posted, already-voided, expired.
   */
  @Transactional()
  async void(by: Principal, id: string) {
    return this.resolve(by, await this.transfers.findAs(by, id, 'either'), { outcome: 'voided' });
  }

  private async resolve({ userId }: Principal, transfer: Stored, resolution: Resolution) {
    const { id, fromAccountId, toAccountId } = transfer;
    const books = await this.ledger.open([fromAccountId, toAccountId]);
    // Whoever resolves it holds both accounts: only now is it known what became of it.
    const current = { ...transfer, settlement: await this.stored.findSettlement(id) };
    const decided = settle(books.accounts, current, resolution, this.clock.now());
    if (decided instanceof AppError) throw decided;
    keep(books, decided);
    const amount = resolution.outcome === 'posted' ? (resolution.amount?.amount ?? transfer.amount) : null;
    const row: SettlementRow = { transferId: id, outcome: resolution.outcome, amount, createdById: userId };
    const entries = amount === null ? [] : entryPair(id, amount, decided);
    const createdAt = (await this.books.settle(row, changesOf(books), entries)) ?? changedMeanwhile();
    return showTransfer({ ...transfer, settlement: { outcome: row.outcome, amount, createdAt } }, createdAt);
  }
}
