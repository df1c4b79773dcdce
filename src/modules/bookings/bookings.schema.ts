import { z } from 'zod';
import { expandable } from '../../http/expansion/expandable.ts';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import { idIn, idOut, instant, MoneyOut, prose } from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';
import { SeatIds } from './holds.schema.ts';
import { SeatName } from './showings.schema.ts';

export const bookingIds = defineIdKinds({ bkg: 'booking' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof bookingIds> {}
}

export const BookingId = idIn('bkg');
const Status = z.enum(['booked', 'cancelled']);

export const NewBooking = z
  .strictObject({
    holdId: idIn('hold'),
    payment: z.strictObject({ accountId: idIn('acct') }).meta({ description: 'The own account that pays' }),
  })
  .meta({ id: 'NewBooking' });
export type NewBooking = z.infer<typeof NewBooking>;

export const BookingPatch = z.strictObject({ seatIds: SeatIds }).meta({ id: 'BookingPatch' });
export type BookingPatch = z.infer<typeof BookingPatch>;

export const BookingCancellation = z
  .strictObject({
    reason: prose(500)
      .nullish()
      .meta({ description: 'Kept with the booking', examples: ['Fallen ill'] }),
  })
  .meta({ id: 'BookingCancellation' });
export type BookingCancellation = z.infer<typeof BookingCancellation>;

export const BookingView = z
  .object({
    object: z.literal('booking').default('booking'),
    id: idOut('bkg'),
    showingId: idOut('shw'),
    userId: idOut('usr'),
    status: Status.meta({ description: 'Whether it still holds' }),
    seats: z
      .array(SeatName)
      .meta({ description: 'The seats, the best first; of a cancelled booking those that it had' }),
    total: MoneyOut.meta({ description: 'What it cost' }),
    payment: z.object({ accountId: idOut('acct'), transferId: idOut('tr') }).meta({ description: 'How it was paid' }),
    refund: z
      .object({ transferId: idOut('tr') })
      .nullable()
      .meta({ description: 'How the money came back; null while it has not', examples: [null] }),
    cancellation: z
      .object({
        cancelledById: idOut('usr'),
        reason: z
          .string()
          .nullable()
          .meta({ description: 'As it was given', examples: ['Fallen ill'] }),
        createdAt: instant,
      })
      .nullable()
      .meta({ description: 'Who cancelled it, and why; null while nobody has', examples: [null] }),
    version: z.int().meta({ description: 'Counts the changes: the ETag', examples: [1] }),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'Booking', description: 'Seats of a showing that a customer has paid' });
expandable(BookingView, { user: 'usr', showing: 'shw', 'payment.account': 'acct', 'payment.transfer': 'tr' });

export const BookingQuery = z.strictObject({ ...pageQuery, status: Status.optional() });
export type BookingQuery = z.infer<typeof BookingQuery>;
export const BookingPage = pageOf(BookingView).meta({ id: 'BookingPage', description: 'Bookings, newest first' });
