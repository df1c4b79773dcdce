import { Controller, Get, Patch, Post } from '@nestjs/common';
import { type ExpectedVersion, IfMatch, NeedsIfMatch } from '../../http/if-match.ts';
import { Idempotent } from '../../http/idempotency.ts';
import { Body, Param, Query } from '../../http/input.ts';
import { Caller, OperatorsOnly, Public } from '../../http/principal.ts';
import { Refuses } from '../../http/refuses.ts';
import { Returns, ReturnsCreated } from '../../http/returns.ts';
import type { Principal } from '../../kernel/principal.ts';
import {
  NewProduct,
  NewSku,
  NewStockAdjustment,
  ProductId,
  ProductPage,
  ProductPatch,
  ProductQuery,
  ProductView,
  SkuId,
  SkuPatch,
  SkuView,
  StockMovementView,
  StockView,
} from './catalog.schema.ts';
import { CatalogService } from './catalog.service.ts';
import { StockService } from './stock.service.ts';

@Controller('v1')
export class CatalogController {
  constructor(
    private readonly catalog: CatalogService,
    private readonly stock: StockService,
  ) {}

  @Post('products')
  @OperatorsOnly()
  @Idempotent('optional')
  @ReturnsCreated(ProductView, '/v1/products')
  @Refuses('slug-taken', 'sku-code-taken', 'currency-not-accepted')
  addProduct(@Caller() caller: Principal, @Body(NewProduct) product: NewProduct) {
    return this.catalog.add(caller, product);
  }

  @Get('products')
  @Public()
  @Returns(200, ProductPage)
  listProducts(@Query(ProductQuery) query: ProductQuery) {
    return this.catalog.list(query);
  }

  @Get('products/:id')
  @Public()
  @Returns(200, ProductView)
  @Refuses('product-not-found')
  getProduct(@Param('id', ProductId) id: string) {
    return this.catalog.get(id);
  }

  @Patch('products/:id')
  @OperatorsOnly()
  @NeedsIfMatch()
  @Returns(200, ProductView)
  @Refuses('product-not-found', 'slug-taken')
  editProduct(
    @Param('id', ProductId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(ProductPatch) patch: ProductPatch,
  ) {
    return this.catalog.edit(id, version, patch);
  }

  @Post('products/:id/skus')
  @OperatorsOnly()
  @Idempotent('optional')
  @ReturnsCreated(SkuView, '/v1/skus')
  @Refuses('product-not-found', 'too-many-skus', 'sku-code-taken', 'currency-not-accepted')
  addSku(@Caller() caller: Principal, @Param('id', ProductId) id: string, @Body(NewSku) sku: NewSku) {
    return this.catalog.addSku(caller, id, sku);
  }

  @Get('skus/:id')
  @Public()
  @Returns(200, SkuView)
  @Refuses('sku-not-found')
  getSku(@Param('id', SkuId) id: string) {
    return this.catalog.getSku(id);
  }

  @Patch('skus/:id')
  @OperatorsOnly()
  @NeedsIfMatch()
  @Returns(200, SkuView)
  @Refuses('sku-not-found', 'sku-code-taken', 'currency-not-accepted')
  editSku(@Param('id', SkuId) id: string, @IfMatch() version: ExpectedVersion, @Body(SkuPatch) patch: SkuPatch) {
    return this.catalog.editSku(id, version, patch);
  }

  @Get('skus/:id/stock')
  @Public()
  @Returns(200, StockView)
  @Refuses('sku-not-found')
  getStock(@Param('id', SkuId) id: string) {
    return this.stock.get(id);
  }

  @Post('skus/:id/stock-adjustments')
  @OperatorsOnly()
  @Idempotent('required')
  @Returns(201, StockMovementView)
  @Refuses('sku-not-found', 'insufficient-stock', 'too-much-stock')
  adjustStock(
    @Caller() caller: Principal,
    @Param('id', SkuId) id: string,
    @Body(NewStockAdjustment) adjustment: NewStockAdjustment,
  ) {
    return this.stock.adjust(caller, id, adjustment);
  }
}
