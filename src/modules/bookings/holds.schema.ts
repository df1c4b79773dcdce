import { z } from 'zod';
import { idIn, idOut, instant, MoneyOut } from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';
import { SeatName } from './showings.schema.ts';

export const holdIds = defineIdKinds({ hold: 'hold' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof holdIds> {}
}

export const HoldId = idIn('hold');
/** The most seats that are held or booked at once. */
const mostSeats = 20;

/** Seats that are named, each once. */
export const SeatIds = z
  .array(idIn('seat'))
  .min(1)
  .max(mostSeats)
  .refine((ids) => new Set(ids).size === ids.length, 'must name each seat once')
  .meta({ description: 'All of them or none' });

const seconds = z
  .int()
  .min(1)
  .max(1800)
  .default(600)
  .meta({
    description: 'For how long from now; a hold lasts an hour at most, however often it is extended',
    examples: [600],
  });

export const NewHold = z.strictObject({ seatIds: SeatIds, seconds }).meta({ id: 'NewHold' });
export type NewHold = z.infer<typeof NewHold>;

export const NewBestHold = z
  .strictObject({
    count: z
      .int()
      .min(1)
      .max(mostSeats)
      .meta({ description: 'How many seats', examples: [2] }),
    seconds,
  })
  .meta({ id: 'NewBestAvailableHold' });
export type NewBestHold = z.infer<typeof NewBestHold>;

export const HoldPatch = z.strictObject({ seconds }).meta({ id: 'HoldPatch' });
export type HoldPatch = z.infer<typeof HoldPatch>;

export const HoldView = z
  .object({
    object: z.literal('hold').default('hold'),
    id: idOut('hold'),
    showingId: idOut('shw'),
    userId: idOut('usr'),
    status: z.enum(['live', 'expired']).meta({ description: 'Whether its seats can be booked', examples: ['live'] }),
    seats: z
      .array(SeatName)
      .meta({ description: 'The seats, the best first; of an expired hold those that nobody else has taken' }),
    total: MoneyOut.meta({ description: 'What booking it costs' }),
    expiresAt: instant,
    version: z.int().meta({ description: 'Counts the changes: the ETag', examples: [1] }),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'Hold', description: 'Seats that a customer may book until it expires' });
