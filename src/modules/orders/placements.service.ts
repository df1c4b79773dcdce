import { Inject, Injectable } from '@nestjs/common';
import { Events } from '../../events/events.ts';
import { allOf } from '../../kernel/all-of.ts';
import { changedMeanwhile } from '../../kernel/general.problems.ts';
import { newId } from '../../kernel/ids.ts';
import type { Money } from '../../kernel/money.ts';
import type { Principal } from '../../kernel/principal.ts';
import { attempt, attempted, ProblemError } from '../../kernel/problem.ts';
import type { LaneOutcome, Rows } from '../../transactions/lane.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { HouseAccounts } from '../accounts/house-accounts.ts';
import { CatalogService } from '../catalog/catalog.service.ts';
import { type LockedStocks, StockService } from '../catalog/stock.service.ts';
import { canSupply, take } from '../catalog/stock.ts';
import { LedgerService, type LockedAccounts } from '../ledger/ledger.service.ts';
import type { Moved, Movement, Parties } from '../ledger/movement.ts';
import { isPayer, type Payment, paymentMovement, refusePayer } from '../transfers/payment.ts';
import {
  type Line,
  mergeItems,
  priceItems,
  type Quote,
  refuseTotal,
  showOrder,
  totalOf,
  type WantedItem,
} from './order.ts';
import { orderEvent, orderPlaced } from './orders.events.ts';
import { OrdersRepository } from './orders.repository.ts';
import { detailsOf, type NewOrder } from './orders.schema.ts';

/** An order that somebody wants to place. */
export interface Placing {
  readonly by: Principal;
  readonly asked: NewOrder;
}

/** An order of which all is known that can be known without a lock. */
interface Draft {
  readonly id: string;
  readonly placing: Placing;
  readonly wanted: readonly WantedItem[];
  readonly lines: readonly Line[];
  readonly total: Money;
  readonly movement: Movement;
}

interface Books {
  readonly stocks: LockedStocks;
  readonly accounts: LockedAccounts;
}
interface Placed {
  readonly draft: Draft;
  readonly after: Moved;
}

/** Places orders, each seeing what those before it leave, with as many statements for a hundred as for one. Runs inside the boundary of its caller. */
@Injectable()
export class PlacementsService {
  @Inject(Events)
  private readonly events!: Events;

  constructor(
    private readonly orders: OrdersRepository,
    private readonly catalog: CatalogService,
    private readonly stock: StockService,
    private readonly ledger: LedgerService,
    private readonly houses: HouseAccounts,
  ) {}

  /** What becomes of each of them, in their order. `alone`: of one that waits for its rows, and is left to nobody else. */
  @Transactional({ propagation: 'mandatory' })
  async placeAll(placings: readonly Placing[], rows: Rows | 'alone') {
    const how = rows === 'alone' ? 'wait' : rows;
    const wanted = placings.map(({ asked }) => mergeItems(asked.items));
    const parties = await this.ledger.parties(placings.map(({ asked }) => asked.payment.accountId));
    // Both in one round trip. Nobody's goods are locked for a payer who could not pay.
    const [quotes, stocks] = await allOf([
      this.catalog.quote(skusOf(wanted)),
      this.stock.open(skusOf(wanted.filter((_, n) => isOwn(parties, placings[n]))), how),
    ]);
    const drafts = await this.draftAll(placings, { wanted, quotes, parties }, rows === 'alone');
    const accounts = await this.lockAccounts(
      stocks,
      drafts.flatMap((one) => ('value' in one ? [one.value] : [])),
      how,
    );
    const books = { stocks, accounts };
    const decided: LaneOutcome<Placed>[] = [];
    for (const draft of drafts) decided.push('value' in draft ? await this.decide(books, draft.value, rows) : draft);
    const written = await this.write(
      books,
      decided.flatMap((one) => ('value' in one ? [one.value] : [])),
    );
    return decided.map((one) =>
      'value' in one ? { value: written.get(one.value.draft.id) ?? changedMeanwhile() } : one,
    );
  }

  private async draftAll(
    placings: readonly Placing[],
    { wanted, ...known }: Known & { readonly wanted: readonly (readonly WantedItem[])[] },
    mayOpen: boolean,
  ): Promise<LaneOutcome<Draft>[]> {
    const priced = placings.map((placing, n) => attempt(() => price(placing, wanted[n] ?? [], known)));
    const currencies = priced.flatMap((one) => (one instanceof ProblemError ? [] : [one.total.currency]));
    const sales = await this.salesAccounts(currencies, mayOpen);
    return priced.map((one) => {
      if (one instanceof ProblemError) return { refusal: one };
      const account = sales.get(one.total.currency);
      if (account === undefined) return { alone: 'unfit' };
      return { value: { ...one, id: newId(), movement: paymentMovement(one.payment, account) } };
    });
  }

