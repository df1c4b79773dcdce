import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel/clock.ts';
import type { Principal } from '../../kernel/principal.ts';
import { LedgerService, type OpenBooks } from './ledger.service.ts';
import { type PendingArrival, ReservationsRepository } from './reservations.repository.ts';
import { SettlementsService } from './settlements.service.ts';
import { TransfersRepository } from './transfers.repository.ts';

/** So many are given back by one closing. More of them are given back by list first. */
const mostArrivals = 1000;

/** What is pending to an account, from whomever. It runs inside the boundary of whoever asks. */
@Injectable()
export class ArrivalsService {
  constructor(
    private readonly reservations: ReservationsRepository,
    private readonly stored: TransfersRepository,
    private readonly settlements: SettlementsService,
    private readonly ledger: LedgerService,
    private readonly clock: Clock,
  ) {}

  /**
   * Locks an account together with all from which something is pending to it, and gives what is. What somebody has added while they were being
   * locked, or beyond a thousand, is not in it: the account still counts that as pending.
   */
  async lock(id: string): Promise<{ books: OpenBooks; arrivals: PendingArrival[] }> {
    const seen = await this.reservations.listArrivals(id, this.clock.now(), mostArrivals);
    const books = await this.ledger.lock([id, ...seen.map(({ fromAccountId }) => fromAccountId)]);
    const current = seen.length === 0 ? [] : await this.reservations.listArrivals(id, books.now, mostArrivals);
    return { books, arrivals: current.filter(({ fromAccountId }) => books.locked.has(fromAccountId)) };
  }

  /** Gives back what is pending to an account, with accounts that were locked for it. */
  async void(by: Principal, books: OpenBooks, arrivals: readonly PendingArrival[]): Promise<void> {
    if (arrivals.length === 0) return;
    const transfers = await this.stored.findAll(
      {},
      arrivals.map(({ transferId }) => transferId),
    );
    const settled = await this.settlements.settleIn(books, by, transfers, { outcome: 'voided' });
    for (const one of settled.values()) if (one instanceof Error) throw one;
  }
}
