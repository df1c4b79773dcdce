import { Injectable } from '@nestjs/common';
import type { Removal, RemovalBatch } from '../../retention/expired-rows.ts';
import { RemovesExpired } from '../../retention/expiring.ts';
import { Transactions } from '../../transactions/transactions.ts';
import { allowSeparateWrites } from '../../transactions/unit-of-work.ts';
import { ReservationsRepository } from './reservations.repository.ts';

/**
 * Removes the reservations of expired transfers in the background, in batches that commit separately. Correctness does not depend on it: an
 * account does not count expired ones. It saves space, and the time to sum them.
 */
@Injectable()
export class ReservationSweep {
  constructor(
    private readonly reservations: ReservationsRepository,
    private readonly transactions: Transactions,
  ) {}

  /** Removes at most so many reservations, oldest first. Gives how many: fewer than asked when none are left. */
  @RemovesExpired({ table: 'reservation', end: 'expires_at' })
  async removeExpired(batch: RemovalBatch): Promise<Removal> {
    return allowSeparateWrites(
      'Both only tidy up: what the first has done stays true without the second.',
      async () => {
        const left = this.transactions.run({ ...terms, name: 'ReservationSweep.leaveOut' }, () => this.leaveOut(batch));
        // If it waits for an account without success, it still removes reservations that need no account.
        const [leftOut] = await Promise.allSettled([left]);
        const removal = await this.transactions.run({ ...terms, name: 'ReservationSweep.remove' }, () =>
          this.reservations.removeExpired(batch),
        );
        if (leftOut.status === 'rejected' && removal.removed === 0) throw leftOut.reason;
        return removal;
      },
    );
  }

  /** Makes accounts stop counting expired reservations. Locked accounts are left to the next round; if all are locked, it waits for one. */
  private async leaveOut(batch: RemovalBatch): Promise<void> {
    const behind = await this.reservations.listBehind(batch);
    if (behind.length === 0) return;
    const free = await this.reservations.lockFree(behind, false);
    const locked = free.length > 0 ? free : await this.reservations.lockFree(behind.slice(0, 1), true);
    await this.reservations.leaveOutExpired(locked);
  }
}

const terms = { timeout: '5s', lockTimeout: '1s', retry: 0 } as const;
