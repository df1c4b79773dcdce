import pg from 'pg';
import { Sweeper } from '../src/retention/sweeper.ts';
import { startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { atOnce, crowd, meetAt, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { showingsOf } from './support/showings.ts';

let service: TestApp;
let on: ReturnType<typeof showingsOf>;
let people: Person[];
const racers = 200;
beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '20000' });
  on = showingsOf(service, makers(service));
  people = await crowd(service, racers, { balance: 100_000 });
});
afterEach(async () => expect(await findMistakes(service.database)).toEqual([]));
afterAll(() => service.close());

const of = (n: number): Person => people[n % people.length]!;
const count = async (sql: string, ...values: unknown[]): Promise<number> =>
  Number((await service.database.query<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`, values))[0]?.n);

describe('seats', () => {
  it('one of two hundred holds one seat, in a hall that others have filled, and the rest are told so', async () => {
    const rounds = fullCount(1, 1000);
    for (let round = 0; round < rounds; round++) {
      // The rest is taken, and the seat itself was held by somebody whose time is over.
      const { id } = await on.showing({ rows: [4] });
      const [seat, ...others] = (await on.seatsOf(id)).map((one) => one.id) as [string, ...string[]];
      await on.hold(of(round), id, others).expect(201);
      const { body: before } = await on.hold(of(round + 1), id, [seat]).expect(201);
      await on.expire(before.id);

      const answers = await meetAt(service.database, 'seat', uuidOf(seat), () =>
        atOnce(racers, async (n) => on.hold(of(n), id, [seat])),
      );

      expect(tally(answers)).toEqual({ '201': 1, [`409 seat-unavailable`]: racers - 1 });
      const winner = answers.find(({ status }) => status === 201)!.body;
      expect(winner.seats).toMatchObject([{ seatId: seat }]);
      expect(await count('seat WHERE hold_id = $1', uuidOf(winner.id))).toBe(1);
      expect(await count('seat_hold WHERE showing_id = $1', uuidOf(id))).toBe(3);
    }
  }, 3_600_000);

  it('the best that many ask for at once are others for each, and none is left over', async () => {
    const { id } = await on.showing({ rows: [20, 20, 20] });
    const answers = await atOnce(40, async (n) => on.holdBest(of(n), id, 2));
    expect(tally(answers)).toEqual({ '201': 30, '409 not-enough-seats': 10 });
    const given = answers.flatMap(({ body }) => (body.seats ?? []).map((seat: { seatId: string }) => seat.seatId));
    expect([given.length, new Set(given).size]).toEqual([60, 60]);
  });

  it('whoever asks for the best passes over a seat that somebody else is about to take', async () => {
    const { id } = await on.showing({ rows: [2] });
    const [first, second] = await on.seatsOf(id);
    const taker = new pg.Client({ connectionString: service.database.urls.owner });
    await taker.connect();
    try {
      await taker.query('BEGIN');
      await taker.query('SELECT FROM seat WHERE id = $1 FOR NO KEY UPDATE', [uuidOf(first!.id)]);
      const { body } = await on.holdBest(of(0), id, 1).expect(201);
      expect(body.seats).toMatchObject([{ seatId: second!.id }]);
    } finally {
      await taker.end();
    }
    expect((await on.holdBest(of(1), id, 1).expect(201)).body.seats).toMatchObject([{ seatId: first!.id }]);
  });

  it('two who want the same seats in opposite order never wait for each other in a circle', async () => {
    const { id } = await on.showing({ rows: [8] });
    const ids = (await on.seatsOf(id)).map((seat) => seat.id);
    const answers = await atOnce(32, async (n) => on.hold(of(n), id, n % 2 === 0 ? ids : ids.toReversed()));
    expect(tally(answers)).toEqual({ '201': 1, '409 seat-unavailable': 31 });
  });

  it('a customer who asks twenty times at once keeps to the limit, both ways of asking together', async () => {
    const { id } = await on.showing({ rows: [30], seatsPerCustomer: 4 });
    const ids = (await on.seatsOf(id)).map((seat) => seat.id);
    await on.hold(of(0), id, ids.slice(0, 1)).expect(201);
    const answers = await atOnce(20, async (n) =>
      n % 2 === 0 ? on.hold(of(0), id, [ids[29 - n]!]) : on.holdBest(of(0), id, 1),
    );
    expect(tally(answers)).toEqual({ '201': 3, '409 customer-limit-reached': 17 });
  });
});

describe('holds', () => {
  it('one of twenty extensions of one version is made', async () => {
    const { id } = await on.showing();
    const held = await on.holdBest(of(0), id, 2).expect(201);
    const answers = await meetAt(service.database, 'seat_hold', uuidOf(held.body.id), () =>
      atOnce(20, async () =>
        of(0)
          .api.patch(`/v1/holds/${held.body.id}`, { seconds: 900 })
          .set('if-match', held.headers['etag'] as string),
      ),
    );
    expect(tally(answers)).toEqual({ '200': 1, '412 version-mismatch': 19 });
  });

  it('one that is given back by twenty at once is given back once, and its seats go to one other', async () => {
    const { id } = await on.showing({ rows: [2] });
    const ids = (await on.seatsOf(id)).map((seat) => seat.id);
    const { body: held } = await on.hold(of(0), id, ids).expect(201);
    const answers = await atOnce(20, async () => of(0).api.delete(`/v1/holds/${held.id}`));
    expect(tally(answers)).toEqual({ '204': 1, '404 hold-not-found': 19 });
    expect(tally(await atOnce(10, async (n) => on.hold(of(n), id, ids)))).toEqual({
      '201': 1,
      '409 seat-unavailable': 9,
    });
  });

  it('of an extension and a taking at the moment of the end one comes through', async () => {
    const rounds = fullCount(3, 100);
    for (let round = 0; round < rounds; round++) {
      const { id } = await on.showing({ rows: [1] });
      const [seat] = await on.seatsOf(id);
      const { body: held } = await on.hold(of(0), id, [seat!.id], 1).expect(201);
      const left = Date.parse(held.expiresAt) - Date.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, left - 4)));
      const [extended, ...taken] = await atOnce(9, async (n) =>
        n === 0
          ? of(0).api.patch(`/v1/holds/${held.id}`, { seconds: 600 }).set('if-match', '*')
          : on.hold(of(n), id, [seat!.id]),
      );
      const won = [extended!, ...taken].filter(({ status }) => status < 300);
      // All may have come a moment before the end, but never two of them through.
      expect(won.length).toBeLessThanOrEqual(1);
      expect(extended!.status).toBeLessThan(500);
    }
  });

  it('one that is over is removed in the end, and its seats were free all the time', async () => {
    const { id } = await on.showing({ rows: [1] });
    const { body: held } = await on.holdBest(of(0), id, 1).expect(201);
    await on.expire(held.id);
    await service.database.query('UPDATE seat_hold SET forgotten_at = expires_at WHERE id = $1', [uuidOf(held.id)]);
    await service.app.get(Sweeper).sweep();
    expect((await of(0).api.get(`/v1/holds/${held.id}`).expect(404)).body.code).toBe('hold-not-found');
    expect(await on.statesOf(id)).toEqual(['free']);
  });
});

describe('showings', () => {
  it('of twenty in one hall at one time one is made', async () => {
    const { api } = await makers(service).operator();
    const answers = await atOnce(20, async (n) =>
      api.post('/v1/showings', {
        title: `Showing ${n}`,
        hall: 'Contested',
        startsAt: `2091-01-01T20:${String(n).padStart(2, '0')}:00Z`,
        endsAt: '2091-01-01T22:00:00Z',
        price: { amount: 100, currency: 'EUR' },
        rows: [{ row: 'A', seats: 2 }],
      }),
    );
    expect(tally(answers)).toEqual({ '201': 1, '409 hall-taken': 19 });
    expect(await count(`seat s JOIN showing w ON w.id = s.showing_id WHERE w.hall = 'Contested'`)).toBe(2);
  });
});
