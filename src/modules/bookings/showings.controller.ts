import { Controller, Get, Post } from '@nestjs/common';
import {
  Body,
  Caller,
  Idempotent,
  OperatorsOnly,
  Param,
  Public,
  Query,
  Refuses,
  Returns,
  ReturnsCreated,
  SignedIn,
} from '../../http/route.ts';
import { currencyProblems } from '../../config/currency.problems.ts';
import type { Principal } from '../../kernel/principal.ts';
import { bookingProblems } from './bookings.problems.ts';
import { HoldView, NewBestHold, NewHold } from './holds.schema.ts';
import { HoldsService } from './holds.service.ts';
import {
  NewShowing,
  SeatPage,
  SeatQuery,
  ShowingId,
  ShowingPage,
  ShowingQuery,
  ShowingView,
} from './showings.schema.ts';
import { ShowingsService } from './showings.service.ts';

@Controller('v1/showings')
export class ShowingsController {
  constructor(
    private readonly showings: ShowingsService,
    private readonly holds: HoldsService,
  ) {}

  @Post()
  @OperatorsOnly()
  @Idempotent('optional')
  @ReturnsCreated(ShowingView, '/v1/showings')
  @Refuses(bookingProblems.hallTaken, currencyProblems.notAccepted)
  createShowing(@Caller() caller: Principal, @Body(NewShowing) showing: NewShowing) {
    return this.showings.add(caller, showing);
  }

  @Get()
  @Public()
  @Returns(200, ShowingPage)
  listShowings(@Query(ShowingQuery) query: ShowingQuery) {
    return this.showings.list(query);
  }

  @Get(':id')
  @Public()
  @Returns(200, ShowingView)
  @Refuses(bookingProblems.showingNotFound)
  getShowing(@Param('id', ShowingId) id: string) {
    return this.showings.get(id);
  }

  @Get(':id/seats')
  @Public()
  @Returns(200, SeatPage)
  @Refuses(bookingProblems.showingNotFound)
  listSeats(@Param('id', ShowingId) id: string, @Query(SeatQuery) query: SeatQuery) {
    return this.showings.listSeats(id, query);
  }

  @Post(':id/holds')
  @SignedIn()
  @Idempotent('required')
  @ReturnsCreated(HoldView, '/v1/holds')
  @Refuses(
    bookingProblems.showingNotFound,
    bookingProblems.showingBegun,
    bookingProblems.seatNotFound,
    bookingProblems.seatUnavailable,
    bookingProblems.customerLimitReached,
  )
  holdSeats(@Caller() caller: Principal, @Param('id', ShowingId) id: string, @Body(NewHold) hold: NewHold) {
    return this.holds.hold(caller, id, hold);
  }

  @Post(':id/best-available-holds')
  @SignedIn()
  @Idempotent('required')
  @ReturnsCreated(HoldView, '/v1/holds')
  @Refuses(
    bookingProblems.showingNotFound,
    bookingProblems.showingBegun,
    bookingProblems.notEnoughSeats,
    bookingProblems.seatUnavailable,
    bookingProblems.customerLimitReached,
  )
  holdBestSeats(@Caller() caller: Principal, @Param('id', ShowingId) id: string, @Body(NewBestHold) hold: NewBestHold) {
    return this.holds.holdBest(caller, id, hold);
  }
}
