import { setTimeout as sleep } from 'node:timers/promises';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { atOnce, crowd, meetAt, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { showingsOf } from './support/showings.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let on: ReturnType<typeof showingsOf>;
let people: Person[];
beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '20000' });
  make = makers(service);
  on = showingsOf(service, make);
  people = await crowd(service, 20, { balance: 1_000_000 });
});
afterEach(async () => expect(await findMistakes(service.database)).toEqual([]));
afterAll(() => service.close());

const of = (n: number): Person => people[n % people.length]!;
const count = async (sql: string, ...values: unknown[]): Promise<number> =>
  Number((await service.database.query<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`, values))[0]?.n);

describe('bookings', () => {
  it('a hold that twenty confirm at once is booked and paid once', async () => {
    const { id } = await on.showing();
    await on.booked(of(0), id, 2);
    const before = await make.balanceOf(of(0));
    const { body: held } = await on.holdBest(of(0), id, 2).expect(201);
    const answers = await meetAt(service.database, 'seat_hold', uuidOf(held.id), () =>
      atOnce(20, async () => on.book(of(0), held.id)),
    );
    expect(tally(answers)).toEqual({ '201': 1, '409 hold-booked': 19 });
    expect(await make.balanceOf(of(0))).toBe(before - 200);
    expect(await count('booking WHERE hold_id = $1', uuidOf(held.id))).toBe(1);
  });

  it('many that are confirmed at once are all paid, though each pays the house', async () => {
    const { id } = await on.showing({ rows: [20, 20] });
    const holds = await atOnce(20, async (n) => (await on.holdBest(of(n), id, 2).expect(201)).body.id as string);
    expect(tally(await atOnce(20, async (n) => on.book(of(n), holds[n]!)))).toEqual({ '201': 20 });
    expect(await on.statesOf(id)).toEqual(Array(40).fill('booked'));
  });

  it('a hold that ends while it is confirmed is booked by it or taken by another one, never both', async () => {
    const rounds = fullCount(4, 200);
    for (let round = 0; round < rounds; round++) {
      const { id } = await on.showing({ rows: [1] });
      const [seat] = await on.seatsOf(id);
      const { body: held } = await on.hold(of(0), id, [seat!.id], 1).expect(201);
      await sleep(Math.max(0, Date.parse(held.expiresAt) - Date.now() - (round % 4) * 3));
      const [booked, ...taken] = await atOnce(9, async (n) =>
        n === 0 ? on.book(of(0), held.id) : on.hold(of(n), id, [seat!.id]),
      );
      const won = [booked!, ...taken].filter(({ status }) => status === 201);
      expect(won.length).toBeLessThanOrEqual(1);
      const refused = Object.keys(tally([booked!, ...taken])).filter((answer) => answer !== '201');
      expect(refused.filter((answer) => !/hold-expired|seat-unavailable/.test(answer))).toEqual([]);
      expect(await count('booking WHERE hold_id = $1', uuidOf(held.id))).toBe(booked!.status === 201 ? 1 : 0);
    }
  });

  it('two that exchange their seats for the same one beside one who books it: one has it', async () => {
    const { id } = await on.showing({ rows: [4] });
    const [one, other] = [await on.booked(of(0), id, 1), await on.booked(of(1), id, 1)];
    const wanted = (await on.seatsOf(id))[2]!.id;
    const { body: held } = await on.hold(of(2), id, [wanted]).expect(201);
    await on.expire(held.id);
    const answers = await meetAt(service.database, 'seat', uuidOf(wanted), () =>
      atOnce(12, async (n) => {
        if (n % 3 === 0) return on.exchange(of(0), one.id, [wanted]);
        return n % 3 === 1 ? on.exchange(of(1), other.id, [wanted]) : on.hold(of(n), id, [wanted]);
      }),
    );
    const owners = await service.database.query<{ booking_id: string | null; hold_id: string | null }>(
      'SELECT booking_id, hold_id FROM seat WHERE id = $1',
      [uuidOf(wanted)],
    );
    expect(owners.filter(({ booking_id, hold_id }) => (booking_id === null) !== (hold_id === null))).toHaveLength(1);
    const ends = Object.keys(tally(answers)).filter((answer) => !/^20[01]$|seat-unavailable$/.test(answer));
    expect(ends).toEqual([]);
    expect((await on.statesOf(id)).filter((state) => state !== 'free').length).toBeLessThanOrEqual(3);
  });

  it('of twenty exchanges of one version one is made', async () => {
    const { id } = await on.showing({ rows: [25] });
    const { id: bookingId } = await on.booked(of(0), id, 1);
    const all = (await on.seatsOf(id)).map((seat) => seat.id);
    const { headers } = await of(0).api.get(`/v1/bookings/${bookingId}`).expect(200);
    const answers = await atOnce(20, async (n) =>
      on.exchange(of(0), bookingId, [all[n + 1]!], headers['etag'] as string),
    );
    expect(tally(answers)).toEqual({ '200': 1, '412 version-mismatch': 19 });
  });

  it('a swap of two bookings beside each other never waits in a circle', async () => {
    const { id } = await on.showing({ rows: [6] });
    const [one, other] = [await on.booked(of(0), id, 2), await on.booked(of(1), id, 2)];
    const free = (await on.seatsOf(id)).slice(4).map((seat) => seat.id);
    const answers = await atOnce(20, async (n) =>
      on.exchange(of(n), [one, other][n % 2]!.id, n % 4 < 2 ? free : free.toReversed()),
    );
    const ends = Object.keys(tally(answers)).filter(
      (answer) => !/^200$|seat-unavailable$|booking-not-found$/.test(answer),
    );
    expect(ends).toEqual([]);
  });

  it('a booking that twenty cancel at once is refunded once, and its seat goes to one other', async () => {
    const { id } = await on.showing({ rows: [1] });
    const before = await make.balanceOf(of(0));
    const { id: bookingId, seats } = await on.booked(of(0), id, 1);
    const operator = await make.operator();
    const answers = await meetAt(service.database, 'booking', uuidOf(bookingId), () =>
      atOnce(20, async (n) => on.cancel(n % 2 ? operator : of(0), bookingId)),
    );
    expect(tally(answers)).toEqual({ '200': 1, '409 booking-not-cancellable': 19 });
    expect(await make.balanceOf(of(0))).toBe(before);
    const next = await atOnce(10, async (n) => on.hold(of(n), id, [seats[0]!.seatId]));
    expect(tally(next)).toEqual({ '201': 1, '409 seat-unavailable': 9 });
  });

  it('a cancellation beside an exchange leaves no seat with nobody behind it', async () => {
    const { id } = await on.showing({ rows: [6] });
    const { id: bookingId } = await on.booked(of(0), id, 2);
    const free = (await on.seatsOf(id)).slice(4).map((seat) => seat.id);
    const [cancelled, exchanged] = await atOnce(2, async (n) =>
      n === 0 ? on.cancel(of(0), bookingId) : on.exchange(of(0), bookingId, free),
    );
    expect(cancelled!.status).toBe(200);
    expect(['200', '409 booking-not-changeable']).toContain(Object.keys(tally([exchanged!]))[0]);
    expect(await on.statesOf(id)).toEqual(Array(6).fill('free'));
  });

  it('a customer whose hold ends while they confirm it and hold others keeps to the limit', async () => {
    const rounds = fullCount(3, 100);
    for (let round = 0; round < rounds; round++) {
      const { id } = await on.showing({ rows: [8], seatsPerCustomer: 2 });
      const { body: held } = await on.holdBest(of(0), id, 2, 1).expect(201);
      await sleep(Math.max(0, Date.parse(held.expiresAt) - Date.now() - (round % 3) * 4));
      await atOnce(6, async (n) => (n === 0 ? on.book(of(0), held.id) : on.holdBest(of(0), id, 2)));
      expect((await on.statesOf(id)).filter((state) => state !== 'free').length).toBeLessThanOrEqual(2);
    }
  });
});
