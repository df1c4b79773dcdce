import { Module } from '@nestjs/common';
import { AccountsController } from './accounts.controller.ts';
import { AccountsRepository } from './accounts.repository.ts';
import { AccountsService } from './accounts.service.ts';
import { LedgerRepository } from './ledger.repository.ts';
import { LedgerService } from './ledger.service.ts';
import { PendingTransfersService } from './pending-transfers.service.ts';
import { ReversalsService } from './reversals.service.ts';
import { TransferBatchesService } from './transfer-batches.service.ts';
import { TransfersController } from './transfers.controller.ts';
import { TransfersRepository } from './transfers.repository.ts';
import { TransfersService } from './transfers.service.ts';

@Module({
  controllers: [AccountsController, TransfersController],
  providers: [
    AccountsService,
    AccountsRepository,
    LedgerService,
    LedgerRepository,
    TransfersService,
    TransfersRepository,
    PendingTransfersService,
    ReversalsService,
    TransferBatchesService,
  ],
  exports: [AccountsService, TransfersService],
})
export class AccountsModule {}
