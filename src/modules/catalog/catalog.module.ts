import { Module } from '@nestjs/common';
import { CatalogController } from './catalog.controller.ts';
import { CatalogRepository } from './catalog.repository.ts';
import { CatalogService } from './catalog.service.ts';
import { StockRepository } from './stock.repository.ts';
import { StockService } from './stock.service.ts';
import './stock.checks.ts';

@Module({
  controllers: [CatalogController],
  providers: [CatalogService, CatalogRepository, StockService, StockRepository],
  exports: [CatalogService, StockService],
})
export class CatalogModule {}
