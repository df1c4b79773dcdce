import { Module } from '@nestjs/common';
import { LedgerModule } from '../ledger/ledger.module.ts';
import { SettlementsModule } from '../settlements/settlements.module.ts';
import { AccountsController } from './accounts.controller.ts';
import { AccountsRepository } from './accounts.repository.ts';
import { AccountsService } from './accounts.service.ts';
import { HouseAccounts } from './house-accounts.ts';
import './accounts.checks.ts';

@Module({
  imports: [LedgerModule, SettlementsModule],
  controllers: [AccountsController],
  providers: [AccountsService, AccountsRepository, HouseAccounts],
  exports: [AccountsService, HouseAccounts],
})
export class AccountsModule {}
