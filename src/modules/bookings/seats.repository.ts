import { Injectable } from '@nestjs/common';
import type { Slice } from '../../http/pages/page.ts';
import { allOf } from '../../kernel/all-of.ts';
import { defineLockableTables } from '../../transactions/lockable-tables.ts';
import { lockRows } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import type { Seat } from './seat.ts';

export const seatLocks = defineLockableTables('goods', { seat: 'id' });
declare module '../../transactions/lockable-tables.ts' {
  interface LockableTables extends Readonly<typeof seatLocks> {}
}

/** A seat in the version in which it was seen. */
type SeenSeat = Pick<Seat, 'id' | 'version'>;

@Injectable()
export class SeatsRepository {
  // Sql: Prisma has no row locks, and whether a hold is over is told by the clock of the database.
  constructor(@InjectDatabase() private readonly db: Tables<'seat'> & Sql) {}

  /** A page of them, the best first. */
  list(showingId: string, { after, take }: Slice<number>): Promise<Seat[]> {
    return this.db.$queryRaw`
      SELECT id, row_name AS row, number, position, version, CASE WHEN booking_id IS NOT NULL THEN 'booked' WHEN held_until > statement_timestamp() THEN 'held' ELSE 'free' END AS status
      FROM seat WHERE showing_id = ${showingId}::uuid AND position > ${after ?? -1} ORDER BY position LIMIT ${take}`;
  }

  /** Those of the showing, as they are without a lock. */
  findAll(showingId: string, ids: readonly string[]): Promise<Seat[]> {
    return this.db.$queryRaw`
      SELECT id, row_name AS row, number, position, version, CASE WHEN booking_id IS NOT NULL THEN 'booked' WHEN held_until > statement_timestamp() THEN 'held' ELSE 'free' END AS status
      FROM seat WHERE id = ANY(${[...ids]}::uuid[]) AND showing_id = ${showingId}::uuid`;
  }

  listOfHold(holdId: string) {
    return this.db.seat.findMany({ where: { holdId }, select: { id: true, row: true, number: true, position: true } });
  }

  /** How many the customer holds of a showing, and has booked. */
  async countOf(userId: string, showingId: string): Promise<number> {
    const [row] = await this.db.$queryRaw<{ count: number }[]>`
      SELECT seats_of_customer(${showingId}::uuid, ${userId}::uuid) AS count`;
    return row?.count ?? 0;
  }

  /** The best that are free and that nobody is about to take, locked. Fewer where there are no more. */
  lockBest(showingId: string, count: number): Promise<Seat[]> {
    /* eslint-disable no-restricted-syntax -- any of them will do: what is held is passed over, and so waits in no circle */
    return this.db.$queryRaw`
      SELECT id, row_name AS row, number, position, version, 'free' AS status FROM seat
      WHERE showing_id = ${showingId}::uuid AND booking_id IS NULL AND (held_until IS NULL OR held_until <= statement_timestamp())
      ORDER BY position LIMIT ${count} FOR NO KEY UPDATE SKIP LOCKED`;
    /* eslint-enable no-restricted-syntax */
  }

  /** Has the hold take the seats where they are as they were seen. Gives those that were. */
  async hold(seats: readonly SeenSeat[], holdId: string, heldUntil: Date): Promise<Set<string>> {
    // Locked in their order, as two who want the same seats would otherwise wait for each other.
    const [, taken] = await allOf([
      lockRows(this.db, { seat: seats.map(({ id }) => id) }),
      this.db.seat.updateManyAndReturn({
        where: { OR: seats.map(({ id, version }) => ({ id, version })) },
        data: { holdId, heldUntil, version: { increment: 1 } },
        select: { id: true },
      }),
    ]);
    return new Set(taken.map(({ id }) => id));
  }

  /** Locks what a hold has. Gives how many. */
  async lockOfHold(holdId: string): Promise<number> {
    const seats = await this.db.seat.findMany({ where: { holdId }, select: { id: true } });
    const { seat } = await lockRows(this.db, { seat: seats.map(({ id }) => id) });
    return seat.size;
  }

  /** Counts up the seats that a hold has. Gives how many. */
  async countUp(holdId: string): Promise<number> {
    return (await this.db.seat.updateMany({ where: { holdId }, data: { version: { increment: 1 } } })).count;
  }

  /** Frees what a hold has. */
  async freeHold(holdId: string): Promise<void> {
    await this.db.seat.updateMany({
      where: { holdId },
      data: { holdId: null, heldUntil: null, version: { increment: 1 } },
    });
  }

  /** Books what the hold still has. Gives how many. */
  async book(holdId: string, bookingId: string): Promise<number> {
    const { count } = await this.db.seat.updateMany({
      where: { holdId },
      data: { bookingId, holdId: null, heldUntil: null, version: { increment: 1 } },
    });
    return count;
  }

  /** Locks them in their order. */
  async lock(ids: readonly string[]): Promise<void> {
    await lockRows(this.db, { seat: ids });
  }

  /** Frees those that the booking has. */
  async freeBooked(bookingId: string, ids: readonly string[]): Promise<void> {
    await this.db.seat.updateMany({
      where: { bookingId, id: { in: [...ids] } },
      data: { bookingId: null, version: { increment: 1 } },
    });
  }

  /** Gives the booking those that are as they were seen. Gives which were. */
  async exchange(seats: readonly SeenSeat[], bookingId: string): Promise<Set<string>> {
    const taken = await this.db.seat.updateManyAndReturn({
      where: { OR: seats.map(({ id, version }) => ({ id, version })) },
      data: { bookingId, holdId: null, heldUntil: null, version: { increment: 1 } },
      select: { id: true },
    });
    return new Set(taken.map(({ id }) => id));
  }
}
