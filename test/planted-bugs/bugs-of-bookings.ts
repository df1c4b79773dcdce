import type { PlantedBug } from './bugs.ts';

const showingRaces = 'test/showing-races.test.ts';
const bookingRaces = 'test/booking-races.test.ts';

/** Mistakes in who has a seat, for how long, and what of it is paid. */
export const bugsOfBookings: readonly PlantedBug[] = [
  {
    name: 'a seat is taken in whatever version',
    harm: 'Two who have seen it free both hold it; only the rule of the database still refuses the second, as a failure.',
    changes: [
      {
        file: 'src/modules/bookings/seats.repository.ts',
        text: `        where: { OR: seats.map(({ id, version }) => ({ id, version })) },
        data: { holdId, heldUntil, version: { increment: 1 } },`,
        replacement: `        where: { OR: seats.map(({ id }) => ({ id })) },
        data: { holdId, heldUntil, version: { increment: 1 } },`,
      },
    ],
    caughtBy: {
      file: showingRaces,
      tests: ['one of two hundred holds one seat, in a hall that others have filled, and the rest are told so'],
    },
    saying: /500/,
  },
  {
    name: 'a hold never ends by itself',
    harm: 'Seats that nobody pays are lost until somebody removes the hold.',
    changes: [
      {
        file: 'src/modules/bookings/seats.repository.ts',
        text: `WHEN held_until > statement_timestamp() THEN 'held' ELSE 'free' END AS status
      FROM seat WHERE id`,
        replacement: `WHEN held_until IS NOT NULL THEN 'held' ELSE 'free' END AS status
      FROM seat WHERE id`,
      },
    ],
    caughtBy: {
      file: 'test/showings.test.ts',
      tests: ['ends at its time without anybody sweeping it, and is not extended then'],
    },
    saying: /got 409/,
  },
  {
    name: 'a hold is confirmed though it is over',
    harm: 'Seats are booked that others were shown as free.',
    changes: [
      {
        file: 'src/modules/bookings/seat.ts',
        text: '  if (!isLive) throw bookingProblems.holdExpired();',
        replacement: '  if (!isLive && Date.now() < 0) throw bookingProblems.holdExpired();',
      },
    ],
    caughtBy: { file: 'test/bookings.test.ts', tests: ['is not made of a hold that has expired, or of somebody else'] },
    saying: /expected 409/,
  },
  {
    name: 'two holds of one customer do not wait for each other',
    harm: 'Each counts the seats without those of the other: the customer has more than the showing allows.',
    changes: [
      {
        file: 'src/modules/bookings/holds.service.ts',
        text: `    refuseBegun(showing);
    await this.credentials.lock([userId]);`,
        replacement: '    refuseBegun(showing);',
      },
    ],
    caughtBy: {
      file: showingRaces,
      tests: ['a customer who asks twenty times at once keeps to the limit, both ways of asking together'],
    },
    saying: /customer-limit-reached/,
  },
  {
    name: 'the best seats are waited for',
    harm: 'Everybody waits for the same best seats, one after the other.',
    changes: [
      {
        file: 'src/modules/bookings/seats.repository.ts',
        text: 'FOR NO KEY UPDATE SKIP LOCKED',
        replacement: 'FOR NO KEY UPDATE',
      },
    ],
    caughtBy: {
      file: showingRaces,
      tests: ['whoever asks for the best passes over a seat that somebody else is about to take'],
    },
    saying: /got 503/,
  },
  {
    name: 'a booking is cancelled without its lock',
    harm: 'Two cancellations both find it booked: the second ends in a failure, or refunds once more.',
    changes: [
      {
        file: 'src/modules/bookings/bookings.repository.ts',
        text: '    await lockRows(this.db, { booking: [id] });\n',
        replacement: '',
      },
    ],
    caughtBy: {
      file: bookingRaces,
      tests: ['a booking that twenty cancel at once is refunded once, and its seat goes to one other'],
    },
    saying: /booking-not-cancellable/,
  },
];
