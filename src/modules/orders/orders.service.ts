import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { page } from '../../http/page.ts';
import { conflict, found } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import { money } from '../../kernel/money.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { TransfersService } from '../accounts/transfers.service.ts';
import { CatalogService } from '../catalog/catalog.service.ts';
import { StockService } from '../catalog/stock.service.ts';
import { mergeItems, priceItems, refuseCancellation, refuseTotal, totalOf } from './order.ts';
import { OrdersRepository } from './orders.repository.ts';
import type { NewCancellation, NewOrder, OrderQuery } from './orders.schema.ts';
import { InvariantError } from '../../kernel/loggable-error.ts';

@Injectable()
export class OrdersService {
  constructor(
    private readonly orders: OrdersRepository,
    private readonly catalog: CatalogService,
    private readonly stock: StockService,
    private readonly transfers: TransfersService,
  ) {}

  /**
   * Order, stock, payment and entries, or nothing of it.
   * Throws sku-not-found, currency-mismatch, price-changed, out-of-stock, account-not-found, insufficient-funds, total-too-large.
   */
  @Transactional()
  async place(buyer: Principal, { items, payment, expectedTotal, ...details }: NewOrder) {
    const wanted = mergeItems(items);
    const { lines, currency } = priceItems(wanted, await this.catalog.quote(wanted.map(({ skuId }) => skuId)));
    const total = totalOf(lines, currency);
    const refusal = refuseTotal(total, expectedTotal);
    if (refusal) throw refusal;
    // Before any stock is held for somebody who could not pay from this account whatever it holds.
    await this.transfers.demandPayer(buyer, payment.accountId, currency);

    const id = newId();
    await this.orders.create({ id, userId: buyer.userId, total, lines, details });
    await this.stock.take(wanted, { orderId: id, createdById: buyer.userId });
    const transfer = await this.transfers.pay(buyer, payment.accountId, total);
    await this.orders.createPayment(id, {
      accountId: payment.accountId,
      transferId: transfer.id,
      amount: total.amount,
    });
    return this.get(buyer, id);
  }

  /** Throws order-not-found. */
  async get(principal: Principal, id: string) {
    return showOrder(
      found(await this.orders.find(scopeOf(principal), id), 'order-not-found', 'There is no such order.'),
    );
  }

  /** One's own orders, or everybody's for an operator, newest first. */
  async list(principal: Principal, query: OrderQuery) {
    const scope = scopeOf(principal);
    const orders = await page(
      'orders',
      { ...query, ...scope },
      z.uuid(),
      (slice) => this.orders.list(scope, query, slice),
      ({ id }) => id,
    );
    return { ...orders, data: orders.data.map(showOrder) };
  }

  /** Goods back into stock and money back to the account, once. Throws order-not-found, not-cancellable. */
  @Transactional()
  async cancel(principal: Principal, id: string, { reason }: NewCancellation) {
    const order = found(await this.orders.lock(scopeOf(principal), id), 'order-not-found', 'There is no such order.');
    const by = principal.userId;
    const refusal = refuseCancellation(order);
    if (refusal) throw refusal;
    const isOurs = await this.orders.cancel(id, { cancelledById: by, reason: reason ?? null });
    if (!isOurs) throw conflict('not-cancellable', 'The order has been cancelled meanwhile.');

    await this.stock.putBack(order.lines, { orderId: id, createdById: by });
    const payment = paymentOf(order.payment);
    const transfer = await this.transfers.refund(principal, payment.accountId, money(payment.amount, order.currency));
    await this.orders.createRefund(payment.id, { transferId: transfer.id, amount: payment.amount });
    return this.get(principal, id);
  }
}

type OrderRow = NonNullable<Awaited<ReturnType<OrdersRepository['find']>>>;

// The books do not let an order be stored without one.
function paymentOf<P>(payment: P | null): P {
  if (payment === null) throw new InvariantError('The order has no payment.');
  return payment;
}

// Money goes out with its currency, which the order holds once for all its parts.
function showOrder({ lines, payment, currency, ...order }: OrderRow) {
  const paid = paymentOf(payment);
  const refund = paid.refund && { ...paid.refund, amount: money(paid.refund.amount, currency) };
  return {
    ...order,
    paymentState: refund ? ('refunded' as const) : ('paid' as const),
    total: money(order.total, currency),
    items: lines.map(({ unitPrice, ...line }) => ({
      ...line,
      unitPrice: money(unitPrice, currency),
      lineTotal: money(unitPrice * BigInt(line.quantity), currency),
    })),
    payment: { ...paid, amount: money(paid.amount, currency) },
    refund,
  };
}
