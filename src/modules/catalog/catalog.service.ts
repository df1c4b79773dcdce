import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Currencies } from '../../config/currencies.ts';
import type { ExpectedVersion } from '../../http/conditional/if-match.ts';
import { Expands } from '../../http/expansion/expansions.ts';
import { page } from '../../http/pages/page.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import { money } from '../../kernel/money.ts';
import type { Principal, Scope } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { catalogProblems } from './catalog.problems.ts';
import { CatalogRepository, type ListedSku, type ProductSummary } from './catalog.repository.ts';
import {
  mostSkus,
  type NewProduct,
  type NewSku,
  type ProductPatch,
  type ProductQuery,
  ProductView,
  type SkuPatch,
  SkuView,
} from './catalog.schema.ts';

@Injectable()
export class CatalogService {
  constructor(
    private readonly catalog: CatalogRepository,
    private readonly currencies: Currencies,
  ) {}

  /** The product with its SKUs, stocks and images, or nothing. Throws slug-taken, sku-code-taken, currency-not-accepted. */
  @Transactional()
  async add({ userId }: Principal, product: NewProduct) {
    for (const [n, { price }] of product.skus.entries())
      this.currencies.demand(price.currency, `/skus/${n}/price/currency`);
    return showProduct(await this.catalog.create(product, userId));
  }

  /** Throws product-not-found, too-many-skus, sku-code-taken, currency-not-accepted. */
  @Transactional()
  async addSku({ userId }: Principal, productId: string, sku: NewSku) {
    this.currencies.demand(sku.price.currency, '/price/currency');
    // The update holds the product's row: of two SKUs at once, the second counts the first.
    await this.catalog.update(productId, 'any', {});
    const { skus } = await this.get(productId);
    if (skus.length >= mostSkus) throw catalogProblems.tooManySkus(`A product has at most ${mostSkus} SKUs.`);
    return (await this.catalog.createSkus(productId, [sku], userId)).map(showSku)[0];
  }

  /** Throws product-not-found. */
  async get(id: string) {
    return showProduct(found(await this.catalog.find(id), catalogProblems.productNotFound));
  }

  /** Throws sku-not-found. */
  async getSku(id: string) {
    return showSku(found(await this.catalog.findSku(id), catalogProblems.skuNotFound));
  }

  @Expands('prd', ProductView)
  async getProducts(_: Scope, ids: readonly string[]) {
    return (await this.catalog.findAll(ids)).map(showProduct);
  }

  @Expands('sku', SkuView)
  async getSkus(_: Scope, ids: readonly string[]) {
    return (await this.catalog.findAllSkus(ids)).map(showSku);
  }

  /** In short, newest first; with their SKUs where that is asked for. */
  async list({ expand = [], ...query }: ProductQuery) {
    const products = await page(
      'products',
      { ...query, reader: 'everybody' },
      z.uuid(),
      (slice) => this.catalog.list(slice, expand.includes('skus')),
      ({ id }) => id,
    );
    return { ...products, data: products.data.map(showSummary) };
  }

  /** Name and price of each SKU that exists, by id. */
  async quote(skuIds: readonly string[]) {
    const skus = await this.catalog.listSkus(skuIds);
    return new Map(
      skus.map(({ id, name, price, currency, product }) => [
        id,
        { name: `${product.name}, ${name}`, price: money(price, currency) },
      ]),
    );
  }

  /** Changes the version that was seen. Throws product-not-found, version-mismatch, slug-taken. */
  @Transactional()
  async edit(id: string, version: ExpectedVersion, patch: ProductPatch) {
    const changed = await this.catalog.update(id, version, patch);
    const product = await this.get(id);
    if (!changed)
      throw generalProblems.versionMismatch(`The product is at version ${product.version} by now.`, {
        version: product.version,
      });
    return product;
  }

  /** Changes the version that was seen. Throws sku-not-found, version-mismatch, sku-code-taken, currency-not-accepted. */
  @Transactional()
  async editSku(id: string, version: ExpectedVersion, patch: SkuPatch) {
    if (patch.price) this.currencies.demand(patch.price.currency, '/price/currency');
    const changed = await this.catalog.updateSku(id, version, patch);
    const sku = await this.getSku(id);
    if (!changed)
      throw generalProblems.versionMismatch(`The SKU is at version ${sku.version} by now.`, { version: sku.version });
    return sku;
  }
}

type Priced = { price: bigint; currency: string; stock: { onHand: number } | null };

const showSku = <T extends Priced>(sku: T) => ({
  ...sku,
  price: money(sku.price, sku.currency),
  onHand: sku.stock?.onHand ?? 0,
});

const showSummary = ({ prices, skus, ...product }: ProductSummary) => ({
  ...product,
  prices: prices.map(({ currency, lowest, highest }) => ({
    lowest: money(BigInt(lowest), currency),
    highest: money(BigInt(highest), currency),
  })),
  ...(skus !== undefined && { skus: skus.map(showListedSku) }),
});

const showListedSku = ({ price, currency, createdAt, updatedAt, ...sku }: ListedSku) => ({
  ...sku,
  price: money(BigInt(price), currency),
  createdAt: new Date(createdAt),
  updatedAt: new Date(updatedAt),
});

const showProduct = <S extends Priced, T extends { skus: S[] }>(product: T) => ({
  ...product,
  skus: product.skus.map(showSku),
});
