import { newId, showId } from '../../src/kernel/ids.ts';
import { HoldsService } from '../../src/modules/bookings/holds.service.ts';
import type { BoundaryCase, Cases, World } from '../support/cases.ts';
import { type Person, uuidOf } from '../support/make.ts';

let halls = 0;
/** A showing in a hall of its own, with so many seats in one row. */
async function showing({ operator }: World, seats = 6, members: object = {}): Promise<string> {
  const { body } = await operator.api
    .post('/v1/showings', {
      title: 'The Tempest',
      hall: `Hall of cases ${++halls}`,
      startsAt: '2090-05-01T20:00:00Z',
      endsAt: '2090-05-01T22:00:00Z',
      price: { amount: 100, currency: 'EUR' },
      rows: [{ row: 'A', seats }],
      ...members,
    })
    .expect(201);
  return body.id as string;
}
const seatsOf = async ({ service }: World, id: string): Promise<string[]> =>
  (await service.as().get(`/v1/showings/${id}/seats`).expect(200)).body.data.map((seat: { id: string }) => seat.id);

/** A hold of the best seats of a new showing. */
async function hold(world: World, by: Person, count = 2): Promise<{ id: string; showingId: string }> {
  const id = await showing(world);
  return (await by.api.post(`/v1/showings/${id}/best-available-holds`, { count }).expect(201)).body;
}

/** A booking of two seats of a new showing. */
async function booking(world: World, by: Person): Promise<{ id: string; showingId: string }> {
  const { id: holdId } = await hold(world, by);
  const { body } = await by.api.post('/v1/bookings', { holdId, payment: { accountId: by.accountId } });
  if (body.id === undefined) throw new Error(`The seats were not booked: ${JSON.stringify(body)}`);
  return body;
}
/** By somebody who may have nothing to pay with. */
async function paidBooking(world: World, by: Person): Promise<{ id: string; showingId: string }> {
  await world.make.deposit(by.accountId, 200);
  return booking(world, by);
}

const confirmation: BoundaryCase = {
  last: 'DELETE seat_hold',
  call: async (world) => {
    const { id: holdId } = await hold(world, world.alice);
    return () => world.alice.api.post('/v1/bookings', { holdId, payment: { accountId: world.alice.accountId } });
  },
};

const broken = (...statements: string[]) => Promise.resolve({ statements });
/** A showing by hand, with these columns instead. */
const showingRow = (changed: Readonly<Record<string, string>> = {}) => {
  const columns = {
    id: 'gen_random_uuid()',
    title: `'One'`,
    hall: `'Hall'`,
    starts_at: `'2090-01-01'`,
    ends_at: `'2090-01-02'`,
    price: '1',
    currency: `'EUR'`,
    seat_count: '1',
    created_by_id: 'gen_random_uuid()',
    ...changed,
  };
  return `INSERT INTO showing (${Object.keys(columns).join(', ')}) VALUES (${Object.values(columns).join(', ')})`;
};
const brokenShowing = (changed: Readonly<Record<string, string>>) => () => broken(showingRow(changed));
/** Something that is done to a booking of alice's. */
const bookingBy = (change: (id: string) => string) => async (world: World) => ({
  statements: [change((await booking(world, world.alice)).id)],
});
const bookingAtCommit = (change: (id: string) => string) => async (world: World) => ({
  ...(await bookingBy(change)(world)),
  at: 'COMMIT' as const,
  raises: 'booking_is_whole',
});
/** One more booking like it, with these columns instead. */
const copyOf = (id: string, changed: Readonly<Record<string, string>>) => {
  const columns = {
    ...Object.fromEntries(
      ['showing_id', 'user_id', 'hold_id', 'seat_count', 'account_id', 'amount', 'currency', 'transfer_id'].map(
        (column) => [column, column],
      ),
    ),
    id: 'gen_random_uuid()',
    ...changed,
  };
  return `INSERT INTO booking (${Object.keys(columns).join(', ')}) SELECT ${Object.values(columns).join(', ')} FROM booking WHERE id = '${uuidOf(id)}'`;
};
const transferOf = (order: object): string =>
  `'${uuidOf((order as { payment: { transferId: string } }).payment.transferId)}'`;
