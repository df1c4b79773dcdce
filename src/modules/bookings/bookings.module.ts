import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { LedgerModule } from '../ledger/ledger.module.ts';
import { TransfersModule } from '../transfers/transfers.module.ts';
import { UsersModule } from '../users/users.module.ts';
import { BookingPayments } from './booking-payments.service.ts';
import { BookingsController } from './bookings.controller.ts';
import { BookingsRepository } from './bookings.repository.ts';
import { BookingsService } from './bookings.service.ts';
import { HoldsController } from './holds.controller.ts';
import { HoldsRepository } from './holds.repository.ts';
import { HoldsService } from './holds.service.ts';
import { SeatsRepository } from './seats.repository.ts';
import { ShowingsController } from './showings.controller.ts';
import { ShowingsRepository } from './showings.repository.ts';
import { ShowingsService } from './showings.service.ts';
import './bookings.checks.ts';

@Module({
  imports: [UsersModule, LedgerModule, AccountsModule, TransfersModule],
  controllers: [ShowingsController, HoldsController, BookingsController],
  providers: [
    ...[ShowingsService, ShowingsRepository, HoldsService, HoldsRepository, SeatsRepository],
    ...[BookingsService, BookingsRepository, BookingPayments],
  ],
  exports: [ShowingsService, BookingsService],
})
export class BookingsModule {}
