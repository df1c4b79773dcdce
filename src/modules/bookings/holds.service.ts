import { Injectable } from '@nestjs/common';
import type { ExpectedVersion } from '../../http/conditional/if-match.ts';
import { newId } from '../../kernel/ids.ts';
import { type Principal, scopeOf } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { CredentialsService } from '../users/credentials.service.ts';
import { bookingProblems } from './bookings.problems.ts';
import { HoldsRepository } from './holds.repository.ts';
import type { HoldPatch, NewBestHold, NewHold } from './holds.schema.ts';
import {
  type Hold,
  type OpenShowing,
  refuseBegun,
  refuseExpired,
  refuseExtension,
  refuseMore,
  refuseTaken,
  type Seat,
  seatsNamed,
  showHold,
  unavailable,
} from './seat.ts';
import { SeatsRepository } from './seats.repository.ts';
import { ShowingsRepository } from './showings.repository.ts';

@Injectable()
export class HoldsService {
  constructor(
    private readonly showings: ShowingsRepository,
    private readonly seats: SeatsRepository,
    private readonly holds: HoldsRepository,
    private readonly credentials: CredentialsService,
  ) {}

  /** All of the seats or none. Throws showing-not-found, showing-begun, seat-not-found, seat-unavailable, customer-limit-reached. */
  @Transactional()
  async hold(by: Principal, showingId: string, { seatIds, seconds }: NewHold) {
    const showing = await this.open(by, showingId, seatIds.length);
    const seats = seatsNamed(seatIds, await this.seats.findAll(showingId, seatIds));
    refuseTaken(seatIds, seats);
    return this.take(by, showing, seats, seconds);
  }

  /** The best seats that are free. Throws showing-not-found, showing-begun, not-enough-seats, customer-limit-reached. */
  @Transactional()
  async holdBest(by: Principal, showingId: string, { count, seconds }: NewBestHold) {
    const showing = await this.open(by, showingId, count);
    const seats = await this.seats.lockBest(showingId, count);
    if (seats.length < count)
      throw bookingProblems.notEnoughSeats(`There are ${seats.length} free seats.`, {
        members: { available: seats.length },
      });
    return this.take(by, showing, seats, seconds);
  }

  /** Throws hold-not-found. */
  async get(principal: Principal, id: string) {
    return showHold(
      found(await this.holds.find(scopeOf(principal), id), bookingProblems.holdNotFound),
      await this.seats.listOfHold(id),
    );
  }

  /** Lets it end later. Throws hold-not-found, version-mismatch, hold-expired. */
  @Transactional()
  async extend(principal: Principal, id: string, version: ExpectedVersion, { seconds }: HoldPatch) {
    const hold = found(await this.holds.lock(scopeOf(principal), id), bookingProblems.holdNotFound);
    refuseExtension(hold, version);
    await this.seats.lockOfHold(id);
    await this.holds.extend(id, seconds);
    // Whoever has seen a seat of it as free by now has seen an old version.
    if ((await this.seats.countUp(id)) < hold.seatCount) throw bookingProblems.holdExpired();
    return this.get(principal, id);
  }

  /** Frees its seats. Throws hold-not-found. */
  @Transactional()
  async release(principal: Principal, id: string): Promise<void> {
    found(await this.holds.lock(scopeOf(principal), id), bookingProblems.holdNotFound);
    await this.seats.lockOfHold(id);
    await this.seats.freeHold(id);
    await this.holds.remove(id);
  }

  /**
   * Has the seats of a hold be booked by whoever holds them, in the boundary that does: they stay as they are until it ends. Throws hold-not-found, hold-booked,
   * hold-expired, showing-begun.
   */
  @Transactional({ propagation: 'mandatory' })
  async claim({ userId }: Principal, id: string, wasBooked: () => Promise<boolean>): Promise<Hold> {
    // Of a customer's hold that is over and their next one, one counts the other.
    await this.credentials.lock([userId]);
    const hold = await this.holds.lock({ userId }, id);
    if (hold === null) throw (await wasBooked()) ? bookingProblems.holdBooked() : holdNotNamed();
    refuseExpired(hold);
    refuseBegun(hold);
    await this.seats.lockOfHold(id);
    return hold;
  }

  /** Removes a hold whose seats have been booked. */
  async forget(id: string): Promise<void> {
    await this.holds.remove(id);
  }

  /** Of two requests of one customer at a time the second counts the seats of the first. */
  private async open({ userId }: Principal, showingId: string, more: number): Promise<OpenShowing> {
    const showing = found(await this.showings.findOpen(showingId), bookingProblems.showingNotFound);
    refuseBegun(showing);
    await this.credentials.lock([userId]);
    refuseMore(showing, await this.seats.countOf(userId, showingId), more);
    return showing;
  }

  private async take({ userId }: Principal, showing: OpenShowing, seats: readonly Seat[], seconds: number) {
    const row = { id: newId(), showingId: showing.id, userId, seatCount: seats.length };
    const expiresAt = await this.holds.create(row, seconds);
    const taken = await this.seats.hold(seats, row.id, expiresAt);
    // Somebody was faster, or has given a seat back: it is not as it was seen.
    const lost = seats.filter(({ id }) => !taken.has(id)).map(({ id }) => id);
    if (lost.length > 0)
      throw unavailable(
        seats.map(({ id }) => id),
        new Set(lost),
      );
    return showHold(found(await this.holds.find({ userId }, row.id), bookingProblems.holdNotFound), seats);
  }
}

const holdNotNamed = (): Error => bookingProblems.holdNotFound(undefined, { pointer: '/holdId' });
