import { Injectable } from '@nestjs/common';
import type { Slice } from '../../http/pages/page.ts';
import type { Scope } from '../../kernel/principal.ts';
import type { Rows } from '../../transactions/lane.ts';
import { defineLockableTables } from '../../transactions/lockable-tables.ts';
import { lockAndLoad } from '../../transactions/locks.ts';
import { rowSet } from '../../transactions/row-set.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import type { OrderQuery } from './orders.schema.ts';

export const orderLocks = defineLockableTables('documents', { order: 'id' });
declare module '../../transactions/lockable-tables.ts' {
  interface LockableTables extends Readonly<typeof orderLocks> {}
}

/** A new order with its lines and its payment. */
interface OrderRow {
  readonly id: string;
  readonly lines: readonly object[];
  readonly payment: object;
}
/** A cancellation of an order, and how its money comes back. */
interface CancellationRow {
  readonly orderId: string;
  readonly cancelledById: string;
  readonly reason: string | null;
  readonly refund: object;
}
/** An order that somebody asks for: `userId` is null for whoever may see everybody's. */
interface Asked {
  readonly id: string;
  readonly userId: string | null;
}

/** What of an order changes after it was placed. */
interface LockedOrder {
  readonly id: string;
  readonly status: 'placed' | 'cancelled';
  readonly version: number;
}

const columns: Record<keyof LockedOrder, string> = { id: 'id', status: 'status', version: 'version' };

const whole = {
  lines: { orderBy: { position: 'asc' } },
  payment: { include: { refund: true } },
  cancellation: true,
} as const;

@Injectable()
export class OrdersRepository {
  // Sql: Prisma has no row locks, and no statement that writes several tables.
  constructor(@InjectDatabase() private readonly db: Tables<'order'> & Sql) {}

  /** Orders with their lines and payments, with one statement. Gives when each was written. */
  createAll(rows: readonly OrderRow[]): Promise<{ id: string; createdAt: Date }[]> {
    const orders = rowSet(rows.map(({ lines: _, payment: __, ...order }) => order));
    const lines = rowSet(rows.flatMap(({ id, lines: those }) => those.map((line) => ({ orderId: id, ...line }))));
    const payments = rowSet(rows.map(({ id, payment }) => ({ orderId: id, ...payment })));
    return this.db.$queryRaw`
      WITH made AS (
        INSERT INTO "order" (${orders.columns})
        SELECT ${orders.columns} FROM json_populate_recordset(NULL::"order", ${orders.json}::json) RETURNING id, created_at),
      lined AS (
        INSERT INTO order_line (${lines.columns})
        SELECT ${lines.columns} FROM json_populate_recordset(NULL::order_line, ${lines.json}::json)),
      paid AS (
        INSERT INTO payment (${payments.columns})
        SELECT ${payments.columns} FROM json_populate_recordset(NULL::payment, ${payments.json}::json))
      SELECT id, created_at AS "createdAt" FROM made`;
  }

  find(scope: Scope, id: string) {
    return this.db.order.findFirst({ where: { id, ...scope }, include: whole });
  }

  /** The orders that are asked for, in their order, as they are without a lock; null where there is none for whoever asks. */
  async findAll(asked: readonly Asked[]) {
    const owned = asked.map(({ id, userId }) => ({ id, ...(userId !== null && { userId }) }));
    const found = await this.db.order.findMany({ where: { OR: owned }, include: whole });
    const orders = new Map(found.map((order) => [order.id, order]));
    return asked.map(({ id, userId }) => {
      const order = orders.get(id);
      return order !== undefined && (userId === null || order.userId === userId) ? order : null;
    });
  }

  /** Locks orders in id order until the boundary ends, for somebody whose right to them is known. With `skip` those that somebody else has locked are left out. */
  async lock(ids: readonly string[], rows: Rows): Promise<Map<string, LockedOrder>> {
    const options = rows === 'skip' ? ({ skipLocked: true } as const) : {};
    const { rows: locked } = await lockAndLoad<LockedOrder>(this.db, 'order', ids, columns, options);
    return new Map(locked.map((order) => [order.id, order]));
  }

  list(scope: Scope, { status }: Pick<OrderQuery, 'status'>, { after, take }: Slice<string>) {
    return this.db.order.findMany({
      where: { ...scope, ...(status && { status }), ...(after !== null && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take,
      include: whole,
    });
  }

  /** Cancels placed orders, with their refunds, with one statement. Gives what each is then: none unless all of them were placed. */
  cancelAll(
    rows: readonly CancellationRow[],
  ): Promise<{ id: string; version: number; updatedAt: Date; createdAt: Date }[]> {
    const cancellations = rowSet(rows.map(({ refund: _, ...cancellation }) => cancellation));
    const refunds = rowSet(rows.map(({ refund }) => refund));
    return this.db.$queryRaw`
      WITH cancelled AS (
        UPDATE "order" SET status = 'cancelled', version = version + 1
        WHERE id = ANY(${rows.map(({ orderId }) => orderId)}::uuid[]) AND status = 'placed'
        RETURNING id, version, updated_at),
      guarded AS (SELECT FROM cancelled HAVING count(*) = ${rows.length}),
      ended AS (
        INSERT INTO cancellation (${cancellations.columns})
        SELECT ${cancellations.columns} FROM json_populate_recordset(NULL::cancellation, ${cancellations.json}::json), guarded
        RETURNING order_id, created_at),
      refunded AS (
        INSERT INTO refund (${refunds.columns})
        SELECT ${refunds.columns} FROM json_populate_recordset(NULL::refund, ${refunds.json}::json), guarded)
      SELECT id, version, updated_at AS "updatedAt", ended.created_at AS "createdAt" FROM cancelled JOIN ended ON ended.order_id = id`;
  }
}
