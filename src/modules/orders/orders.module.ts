import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { CatalogModule } from '../catalog/catalog.module.ts';
import { LedgerModule } from '../ledger/ledger.module.ts';
import { MailsModule } from '../mails/mails.module.ts';
import { TransfersModule } from '../transfers/transfers.module.ts';
import { CancellationsService } from './cancellations.service.ts';
import { OrderConfirmationsService } from './order-confirmations.service.ts';
import { OrderLanes } from './order-lanes.ts';
import { OrdersController } from './orders.controller.ts';
import { OrdersRepository } from './orders.repository.ts';
import { OrdersService } from './orders.service.ts';
import { PlacementsService } from './placements.service.ts';
import './orders.checks.ts';

@Module({
  imports: [LedgerModule, AccountsModule, TransfersModule, CatalogModule, MailsModule],
  controllers: [OrdersController],
  providers: [
    OrdersService,
    OrdersRepository,
    OrderLanes,
    PlacementsService,
    CancellationsService,
    OrderConfirmationsService,
  ],
  exports: [OrdersService],
})
export class OrdersModule {}
