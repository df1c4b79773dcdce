import { Module } from '@nestjs/common';
import { LedgerRepository } from './ledger.repository.ts';
import { LedgerService } from './ledger.service.ts';
import { ReservationSweep } from './reservation-sweep.service.ts';
import { ReservationsRepository } from './reservations.repository.ts';
import './ledger.checks.ts';

/** Decides and writes what happens to money. It has no routes: `accounts`, `settlements` and `transfers` ask it. */
@Module({
  providers: [LedgerService, LedgerRepository, ReservationsRepository, ReservationSweep],
  exports: [LedgerService],
})
export class LedgerModule {}
