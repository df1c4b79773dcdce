import { Inject, Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Events } from '../../events/events.ts';
import type { ExpectedVersion } from '../../http/conditional/if-match.ts';
import { page } from '../../http/pages/page.ts';
import { changedMeanwhile } from '../../kernel/general.problems.ts';
import { newId } from '../../kernel/ids.ts';
import { money } from '../../kernel/money.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { BookingPayments } from './booking-payments.service.ts';
import { type Booking, refuseCancellation, refuseExchange, showBooking } from './booking.ts';
import { bookingCancelled, bookingConfirmed, bookingEvent } from './bookings.events.ts';
import { bookingProblems } from './bookings.problems.ts';
import { BookingsRepository } from './bookings.repository.ts';
import type { BookingCancellation, BookingPatch, BookingQuery, NewBooking } from './bookings.schema.ts';
import { HoldsService } from './holds.service.ts';
import { refuseTaken, seatsNamed, unavailable } from './seat.ts';
import { SeatsRepository } from './seats.repository.ts';
import { ShowingsService } from './showings.service.ts';

@Injectable()
export class BookingsService {
  @Inject(Events)
  private readonly events!: Events;

  constructor(
    private readonly bookings: BookingsRepository,
    private readonly seats: SeatsRepository,
    private readonly holds: HoldsService,
    private readonly showings: ShowingsService,
    private readonly payments: BookingPayments,
  ) {}

  /**
   * Seats, payment and entries, or nothing of it. Throws hold-not-found, hold-expired, hold-booked, showing-begun, account-not-found,
   * currency-mismatch, insufficient-funds.
   */
  @Transactional()
  async confirm(by: Principal, { holdId, payment: { accountId } }: NewBooking) {
    const hold = await this.holds.claim(by, holdId, () => this.bookings.hasHold(by.userId, holdId));
    const { showingId, userId, seatCount, currency } = hold;
    const seatIds = (await this.seats.listOfHold(holdId)).map(({ id }) => id);
    // Somebody was faster after the end of the hold.
    if (seatIds.length < seatCount) throw bookingProblems.holdExpired();
    const amount = hold.price * BigInt(seatCount);
    const transferId = await this.payments.pay({ by, accountId, amount: money(amount, currency) });
    const booking = { id: newId(), showingId, userId, holdId, seatCount, accountId, amount, currency, transferId };
    await this.bookings.create(booking, seatIds);
    if ((await this.seats.book(holdId, booking.id)) < seatCount) throw bookingProblems.holdExpired();
    await this.holds.forget(holdId);
    this.events.record(bookingEvent(bookingConfirmed, booking));
    return this.get(by, booking.id);
  }

  /** Throws booking-not-found. */
  async get(principal: Principal, id: string) {
    return showBooking(found(await this.bookings.find(scopeOf(principal), id), bookingProblems.notFound));
  }

  /** One's own bookings, or everybody's for an operator, newest first. */
  async list(principal: Principal, query: BookingQuery) {
    const scope = scopeOf(principal);
    const bookings = await page(
      'bookings',
      { ...query, ...scope, reader: principal.userId },
      z.uuid(),
      (slice) => this.bookings.list(scope, query, slice),
      ({ id }) => id,
    );
    return { ...bookings, data: bookings.data.map(showBooking) };
  }

  /**
   * Exchanges seats for as many others of the showing. Throws booking-not-found, version-mismatch, booking-not-changeable, seat-count-differs,
   * seat-not-found, seat-unavailable.
   */
  @Transactional()
  async exchange(principal: Principal, id: string, expected: ExpectedVersion, { seatIds }: BookingPatch) {
    const booking = await this.lock(principal, id);
    refuseExchange(booking, await this.showings.open(booking.showingId), { expected, seats: seatIds.length });
    const present = booking.names.map(({ seat }) => seat.id);
    const given = present.filter((one) => !seatIds.includes(one));
    await this.seats.lock([...given, ...seatIds]);
    const seats = seatsNamed(seatIds, await this.seats.findAll(booking.showingId, seatIds));
    const taken = seats.filter((seat) => !present.includes(seat.id));
    refuseTaken(seatIds, taken);
    await this.seats.freeBooked(id, given);
    const moved = await this.seats.exchange(taken, id);
    if (moved.size < taken.length) throw unavailable(seatIds, new Set(taken.map((seat) => seat.id)));
    await this.bookings.rename(id, { given, taken: taken.map((seat) => seat.id) });
    return this.get(principal, id);
  }

  /** Frees the seats, and gives the money back to the account, once. Throws booking-not-found, booking-not-cancellable. */
  @Transactional()
  async cancel(by: Principal, id: string, { reason = null }: BookingCancellation) {
    const booking = await this.lock(by, id);
    refuseCancellation(booking, await this.showings.open(booking.showingId));
    const seatIds = booking.names.map(({ seat }) => seat.id);
    await this.seats.lock(seatIds);
    const { accountId, amount, currency } = booking;
    const refundTransferId = await this.payments.refund(by, { accountId, amount: money(amount, currency) });
    await this.seats.freeBooked(id, seatIds);
    if (!(await this.bookings.cancel(id, { refundTransferId, cancelledById: by.userId, reason }))) changedMeanwhile();
    this.events.record(bookingEvent(bookingCancelled, booking));
    return this.get(by, id);
  }

  private async lock(principal: Principal, id: string): Promise<Booking> {
    return found(await this.bookings.lock(scopeOf(principal), id), bookingProblems.notFound);
  }
}
