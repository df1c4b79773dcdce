import { Module } from '@nestjs/common';
import { UsersModule } from '../users/users.module.ts';
import { HoldsController } from './holds.controller.ts';
import { HoldsRepository } from './holds.repository.ts';
import { HoldsService } from './holds.service.ts';
import { SeatsRepository } from './seats.repository.ts';
import { ShowingsController } from './showings.controller.ts';
import { ShowingsRepository } from './showings.repository.ts';
import { ShowingsService } from './showings.service.ts';
import './bookings.checks.ts';

@Module({
  imports: [UsersModule],
  controllers: [ShowingsController, HoldsController],
  providers: [ShowingsService, ShowingsRepository, HoldsService, HoldsRepository, SeatsRepository],
  exports: [ShowingsService],
})
export class BookingsModule {}
