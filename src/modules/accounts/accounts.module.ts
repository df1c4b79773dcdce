import { Module } from '@nestjs/common';
import { AccountParties } from './account-parties.ts';
import { AccountsController } from './accounts.controller.ts';
import { AccountsRepository } from './accounts.repository.ts';
import { AccountsService } from './accounts.service.ts';
import { LedgerRepository } from './ledger.repository.ts';
import { LedgerService } from './ledger.service.ts';
import { PendingTransfersService } from './pending-transfers.service.ts';
import { ReversalsService } from './reversals.service.ts';
import { TransferBatchesService } from './transfer-batches.service.ts';
import { TransfersController } from './transfers.controller.ts';
import { ArrivalsService } from './arrivals.service.ts';
import { HouseAccounts } from './house-accounts.ts';
import { ReservationsRepository } from './reservations.repository.ts';
import { ReservationSweep } from './reservation-sweep.service.ts';
import { SettlementsService } from './settlements.service.ts';
import { BooksController } from './books.controller.ts';
import { BooksRepository } from './books.repository.ts';
import { BooksService } from './books.service.ts';
import { ChainRepository } from './chain.repository.ts';
import { ChainSealer } from './chain.sealer.ts';
import { ChainService } from './chain.service.ts';
import { TransfersRepository } from './transfers.repository.ts';
import { TransfersService } from './transfers.service.ts';

@Module({
  controllers: [AccountsController, TransfersController, BooksController],
  providers: [
    ...[AccountsService, AccountsRepository, LedgerService, LedgerRepository, TransfersService, TransfersRepository],
    ...[AccountParties, HouseAccounts, ReservationsRepository, ReservationSweep, SettlementsService, ArrivalsService],
    ...[PendingTransfersService, ReversalsService, TransferBatchesService],
    ...[BooksService, BooksRepository, ChainService, ChainRepository, ChainSealer],
  ],
  exports: [AccountsService, TransfersService],
})
export class AccountsModule {}
