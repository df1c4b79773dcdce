import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel/clock.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { refuseResolution, type Resolution } from '../settlements/settlement.ts';
import { SettlementsService } from '../settlements/settlements.service.ts';
import { showTransfer, transferMissing } from './transfer.ts';
import { TransfersRepository } from './transfers.repository.ts';
import type { NewVoids, Posting } from './transfers.schema.ts';
import { TransfersService } from './transfers.service.ts';

type Stored = NonNullable<Awaited<ReturnType<TransfersRepository['find']>>>;

@Injectable()
export class PendingTransfersService {
  constructor(
    private readonly transfers: TransfersService,
    private readonly stored: TransfersRepository,
    private readonly settlements: SettlementsService,
    private readonly clock: Clock,
  ) {}

  /**
   * Posts what is pending, or a part of it, once; the rest is free again. By whoever owns the account it leaves, or an operator for others.
   * Throws transfer-not-found, already-posted, already-voided, expired, exceeds-pending, currency-mismatch, account-frozen, own-account,
   * balance-too-large; cannot-receive where the other account is somebody else's.
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

  /** Gives back many, each answered by itself as `void` would be. Gives the transfers in their order, or why not. */
  @Transactional()
  async voidAll(by: Principal, { transferIds }: NewVoids) {
    const found = await this.stored.findAll(scopeOf(by), transferIds);
    const resolved = await this.settlements.settleAll(by, found, { outcome: 'voided' });
    const data = transferIds.map((id, n) => {
      const one = resolved.get(id) ?? transferMissing();
      return one instanceof ProblemError
        ? { transfer: null, refusal: one.within(`/transferIds/${n}`) }
        : { transfer: showTransfer(one, this.clock.now()), refusal: null };
    });
    return { mode: 'partial' as const, data };
  }

  private async resolve(by: Principal, transfer: Stored, resolution: Resolution) {
    // A settled transfer stays settled, so no account is locked for it. Whether one has expired is known only after both accounts are
    // locked: another request that locked them before the expiry may be about to post it.
    const known = await this.stored.settled(transfer);
    if (known.settlement !== null) refuseResolution(known, known.settlement.createdAt);
    const settled = (await this.settlements.settleAll(by, [known], resolution)).get(transfer.id) ?? transferMissing();
    if (settled instanceof ProblemError) throw settled;
    return showTransfer(settled, settled.settlement.createdAt);
  }
}
