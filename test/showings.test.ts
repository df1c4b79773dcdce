import { TransactionKit } from '../src/testing/testing.ts';
import { readAll, startApp, type TestApp } from './support/app.ts';
import { makers, type Person } from './support/make.ts';
import { findMistakes } from './support/books.ts';
import { rolledBack } from './support/rolled-back.ts';
import { showingsOf } from './support/showings.ts';

let service: TestApp;
let on: ReturnType<typeof showingsOf>;
let ada: Person;
let bob: Person;
let operator: Person;
const kit = new TransactionKit(() => service.app);
beforeAll(async () => {
  service = await startApp();
  const make = makers(service);
  on = showingsOf(service, make);
  [ada, bob, operator] = [await make.user(), await make.user(), await make.operator()];
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const body = {
  title: 'The Tempest',
  hall: 'Main hall',
  startsAt: '2090-05-01T20:00:00.000Z',
  endsAt: '2090-05-01T22:00:00.000Z',
  price: { amount: 1500, currency: 'EUR' },
  rows: [
    { row: 'A', seats: 2 },
    { row: 'B', seats: 1 },
  ],
};

describe('a showing', () => {
  rolledBack(kit);

  it('is made by an operator with all its seats, and read by everybody', async () => {
    const made = await operator.api.post('/v1/showings', body).expect(201);
    const { rows: _, ...shown } = body;
    expect(made.body).toMatchObject({ object: 'showing', ...shown, seatsPerCustomer: null, seatCount: 3, version: 1 });
    const read = await service
      .as()
      .get(made.headers['location'] as string)
      .expect(200);
    expect(read.body).toEqual(made.body);
    await service
      .as()
      .get(made.headers['location'] as string)
      .set('if-none-match', read.headers['etag'] as string)
      .expect(304);
    expect((await service.as().get('/v1/showings').expect(200)).body.data[0]).toEqual(made.body);
    const seats = await readAll(service.as(), `${made.headers['location']}/seats`, 2);
    expect(seats).toMatchObject([
      { object: 'seat', row: 'A', number: 1, status: 'free', version: 1 },
      { row: 'A', number: 2 },
      { row: 'B', number: 1 },
    ]);
    expect((await ada.api.post('/v1/showings', body).expect(403)).body.code).toBe('not-allowed');
  });

  it('does not share its hall with another one at any moment', async () => {
    await operator.api.post('/v1/showings', body).expect(201);
    const overlapping = { ...body, startsAt: '2090-05-01T21:59:59.999Z', endsAt: '2090-05-01T23:00:00Z' };
    expect((await operator.api.post('/v1/showings', overlapping).expect(409)).body.code).toBe('hall-taken');
    await operator.api.post('/v1/showings', { ...overlapping, hall: 'Small hall' }).expect(201);
    await operator.api.post('/v1/showings', { ...overlapping, startsAt: body.endsAt }).expect(201);
  });

  it.each([
    ['that ends when it starts', { endsAt: body.startsAt }, '/endsAt'],
    ['with two rows of one name', { rows: [body.rows[0], body.rows[0]] }, '/rows'],
    ['with too many seats', { rows: Array.from({ length: 11 }, (_, n) => ({ row: `${n}`, seats: 200 })) }, '/rows'],
  ])('%s is refused with a pointer', async (_, members, pointer) => {
    const refused = await operator.api.post('/v1/showings', { ...body, ...members }).expect(422);
    expect(refused.body.errors).toMatchObject([{ pointer }]);
  });
});

describe('a hold', () => {
  rolledBack(kit);

  it('has all of its seats or none, until it is given back', async () => {
    const { id } = await on.showing();
    const [a, b, c] = (await on.seatsOf(id)).map((seat) => seat.id) as [string, string, string];
    const held = await on.hold(ada, id, [b, a]).expect(201);
    expect(held.body).toMatchObject({
      object: 'hold',
      showingId: id,
      userId: ada.id,
      status: 'live',
      seats: [
        { seatId: a, row: 'A', number: 1 },
        { seatId: b, row: 'A', number: 2 },
      ],
      total: { amount: 200, currency: 'EUR' },
      version: 1,
    });
    expect((await ada.api.get(held.headers['location'] as string).expect(200)).body).toEqual(held.body);
    const refused = await on.hold(bob, id, [c, b]).expect(409);
    expect(refused.body).toMatchObject({ code: 'seat-unavailable', errors: [{ pointer: '/seatIds/1' }] });
    expect((await on.statesOf(id)).slice(0, 3)).toEqual(['held', 'held', 'free']);
    for (const asked of [bob.api.get(`/v1/holds/${held.body.id}`), bob.api.delete(`/v1/holds/${held.body.id}`)])
      expect((await asked.expect(404)).body.code).toBe('hold-not-found');
    await ada.api.delete(`/v1/holds/${held.body.id}`).expect(204);
    expect((await ada.api.delete(`/v1/holds/${held.body.id}`).expect(404)).body.code).toBe('hold-not-found');
    await on.hold(bob, id, [c, b]).expect(201);
  });

  it('ends at its time without anybody sweeping it, and is not extended then', async () => {
    const { id } = await on.showing({ rows: [1] });
    const [seat] = await on.seatsOf(id);
    const { body: held } = await on.hold(ada, id, [seat!.id]).expect(201);
    await on.expire(held.id, kit);
    expect(await on.statesOf(id)).toEqual(['free']);
    expect((await ada.api.get(`/v1/holds/${held.id}`).expect(200)).body.status).toBe('expired');
    const late = ada.api.patch(`/v1/holds/${held.id}`, { seconds: 60 }).set('if-match', '*');
    expect((await late.expect(409)).body.code).toBe('hold-expired');
    await on.hold(bob, id, [seat!.id]).expect(201);
    expect((await ada.api.get(`/v1/holds/${held.id}`).expect(200)).body.seats).toEqual([]);
  });

  it('is extended in the version that was seen, and counts its seats up', async () => {
    const { id } = await on.showing({ rows: [1] });
    const [seat] = await on.seatsOf(id);
    const held = await on.hold(ada, id, [seat!.id], 30).expect(201);
    const extend = () =>
      ada.api.patch(`/v1/holds/${held.body.id}`, { seconds: 1800 }).set('if-match', held.headers['etag'] as string);
    const { body: extended } = await extend().expect(200);
    expect(extended.version).toBe(2);
    expect(Date.parse(extended.expiresAt) - Date.parse(held.body.expiresAt)).toBeGreaterThan(1_700_000);
    expect((await extend().expect(412)).body.code).toBe('version-mismatch');
    expect((await on.seatsOf(id))[0]!.version).toBe(3);
  });

  it('lasts an hour at most, however often it is extended', async () => {
    const { id } = await on.showing({ rows: [1] });
    const { body: held } = await on.holdBest(ada, id, 1).expect(201);
    await kit.query(`UPDATE seat_hold SET created_at = created_at - interval '50 minutes'`);
    const { body } = await ada.api.patch(`/v1/holds/${held.id}`, { seconds: 1800 }).set('if-match', '*').expect(200);
    expect(Date.parse(body.expiresAt) - Date.parse(body.createdAt)).toBe(3_600_000);
  });

  it('of the best takes the first that are free, and nothing where there are not enough', async () => {
    const { id } = await on.showing({ rows: [2, 2] });
    const [first] = await on.seatsOf(id);
    await on.hold(ada, id, [first!.id]).expect(201);
    const { body } = await on.holdBest(bob, id, 2).expect(201);
    expect(body.seats).toMatchObject([
      { row: 'A', number: 2 },
      { row: 'B', number: 1 },
    ]);
    const refused = await on.holdBest(ada, id, 2).expect(409);
    expect(refused.body).toMatchObject({ code: 'not-enough-seats', available: 1 });
    expect(await on.statesOf(id)).toEqual(['held', 'held', 'held', 'free']);
  });

  it('takes no customer beyond the limit of the showing', async () => {
    const { id } = await on.showing({ seatsPerCustomer: 2 });
    const seats = (await on.seatsOf(id)).map((seat) => seat.id);
    const { body: held } = await on.hold(ada, id, seats.slice(0, 1)).expect(201);
    const beyond = [on.hold(ada, id, seats.slice(1, 3)), on.holdBest(ada, id, 2)];
    for (const asked of beyond)
      expect((await asked.expect(409)).body).toMatchObject({ code: 'customer-limit-reached', limit: 2, present: 1 });
    await on.expire(held.id, kit);
    await on.holdBest(ada, id, 2).expect(201);
    await on.holdBest(bob, id, 2).expect(201);
  });

  it('is refused once the showing has begun, and for seats of another one', async () => {
    const { id } = await on.showing({ startsAt: '2020-01-01T20:00:00Z' });
    const [seat] = await on.seatsOf(id);
    expect((await on.hold(ada, id, [seat!.id]).expect(409)).body.code).toBe('showing-begun');
    const other = await on.showing();
    expect((await on.hold(ada, other.id, [seat!.id]).expect(404)).body).toMatchObject({
      code: 'seat-not-found',
      errors: [{ pointer: '/seatIds/0' }],
    });
  });
});
