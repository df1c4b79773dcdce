import { catalogProblems } from './catalog.problems.ts';
import { mostUnits } from './catalog.schema.ts';

// Only this file decides whether units may come or go, over locked stocks: for a single order, and for each of a batch.

/** The stock of a SKU while its row is locked. */
export interface StockState {
  readonly skuId: string;
  readonly onHand: number;
  /** The `seq` of its newest movement. */
  readonly movementCount: number;
}
export type Stocks = ReadonlyMap<string, StockState>;

/** Units of one SKU that come (positive) or go (negative). */
export interface StockChange {
  readonly skuId: string;
  readonly quantity: number;
}

/** Units of a SKU that somebody wants; `pointer` tells where in the request. */
export interface Wanted extends StockChange {
  readonly pointer: string;
}

/** Why a stock changed, and who changed it. */
export interface Occasion {
  readonly reason: 'received' | 'adjusted' | 'sold' | 'restocked';
  readonly orderId: string | null;
  readonly createdById: string;
}

/** A change as it is written down. */
export interface StockMovement extends StockChange, Occasion {
  readonly seq: number;
  readonly onHandAfter: number;
}

/** Whether each of them is there in that number. */
export const canSupply = (stocks: Stocks, wanted: readonly StockChange[]): boolean =>
  wanted.every(({ skuId, quantity }) => onHandOf(stocks, skuId) >= quantity);

/** The stocks without what is wanted of them. Throws out-of-stock, which lists what is short. */
export function take(stocks: Stocks, wanted: readonly Wanted[]): StockState[] {
  const short = wanted.filter(({ skuId, quantity }) => onHandOf(stocks, skuId) < quantity);
  if (short.length === 0) return wanted.map(({ skuId, quantity }) => changed(stocks, { skuId, quantity: -quantity }));
  throw catalogProblems.outOfStock(`${short.length} of ${wanted.length} items cannot be supplied.`, {
    errors: short.map(({ skuId, quantity, pointer }) => ({
      pointer,
      code: 'out-of-stock',
      requested: quantity,
      available: onHandOf(stocks, skuId),
    })),
  });
}

/** The stocks with what comes or goes outside any sale. Throws sku-not-found, insufficient-stock, too-much-stock. */
export const adjust = (stocks: Stocks, changes: readonly StockChange[]): StockState[] =>
  changes.map((change) => changed(stocks, change));

const onHandOf = (stocks: Stocks, skuId: string): number => stocks.get(skuId)?.onHand ?? 0;

function changed(stocks: Stocks, { skuId, quantity }: StockChange): StockState {
  const stock = stocks.get(skuId);
  if (stock === undefined) throw catalogProblems.skuNotFound();
  const onHand = stock.onHand + quantity;
  if (onHand < 0) throw catalogProblems.insufficientStock(`There are ${stock.onHand} units.`);
  if (onHand > mostUnits) throw catalogProblems.tooMuchStock(`There are ${stock.onHand} units.`);
  return { skuId, onHand, movementCount: stock.movementCount + 1 };
}
