import { Module } from '@nestjs/common';
import { LedgerModule } from '../ledger/ledger.module.ts';
import { ArrivalsService } from './arrivals.service.ts';
import { SettlementsRepository } from './settlements.repository.ts';
import { SettlementsService } from './settlements.service.ts';

/** What becomes of pending transfers: asked by whoever posts or voids them, and by whoever closes an account. */
@Module({
  imports: [LedgerModule],
  providers: [SettlementsService, ArrivalsService, SettlementsRepository],
  exports: [SettlementsService, ArrivalsService],
})
export class SettlementsModule {}
