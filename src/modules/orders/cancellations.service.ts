import { Injectable } from '@nestjs/common';
import { Events } from '../../events/events.ts';
import { allOf } from '../../kernel/all-of.ts';
import { changedMeanwhile } from '../../kernel/general.problems.ts';
import { newId } from '../../kernel/ids.ts';
import { money } from '../../kernel/money.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { attempt, attempted, ProblemError } from '../../kernel/problem.ts';
import type { LaneOutcome, Rows } from '../../transactions/lane.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { HouseAccounts } from '../accounts/house-accounts.ts';
import { type LockedStocks, StockService } from '../catalog/stock.service.ts';
import { adjust } from '../catalog/stock.ts';
import { LedgerService, type LockedAccounts } from '../ledger/ledger.service.ts';
import type { Moved, Movement } from '../ledger/movement.ts';
import { refundMovement } from '../transfers/payment.ts';
import { paymentOf, refuseCancellation, showOrder } from './order.ts';
import { orderCancelled, orderEvent } from './orders.events.ts';
import { orderProblems } from './orders.problems.ts';
import { OrdersRepository } from './orders.repository.ts';
import type { NewCancellation } from './orders.schema.ts';

/** An order that somebody wants to cancel. */
export interface Cancelling {
  readonly by: Principal;
  readonly id: string;
  readonly asked: NewCancellation;
}

type Order = NonNullable<Awaited<ReturnType<OrdersRepository['findAll']>>[number]>;
type LockedOrders = Awaited<ReturnType<OrdersRepository['lock']>>;

interface Draft {
  readonly cancelling: Cancelling;
  readonly order: Order;
  readonly movement: Movement;
}

interface Books {
  readonly orders: LockedOrders;
  readonly stocks: LockedStocks;
  readonly accounts: LockedAccounts;
  /** The orders that this batch has cancelled. */
  readonly cancelled: Set<string>;
}
interface Cancelled {
  readonly draft: Draft;
  readonly after: Moved;
}

/** Cancels orders as `PlacementsService` places them. */
@Injectable()
export class CancellationsService {
  constructor(
    private readonly orders: OrdersRepository,
    private readonly stock: StockService,
    private readonly ledger: LedgerService,
    private readonly houses: HouseAccounts,
    private readonly events: Events,
  ) {}

  /** What becomes of each of them, in their order. */
  @Transactional({ propagation: 'mandatory' })
  async cancelAll(cancellings: readonly Cancelling[], rows: Rows) {
    const drafts = await this.draftAll(cancellings);
    const books = await this.lock(
      drafts.flatMap((one) => ('value' in one ? [one.value] : [])),
      rows,
    );
    const decided: LaneOutcome<Cancelled>[] = [];
    for (const draft of drafts) decided.push('value' in draft ? await this.decide(books, draft.value, rows) : draft);
    const written = await this.write(
      books,
      decided.flatMap((one) => ('value' in one ? [one.value] : [])),
    );
    return decided.map((one) =>
      'value' in one ? { value: written.get(one.value.draft.order.id) ?? changedMeanwhile() } : one,
    );
  }

  // A cancelled order stays cancelled: it is refused without a lock.
  private async draftAll(cancellings: readonly Cancelling[]): Promise<LaneOutcome<Draft>[]> {
    const asked = cancellings.map(({ by, id }) => ({ id, userId: scopeOf(by).userId ?? null }));
    const orders = await this.orders.findAll(asked);
    const currencies = orders.flatMap((order) => order?.currency ?? []);
    const sales = await this.houses.list('sales', currencies);
    return cancellings.map((cancelling, n) => {
      const order = orders[n] ?? null;
      if (order === null) return { refusal: orderProblems.notFound() };
      const refusal = attempt(() => refuseCancellation(order));
      if (refusal instanceof ProblemError) return { refusal };
      // The order was paid on it.
      const movement = refundOf(cancelling, order, sales.get(order.currency) ?? changedMeanwhile());
      return { value: { cancelling, order, movement } };
    });
  }

