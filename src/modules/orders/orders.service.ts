import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { page } from '../../http/pages/page.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { valueOf } from '../../transactions/lane.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { CancellationsService } from './cancellations.service.ts';
import { showOrder } from './order.ts';
import { orderProblems } from './orders.problems.ts';
import { OrdersRepository } from './orders.repository.ts';
import type { NewCancellation, NewOrder, OrderQuery } from './orders.schema.ts';
import { PlacementsService } from './placements.service.ts';

@Injectable()
export class OrdersService {
  constructor(
    private readonly orders: OrdersRepository,
    private readonly placements: PlacementsService,
    private readonly cancellations: CancellationsService,
  ) {}

  /**
   * Order, stock, payment and entries, or nothing of it.
   * Throws sku-not-found, currency-mismatch, price-changed, out-of-stock, account-not-found, insufficient-funds, total-too-large.
   */
  @Transactional()
  async place(by: Principal, asked: NewOrder) {
    const [outcome] = await this.placements.placeAll([{ by, asked }], 'alone');
    return valueOf(outcome);
  }

  /** Throws order-not-found. */
  async get(principal: Principal, id: string) {
    return showOrder(found(await this.orders.find(scopeOf(principal), id), orderProblems.notFound));
  }

  /** One's own orders, or everybody's for an operator, newest first. */
  async list(principal: Principal, query: OrderQuery) {
    const scope = scopeOf(principal);
    const orders = await page(
      'orders',
      { ...query, ...scope, reader: principal.userId },
      z.uuid(),
      (slice) => this.orders.list(scope, query, slice),
      ({ id }) => id,
    );
    return { ...orders, data: orders.data.map(showOrder) };
  }

  /** Goods back into stock and money back to the account, once. Throws order-not-found, not-cancellable. */
  @Transactional()
  async cancel(by: Principal, id: string, asked: NewCancellation) {
    const [outcome] = await this.cancellations.cancelAll([{ by, id, asked }], 'wait');
    return valueOf(outcome);
  }
}
