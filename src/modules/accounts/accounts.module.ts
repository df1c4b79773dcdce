import { Module } from '@nestjs/common';
import { AccountsController } from './accounts.controller.ts';
import { AccountsRepository } from './accounts.repository.ts';
import { AccountsService } from './accounts.service.ts';
import { BooksController } from './books.controller.ts';
import { BooksRepository } from './books.repository.ts';
import { BooksService } from './books.service.ts';
import { ChainRepository } from './chain.repository.ts';
import { ChainSealer } from './chain.sealer.ts';
import { ChainService } from './chain.service.ts';
import { TransfersRepository } from './transfers.repository.ts';
import { TransfersService } from './transfers.service.ts';

@Module({
  controllers: [AccountsController, BooksController],
  providers: [
    ...[AccountsService, AccountsRepository, TransfersService, TransfersRepository],
    ...[BooksService, BooksRepository, ChainService, ChainRepository, ChainSealer],
  ],
  exports: [AccountsService, TransfersService],
})
export class AccountsModule {}
