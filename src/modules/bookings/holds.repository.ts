import { Injectable } from '@nestjs/common';
import type { Scope } from '../../kernel/principal.ts';
import { Expiring } from '../../retention/expiring.ts';
import { defineLockableTables } from '../../transactions/lockable-tables.ts';
import { lockRows } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import type { Hold } from './seat.ts';

export const holdLocks = defineLockableTables('documents', { seat_hold: 'id' });
declare module '../../transactions/lockable-tables.ts' {
  interface LockableTables extends Readonly<typeof holdLocks> {}
}

interface NewHoldRow {
  readonly id: string;
  readonly showingId: string;
  readonly userId: string;
  readonly seatCount: number;
}

@Injectable()
@Expiring({ table: 'seat_hold', end: 'forgotten_at' })
export class HoldsRepository {
  // Sql: Prisma has no row locks, and when a hold ends is told by the clock of the database.
  constructor(@InjectDatabase() private readonly db: Tables<'seatHold'> & Sql) {}

  async create({ id, showingId, userId, seatCount }: NewHoldRow, seconds: number): Promise<Date> {
    const [row] = await this.db.$queryRaw<[{ expiresAt: Date }]>`
      INSERT INTO seat_hold (id, showing_id, user_id, seat_count, expires_at, forgotten_at)
      SELECT ${id}::uuid, ${showingId}::uuid, ${userId}::uuid, ${seatCount}, ends, ends + interval '1 day'
      FROM (SELECT statement_timestamp() + make_interval(secs => ${seconds}) AS ends) AS hold
      RETURNING expires_at AS "expiresAt"`;
    return row.expiresAt;
  }

  /** As it is now, by the clock of the database. */
  async find(scope: Scope, id: string): Promise<Hold | null> {
    const userId = scope.userId ?? null;
    const [hold] = await this.db.$queryRaw<Hold[]>`
      SELECT h.id, h.showing_id AS "showingId", h.user_id AS "userId", h.seat_count AS "seatCount", h.expires_at AS "expiresAt",
        h.expires_at > statement_timestamp() AS "isLive", h.version, h.created_at AS "createdAt", h.updated_at AS "updatedAt",
        s.price, s.currency, s.starts_at <= statement_timestamp() AS "hasBegun"
      FROM seat_hold h JOIN showing s ON s.id = h.showing_id
      WHERE h.id = ${id}::uuid AND (${userId}::uuid IS NULL OR h.user_id = ${userId}::uuid)`;
    return hold ?? null;
  }

  /** The hold, locked until the boundary ends; that of somebody else is neither found nor locked. */
  async lock(scope: Scope, id: string): Promise<Hold | null> {
    if ((await this.find(scope, id)) === null) return null;
    await lockRows(this.db, { seat_hold: [id] });
    return this.find(scope, id);
  }

  /** So many seconds from now, and no more than an hour in all. The caller has locked it. */
  async extend(id: string, seconds: number): Promise<void> {
    await this.db.$executeRaw`
      UPDATE seat_hold SET version = version + 1, expires_at = ends, forgotten_at = ends + interval '1 day'
      FROM (
        SELECT id AS hold_id, LEAST(statement_timestamp() + make_interval(secs => ${seconds}), created_at + interval '1 hour') AS ends
        FROM seat_hold WHERE id = ${id}::uuid) AS extended
      WHERE id = hold_id`;
  }

  /** Whether it was there. */
  async remove(id: string): Promise<boolean> {
    return (await this.db.seatHold.deleteMany({ where: { id } })).count === 1;
  }
}
