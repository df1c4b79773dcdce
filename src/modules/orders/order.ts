import { type AppError, conflict, invalid, notFound } from '../../kernel/errors.ts';
import { largestAmount, type Money, money, showMoney } from '../../kernel/money.ts';

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
    throw notFound('sku-not-found', 'There is no such SKU.', {
      errors: unknown.map(({ pointer }) => ({ pointer, code: 'sku-not-found' })),
    });
  const quoted = items.map((item) => ({ ...item, ...(quotes.get(item.skuId) as Quote) }));
  const currency = quoted[0]?.price.currency ?? '';
  if (quoted.some(({ price }) => price.currency !== currency))
    throw invalid('currency-mismatch', 'All items of an order must be in one currency.');
  return {
    currency,
    lines: quoted.map(({ price, ...line }, position) => ({ ...line, position, unitPrice: price.amount })),
  };
}

/** What the lines cost together. Throws total-too-large. */
export function totalOf(lines: readonly Line[], currency: string): Money {
  const total = lines.reduce((sum, { unitPrice, quantity }) => sum + unitPrice * BigInt(quantity), 0n);
  if (total > largestAmount)
    throw invalid('total-too-large', `An order cannot cost more than ${largestAmount} minor units.`);
  return money(total, currency);
}

/** Why the order may not be placed at this total; null when it may. */
export function refuseTotal(total: Money, expected: Money | undefined): AppError | null {
  if (expected === undefined || (expected.amount === total.amount && expected.currency === total.currency)) return null;
  return conflict('price-changed', `The order costs ${showMoney(total)}, not ${showMoney(expected)}.`);
}

/** Why the order may not be cancelled; null when it may. */
export const refuseCancellation = (order: { status: 'placed' | 'cancelled' }): AppError | null =>
  order.status === 'placed' ? null : conflict('not-cancellable', `The order is ${order.status}.`);
