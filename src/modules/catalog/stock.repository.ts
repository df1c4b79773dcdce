import { Injectable } from '@nestjs/common';
import type { Rows } from '../../transactions/lane.ts';
import { defineLockableTables } from '../../transactions/lockable-tables.ts';
import { lockAndLoad } from '../../transactions/locks.ts';
import { InjectDatabase, type Sql, type Tables } from '../../transactions/tables.ts';
import type { StockMovement, StockState } from './stock.ts';

export const stockLocks = defineLockableTables('goods', { stock: 'sku_id' });
declare module '../../transactions/lockable-tables.ts' {
  interface LockableTables extends Readonly<typeof stockLocks> {}
}

const columns: Record<keyof StockState, string> = {
  skuId: 'sku_id',
  onHand: 'on_hand',
  movementCount: 'movement_count',
};

/** A stock as it was locked and as it is to be. */
export interface ChangedStock {
  readonly before: StockState;
  readonly after: StockState;
}

/** A movement that was written, and when. */
interface Stamped {
  readonly skuId: string;
  readonly seq: number;
  readonly createdAt: Date;
}

@Injectable()
export class StockRepository {
  // Sql: Prisma has no row locks, and no statement that writes several tables.
  constructor(@InjectDatabase() private readonly db: Tables<'stock'> & Sql) {}

  find(skuId: string) {
    return this.db.stock.findUnique({ where: { skuId } });
  }

  /** Locks the stocks in id order until the boundary ends, and gives them by SKU. With `skip` those that somebody else has locked are left out. */
  async lock(skuIds: readonly string[], rows: Rows): Promise<Map<string, StockState>> {
    const options = rows === 'skip' ? ({ skipLocked: true } as const) : {};
    const { rows: found } = await lockAndLoad<StockState>(this.db, 'stock', skuIds, columns, options);
    return new Map(found.map((stock) => [stock.skuId, stock]));
  }

  /** The stocks and the movements that brought them there, with one statement. Gives when each was written: none unless all is as it was locked. */
  write(stocks: readonly ChangedStock[], movements: readonly StockMovement[]): Promise<Stamped[]> {
    const [s, m] = [stockColumns(stocks), movementColumns(movements)];
    return this.db.$queryRaw<Stamped[]>`
      WITH changed AS (
        UPDATE stock AS s SET on_hand = c.on_hand, movement_count = c.movement_count
        FROM unnest(${s.skuIds}::uuid[], ${s.seen}::int[], ${s.onHand}::int[], ${s.counts}::int[]) AS c (sku_id, seen, on_hand, movement_count)
        WHERE s.sku_id = c.sku_id AND s.movement_count = c.seen
        RETURNING s.sku_id),
      guarded AS (SELECT FROM changed HAVING count(*) = ${stocks.length})
      INSERT INTO stock_movement (sku_id, seq, quantity, on_hand_after, reason, order_id, created_by_id)
      SELECT m.* FROM unnest(${m.skuIds}::uuid[], ${m.seqs}::int[], ${m.quantities}::int[], ${m.onHand}::int[],
        ${m.reasons}::movement_reason[], ${m.orderIds}::uuid[], ${m.by}::uuid[]) AS m, guarded
      RETURNING sku_id AS "skuId", seq, created_at AS "createdAt"`;
  }
}

const stockColumns = (stocks: readonly ChangedStock[]) => ({
  skuIds: stocks.map(({ after }) => after.skuId),
  seen: stocks.map(({ before }) => before.movementCount),
  onHand: stocks.map(({ after }) => after.onHand),
  counts: stocks.map(({ after }) => after.movementCount),
});

const movementColumns = (movements: readonly StockMovement[]) => ({
  skuIds: movements.map(({ skuId }) => skuId),
  seqs: movements.map(({ seq }) => seq),
  quantities: movements.map(({ quantity }) => quantity),
  onHand: movements.map(({ onHandAfter }) => onHandAfter),
  reasons: movements.map(({ reason }) => reason),
  orderIds: movements.map(({ orderId }) => orderId),
  by: movements.map(({ createdById }) => createdById),
});
