import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { LedgerModule } from '../ledger/ledger.module.ts';
import { SettlementsModule } from '../settlements/settlements.module.ts';
import { PendingTransfersService } from './pending-transfers.service.ts';
import { ReversalsService } from './reversals.service.ts';
import { TransferBatchesService } from './transfer-batches.service.ts';
import { TransferLanes } from './transfer-lanes.ts';
import { TransfersController } from './transfers.controller.ts';
import { TransfersRepository } from './transfers.repository.ts';
import { TransfersService } from './transfers.service.ts';

@Module({
  imports: [LedgerModule, SettlementsModule, AccountsModule],
  controllers: [TransfersController],
  providers: [
    ...[TransfersService, TransfersRepository, TransferLanes, TransferBatchesService],
    ...[PendingTransfersService, ReversalsService],
  ],
  exports: [TransfersService],
})
export class TransfersModule {}
