import { Injectable } from '@nestjs/common';
import { type ExpectedVersion, versionIn } from '../../http/conditional/if-match.ts';
import type { Slice } from '../../http/pages/page.ts';
import { allOf } from '../../kernel/all-of.ts';
import { withoutUndefined } from '../../kernel/defined.ts';
import { newId } from '../../kernel/ids.ts';
import { InjectDatabase, type Tables } from '../../transactions/tables.ts';
import type { NewProduct, NewSku, ProductPatch, SkuPatch } from './catalog.schema.ts';

const withStock = { stock: { select: { onHand: true } } } as const;
const whole = {
  skus: { include: withStock, orderBy: { id: 'asc' } },
  images: { orderBy: { position: 'asc' } },
} as const;

const inShort = {
  ...{ id: true, slug: true, name: true, version: true, createdAt: true, updatedAt: true },
  ...{ prices: true, inStock: true, image: true },
} as const;

/** A SKU as JSON of the database. */
export interface ListedSku {
  readonly id: string;
  readonly productId: string;
  readonly code: string;
  readonly name: string;
  readonly price: string;
  readonly currency: string;
  readonly onHand: number;
  readonly version: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A row of `product_summary`. Prisma has no types for what is JSON there. */
export interface ProductSummary {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly prices: readonly { readonly currency: string; readonly lowest: string; readonly highest: string }[];
  readonly inStock: boolean;
  readonly image: object | null;
  readonly skus?: readonly ListedSku[];
}

type Table = 'product' | 'sku' | 'image' | 'stock' | 'stockMovement' | 'productSummary';

@Injectable()
export class CatalogRepository {
  constructor(@InjectDatabase() private readonly db: Tables<Table>) {}

  /** The product with its SKUs, their stocks and its images. Violates `slug-taken`, `sku-code-taken`. */
  async create({ skus, images, ...product }: NewProduct, createdById: string) {
    const id = newId();
    const made = await this.db.product.create({ data: { id, ...product } });
    const [ofProduct, shown] = await allOf([this.createSkus(id, skus, createdById), this.createImages(id, images)]);
    return { ...made, skus: ofProduct, images: shown };
  }

  /** With their stocks. Violates `sku-code-taken`. A nested write would be a statement for each row, one after the other. */
  async createSkus(productId: string, skus: readonly NewSku[], createdById: string) {
    const rows = skus.map((sku) => ({ ...skuRow(sku), productId }));
    const units = new Map(rows.map(({ id }, n) => [id, skus[n]?.onHand ?? 0]));
    const made = await this.db.sku.createManyAndReturn({ data: rows });
    const received = [...units]
      .filter(([, onHand]) => onHand > 0)
      .map(([id, onHand]) => receipt(id, onHand, createdById));
    await allOf([
      this.db.stock.createMany({
        data: [...units].map(([skuId, onHand]) => ({ skuId, onHand, movementCount: onHand > 0 ? 1 : 0 })),
      }),
      this.db.stockMovement.createMany({ data: received }),
    ]);
    return made.map((sku) => ({ ...sku, stock: { onHand: units.get(sku.id) ?? 0 } }));
  }

  find(id: string) {
    return this.db.product.findUnique({ where: { id }, include: whole });
  }

  findSku(id: string) {
    return this.db.sku.findUnique({ where: { id }, include: withStock });
  }

  findAll(ids: readonly string[]) {
    return this.db.product.findMany({ where: { id: { in: [...ids] } }, include: whole });
  }

  findAllSkus(ids: readonly string[]) {
    return this.db.sku.findMany({ where: { id: { in: [...ids] } }, include: withStock });
  }

  /** In short, newest first; with all SKUs where they are wanted. One statement either way. */
  async list({ after, take }: Slice<string>, skus: boolean): Promise<ProductSummary[]> {
    const rows = await this.db.productSummary.findMany({
      where: after === null ? {} : { id: { lt: after } },
      orderBy: { id: 'desc' },
      take,
      select: { ...inShort, skus },
    });
    return rows as unknown as ProductSummary[];
  }

  listSkus(ids: readonly string[]) {
    return this.db.sku.findMany({ where: { id: { in: [...ids] } }, include: { product: { select: { name: true } } } });
  }

  /** Whether a row of this version was there to be changed. Violates `slug-taken`. */
  async update(id: string, version: ExpectedVersion, { images, ...patch }: ProductPatch): Promise<boolean> {
    const changed = await this.db.product.updateMany({
      where: { id, ...versionIn(version) },
      data: { ...withoutUndefined(patch), version: { increment: 1 } },
    });
    if (changed.count === 0) return false;
    if (images) await this.replaceImages(id, images);
    return true;
  }

  /** Whether a row of this version was there to be changed. Violates `sku-code-taken`. */
  async updateSku(id: string, version: ExpectedVersion, { price, ...patch }: SkuPatch): Promise<boolean> {
    const changed = await this.db.sku.updateMany({
      where: { id, ...versionIn(version) },
      data: { ...withoutUndefined(patch), ...(price && priceColumns(price)), version: { increment: 1 } },
    });
    return changed.count === 1;
  }

  private async replaceImages(productId: string, images: NewProduct['images']): Promise<void> {
    await this.db.image.deleteMany({ where: { productId } });
    await this.createImages(productId, images);
  }

  private createImages(productId: string, images: NewProduct['images']) {
    const data = images.map((image, position) => ({ id: newId(), productId, ...image, position }));
    return this.db.image.createManyAndReturn({ data });
  }
}

const priceColumns = ({ amount, currency }: NewSku['price']) => ({ price: amount, currency });

const skuRow = ({ price, onHand: _, ...sku }: NewSku) => ({ id: newId(), ...sku, ...priceColumns(price) });

// A stock that begins with units begins with the movement that brought them.
const receipt = (skuId: string, units: number, createdById: string) =>
  ({ skuId, seq: 1, quantity: units, onHandAfter: units, reason: 'received', createdById }) as const;
