import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Currencies } from '../../config/currencies.ts';
import { Expands } from '../../http/expansion/expansions.ts';
import { page } from '../../http/pages/page.ts';
import { money } from '../../kernel/money.ts';
import type { Principal, Scope } from '../../kernel/principal.ts';
import { found } from '../../kernel/problem.ts';
import { Transactional } from '../../transactions/transactional.ts';
import { bookingProblems } from './bookings.problems.ts';
import { SeatsRepository } from './seats.repository.ts';
import { ShowingsRepository } from './showings.repository.ts';
import { type NewShowing, type SeatQuery, type ShowingQuery, ShowingView } from './showings.schema.ts';

@Injectable()
export class ShowingsService {
  constructor(
    private readonly showings: ShowingsRepository,
    private readonly seats: SeatsRepository,
    private readonly currencies: Currencies,
  ) {}

  /** The showing with all its seats. Throws hall-taken, currency-not-accepted. */
  @Transactional()
  async add({ userId }: Principal, { rows, seatsPerCustomer = null, ...showing }: NewShowing) {
    this.currencies.demand(showing.price.currency, '/price/currency');
    const seats = rows.flatMap(({ row, seats: count }) =>
      Array.from({ length: count }, (_, n) => ({ row, number: n + 1 })),
    );
    const row = { ...showing, seatsPerCustomer, createdById: userId };
    return show(
      await this.showings.create(
        row,
        seats.map((seat, position) => ({ ...seat, position })),
      ),
    );
  }

  /** Throws showing-not-found. */
  async get(id: string) {
    return show(found(await this.showings.find(id), bookingProblems.showingNotFound));
  }

  @Expands('shw', ShowingView)
  async getAll(_: Scope, ids: readonly string[]) {
    return (await this.showings.findAll(ids)).map(show);
  }

  /** Whether it has begun by now. Throws showing-not-found. */
  async open(id: string) {
    return found(await this.showings.findOpen(id), bookingProblems.showingNotFound);
  }

  /** Newest first. */
  async list(query: ShowingQuery) {
    const showings = await page(
      'showings',
      { ...query, reader: 'everybody' },
      z.uuid(),
      (slice) => this.showings.list(slice),
      ({ id }) => id,
    );
    return { ...showings, data: showings.data.map(show) };
  }

  /** The best first. Throws showing-not-found. */
  async listSeats(id: string, query: SeatQuery) {
    found(await this.showings.find(id), bookingProblems.showingNotFound);
    return page(
      'seats',
      { ...query, showing: id, reader: 'everybody' },
      z.int(),
      (slice) => this.seats.list(id, slice),
      ({ position }) => position,
    );
  }
}

const show = <T extends { price: bigint; currency: string }>(showing: T) => ({
  ...showing,
  price: money(showing.price, showing.currency),
});
