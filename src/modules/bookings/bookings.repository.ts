import { Injectable } from '@nestjs/common';
import type { Slice } from '../../http/pages/page.ts';
import type { Scope } from '../../kernel/principal.ts';
import { defineLockableTables } from '../../transactions/lockable-tables.ts';
import { lockRows } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import type { BookingQuery } from './bookings.schema.ts';

export const bookingLocks = defineLockableTables('documents', { booking: 'id' });
declare module '../../transactions/lockable-tables.ts' {
  interface LockableTables extends Readonly<typeof bookingLocks> {}
}

interface BookingRow {
  readonly id: string;
  readonly showingId: string;
  readonly userId: string;
  readonly holdId: string;
  readonly seatCount: number;
  readonly accountId: string;
  readonly amount: bigint;
  readonly currency: string;
  readonly transferId: string;
}
interface CancellationRow {
  readonly refundTransferId: string;
  readonly cancelledById: string;
  readonly reason: string | null;
}

const whole = {
  names: { select: { seat: { select: { id: true, row: true, number: true, position: true } } } },
} as const;

@Injectable()
export class BookingsRepository {
  // Sql: Prisma has no row locks, and when something happened is told by the clock of the database.
  constructor(@InjectDatabase() private readonly db: Tables<'booking' | 'bookingSeat'> & Sql) {}

  async create(booking: BookingRow, seatIds: readonly string[]): Promise<void> {
    await this.db.booking.create({ data: booking });
    await this.name(booking.id, seatIds);
  }

  find(scope: Scope, id: string) {
    return this.db.booking.findFirst({ where: { id, ...scope }, include: whole });
  }

  /** Whether the hold became a booking of this customer. */
  async hasHold(userId: string, holdId: string): Promise<boolean> {
    return (await this.db.booking.count({ where: { holdId, userId } })) > 0;
  }

  /** The booking, locked until the boundary ends; that of somebody else is neither found nor locked. */
  async lock(scope: Scope, id: string) {
    if ((await this.find(scope, id)) === null) return null;
    await lockRows(this.db, { booking: [id] });
    return this.find(scope, id);
  }

  list(scope: Scope, { status }: Pick<BookingQuery, 'status'>, { after, take }: Slice<string>) {
    return this.db.booking.findMany({
      where: { ...scope, ...(status && { status }), ...(after !== null && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take,
      include: whole,
    });
  }

  /** Whether it was still booked. */
  async cancel(id: string, { refundTransferId, cancelledById, reason }: CancellationRow): Promise<boolean> {
    const cancelled = await this.db.$executeRaw`
      UPDATE booking SET status = 'cancelled', refund_transfer_id = ${refundTransferId}::uuid, cancelled_by_id = ${cancelledById}::uuid,
        cancel_reason = ${reason}, cancelled_at = statement_timestamp(), version = version + 1
      WHERE id = ${id}::uuid AND status = 'booked'`;
    return cancelled === 1;
  }

  /** Names other seats instead of those that are given back. The caller has locked the booking. */
  async rename(id: string, { given, taken }: { given: readonly string[]; taken: readonly string[] }): Promise<void> {
    await this.db.bookingSeat.deleteMany({ where: { bookingId: id, seatId: { in: [...given] } } });
    await this.name(id, taken);
    await this.db.booking.update({ where: { id }, data: { version: { increment: 1 } } });
  }

  private async name(bookingId: string, seatIds: readonly string[]): Promise<void> {
    await this.db.bookingSeat.createMany({ data: seatIds.map((seatId) => ({ bookingId, seatId })) });
  }
}
