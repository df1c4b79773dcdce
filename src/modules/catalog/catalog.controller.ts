import { Controller, Get, Patch, Post } from '@nestjs/common';
import { currencyProblems } from '../../config/currency.problems.ts';
import {
  Body,
  Caller,
  type ExpectedVersion,
  Idempotent,
  IfMatch,
  NeedsIfMatch,
  OperatorsOnly,
  Param,
  Public,
  Query,
  Refuses,
  Returns,
  ReturnsCreated,
  TakesLongBody,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { catalogProblems } from './catalog.problems.ts';
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
  @TakesLongBody()
  @OperatorsOnly()
  @Idempotent('optional')
  @ReturnsCreated(ProductView, '/v1/products')
  @Refuses(catalogProblems.slugTaken, catalogProblems.skuCodeTaken, currencyProblems.notAccepted)
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
  @Refuses(catalogProblems.productNotFound)
  getProduct(@Param('id', ProductId) id: string) {
    return this.catalog.get(id);
  }

  @Patch('products/:id')
  @TakesLongBody()
  @OperatorsOnly()
  @NeedsIfMatch()
  @Returns(200, ProductView)
  @Refuses(catalogProblems.productNotFound, catalogProblems.slugTaken)
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
  @Refuses(
    catalogProblems.productNotFound,
    catalogProblems.tooManySkus,
    catalogProblems.skuCodeTaken,
    currencyProblems.notAccepted,
  )
  addSku(@Caller() caller: Principal, @Param('id', ProductId) id: string, @Body(NewSku) sku: NewSku) {
    return this.catalog.addSku(caller, id, sku);
  }

  @Get('skus/:id')
  @Public()
  @Returns(200, SkuView)
  @Refuses(catalogProblems.skuNotFound)
  getSku(@Param('id', SkuId) id: string) {
    return this.catalog.getSku(id);
  }

  @Patch('skus/:id')
  @OperatorsOnly()
  @NeedsIfMatch()
  @Returns(200, SkuView)
  @Refuses(catalogProblems.skuNotFound, catalogProblems.skuCodeTaken, currencyProblems.notAccepted)
  editSku(@Param('id', SkuId) id: string, @IfMatch() version: ExpectedVersion, @Body(SkuPatch) patch: SkuPatch) {
    return this.catalog.editSku(id, version, patch);
  }

  @Get('skus/:id/stock')
  @Public()
  @Returns(200, StockView)
  @Refuses(catalogProblems.skuNotFound)
  getStock(@Param('id', SkuId) id: string) {
    return this.stock.get(id);
  }

  @Post('skus/:id/stock-adjustments')
  @OperatorsOnly()
  @Idempotent('required')
  @Returns(201, StockMovementView)
  @Refuses(catalogProblems.skuNotFound, catalogProblems.insufficientStock, catalogProblems.tooMuchStock)
  adjustStock(
    @Caller() caller: Principal,
    @Param('id', SkuId) id: string,
    @Body(NewStockAdjustment) adjustment: NewStockAdjustment,
  ) {
    return this.stock.adjust(caller, id, adjustment);
  }
}
