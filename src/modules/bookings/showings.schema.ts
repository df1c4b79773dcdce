import { z } from 'zod';
import { pageOf, pageQuery } from '../../http/pages/page.ts';
import { idIn, idOut, instant, MoneyIn, MoneyOut, momentSaid, name } from '../../http/schemas.ts';
import { defineIdKinds } from '../../kernel/ids.ts';

export const showingIds = defineIdKinds({ shw: 'showing', seat: 'seat' });
declare module '../../kernel/ids.ts' {
  interface IdKinds extends Readonly<typeof showingIds> {}
}

export const ShowingId = idIn('shw');
const mostSeats = 2000;

const text = {
  title: name(200).meta({ description: 'What is shown', examples: ['The Tempest'] }),
  hall: name(100).meta({ description: 'Where; one showing at a time', examples: ['Main hall'] }),
};
const seatsPerCustomer = z
  .int()
  .min(1)
  .max(mostSeats)
  .nullish()
  .meta({ description: 'How many seats one customer may hold and have booked together; null: any', examples: [4] });
const rowName = name(20).meta({ description: 'Name of the row', examples: ['A'] });

// What members say together is asked when each of them is sound.
const sound = { when: ({ issues }: { issues: readonly unknown[] }) => issues.length === 0 };

const Row = z.strictObject({
  row: rowName,
  seats: z
    .int()
    .min(1)
    .max(200)
    .meta({ description: 'How many; they are numbered from 1', examples: [10] }),
});

export const NewShowing = z
  .strictObject({
    ...text,
    startsAt: momentSaid({
      description: 'RFC 3339; it can be booked until then',
      examples: ['2030-05-01T20:00:00Z'],
    }),
    endsAt: momentSaid({
      description: 'RFC 3339; the hall is free from then on',
      examples: ['2030-05-01T22:30:00Z'],
    }),
    price: MoneyIn.meta({ description: 'Of each seat' }),
    seatsPerCustomer,
    rows: z
      .array(Row)
      .min(1)
      .max(100)
      .meta({ description: `The best first; at most ${mostSeats} seats in all` }),
  })
  .refine(({ startsAt, endsAt }) => endsAt > startsAt, { ...sound, path: ['endsAt'], error: 'must be after startsAt' })
  .refine(({ rows }) => new Set(rows.map(({ row }) => row)).size === rows.length, {
    ...sound,
    path: ['rows'],
    error: 'must have names of their own',
  })
  .refine(({ rows }) => rows.reduce((sum, { seats }) => sum + seats, 0) <= mostSeats, {
    ...sound,
    path: ['rows'],
    error: `must have at most ${mostSeats} seats`,
  })
  .meta({ id: 'NewShowing' });
export type NewShowing = z.infer<typeof NewShowing>;

export const ShowingView = z
  .object({
    object: z.literal('showing').default('showing'),
    id: idOut('shw'),
    ...text,
    startsAt: instant,
    endsAt: instant,
    price: MoneyOut.meta({ description: 'Of each seat' }),
    seatsPerCustomer: z
      .int()
      .nullable()
      .meta({ description: 'How many seats one customer may hold and have booked together; null: any', examples: [4] }),
    seatCount: z.int().meta({ description: 'How many seats there are', examples: [120] }),
    version: z.int().meta({ description: 'Counts the changes: the ETag', examples: [1] }),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'Showing', description: 'What is shown in a hall at one time' });

export const ShowingQuery = z.strictObject(pageQuery);
export type ShowingQuery = z.infer<typeof ShowingQuery>;
export const ShowingPage = pageOf(ShowingView).meta({ id: 'ShowingPage', description: 'Showings, newest first' });

const number = z.int().meta({ description: 'Its number in the row', examples: [7] });
/** A seat as it is named beside what it belongs to. */
export const SeatName = z.object({ seatId: idOut('seat'), row: rowName, number });

export const SeatView = z
  .object({
    object: z.literal('seat').default('seat'),
    id: idOut('seat'),
    row: rowName,
    number,
    status: z.enum(['free', 'held', 'booked']).meta({ description: 'Whether it can be held now', examples: ['free'] }),
    version: z.int().meta({ description: 'Counts the changes of hands', examples: [1] }),
  })
  .meta({ id: 'Seat', description: 'A seat of a showing' });
export const SeatQuery = z.strictObject(pageQuery);
export type SeatQuery = z.infer<typeof SeatQuery>;
export const SeatPage = pageOf(SeatView).meta({ id: 'SeatPage', description: 'Seats of a showing, the best first' });
