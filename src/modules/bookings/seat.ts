import { type ExpectedVersion, isExpected } from '../../http/conditional/if-match.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import { money } from '../../kernel/money.ts';
import type { ErrorPlace } from '../../kernel/problem.ts';
import { bookingProblems } from './bookings.problems.ts';

/** A seat as it was seen, at that moment by the database's clock. */
export interface Seat {
  readonly id: string;
  readonly row: string;
  readonly number: number;
  readonly position: number;
  readonly status: 'free' | 'held' | 'booked';
  readonly version: number;
}

/** What of a showing decides who may have its seats. */
export interface OpenShowing {
  readonly id: string;
  readonly price: bigint;
  readonly currency: string;
  readonly seatsPerCustomer: number | null;
  readonly hasBegun: boolean;
}

/** Throws showing-begun. */
export function refuseBegun({ hasBegun }: Pick<OpenShowing, 'hasBegun'>): void {
  if (hasBegun) throw bookingProblems.showingBegun();
}

/** Throws customer-limit-reached where somebody who has so many seats would have too many with so many more. */
export function refuseMore({ seatsPerCustomer }: OpenShowing, present: number, more: number): void {
  if (seatsPerCustomer === null || present + more <= seatsPerCustomer) return;
  throw bookingProblems.customerLimitReached(
    `A customer may have ${seatsPerCustomer} seats of this showing, and you have ${present}.`,
    { members: { limit: seatsPerCustomer, present } },
  );
}

/** The seats that were named, in that order. Throws seat-not-found, with a pointer to each that the showing does not have. */
export function seatsNamed<S extends { readonly id: string }>(ids: readonly string[], seats: readonly S[]): S[] {
  const known = new Map(seats.map((seat) => [seat.id, seat]));
  const errors = placesOf(ids, (id) => !known.has(id), 'seat-not-found');
  if (errors.length > 0) throw bookingProblems.seatNotFound('The showing has no such seat.', { errors });
  return ids.flatMap((id) => known.get(id) ?? []);
}

/** Throws seat-unavailable, with a pointer to each that somebody has. */
export function refuseTaken(ids: readonly string[], seats: readonly Seat[]): void {
  const taken = new Set(seats.filter(({ status }) => status !== 'free').map(({ id }) => id));
  if (taken.size > 0) throw unavailable(ids, taken);
}

export const unavailable = (ids: readonly string[], taken: ReadonlySet<string>): Error =>
  bookingProblems.seatUnavailable('Somebody else has the seat.', {
    errors: placesOf(ids, (id) => taken.has(id), 'seat-unavailable'),
  });

const placesOf = (ids: readonly string[], isSo: (id: string) => boolean, code: string): ErrorPlace[] =>
  ids.flatMap((id, n) => (isSo(id) ? [{ pointer: `/seatIds/${n}`, code }] : []));

/** A hold as it was seen, with what it would cost. */
export interface Hold {
  readonly id: string;
  readonly showingId: string;
  readonly userId: string;
  readonly seatCount: number;
  readonly expiresAt: Date;
  readonly isLive: boolean;
  readonly hasBegun: boolean;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly price: bigint;
  readonly currency: string;
}

type Named = Pick<Seat, 'id' | 'row' | 'number' | 'position'>;

/** Seats by their names, the best first. */
export const showSeats = (seats: readonly Named[]) =>
  seats.toSorted((a, b) => a.position - b.position).map(({ id, row, number }) => ({ seatId: id, row, number }));

export const showHold = (
  { price, currency, isLive, hasBegun: _, seatCount, ...hold }: Hold,
  seats: readonly Named[],
) => ({
  ...hold,
  status: isLive ? ('live' as const) : ('expired' as const),
  seats: showSeats(seats),
  total: money(price * BigInt(seatCount), currency),
});

/** Throws version-mismatch where the hold was changed since it was read, hold-expired. */
export function refuseExtension(hold: Pick<Hold, 'version' | 'isLive'>, expected: ExpectedVersion): void {
  const { version } = hold;
  if (!isExpected(expected, version))
    throw generalProblems.versionMismatch(`The hold is at version ${version} by now.`, { version });
  refuseExpired(hold);
}

/** Throws hold-expired. */
export function refuseExpired({ isLive }: Pick<Hold, 'isLive'>): void {
  if (!isLive) throw bookingProblems.holdExpired();
}
