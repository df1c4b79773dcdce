import { Controller, Get, Patch, Post } from '@nestjs/common';
import {
  Body,
  Caller,
  type ExpectedVersion,
  Idempotent,
  IfMatch,
  NeedsIfMatch,
  Param,
  Query,
  Refuses,
  Returns,
  ReturnsCreated,
  SignedIn,
} from '../../http/route.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ledgerProblems } from '../ledger/ledger.problems.ts';
import { bookingProblems } from './bookings.problems.ts';
import {
  BookingCancellation,
  BookingId,
  BookingPage,
  BookingPatch,
  BookingQuery,
  BookingView,
  NewBooking,
} from './bookings.schema.ts';
import { BookingsService } from './bookings.service.ts';

@Controller('v1/bookings')
export class BookingsController {
  constructor(private readonly bookings: BookingsService) {}

  @Post()
  @SignedIn()
  @Idempotent('required')
  @ReturnsCreated(BookingView, '/v1/bookings')
  @Refuses(
    bookingProblems.holdNotFound,
    bookingProblems.holdExpired,
    bookingProblems.holdBooked,
    bookingProblems.showingBegun,
    ledgerProblems.accountNotFound,
    ledgerProblems.currencyMismatch,
    ledgerProblems.insufficientFunds,
    ledgerProblems.accountFrozen,
    ledgerProblems.accountClosed,
    ledgerProblems.balanceTooLarge,
    ledgerProblems.cannotReceive,
  )
  confirmBooking(@Caller() caller: Principal, @Body(NewBooking) booking: NewBooking) {
    return this.bookings.confirm(caller, booking);
  }

  @Get()
  @SignedIn()
  @Returns(200, BookingPage)
  listBookings(@Caller() caller: Principal, @Query(BookingQuery) query: BookingQuery) {
    return this.bookings.list(caller, query);
  }

  @Get(':id')
  @SignedIn()
  @Returns(200, BookingView)
  @Refuses(bookingProblems.notFound)
  getBooking(@Caller() caller: Principal, @Param('id', BookingId) id: string) {
    return this.bookings.get(caller, id);
  }

  @Patch(':id')
  @SignedIn()
  @NeedsIfMatch()
  @Returns(200, BookingView)
  @Refuses(
    bookingProblems.notFound,
    bookingProblems.notChangeable,
    bookingProblems.seatCountDiffers,
    bookingProblems.seatNotFound,
    bookingProblems.seatUnavailable,
  )
  exchangeSeats(
    @Caller() caller: Principal,
    @Param('id', BookingId) id: string,
    @IfMatch() version: ExpectedVersion,
    @Body(BookingPatch) patch: BookingPatch,
  ) {
    return this.bookings.exchange(caller, id, version, patch);
  }

  @Post(':id/cancel')
  @SignedIn()
  @Idempotent('required')
  @Returns(200, BookingView)
  @Refuses(
    bookingProblems.notFound,
    bookingProblems.notCancellable,
    ledgerProblems.accountNotFound,
    ledgerProblems.insufficientFunds,
    ledgerProblems.accountFrozen,
    ledgerProblems.accountClosed,
    ledgerProblems.balanceTooLarge,
  )
  cancelBooking(
    @Caller() caller: Principal,
    @Param('id', BookingId) id: string,
    @Body(BookingCancellation) cancellation: BookingCancellation,
  ) {
    return this.bookings.cancel(caller, id, cancellation);
  }
}
