import { z } from 'zod';
import { defineEvent } from '../../events/event-type.ts';
import { idOut, MoneyOut } from '../../http/schemas.ts';
import { money } from '../../kernel/money.ts';
import type { Booking } from './booking.ts';

const BookingData = z.object({
  bookingId: idOut('bkg'),
  showingId: idOut('shw'),
  userId: idOut('usr'),
  total: MoneyOut,
});

export const bookingConfirmed = defineEvent({
  type: 'booking.confirmed',
  meaning: 'Seats were booked and paid.',
  subject: 'bkg',
  data: BookingData,
});

export const bookingCancelled = defineEvent({
  type: 'booking.cancelled',
  meaning: 'A booking was cancelled, and its money has gone back.',
  subject: 'bkg',
  data: BookingData,
});

type Told = Pick<Booking, 'id' | 'showingId' | 'userId' | 'amount' | 'currency'>;

/** What happened to a booking. */
export const bookingEvent = (type: typeof bookingConfirmed, { id, showingId, userId, amount, currency }: Told) =>
  type({ subject: id, owner: userId, data: { bookingId: id, showingId, userId, total: money(amount, currency) } });
