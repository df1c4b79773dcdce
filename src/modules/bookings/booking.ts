import { type ExpectedVersion, isExpected } from '../../http/conditional/if-match.ts';
import { generalProblems } from '../../kernel/general.problems.ts';
import { InvariantError } from '../../kernel/loggable-error.ts';
import { money } from '../../kernel/money.ts';
import { bookingProblems } from './bookings.problems.ts';
import { type Seat, showSeats } from './seat.ts';

/** A booking as it is stored, with the seats that it names. */
export interface Booking {
  readonly id: string;
  readonly showingId: string;
  readonly userId: string;
  readonly holdId: string;
  readonly status: 'booked' | 'cancelled';
  readonly seatCount: number;
  readonly accountId: string;
  readonly amount: bigint;
  readonly currency: string;
  readonly transferId: string;
  readonly refundTransferId: string | null;
  readonly cancelledById: string | null;
  readonly cancelReason: string | null;
  readonly cancelledAt: Date | null;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly names: readonly { readonly seat: Pick<Seat, 'id' | 'row' | 'number' | 'position'> }[];
}

interface Times {
  readonly hasBegun: boolean;
}

export function showBooking(booking: Booking) {
  const { names, accountId, amount, currency, transferId, refundTransferId, ...rest } = booking;
  return {
    ...rest,
    seats: showSeats(names.map(({ seat }) => seat)),
    total: money(amount, currency),
    payment: { accountId, transferId },
    refund: refundTransferId === null ? null : { transferId: refundTransferId },
    cancellation: cancellationOf(booking),
  };
}

function cancellationOf({ status, cancelledById, cancelReason, cancelledAt }: Booking) {
  if (status === 'booked') return null;
  if (cancelledById === null || cancelledAt === null) throw new InvariantError('The booking was cancelled by nobody.');
  return { cancelledById, reason: cancelReason, createdAt: cancelledAt };
}

/** Throws booking-not-cancellable. */
export function refuseCancellation({ status }: Pick<Booking, 'status'>, { hasBegun }: Times): void {
  if (status !== 'booked') throw bookingProblems.notCancellable('The booking is cancelled.');
  if (hasBegun) throw bookingProblems.notCancellable('The showing has begun.');
}

/** Throws version-mismatch, booking-not-changeable, seat-count-differs. */
export function refuseExchange(
  { status, version, seatCount }: Booking,
  { hasBegun }: Times,
  { expected, seats }: { readonly expected: ExpectedVersion; readonly seats: number },
): void {
  if (!isExpected(expected, version))
    throw generalProblems.versionMismatch(`The booking is at version ${version} by now.`, { version });
  if (status !== 'booked') throw bookingProblems.notChangeable('The booking is cancelled.');
  if (hasBegun) throw bookingProblems.notChangeable('The showing has begun.');
  if (seats !== seatCount)
    throw bookingProblems.seatCountDiffers(`The booking has ${seatCount} seats.`, { pointer: '/seatIds' });
}
