import { showId } from '../../src/kernel/ids.ts';
import type { Cases, World } from '../support/cases.ts';
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
  tables: { showing: 'stays', seat: 'stays, with its showing' },
  rights: { showing: 'INSERT', seat: 'INSERT, UPDATE', seat_hold: 'INSERT, UPDATE, DELETE' },
  things: {
    shw: (world) => showing(world),
    // Of the showing that was made last, which the request names as well.
    seat: async (world) => {
      const newest = `SELECT s.id FROM seat s WHERE hold_id IS NULL AND showing_id = (SELECT max(id::text)::uuid FROM showing) ORDER BY position`;
      const [seat] = await world.service.database.query<{ id: string }>(newest);
      return seat === undefined ? (await seatsOf(world, await showing(world)))[0]! : showId('seat', seat.id);
    },
    hold: async (world, by) => (await hold(world, by)).id,
  },
  rows: {
    'GET /v1/showings': async (world) => void (await showing(world)),
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
    'POST /v1/showings/{id}/holds': async (world) => {
      const id = await showing(world);
      return { caller: world.alice, id, body: { seatIds: (await seatsOf(world, id)).slice(0, 2), seconds: 600 } };
    },
  },
  boundaries: {
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
