import { randomUUID } from 'node:crypto';
import { TransactionKit } from '../src/testing/testing.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { rolledBack } from './support/rolled-back.ts';
import { showingsOf } from './support/showings.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let on: ReturnType<typeof showingsOf>;
let ada: Person;
let bob: Person;
let operator: Person;
const kit = new TransactionKit(() => service.app);
beforeAll(async () => {
  service = await startApp();
  make = makers(service);
  on = showingsOf(service, make);
  [ada, bob, operator] = [await make.user({ balance: 1000 }), await make.user(), await make.operator()];
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

describe('a booking', () => {
  rolledBack(kit);

  it('is made of a hold and paid, in one commit', async () => {
    const { id: showingId } = await on.showing();
    const { body: held } = await on.holdBest(ada, showingId, 2).expect(201);
    const made = await on.book(ada, held.id).expect(201);
    expect(made.body).toMatchObject({
      object: 'booking',
      showingId,
      userId: ada.id,
      status: 'booked',
      seats: held.seats,
      total: { amount: 200, currency: 'EUR' },
      payment: { accountId: ada.accountId, transferId: expect.stringMatching(/^tr_/) },
      refund: null,
      cancellation: null,
      version: 1,
    });
    expect((await ada.api.get(made.headers['location'] as string).expect(200)).body).toEqual(made.body);
    expect((await ada.api.get('/v1/bookings?status=booked').expect(200)).body.data).toEqual([made.body]);
    expect(await make.balanceOf(ada)).toBe(800);
    expect((await on.statesOf(showingId)).slice(0, 3)).toEqual(['booked', 'booked', 'free']);
    expect((await on.book(ada, held.id).expect(409)).body.code).toBe('hold-booked');
    expect((await ada.api.get(`/v1/holds/${held.id}`).expect(404)).body.code).toBe('hold-not-found');
    expect(await kit.query(`SELECT type FROM event WHERE type LIKE 'booking.%'`)).toEqual([
      { type: 'booking.confirmed' },
    ]);
  });

  it('is the same with and without a key, and once with one', async () => {
    const { id } = await on.showing();
    const { body: held } = await on.holdBest(ada, id, 1).expect(201);
    const key = randomUUID();
    const send = () => on.book(ada, held.id).set('idempotency-key', key).expect(201);
    const [first, second] = [await send(), await send()];
    expect([second.text, second.headers['idempotent-replayed']]).toEqual([first.text, 'true']);
    expect(await make.balanceOf(ada)).toBe(900);
  });

  it('is not made where the money is not there, and leaves the seats held', async () => {
    const { id } = await on.showing({ price: 1001 });
    const { body: held } = await on.holdBest(ada, id, 1).expect(201);
    expect((await on.book(ada, held.id).expect(422)).body.code).toBe('insufficient-funds');
    expect((await on.book(ada, held.id, bob.accountId).expect(404)).body.code).toBe('account-not-found');
    expect((await on.statesOf(id))[0]).toBe('held');
    expect(await kit.query('SELECT id FROM booking')).toEqual([]);
  });

  it('is not made of a hold that has expired, or of somebody else', async () => {
    const { id } = await on.showing();
    const { body: held } = await on.holdBest(ada, id, 1).expect(201);
    expect((await on.book(bob, held.id).expect(404)).body).toMatchObject({
      code: 'hold-not-found',
      errors: [{ pointer: '/holdId' }],
    });
    await on.expire(held.id, kit);
    expect((await on.book(ada, held.id).expect(409)).body.code).toBe('hold-expired');
    expect(await make.balanceOf(ada)).toBe(1000);
  });

  it('counts towards the limit of its customer', async () => {
    const { id } = await on.showing({ seatsPerCustomer: 2 });
    await on.booked(ada, id, 2);
    expect((await on.holdBest(ada, id, 1).expect(409)).body.code).toBe('customer-limit-reached');
  });

  it('exchanges its seats for free ones of the showing, and for no others', async () => {
    const { id } = await on.showing();
    const { id: bookingId, seats } = await on.booked(ada, id, 2);
    const all = (await on.seatsOf(id)).map((seat) => seat.id);
    await on.hold(bob, id, [all[3]!]).expect(201);
    const refused = await on.exchange(ada, bookingId, [seats[1]!.seatId, all[3]!]).expect(409);
    expect(refused.body).toMatchObject({ code: 'seat-unavailable', errors: [{ pointer: '/seatIds/1' }] });
    expect((await on.exchange(ada, bookingId, [all[2]!]).expect(422)).body.code).toBe('seat-count-differs');
    expect((await on.exchange(bob, bookingId, [all[4]!, all[5]!]).expect(404)).body.code).toBe('booking-not-found');
    const { body } = await on.exchange(ada, bookingId, [all[5]!, seats[1]!.seatId]).expect(200);
    expect(body).toMatchObject({ version: 2, seats: [{ seatId: all[1] }, { seatId: all[5] }] });
    expect(await on.statesOf(id)).toEqual(['free', 'booked', 'free', 'held', 'free', 'booked']);
    expect((await on.exchange(ada, bookingId, [all[0]!, all[1]!], '"1-x"').expect(412)).body.code).toBe(
      'version-mismatch',
    );
    expect(await make.balanceOf(ada)).toBe(800);
  });

  it('is cancelled once, and its money and its seats go back', async () => {
    const { id } = await on.showing();
    const { id: bookingId, seats } = await on.booked(ada, id, 2);
    const { body } = await on.cancel(operator, bookingId).send({ reason: 'Fallen ill' }).expect(200);
    expect(body).toMatchObject({
      status: 'cancelled',
      seats,
      refund: { transferId: expect.stringMatching(/^tr_/) },
      cancellation: { cancelledById: operator.id, reason: 'Fallen ill' },
      version: 2,
    });
    expect(await make.balanceOf(ada)).toBe(1000);
    expect(await on.statesOf(id)).toEqual(Array(6).fill('free'));
    expect((await on.cancel(ada, bookingId).expect(409)).body.code).toBe('booking-not-cancellable');
    const late = await on
      .exchange(
        ada,
        bookingId,
        seats.map(({ seatId }) => seatId),
      )
      .expect(409);
    expect(late.body.code).toBe('booking-not-changeable');
    expect(await kit.query(`SELECT type FROM event WHERE type LIKE 'booking.%' ORDER BY position`)).toEqual([
      { type: 'booking.confirmed' },
      { type: 'booking.cancelled' },
    ]);
  });
});

describe('once its showing has begun', () => {
  it('a hold is not booked, and a booking stays as it is', async () => {
    const { id } = await on.showing();
    const { id: bookingId } = await on.booked(ada, id, 1);
    const { body: held } = await on.holdBest(ada, id, 1).expect(201);
    const all = (await on.seatsOf(id)).map((seat) => seat.id);
    await service.database.query(`UPDATE showing SET starts_at = '2020-01-01' WHERE id = $1`, [uuidOf(id)]);
    expect((await on.book(ada, held.id).expect(409)).body.code).toBe('showing-begun');
    expect((await on.cancel(ada, bookingId).expect(409)).body.code).toBe('booking-not-cancellable');
    expect((await on.exchange(ada, bookingId, [all[3]!]).expect(409)).body.code).toBe('booking-not-changeable');
  });
});
