import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Sql, type Tables } from '../../database/tables.ts';
import { mostUnits } from './catalog.schema.ts';
import { lockRows } from '../../transactions/locks.ts';

/** Units of one SKU that come (positive) or go (negative). */
export interface StockChange {
  readonly skuId: string;
  readonly quantity: number;
}

/** Why a stock changed, and who changed it. */
export interface Occasion {
  readonly reason: 'received' | 'adjusted' | 'sold' | 'restocked';
  readonly orderId: string | null;
  readonly createdById: string;
}

interface Changed {
  skuId: string;
  onHand: number;
  movementCount: number;
}

@Injectable()
export class StockRepository {
  // Sql: Prisma has no row locks, and cannot change many rows by a different amount each in one statement.
  constructor(@InjectDatabase() private readonly db: Tables<'stock' | 'stockMovement'> & Sql) {}

  find(skuId: string) {
    return this.db.stock.findUnique({ where: { skuId } });
  }

  /** What is there of each SKU. */
  async listOnHand(skuIds: readonly string[]): Promise<Map<string, number>> {
    const stocks = await this.db.stock.findMany({ where: { skuId: { in: [...skuIds] } } });
    return new Map(stocks.map(({ skuId, onHand }) => [skuId, onHand]));
  }

  /** Changes the stocks, each unless it would leave 0 to {@link mostUnits}, and gives those it changed. The rows are locked in id order first. */
  async change(changes: readonly StockChange[]): Promise<Changed[]> {
    const skuIds = changes.map(({ skuId }) => skuId);
    const quantities = changes.map(({ quantity }) => quantity);
    await lockRows(this.db, { stock: skuIds });
    return this.db.$queryRaw<Changed[]>`
      UPDATE stock SET on_hand = on_hand + change.quantity, movement_count = movement_count + 1
      FROM unnest(${skuIds}::uuid[], ${quantities}::int[]) AS change (sku_id, quantity)
      WHERE stock.sku_id = change.sku_id AND on_hand::bigint + change.quantity BETWEEN 0 AND ${mostUnits}
      RETURNING stock.sku_id AS "skuId", on_hand AS "onHand", movement_count AS "movementCount"`;
  }

  /** The movements behind changes that were made. */
  record(changes: readonly StockChange[], changed: readonly Changed[], occasion: Occasion) {
    const quantityOf = new Map(changes.map(({ skuId, quantity }) => [skuId, quantity]));
    const movements = changed.map(({ skuId, onHand, movementCount }) => ({
      skuId,
      seq: movementCount,
      quantity: quantityOf.get(skuId) ?? 0,
      onHandAfter: onHand,
      ...occasion,
    }));
    return this.db.stockMovement.createManyAndReturn({ data: movements });
  }
}
