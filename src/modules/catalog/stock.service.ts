import { Injectable } from '@nestjs/common';
import { conflict, found, notFound } from '../../kernel/errors.ts';
import type { Principal } from '../../kernel/principal.ts';
import { Transactional } from '../../transactions/transactional.ts';
import type { NewStockAdjustment } from './catalog.schema.ts';
import { type Occasion, type StockChange, StockRepository } from './stock.repository.ts';

/** Units of a SKU that somebody wants; `pointer` tells where in the request. */
export interface Wanted {
  readonly skuId: string;
  readonly quantity: number;
  readonly pointer: string;
}

@Injectable()
export class StockService {
  constructor(private readonly stock: StockRepository) {}

  /** Throws sku-not-found. */
  async get(skuId: string) {
    return found(await this.stock.find(skuId), 'sku-not-found', 'There is no such SKU.');
  }

  /** Units that came or went outside any order. Throws sku-not-found, insufficient-stock, too-much-stock. */
  @Transactional()
  async adjust({ userId }: Principal, skuId: string, { quantity, reason }: NewStockAdjustment) {
    const change = { skuId, quantity };
    const changed = await this.stock.change([change]);
    if (changed.length === 0) await this.refuseAdjustment(skuId, quantity);
    const [movement] = await this.stock.record([change], changed, { reason, orderId: null, createdById: userId });
    return found(movement, 'sku-not-found', 'There is no such SKU.');
  }

  /** Takes all the goods for an order, or none of them. Throws out-of-stock, which lists what is short. */
  @Transactional({ propagation: 'mandatory' })
  async take(wanted: readonly Wanted[], order: Omit<Occasion, 'reason'>): Promise<void> {
    const changes = wanted.map(({ skuId, quantity }) => ({ skuId, quantity: -quantity }));
    const changed = await this.stock.change(changes);
    if (changed.length < changes.length) await this.refuseShort(wanted, new Set(changed.map(({ skuId }) => skuId)));
    await this.stock.record(changes, changed, { reason: 'sold', ...order });
  }

  /** Puts the goods of a cancelled order back. */
  @Transactional({ propagation: 'mandatory' })
  async putBack(goods: readonly StockChange[], order: Omit<Occasion, 'reason'>): Promise<void> {
    const changed = await this.stock.change(goods);
    if (changed.length < goods.length) throw notFound('sku-not-found', 'A SKU of the order has no stock any more.');
    await this.stock.record(goods, changed, { reason: 'restocked', ...order });
  }

  private async refuseAdjustment(skuId: string, quantity: number): Promise<never> {
    const { onHand } = await this.get(skuId);
    throw conflict(quantity < 0 ? 'insufficient-stock' : 'too-much-stock', `There are ${onHand} units.`);
  }

  private async refuseShort(wanted: readonly Wanted[], taken: ReadonlySet<string>): Promise<never> {
    const short = wanted.filter(({ skuId }) => !taken.has(skuId));
    const onHand = await this.stock.listOnHand(short.map(({ skuId }) => skuId));
    throw conflict('out-of-stock', `${short.length} of ${wanted.length} items cannot be supplied.`, {
      errors: short.map(({ skuId, quantity, pointer }) => ({
        pointer,
        code: 'out-of-stock',
        requested: quantity,
        available: onHand.get(skuId) ?? 0,
      })),
    });
  }
}
