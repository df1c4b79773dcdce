import { InvariantError } from '../../kernel/loggable-error.ts';
import { largestAmount, money, type Money, showMoney } from '../../kernel/money.ts';
import { catalogProblems } from '../catalog/catalog.problems.ts';
import { ledgerProblems } from '../ledger/ledger.problems.ts';
import { orderProblems } from './orders.problems.ts';

interface Item {
  readonly skuId: string;
  readonly quantity: number;
}
/** An item with the place where the request first names its SKU. */
export interface WantedItem extends Item {
  readonly pointer: string;
}
export interface Quote {
  readonly name: string;
  readonly price: Money;
}
/** A line of an order: what is bought at which price, in minor units of the order's currency. */
export interface Line extends WantedItem {
  readonly position: number;
  readonly name: string;
  readonly unitPrice: bigint;
}

/** One item per SKU: two of the same together may be more than there is. */
export function mergeItems(items: readonly Item[]): WantedItem[] {
  const merged = new Map<string, WantedItem>();
  for (const [index, { skuId, quantity }] of items.entries()) {
    const known = merged.get(skuId);
    merged.set(skuId, {
      skuId,
      quantity: quantity + (known?.quantity ?? 0),
      pointer: known?.pointer ?? `/items/${index}`,
    });
  }
  return [...merged.values()];
}

/** The lines at today's prices. Throws sku-not-found, currency-mismatch. */
export function priceItems(
  items: readonly WantedItem[],
  quotes: ReadonlyMap<string, Quote>,
): { lines: Line[]; currency: string } {
  const unknown = items.filter(({ skuId }) => !quotes.has(skuId));
  if (unknown.length > 0)
    throw catalogProblems.skuNotFound('There is no such SKU.', {
      errors: unknown.map(({ pointer }) => ({ pointer, code: 'sku-not-found' })),
    });
  const quoted = items.map((item) => ({ ...item, ...(quotes.get(item.skuId) as Quote) }));
  const currency = quoted[0]?.price.currency ?? '';
  if (quoted.some(({ price }) => price.currency !== currency))
    throw ledgerProblems.currencyMismatch('All items of an order must be in one currency.');
  return {
    currency,
    lines: quoted.map(({ price, ...line }, position) => ({ ...line, position, unitPrice: price.amount })),
  };
}

/** What the lines cost together. Throws total-too-large. */
export function totalOf(lines: readonly Line[], currency: string): Money {
  const total = lines.reduce((sum, { unitPrice, quantity }) => sum + unitPrice * BigInt(quantity), 0n);
  if (total > largestAmount)
    throw orderProblems.totalTooLarge(`An order cannot cost more than ${largestAmount} minor units.`);
  return money(total, currency);
}

/** Throws price-changed where the buyer expects another total. */
export function refuseTotal(total: Money, expected: Money | undefined): void {
  if (expected === undefined || (expected.amount === total.amount && expected.currency === total.currency)) return;
  throw orderProblems.priceChanged(`The order costs ${showMoney(total)}, not ${showMoney(expected)}.`);
}

interface Stamped {
  readonly id: string;
  readonly transferId: string;
  readonly amount: bigint;
  readonly createdAt: Date;
}
/** An order as it is stored, with all that belongs to it. */
interface StoredOrder {
  readonly currency: string;
  readonly total: bigint;
  readonly lines: readonly Omit<Line, 'pointer'>[];
  readonly payment: (Stamped & { readonly accountId: string; readonly refund: Stamped | null }) | null;
}

/** Money goes out with its currency, which the order holds once for all its parts. */
export function showOrder<T extends StoredOrder>({ lines, payment, currency, ...order }: T) {
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

/** The books do not let an order be stored without one. */
export function paymentOf<P>(payment: P | null): P {
  if (payment === null) throw new InvariantError('The order has no payment.');
  return payment;
}

/** Throws not-cancellable. */
export function refuseCancellation(order: { status: 'placed' | 'cancelled' }): void {
  if (order.status !== 'placed') throw orderProblems.notCancellable(`The order is ${order.status}.`);
}
