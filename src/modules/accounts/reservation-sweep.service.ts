import { Injectable } from '@nestjs/common';
import { RemovesExpired } from '../../retention/expiring.ts';
import { Transactions } from '../../transactions/transactions.ts';
import { allowSeparateWrites } from '../../transactions/unit-of-work.ts';
import { ReservationsRepository } from './reservations.repository.ts';

/**
 * Removes what expired transfers reserve, behind everybody, in batches that each are stored. Nothing depends on it but space, and how much whoever
 * needs the room has to add up: an account leaves out by itself what has expired.
 */
@Injectable()
export class ReservationSweep {
  constructor(
    private readonly reservations: ReservationsRepository,
    private readonly transactions: Transactions,
  ) {}

  /** Removes at most so many reservations, oldest first. Gives how many: fewer than asked when none are left. */
  @RemovesExpired({ table: 'reservation', end: 'expires_at' })
  async removeExpired(most: number): Promise<number> {
    return allowSeparateWrites(
      'Both only tidy up: what the first has done stays true without the second.',
      async () => {
        await this.transactions.run({ ...terms, name: 'ReservationSweep.leaveOut' }, () => this.leaveOut(most));
        return this.transactions.run({ ...terms, name: 'ReservationSweep.remove' }, () =>
          this.reservations.removeExpired(most),
        );
      },
    );
  }

  /** Has accounts count no more what has expired. Those that somebody holds are left to the next round, unless all are held: one is waited for. */
  private async leaveOut(most: number): Promise<void> {
    const behind = await this.reservations.listBehind(most);
    if (behind.length === 0) return;
    const free = await this.reservations.lockFree(behind, false);
    const locked = free.length > 0 ? free : await this.reservations.lockFree(behind.slice(0, 1), true);
    await this.reservations.leaveOutExpired(locked);
  }
}

const terms = { timeout: '5s', lockTimeout: '1s', retry: 0 } as const;
