import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Sql, type Tables } from '../../database/tables.ts';
import type { Slice } from '../../http/page.ts';
import { defined } from '../../kernel/defined.ts';
import { newId } from '../../kernel/ids.ts';
import type { Money } from '../../kernel/money.ts';
import type { Scope } from '../../kernel/principal.ts';
import { lockRows } from '../../transactions/locks.ts';
import type { Line } from './order.ts';
import type { NewOrder, OrderQuery } from './orders.schema.ts';

interface OrderRow {
  readonly id: string;
  readonly userId: string;
  readonly total: Money;
  readonly lines: readonly Line[];
  readonly details: Omit<NewOrder, 'items' | 'payment' | 'expectedTotal'>;
}
interface Paid {
  readonly accountId: string;
  readonly transferId: string;
  readonly amount: bigint;
}

const whole = {
  lines: { orderBy: { position: 'asc' } },
  payment: { include: { refund: true } },
  cancellation: true,
} as const;

@Injectable()
export class OrdersRepository {
  // Sql: Prisma has no row locks.
  constructor(@InjectDatabase() private readonly db: Tables<'order' | 'payment' | 'refund' | 'cancellation'> & Sql) {}

  async create({ total, lines, details, ...order }: OrderRow): Promise<void> {
    const rows = lines.map(({ pointer: _, ...line }) => line);
    await this.db.order.create({
      data: {
        ...order,
        ...defined(details),
        total: total.amount,
        currency: total.currency,
        lines: { createMany: { data: rows } },
      },
      select: { id: true },
    });
  }

  async createPayment(orderId: string, paid: Paid): Promise<void> {
    await this.db.payment.create({ data: { id: newId(), orderId, ...paid }, select: { id: true } });
  }

  async createRefund(paymentId: string, refund: Omit<Paid, 'accountId'>): Promise<void> {
    await this.db.refund.create({ data: { id: newId(), paymentId, ...refund }, select: { id: true } });
  }

  find(scope: Scope, id: string) {
    return this.db.order.findFirst({ where: { id, ...scope }, include: whole });
  }

  /** The order, locked until the boundary ends; that of somebody else is neither found nor locked. */
  async lock(scope: Scope, id: string) {
    const owned = await this.db.order.findFirst({ where: { id, ...scope }, select: { id: true } });
    if (owned === null) return null;
    await lockRows(this.db, { order: [id] });
    return this.find(scope, id);
  }

  list(scope: Scope, { status }: Pick<OrderQuery, 'status'>, { after, take }: Slice<string>) {
    return this.db.order.findMany({
      where: { ...scope, ...(status && { status }), ...(after !== null && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take,
      include: whole,
    });
  }

  /** Whether this call is the one that cancelled it. */
  async cancel(id: string, cancellation: { cancelledById: string; reason: string | null }): Promise<boolean> {
    const cancelled = await this.db.order.updateMany({
      where: { id, status: 'placed' },
      data: { status: 'cancelled', version: { increment: 1 } },
    });
    if (cancelled.count === 0) return false;
    await this.db.cancellation.create({ data: { orderId: id, ...cancellation }, select: { orderId: true } });
    return true;
  }
}
