import { Injectable } from '@nestjs/common';
import { changedMeanwhile } from '../../kernel/general.problems.ts';
import type { Principal } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import type { Rows } from '../../transactions/lane.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { catalogProblems } from './catalog.problems.ts';
import type { NewStockAdjustment } from './catalog.schema.ts';
import { StockRepository } from './stock.repository.ts';
import { adjust, type Occasion, type StockMovement, type StockState } from './stock.ts';

/** The locked stocks of one boundary: as they were when locked, and as the decisions since then leave them. */
export interface LockedStocks {
  readonly locked: ReadonlyMap<string, StockState>;
  readonly stocks: Map<string, StockState>;
  /** What the decisions have moved, in their order. */
  readonly movements: StockMovement[];
}

/** Carries out what `stock.ts` decides: locks, and writes. */
@Injectable()
export class StockService {
  constructor(private readonly stock: StockRepository) {}

  /** Throws sku-not-found. */
  async get(skuId: string) {
    return found(await this.stock.find(skuId), catalogProblems.skuNotFound);
  }

  /** Units that came or went outside any order. Throws sku-not-found, insufficient-stock, too-much-stock. */
  @Transactional()
  async adjust({ userId }: Principal, skuId: string, { quantity, reason }: NewStockAdjustment) {
    const books = await this.open([skuId]);
    this.apply(books, adjust(books.stocks, [{ skuId, quantity }]), { reason, orderId: null, createdById: userId });
    const [movement] = await this.write(books);
    return found(movement, catalogProblems.skuNotFound);
  }

  /** Locks the stocks in id order until the boundary ends. */
  async open(skuIds: readonly string[], rows: Rows = 'wait'): Promise<LockedStocks> {
    const locked = await this.stock.lock(skuIds, rows);
    return { locked, stocks: new Map(locked), movements: [] };
  }

  /** Has the stocks be what was decided, on this occasion. */
  apply({ stocks, movements }: LockedStocks, decided: readonly StockState[], occasion: Occasion): void {
    for (const after of decided) {
      const { skuId, onHand, movementCount: seq } = after;
      const quantity = onHand - (stocks.get(skuId)?.onHand ?? 0);
      movements.push({ skuId, seq, quantity, onHandAfter: onHand, ...occasion });
      stocks.set(skuId, after);
    }
  }

  /** Writes what was decided, in the order of the decisions, with one statement. Gives the movements, each with its time. */
  async write({ locked, stocks, movements }: LockedStocks) {
    if (movements.length === 0) return [];
    const changed = [...locked.values()]
      .map((before) => ({ before, after: stocks.get(before.skuId) ?? before }))
      .filter(({ before, after }) => before !== after);
    const written = await this.stock.write(changed, movements);
    const times = new Map(written.map(({ skuId, seq, createdAt }) => [`${skuId} ${seq}`, createdAt]));
    return movements.map((one) => ({ ...one, createdAt: times.get(`${one.skuId} ${one.seq}`) ?? changedMeanwhile() }));
  }
}