  // The first order in a currency opens the account that it is paid on: alone, so that nothing of it stays where it is refused.
  private async salesAccounts(currencies: readonly string[], mayOpen: boolean): Promise<ReadonlyMap<string, string>> {
    const [currency] = currencies;
    if (!mayOpen || currency === undefined) return this.houses.list('sales', currencies);
    return new Map([[currency, await this.houses.find('sales', currency)]]);
  }

  // No account is locked for an order whose goods are not there. Those before it in the batch only take more of them.
  private lockAccounts({ locked }: LockedStocks, drafts: readonly Draft[], rows: Rows): Promise<LockedAccounts> {
    const supplied = drafts.filter(({ wanted }) => canSupply(locked, wanted));
    return this.ledger.open(
      supplied.map(({ movement }) => movement),
      rows,
    );
  }

  private async decide(books: Books, draft: Draft, rows: Rows | 'alone'): Promise<LaneOutcome<Placed>> {
    const { stocks, accounts } = books;
    const isHeld =
      draft.wanted.some(({ skuId }) => !stocks.locked.has(skuId)) || this.ledger.isHeld(accounts, draft.movement);
    if (rows === 'skip' && isHeld) return { alone: 'held' };
    const placed = await attempted(this.take(books, draft));
    return placed instanceof ProblemError ? { refusal: placed } : { value: placed };
  }

  /** Goods and money, or neither. Throws out-of-stock, and what the ledger says. */
  private async take({ stocks, accounts }: Books, draft: Draft): Promise<Placed> {
    const taken = take(stocks.stocks, draft.wanted);
    const after = await this.ledger.decide(accounts, draft.movement);
    const createdById = draft.placing.by.userId;
    this.stock.apply(stocks, taken, { reason: 'sold', orderId: draft.id, createdById });
    return { draft, after };
  }

  /** The orders as they are shown, by id. */
  private async write({ stocks, accounts }: Books, placed: readonly Placed[]) {
    if (placed.length === 0) return new Map<string, never>();
    const rows = placed.map(({ draft }) => rowOf(draft));
    // All three in one round trip, in this order: a payment refers to its transfer, a movement of stock to its order.
    const [, written] = await allOf([
      this.ledger.write(
        accounts,
        placed.map(({ draft: { movement }, after }) => ({ movement, after })),
      ),
      this.orders.createAll(rows),
      this.stock.write(stocks),
    ]);
    for (const row of rows) this.events.record(orderEvent(orderPlaced, row));
    const times = new Map(written.map(({ id, createdAt }) => [id, createdAt]));
    return new Map(rows.map((row) => [row.id, shown(row, times.get(row.id) ?? changedMeanwhile())]));
  }
}

const skusOf = (wanted: readonly (readonly WantedItem[])[]): string[] => [
  ...new Set(wanted.flat().map(({ skuId }) => skuId)),
];

const isOwn = (parties: Parties, placing?: Placing): boolean =>
  placing !== undefined && isPayer(parties, placing.by, placing.asked.payment.accountId);

interface Known {
  readonly quotes: ReadonlyMap<string, Quote>;
  readonly parties: Parties;
}

/** Throws sku-not-found, currency-mismatch, total-too-large, price-changed, account-not-found. */
function price(placing: Placing, wanted: readonly WantedItem[], { quotes, parties }: Known) {
  const { by, asked } = placing;
  const { lines, currency } = priceItems(wanted, quotes);
  const total = totalOf(lines, currency);
  refuseTotal(total, asked.expectedTotal);
  const payment: Payment = { by, accountId: asked.payment.accountId, amount: total };
  refusePayer(parties, payment);
  return { placing, wanted, lines, total, payment };
}

const rowOf = ({ id, placing: { by, asked }, lines, total, movement }: Draft) => ({
  id,
  userId: by.userId,
  status: 'placed' as const,
  currency: total.currency,
  total: total.amount,
  version: 1,
  ...detailsOf(asked),
  lines: lines.map(({ pointer: _, ...line }) => line),
  payment: { id: newId(), accountId: movement.fromAccountId, transferId: movement.id, amount: total.amount },
});

const shown = (row: ReturnType<typeof rowOf>, createdAt: Date) =>
  showOrder({
    ...row,
    payment: { ...row.payment, createdAt, refund: null },
    cancellation: null,
    createdAt,
    updatedAt: createdAt,
  });
