import { Module } from '@nestjs/common';
import { AccountsController } from './accounts.controller.ts';
import { AccountsRepository } from './accounts.repository.ts';
import { AccountsService } from './accounts.service.ts';
import { TransfersRepository } from './transfers.repository.ts';
import { TransfersService } from './transfers.service.ts';

@Module({
  controllers: [AccountsController],
  providers: [AccountsService, AccountsRepository, TransfersService, TransfersRepository],
  exports: [AccountsService, TransfersService],
})
export class AccountsModule {}