  private async lock(drafts: readonly Draft[], rows: Rows): Promise<Books> {
    const skuIds = drafts.flatMap(({ order }) => order.lines.map(({ skuId }) => skuId));
    // All three in one round trip.
    const [orders, stocks, accounts] = await allOf([
      this.orders.lock(
        drafts.map(({ order }) => order.id),
        rows,
      ),
      this.stock.open([...new Set(skuIds)], rows),
      this.ledger.open(
        drafts.map(({ movement }) => movement),
        rows,
      ),
    ]);
    return { orders, stocks, accounts, cancelled: new Set() };
  }

  private async decide(books: Books, draft: Draft, rows: Rows): Promise<LaneOutcome<Cancelled>> {
    const isHeld =
      !books.orders.has(draft.order.id) ||
      draft.order.lines.some(({ skuId }) => !books.stocks.locked.has(skuId)) ||
      this.ledger.isHeld(books.accounts, draft.movement);
    if (rows === 'skip' && isHeld) return { alone: 'held' };
    const cancelled = await attempted(this.putBack(books, draft));
    return cancelled instanceof ProblemError ? { refusal: cancelled } : { value: cancelled };
  }

  /** Goods and money, or neither. Throws not-cancellable, sku-not-found, too-much-stock, and what the ledger says. */
  private async putBack({ orders, stocks, accounts, cancelled }: Books, draft: Draft): Promise<Cancelled> {
    const { order, movement, cancelling } = draft;
    // It may have been cancelled since it was looked up, or by one before it in the batch.
    refuseCancellation(
      cancelled.has(order.id) ? { status: 'cancelled' } : (orders.get(order.id) ?? changedMeanwhile()),
    );
    const back = adjust(stocks.stocks, order.lines);
    const after = await this.ledger.decide(accounts, movement);
    this.stock.apply(stocks, back, { reason: 'restocked', orderId: order.id, createdById: cancelling.by.userId });
    cancelled.add(order.id);
    return { draft, after };
  }

  /** The orders as they are shown, by id. */
  private async write({ stocks, accounts }: Books, cancelled: readonly Cancelled[]) {
    if (cancelled.length === 0) return new Map<string, never>();
    const rows = cancelled.map(({ draft }) => ({ ...rowOf(draft), order: draft.order }));
    // All three in one round trip, in this order: a refund refers to its transfer.
    const [, written] = await allOf([
      this.ledger.write(
        accounts,
        cancelled.map(({ draft: { movement }, after }) => ({ movement, after })),
      ),
      this.orders.cancelAll(rows.map(({ order: _, ...row }) => row)),
      this.stock.write(stocks),
    ]);
    for (const { order } of rows) this.events.record(orderEvent(orderCancelled, order));
    const stamps = new Map(written.map((stamp) => [stamp.id, stamp]));
    return new Map(rows.map((row) => [row.orderId, shown(row, stamps.get(row.orderId) ?? changedMeanwhile())]));
  }
}

const refundOf = ({ by }: Cancelling, { payment, currency }: Order, sales: string): Movement => {
  const { accountId, amount } = paymentOf(payment);
  return refundMovement({ by, accountId, amount: money(amount, currency) }, sales);
};

/** A draft and what is written of it. */
function rowOf({ order, cancelling: { by, asked }, movement }: Draft) {
  const { id: paymentId, amount } = paymentOf(order.payment);
  const refund = { id: newId(), paymentId, transferId: movement.id, amount };
  return { orderId: order.id, cancelledById: by.userId, reason: asked.reason ?? null, refund };
}

type Row = ReturnType<typeof rowOf> & { readonly order: Order };
interface Stamp {
  readonly version: number;
  readonly updatedAt: Date;
  readonly createdAt: Date;
}

function shown({ order, refund, orderId, cancelledById, reason }: Row, { version, updatedAt, createdAt }: Stamp) {
  return showOrder({
    ...order,
    status: 'cancelled' as const,
    payment: { ...paymentOf(order.payment), refund: { ...refund, createdAt } },
    cancellation: { orderId, cancelledById, reason, createdAt },
    version,
    updatedAt,
  });
}