/** A change of one seat of a hold of alice's. */
const seatOf =
  (change: (hold: { id: string; showingId: string }, world: World) => string | Promise<string>) =>
  async (world: World) => {
    const held = await hold(world, world.alice);
    return { statements: [await change(held, world)] };
  };
const free = (showingId: string) => `showing_id = '${uuidOf(showingId)}' AND hold_id IS NULL`;
const holdRow = (showingId: string, by: Person, columns = '', values = '') =>
  `INSERT INTO seat_hold (id, showing_id, user_id, seat_count, expires_at, forgotten_at${columns})
   VALUES (gen_random_uuid(), '${uuidOf(showingId)}', '${uuidOf(by.id)}', 1, statement_timestamp() + interval '5 minutes', 'infinity'${values})
   RETURNING id, expires_at`;
const brokenHold = (columns: string, values: string) => async (world: World) => ({
  statements: [holdRow(await showing(world), world.alice, columns, values)],
});

// What the tests that go over all modules cannot derive of this one (test/support/cases.ts).
export const cases: Cases = {
  tables: {
    showing: 'stays',
    seat: 'stays, with its showing',
    booking: 'stays',
    booking_seat: 'as many as seats were booked',
  },
  rights: {
    showing: 'INSERT',
    seat: 'INSERT, UPDATE',
    seat_hold: 'INSERT, UPDATE, DELETE',
    booking: 'INSERT, UPDATE',
    booking_seat: 'INSERT, DELETE',
  },
  refusals: { confirmBooking: ['insufficient-funds'], cancelBooking: ['insufficient-funds'] },
  alone: {
    'HoldsService.claim': ({ service, alice }) =>
      service.app
        .get(HoldsService)
        .claim({ userId: uuidOf(alice.id), sessionId: newId(), role: 'customer' }, newId(), () =>
          Promise.resolve(false),
        ),
  },
  things: {
    shw: (world) => showing(world),
    // Of the showing that was made last, which the request names as well.
    seat: async (world) => {
      const newest = `SELECT s.id FROM seat s WHERE hold_id IS NULL AND booking_id IS NULL AND showing_id = (SELECT max(id::text)::uuid FROM showing) ORDER BY position`;
      const [seat] = await world.service.database.query<{ id: string }>(newest);
      return seat === undefined ? (await seatsOf(world, await showing(world)))[0]! : showId('seat', seat.id);
    },
    hold: async (world, by) => (await hold(world, by)).id,
    bkg: async (world, by) => (await paidBooking(world, by)).id,
  },
  rows: {
    'GET /v1/showings': async (world) => void (await showing(world)),
    'GET /v1/bookings': async (world) => void (await booking(world, world.alice)),
    // By hand: seats are made with their showing.
    'GET /v1/showings/{id}/seats': async ({ service }, path) => {
      const id = uuidOf(path.split('/')[3] ?? '');
      await service.database.query(
        `WITH grown AS (UPDATE showing SET seat_count = seat_count + 1 WHERE id = $1 RETURNING id, seat_count)
         INSERT INTO seat (id, showing_id, row_name, number, position) SELECT gen_random_uuid(), id, 'Z', seat_count, seat_count FROM grown`,
        [id],
      );
    },
  },
  routes: {
    'POST /v1/showings': ({ operator }) =>
      Promise.resolve({
        caller: operator,
        body: {
          title: 'The Tempest',
          hall: `Hall of cases ${++halls}`,
          startsAt: '2090-05-01T20:00:00Z',
          endsAt: '2090-05-01T22:00:00Z',
          price: { amount: 100, currency: 'EUR' },
          seatsPerCustomer: 4,
          rows: [{ row: 'A', seats: 2 }],
        },
      }),
    'POST /v1/bookings': async (world) => {
      const { id: holdId } = await hold(world, world.alice);
      return { caller: world.alice, body: { holdId, payment: { accountId: world.alice.accountId } } };
    },
    'PATCH /v1/bookings/{id}': async (world) => {
      const { id, showingId } = await booking(world, world.alice);
      return { caller: world.alice, id, body: { seatIds: (await seatsOf(world, showingId)).slice(2, 4) } };
    },
    'POST /v1/bookings/{id}/cancel': async (world) => ({
      caller: world.alice,
      id: (await booking(world, world.alice)).id,
      body: { reason: 'Fallen ill' },
    }),
    'POST /v1/showings/{id}/holds': async (world) => {
      const id = await showing(world);
      return { caller: world.alice, id, body: { seatIds: (await seatsOf(world, id)).slice(0, 2), seconds: 600 } };
    },
  },
  measured: {
    'POST /v1/bookings': async (world) => {
      const { id: holdId } = await hold(world, world.alice);
      return () => world.alice.api.post('/v1/bookings', { holdId, payment: { accountId: world.alice.accountId } });
    },
    'PATCH /v1/bookings/:id': async (world) => {
      const { id, showingId } = await booking(world, world.alice);
      const seatIds = (await seatsOf(world, showingId)).slice(2, 4);
      return () => world.alice.api.patch(`/v1/bookings/${id}`, { seatIds }).set('if-match', '*');
    },
  },
  boundaries: {
    'BookingsService.confirm': confirmation,
    // A part of it.
    'HoldsService.claim': confirmation,
    'BookingsService.exchange': { last: 'UPDATE booking', call: 'PATCH /v1/bookings/{id}' },
    'BookingsService.cancel': { last: 'UPDATE booking', call: 'POST /v1/bookings/{id}/cancel' },
    'ShowingsService.add': { last: 'INSERT seat', call: 'POST /v1/showings' },
    'HoldsService.hold': { last: 'UPDATE seat', call: 'POST /v1/showings/{id}/holds' },
    'HoldsService.holdBest': {
      last: 'UPDATE seat',
      call: async (world) => {
        const id = await showing(world);
        return () => world.alice.api.post(`/v1/showings/${id}/best-available-holds`, { count: 2 });
      },
    },
    'HoldsService.extend': {
      last: 'UPDATE seat',
      call: async (world) => {
        const { id } = await hold(world, world.alice);
        return () => world.alice.api.patch(`/v1/holds/${id}`, { seconds: 900 }).set('if-match', '*');
      },
    },
    'HoldsService.release': { last: 'DELETE seat_hold', call: 'DELETE /v1/holds/{id}' },
  },
  rules: {
    'hall-taken': () => broken(showingRow(), showingRow()),
    showing_ends_after_it_starts: brokenShowing({ ends_at: `'2090-01-01'` }),
    showing_costs_something: brokenShowing({ price: '0' }),
    showing_has_seats: brokenShowing({ seat_count: '0' }),
    showing_allows_a_customer_one_seat: brokenShowing({ seats_per_customer: '0' }),
    showing_version_counts_from_one: brokenShowing({ version: '0' }),
    seat_has_its_own_position: seatOf(
      ({ showingId }) => `UPDATE seat SET position = 0 WHERE ${free(showingId)} AND position = 5`,
    ),
    seat_has_its_own_number: seatOf(
      ({ showingId }) => `UPDATE seat SET number = 1 WHERE ${free(showingId)} AND position = 5`,
    ),
    seat_number_and_position_count_up: seatOf(({ showingId }) => `UPDATE seat SET number = 0 WHERE ${free(showingId)}`),
    seat_version_counts_from_one: seatOf(({ showingId }) => `UPDATE seat SET version = 0 WHERE ${free(showingId)}`),
    seat_is_held_until_some_time: seatOf(
      ({ showingId }) => `UPDATE seat SET held_until = statement_timestamp() WHERE ${free(showingId)}`,
    ),
    seat_is_taken_from_nobody: seatOf(
      ({ id, showingId }, { bob }) =>
        `WITH other AS (${holdRow(showingId, bob)})
         UPDATE seat SET hold_id = other.id, held_until = expires_at, version = version + 1 FROM other WHERE hold_id = '${uuidOf(id)}'`,
    ),
    seat_is_booked_from_nobody: async (world) => {
      const { id, showingId } = await booking(world, world.alice);
      await hold(world, world.bob);
      const seats = (await seatsOf(world, showingId)).slice(2, 3);
      await world.bob.api.post(`/v1/showings/${showingId}/holds`, { seatIds: seats }).expect(201);
      return {
        statements: [
          `UPDATE seat SET booking_id = '${uuidOf(id)}', hold_id = NULL, held_until = NULL, version = version + 1 WHERE id = '${uuidOf(seats[0]!)}'`,
        ],
        raises: 'seat_is_taken_from_nobody',
      };
    },
    'seat_is_taken_from_nobody (2)': async (world) => {
      const [one, other] = [await booking(world, world.alice), await booking(world, world.alice)];
      return {
        statements: [
          `UPDATE seat SET booking_id = '${uuidOf(other.id)}', version = version + 1 WHERE booking_id = '${uuidOf(one.id)}'`,
        ],
      };
    },
    seat_is_held_or_booked: async (world) => {
      const { id, showingId } = await booking(world, world.alice);
      return {
        statements: [
          `UPDATE seat SET hold_id = NULL, held_until = NULL, booking_id = NULL, version = version + 1 WHERE booking_id = '${uuidOf(id)}'`,
          `WITH made AS (${holdRow(showingId, world.bob)})
           UPDATE seat SET hold_id = made.id, held_until = made.expires_at, booking_id = '${uuidOf(id)}', version = version + 1 FROM made
           WHERE showing_id = '${uuidOf(showingId)}' AND position = 0`,
        ],
      };
    },
    booking_is_of_some_seats: bookingBy((id) => copyOf(id, { seat_count: '0' })),
    booking_version_counts_from_one: bookingBy((id) => copyOf(id, { version: '0' })),
    booking_is_cancelled_by_somebody: bookingBy((id) => copyOf(id, { status: `'cancelled'` })),
    booking_keeps_its_terms: bookingBy((id) => `UPDATE booking SET amount = amount + 1 WHERE id = '${uuidOf(id)}'`),
    'hold-booked': bookingBy((id) => copyOf(id, {})),
    transfer_books_once: bookingBy((id) => copyOf(id, { hold_id: 'gen_random_uuid()' })),
    transfer_returns_a_booking_once: async (world) => {
      const [one, other] = [await booking(world, world.alice), await booking(world, world.alice)];
      const { body } = await world.alice.api.post(`/v1/bookings/${one.id}/cancel`).expect(200);
      return {
        statements: [
          `UPDATE booking SET status = 'cancelled', cancelled_by_id = user_id, cancelled_at = statement_timestamp(),
             refund_transfer_id = '${uuidOf(body.refund.transferId)}' WHERE id = '${uuidOf(other.id)}'`,
        ],
      };
    },
    // What is not paid by a transfer of its own.
    booking_is_whole: async (world) => {
      const { id } = await booking(world, world.alice);
      return {
        statements: [
          copyOf(id, {
            hold_id: 'gen_random_uuid()',
            transfer_id: transferOf(await world.make.order(world.alice, [world.skus[0]!.id])),
          }),
        ],
        at: 'COMMIT',
      };
    },
    booking_stays_whole: bookingAtCommit(
      (id) => `UPDATE seat SET booking_id = NULL, version = version + 1 WHERE booking_id = '${uuidOf(id)}'`,
    ),
    'booking_stays_whole (2)': bookingAtCommit((id) => `DELETE FROM booking_seat WHERE booking_id = '${uuidOf(id)}'`),
    customers_keep_to_their_limit: async (world) => {
      const id = await showing(world, 3, { seatsPerCustomer: 2 });
      return {
        statements: [
          holdRow(id, world.alice),
          `UPDATE seat SET hold_id = h.id, held_until = h.expires_at, version = seat.version + 1 FROM seat_hold h
           WHERE h.showing_id = seat.showing_id AND seat.showing_id = '${uuidOf(id)}'`,
        ],
      };
    },
    seat_hold_has_one_end: (world) =>
      hold(world, world.alice).then(({ id }) => ({
        statements: [`INSERT INTO seat_hold SELECT * FROM seat_hold WHERE id = '${uuidOf(id)}'`],
        // The id alone is unique already.
        raises: 'seat_hold_pkey',
      })),
    seat_hold_is_of_some_seats: seatOf(({ id }) => `UPDATE seat_hold SET seat_count = 0 WHERE id = '${uuidOf(id)}'`),
    seat_hold_ends_within_the_hour: brokenHold(', created_at', `, statement_timestamp() - interval '1 hour'`),
    seat_hold_version_counts_from_one: brokenHold(', version', ', 0'),
  },
};
