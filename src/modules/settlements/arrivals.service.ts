import { Injectable } from '@nestjs/common';
import type { Principal } from '../../kernel/principal.ts';
import { Transactions } from '../../transactions/transactions.ts';
import { LedgerService, type LockedAccounts } from '../ledger/ledger.service.ts';
import { type PendingArrival, SettlementsRepository } from './settlements.repository.ts';
import { SettlementsService } from './settlements.service.ts';

/** Closing an account returns at most this many pending transfers. If there are more, void some of them first. */
const mostArrivals = 1000;

// A repeat is needed only if somebody created a pending transfer to the account meanwhile.
const mostRepeats = 5;

/** Accounts that are locked, and what is pending from the others to the one. */
interface Locked {
  readonly books: LockedAccounts;
  readonly arrivals: readonly PendingArrival[];
}

/** Thrown to roll back to the savepoint, which releases the locks. */
class Outdated extends Error {
  constructor() {
    super('outdated');
  }
}

/** The pending transfers to an account, from all senders. Runs inside the boundary of its caller. */
@Injectable()
export class ArrivalsService {
  constructor(
    private readonly stored: SettlementsRepository,
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
    const seen = await this.stored.listArrivals(id, this.ledger.now(), mostArrivals);
    const books = await this.ledger.lock([id, ...seen.map(({ fromAccountId }) => fromAccountId)]);
    const isBusy = (books.locked.get(id)?.pendingIn ?? 0n) > 0n;
    const current = isBusy ? await this.stored.listArrivals(id, books.now, mostArrivals) : [];
    const arrivals = current.filter(({ fromAccountId }) => books.locked.has(fromAccountId));
    if (mayRepeat && arrivals.length < current.length) throw new Outdated();
    return { books, arrivals };
  }

  /** Gives back what is pending to an account, with accounts that were locked for it. */
  async void(by: Principal, books: LockedAccounts, arrivals: readonly PendingArrival[]): Promise<void> {
    if (arrivals.length === 0) return;
    const transfers = await this.stored.listTransfers(arrivals.map(({ transferId }) => transferId));
    const settled = await this.settlements.settleIn(books, by, transfers, { outcome: 'voided' });
    for (const one of settled.values()) if (one instanceof Error) throw one;
  }
}
