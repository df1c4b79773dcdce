import { Injectable } from '@nestjs/common';
import type { Principal } from '../../kernel/principal.ts';
import { Transactions } from '../../transactions/transactions.ts';
import { LedgerService, type OpenBooks } from './ledger.service.ts';
import { type PendingArrival, ReservationsRepository } from './reservations.repository.ts';
import { SettlementsService } from './settlements.service.ts';
import { TransfersRepository } from './transfers.repository.ts';

/** So many are given back by one closing. More of them are given back by list first. */
const mostArrivals = 1000;

// Each time somebody must have made one meanwhile.
const mostRepeats = 5;

/** Accounts that are locked, and what is pending from the others to the one. */
interface Locked {
  readonly books: OpenBooks;
  readonly arrivals: readonly PendingArrival[];
}

/** Takes back to the savepoint, which gives the locks up. */
class Outdated extends Error {
  constructor() {
    super('outdated');
  }
}

/** What is pending to an account, from whomever. It runs inside the boundary of whoever asks. */
@Injectable()
export class ArrivalsService {
  constructor(
    private readonly reservations: ReservationsRepository,
    private readonly stored: TransfersRepository,
    private readonly settlements: SettlementsService,
    private readonly ledger: LedgerService,
    private readonly transactions: Transactions,
  ) {}

  /**
   * Locks an account together with all from which something is pending to it, and gives what is, at most a thousand. Where somebody has added
   * to it while they were being locked, the locks are given up and taken anew, in their order.
   */
  async lock(id: string, left = mostRepeats): Promise<Locked> {
    try {
      return await this.transactions.run({ name: 'ArrivalsService.lock', propagation: 'nested' }, () =>
        this.lockSeen(id, left > 0),
      );
    } catch (error) {
      if (!(error instanceof Outdated)) throw error;
      return this.lock(id, left - 1);
    }
  }

  private async lockSeen(id: string, mayRepeat: boolean): Promise<Locked> {
    const seen = await this.reservations.listArrivals(id, this.ledger.now(), mostArrivals);
    const books = await this.ledger.lock([id, ...seen.map(({ fromAccountId }) => fromAccountId)]);
    const isBusy = (books.locked.get(id)?.pendingIn ?? 0n) > 0n;
    const current = isBusy ? await this.reservations.listArrivals(id, books.now, mostArrivals) : [];
    const arrivals = current.filter(({ fromAccountId }) => books.locked.has(fromAccountId));
    if (mayRepeat && arrivals.length < current.length) throw new Outdated();
    return { books, arrivals };
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
