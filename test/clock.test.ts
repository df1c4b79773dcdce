/** @servers any */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClockReadings, DatabaseClock } from '../src/database/database-clock.ts';
import { AccessTokens } from '../src/http/access/access-tokens.ts';
import { Clock, later } from '../src/kernel/clock.ts';
import { api, type Api, startApp, type TestApp } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { eventually } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { buildService, killServices, startService } from './support/process.ts';
import { testSecret } from './support/secret.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const skews = { 'an hour ahead': hourMs, 'an hour behind': -hourMs, 'a year ahead': 365 * dayMs };
type Skew = keyof typeof skews;
const names = Object.keys(skews) as Skew[];
const pairs = names.flatMap((one) => names.filter((other) => other !== one).map((other) => [one, other] as const));

let service: TestApp;
let urls: Record<Skew, string>;
let ada: Person;
let bob: Person;
let operator: Person;

/** Somebody's requests to the instance whose clock is wrong like this. */
const on = (skew: Skew, person?: Pick<Person, 'token'>): Api => api(urls[skew], person?.token);

beforeAll(async () => {
  await buildService();
  service = await startApp();
  const make = makers(service);
  [ada, bob, operator] = [await make.user({ balance: 100_000 }), await make.user(), await make.operator()];
  const started = names.map(async (name) => {
    const { url } = startService({
      DATABASE_WRITE_URL: service.database.urls.app,
      DATABASE_READ_URL: service.database.urls.reader,
      DATABASE_READ_CONSISTENCY: 'primary',
      AUTH_SECRET: testSecret,
      LEDGER_SEAL_INTERVAL_MS: '0',
      RETENTION_SWEEP_INTERVAL_MS: '50',
      NODE_OPTIONS: `--require ${join(process.cwd(), 'test/support/skewed-clock.cjs')}`,
      CLOCK_SKEW_MS: String(skews[name]),
    });
    return [name, await url] as const;
  });
  urls = Object.fromEntries(await Promise.all(started)) as Record<Skew, string>;
});
afterAll(async () => {
  await killServices();
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

const databaseNow = async (): Promise<number> => {
  const [row] = await service.database.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return row?.now.getTime() ?? NaN;
};

/** A moment in an answer is one between two moments of the database; milliseconds, of which a column keeps the nearest. */
async function expectOfDatabase(work: () => Promise<string>): Promise<void> {
  const before = await databaseNow();
  const moment = Date.parse(await work());
  expect(moment).toBeGreaterThanOrEqual(before - 1);
  expect(moment).toBeLessThanOrEqual((await databaseNow()) + 1);
}

describe('instances whose wall clocks are apart answer alike:', () => {
  it.each(pairs)('tokens made %s work %s, as long as they live', async (made, used) => {
    const { body } = await on(made).post('/v1/sessions', { email: ada.email, password: ada.password }).expect(201);
    await on(used, { token: body.accessToken }).get('/v1/users/me').expect(200);
    const { exp, iat } = JSON.parse(Buffer.from(body.accessToken.split('.')[1], 'base64url').toString());
    expect(Math.abs(iat * 1000 - (await databaseNow()))).toBeLessThan(60_000);
    expect(exp - iat).toBe(900);
    const { body: next } = await on(used).post('/v1/sessions/refresh', { refreshToken: body.refreshToken }).expect(201);
    await on(made, { token: next.accessToken }).delete('/v1/sessions/current').expect(204);
    await on(used).post('/v1/sessions/refresh', { refreshToken: next.refreshToken }).expect(401);
  });

  it.each(names)('a token that is over is over %s', async (skew) => {
    const { sub, sid } = JSON.parse(Buffer.from(ada.token.split('.')[1] ?? '', 'base64url').toString());
    expect([typeof sub, typeof sid]).toEqual(['string', 'string']);
    const principal = { userId: uuidOf(sub), sessionId: uuidOf(sid), role: 'customer' } as const;
    const tokens = service.app.get(AccessTokens);
    const [over, good] = [-tokens.lifeInSeconds - 2, -tokens.lifeInSeconds + 600].map((seconds) =>
      tokens.sign(principal, later(service.app.get(Clock).now(), seconds)),
    );
    expect(
      (
        await on(skew, { token: over ?? '' })
          .get('/v1/users/me')
          .expect(401)
      ).body.code,
    ).toBe('invalid-token');
    await on(skew, { token: good ?? '' })
      .get('/v1/users/me')
      .expect(200);
  });

  it.each(names)('a session that has expired is over %s, and one that has not is not', async (skew) => {
    const { body } = await on(skew).post('/v1/sessions', { email: bob.email, password: bob.password }).expect(201);
    const { body: next } = await on(skew).post('/v1/sessions/refresh', { refreshToken: body.refreshToken }).expect(201);
    await service.database.query(
      `UPDATE session SET created_at = created_at - interval '60 days', expires_at = now() - interval '1 ms' WHERE id = $1`,
      [uuidOf(body.id)],
    );
    await on(skew).post('/v1/sessions/refresh', { refreshToken: next.refreshToken }).expect(401);
  });

  it.each(pairs)('a transfer made %s is pending %s, and is posted there', async (made, used) => {
    const { body } = await on(made, ada).post('/v1/transfers', pending()).expect(201);
    for (const skew of names)
      expect((await on(skew, ada).get(`/v1/transfers/${body.id}`).expect(200)).body.status).toBe('pending');
    expect((await on(used, ada).post(`/v1/transfers/${body.id}/post`).expect(200)).body.status).toBe('posted');
  });

  it.each(names)('a transfer that has expired has expired %s', async (skew) => {
    const { body } = await on(skew, ada).post('/v1/transfers', pending()).expect(201);
    await expire(body.id);
    // What a process knows of the database's clock may be behind by as long as the answer to its question took.
    for (const each of names)
      await eventually(
        () => on(each, ada).get(`/v1/transfers/${body.id}`).expect(200),
        ({ body: { status } }) => status === 'expired',
      );
    expect((await on(skew, ada).post(`/v1/transfers/${body.id}/post`).expect(409)).body.code).toBe('expired');
    expect((await on(skew, ada).post(`/v1/transfers/${body.id}/void`).expect(409)).body.code).toBe('expired');
  });

  it.each(pairs)('what a key did %s is known %s', async (made, used) => {
    const key = `of ${made}, ${used}`;
    const send = (skew: Skew) => on(skew, ada).post('/v1/transfers', direct()).set('idempotency-key', key).expect(201);
    const [first, again] = [await send(made), await send(used)];
    expect([again.body, again.headers['idempotent-replayed']]).toEqual([first.body, 'true']);
  });

  it.each(pairs)('a product made %s and changed %s has times in their order', async (made, used) => {
    const body = product(`${made} ${used}`.replaceAll(' ', '-'));
    let id = '';
    await expectOfDatabase(async () => {
      const { body: view } = await on(made, operator).post('/v1/products', body).expect(201);
      id = view.id;
      expect(view.updatedAt).toBe(view.createdAt);
      return view.createdAt;
    });
    await expectOfDatabase(async () => {
      const patch = on(used, operator).patch(`/v1/products/${id}`, { name: 'Watch' }).set('if-match', '"1"');
      return (await patch.expect(200)).body.updatedAt;
    });
  });

  it.each(names)('the sweeper takes nothing away %s that is not over', async (skew) => {
    const { body } = await on(skew).post('/v1/sessions', { email: bob.email, password: bob.password }).expect(201);
    const key = `kept ${skew}`;
    await on(skew, ada).post('/v1/transfers', direct()).set('idempotency-key', key).expect(201);
    // Several rounds of each instance.
    await sleep(300);
    const rows = await service.database.query(
      `SELECT id::text FROM session WHERE id = $1 UNION ALL SELECT key FROM idempotency_record WHERE key = $2`,
      [uuidOf(body.id), key],
    );
    expect(rows).toHaveLength(2);
  });
});

const product = (slug: string) => {
  const price = { amount: 1, currency: 'EUR' };
  return { slug, name: 'Clock', images: [], skus: [{ code: slug.toUpperCase(), name: 'Clock', price, onHand: 1 }] };
};
const direct = () => ({
  fromAccountId: ada.accountId,
  toAccountId: bob.accountId,
  amount: { amount: 1, currency: 'EUR' },
});
const pending = () => ({ ...direct(), type: 'pending', expiresInSeconds: 1800 });
/** As if it had been made so much earlier that it is over. */
const expire = (id: string) =>
  service.database.query(
    `WITH earlier AS (UPDATE transfer SET created_at = created_at - interval '1 hour', expires_at = statement_timestamp() - interval '1 ms' WHERE id = $1)
     UPDATE reservation SET expires_at = statement_timestamp() - interval '1 ms' WHERE transfer_id = $1`,
    [uuidOf(id)],
  );

describe('updated_at', () => {
  it('never goes back, also when the clock of the database does', async () => {
    const { body } = await service.as(operator.token).post('/v1/products', product('future')).expect(201);
    const { query } = service.database;
    await query(`ALTER TABLE product DISABLE TRIGGER updated_at_is_now`);
    await query(`UPDATE product SET updated_at = now() + interval '1 hour' WHERE id = $1`, [uuidOf(body.id)]);
    await query(`ALTER TABLE product ENABLE TRIGGER updated_at_is_now`);
    const { body: before } = await service.as().get(`/v1/products/${body.id}`).expect(200);
    const { body: after } = await service
      .as(operator.token)
      .patch(`/v1/products/${body.id}`, { name: 'Later' })
      .set('if-match', '"1"')
      .expect(200);
    expect(after.updatedAt).toBe(before.updatedAt);
  });
});

describe("the database's clock, as a process knows it,", () => {
  it('is no later than it is, and not much earlier', async () => {
    const clock = service.app.get(DatabaseClock);
    const before = clock.now().getTime();
    const real = await databaseNow();
    expect(before).toBeLessThanOrEqual(real);
    expect(real - before).toBeLessThan(60_000);
  });

  it('does not follow the wall clock, whichever way it jumps', () => {
    const clock = service.app.get(DatabaseClock);
    const before = clock.now().getTime();
    for (const ms of [hourMs, -hourMs, 365 * dayMs]) {
      const wall = jest.spyOn(Date, 'now').mockReturnValue(before + ms);
      expect(Math.abs(clock.now().getTime() - before)).toBeLessThan(60_000);
      wall.mockRestore();
    }
  });

  it('is counted on from the reading that says it is latest', () => {
    const readings = new ClockReadings();
    expect(readings.at(0)).toBeNull();
    // Read after 40 ms of 100: it was 1,000 then, and is at least 1,000 when the answer is here.
    readings.add({ serverMs: 1000, sentAt: 0, receivedAt: 100 });
    expect(readings.at(100)).toBe(1000);
    expect(readings.at(150)).toBe(1050);
    // A faster answer knows better.
    readings.add({ serverMs: 1160, sentAt: 199, receivedAt: 201 });
    expect(readings.at(201)).toBe(1160);
    // A slower one, which agrees with it, changes nothing.
    readings.add({ serverMs: 1300, sentAt: 300, receivedAt: 400 });
    expect(readings.at(400)).toBe(1359);
  });

  it('is set back with the first reading that says so, and forward as well', () => {
    const readings = new ClockReadings();
    readings.add({ serverMs: 1_000_000, sentAt: 0, receivedAt: 1 });
    readings.add({ serverMs: 400_000, sentAt: 10, receivedAt: 11 });
    expect(readings.at(11)).toBe(400_000);
    readings.add({ serverMs: 2_000_000, sentAt: 20, receivedAt: 21 });
    expect(readings.at(21)).toBe(2_000_000);
  });
});
