import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Response } from 'supertest';
import { Sweeper } from '../src/retention/sweeper.ts';
import { serve, startApp, type TestApp, api } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { atOnce, crowd, eventually, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { expectProblem } from './support/problem.ts';

let service: TestApp;
let make: ReturnType<typeof makers>;
let ada: Person;
let bob: Person;
beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '20000' });
  make = makers(service);
  [ada, bob] = (await crowd(service, 2, { balance: 1_000_000 })) as [Person, Person];
});
afterEach(async () => expect(await findMistakes(service.database)).toEqual([]));
afterAll(() => service.close());

const eur = (amount: number) => ({ amount, currency: 'EUR' });
const body = (amount: number, from = ada, to = bob) => ({
  fromAccountId: from.accountId,
  toAccountId: to.accountId,
  amount: eur(amount),
});
const send = (key: string, amount = 5, by = ada) =>
  by.api.post('/v1/transfers', body(amount)).set('idempotency-key', key);
/** What a client keeps of an answer. */
const kept = ({ status, text, headers }: Response) => ({
  status,
  text,
  location: headers['location'],
  etag: headers['etag'],
  type: headers['content-type'],
});
/** From now on nothing can be put into the table: it fails at once, or at COMMIT. Gives what mends it. */
async function breakInserts(table: string, when: 'IMMEDIATE' | 'DEFERRED'): Promise<() => Promise<unknown>> {
  const { query } = service.database;
  await query(
    `CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$`,
  );
  await query(
    `CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON ${table} DEFERRABLE INITIALLY ${when} FOR EACH ROW EXECUTE FUNCTION fail()`,
  );
  return () => query(`DROP TRIGGER fails ON ${table}`);
}
const recordsOf = async (key: string): Promise<number> =>
  (await service.database.query('SELECT 1 FROM idempotency_record WHERE key = $1', [key])).length;
const transfersOf = async (by: Person): Promise<number> =>
  Number(
    (
      await service.database.query<{ n: string }>(
        `SELECT count(*) AS n FROM transfer WHERE created_by_id = $1 AND kind = 'transfer'`,
        [uuidOf(by.id)],
      )
    )[0]?.n,
  );

describe('a request with an Idempotency-Key', () => {
  it('is done once and answered byte for byte as before, also when its members stand in another order', async () => {
    const key = randomUUID();
    const before = await transfersOf(ada);
    const first = await send(key).expect(201);
    const again = await send(key).expect(201);
    const { amount, ...rest } = body(5);
    const turned = await ada.api.post('/v1/transfers', { amount, ...rest }).set('idempotency-key', `"${key}"`);
    expect(first.headers['idempotent-replayed']).toBeUndefined();
    expect([again, turned].map(({ headers }) => headers['idempotent-replayed'])).toEqual(['true', 'true']);
    expect([kept(again), kept(turned)]).toEqual([kept(first), kept(first)]);
    expect(again.headers['request-id']).not.toBe(first.headers['request-id']);
    expect((await transfersOf(ada)) - before).toBe(1);
  });

  it('is answered without a body again where it was so at first', async () => {
    const key = randomUUID();
    const ask = () => send(key).set('prefer', 'return=minimal').expect(201);
    const [first, again] = [await ask(), await ask()];
    expect([first.text, first.headers['preference-applied']]).toEqual(['', 'return=minimal']);
    expect([again.headers['preference-applied'], again.headers['idempotent-replayed']]).toEqual([
      'return=minimal',
      'true',
    ]);
    expect(kept(again)).toEqual(kept(first));
  });

  it('that is another one is refused', async () => {
    const key = randomUUID();
    await send(key, 5).expect(201);
    const other = await send(key, 6).expect(422);
    expectProblem(other, 'idempotency-key-reused');
  });

  it('of another caller, or to another route, is another request', async () => {
    const key = randomUUID();
    await send(key).expect(201);
    const theirs = await bob.api
      .post('/v1/transfers', body(5, bob, ada))
      .set('idempotency-key', key)
      .expect(201);
    expect(theirs.headers['idempotent-replayed']).toBeUndefined();
    const account = await ada.api.post('/v1/accounts', { currency: 'EUR' }).set('idempotency-key', key).expect(201);
    expect(account.body.object).toBe('account');
  });

  it('that was refused is refused again, also when it would be granted by now', async () => {
    const [poor] = (await crowd(service, 1)) as [Person];
    const key = randomUUID();
    const ask = () => poor.api.post('/v1/transfers', body(5, poor)).set('idempotency-key', key);
    const first = await ask().expect(422);
    expectProblem(first, 'insufficient-funds');
    await make.deposit(poor.accountId, 100);
    const again = await ask().expect(422);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(kept(again)).toEqual(kept(first));
    expect(await make.balanceOf(poor)).toBe(100);
  });

  it('that was refused halfway leaves nothing but the refusal', async () => {
    const key = randomUUID();
    const order = make.orderOf(ada, [await make.sku(1), { skuId: await make.sku(1), quantity: 2 }]);
    const ask = () => ada.api.post('/v1/orders', order).set('idempotency-key', key);
    const first = await ask().expect(409);
    expectProblem(first, 'out-of-stock');
    expect(kept(await ask())).toEqual(kept(first));
    expect((await ada.api.get('/v1/orders').expect(200)).body.data).toEqual([]);
  });

  it('whose input was refused may be sent again with what was meant', async () => {
    const key = randomUUID();
    expectProblem(await send(key, -5).expect(422), 'validation-failed');
    await send(key, 5).expect(201);
  });

  it.each([
    ['failed on our side', 'IMMEDIATE'],
    ['failed at COMMIT', 'DEFERRED'],
  ] as const)('that %s leaves nothing behind and can be sent again', async (_, when) => {
    const [key, before] = [randomUUID(), await transfersOf(ada)];
    const mend = await breakInserts('entry', when);
    await send(key).expect(500);
    await mend();
    expect([await transfersOf(ada), await recordsOf(key)]).toEqual([before, 0]);
    const answer = await send(key).expect(201);
    expect(answer.headers['idempotent-replayed']).toBeUndefined();
  });

  it('is not done when its answer cannot be stored', async () => {
    const [key, before] = [randomUUID(), await transfersOf(ada)];
    const mend = await breakInserts('idempotency_record', 'IMMEDIATE');
    const { headers } = await send(key).expect(500);
    await mend();
    expect(headers).not.toHaveProperty('location');
    expect(await transfersOf(ada)).toBe(before);
  });

  it('that was done stays done, whatever becomes of those who ask for the same again', async () => {
    const { body: pending } = await ada.api.post('/v1/transfers', { ...body(5), type: 'pending' }).expect(201);
    const post = (key: string) =>
      ada.api.post(`/v1/transfers/${pending.id}/post`, { amount: eur(3) }).set('idempotency-key', key);
    const key = randomUUID();
    const first = await post(key).expect(200);
    const before = await make.balanceOf(bob);
    const mend = await breakInserts('idempotency_record', 'DEFERRED');
    const failed = await atOnce(10, () => post(randomUUID()));
    await mend();
    expect(tally(failed)).toEqual({ '500 internal-error': 10 });
    expect(kept(await post(key))).toEqual(kept(first));
    expectProblem(await post(randomUUID()).expect(409), 'already-posted');
    expect(await make.balanceOf(bob)).toBe(before);
  });

  // A pending transfer has a boundary of its own; other ones are in a lane.
  it.each([undefined, 'pending'])(
    'while the first is under way is told so at once, and to come again (%s)',
    async (type) => {
      const send = (key: string) => ada.api.post('/v1/transfers', { ...body(5), type }).set('idempotency-key', key);
      const blocker = new pg.Client({ connectionString: service.database.urls.owner });
      await blocker.connect();
      await blocker.query('BEGIN');
      await blocker.query('SELECT 1 FROM account WHERE id = $1 FOR UPDATE', [uuidOf(ada.accountId)]);
      const key = randomUUID();
      const first = send(key).then((answer) => answer);
      await eventually(
        () =>
          service.database.query(
            `SELECT 1 FROM pg_locks waiting JOIN pg_locks other USING (pid) JOIN pg_database d ON d.oid = other.database
           WHERE NOT waiting.granted AND d.datname = current_database()`,
          ),
        (rows) => rows.length > 0,
      );
      const second = await send(key);
      await blocker.query('ROLLBACK');
      await blocker.end();
      expectProblem(second, 'idempotency-key-in-use');
      expect([second.status, second.headers['retry-after']]).toEqual([409, '1']);
      expect((await first).status).toBe(201);
      expect(kept(await send(key))).toEqual(kept(await first));
    },
  );

  it('is new again when its time is over; the sweep then removes what nobody asks for', async () => {
    const { query } = service.database;
    const [key, other] = [randomUUID(), randomUUID()];
    const first = await send(key).expect(201);
    await send(other).expect(201);
    await query(
      `UPDATE idempotency_record SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE key = ANY($1)`,
      [[key, other]],
    );
    const again = await send(key).expect(201);
    expect(again.body.id).not.toBe(first.body.id);
    await service.app.get(Sweeper).sweep();
    expect(await query('SELECT 1 FROM idempotency_record WHERE key = $1', [other])).toEqual([]);
    expect(kept(await send(key))).toEqual(kept(again));
  });

  it('keeps nothing of what was sent that could be read or guessed', async () => {
    const person = { email: 'secretive@example.com', password: 'a secret nobody knows', profile: { displayName: 'S' } };
    const key = randomUUID();
    await service.as().post('/v1/users', person).set('idempotency-key', key).expect(201);
    const [row] = await service.database.query<{ row: string }>(
      'SELECT r::text AS row FROM idempotency_record r WHERE key = $1',
      [key],
    );
    expect(row?.row).not.toContain(person.password);
  });

  it('that is answered again on another instance lets its caller read what it had written', async () => {
    const variables = { DATABASE_READ_CONSISTENCY: 'caller' };
    const other = await serve(service.database, variables);
    try {
      const key = randomUUID();
      const first = await send(key, 7).expect(201);
      const mine = api(other.url, ada.token);
      await service.database.query('SELECT 1');
      const again = await mine.post('/v1/transfers', body(7)).set('idempotency-key', key).expect(201);
      expect(again.headers['consistency-token']).toMatch(/^([0-9a-f]{16}|latest)$/);
      expect((await mine.get(`/v1/transfers/${first.body.id}`)).status).toBe(200);
    } finally {
      await other.app.close();
    }
  });
});

describe('the key', () => {
  it.each([['transfers'], ['deposits'], ['orders']])('is demanded by POST /v1/%s', async (route) => {
    const { api: mine } = route === 'deposits' ? await make.operator() : ada;
    expectProblem(await mine.post(`/v1/${route}`, {}).unset('idempotency-key').expect(400), 'idempotency-key-missing');
  });

  it('may be left out where a second one does no harm', async () => {
    await ada.api.post('/v1/accounts', { currency: 'EUR' }).unset('idempotency-key').expect(201);
  });

  it.each([['""'], ['"open'], ['x'.repeat(256)], ['"a\\b"'], ['caf\u00e9'], ['"'], ['a"b']])(
    'is not %s',
    async (key) => {
      expectProblem(await send(key).expect(400), 'malformed-idempotency-key');
    },
  );

  it.each([['x'.repeat(255)], ['"a \\" b"'], ['a b'], ['~!@#$%^&*()']])('may be %s', async (key) => {
    const { headers } = await send(key).expect(201);
    expect(headers['idempotent-replayed']).toBeUndefined();
    expect((await send(key).expect(201)).headers['idempotent-replayed']).toBe('true');
  });
});

describe('copies at once', () => {
  it('of fifty one is done; the others are told to wait, or get its answer', async () => {
    const [key, before] = [randomUUID(), await transfersOf(ada)];
    const answers = await atOnce(50, () => send(key));
    const counts = tally(answers);
    expect(Object.keys(counts).sort().join()).toMatch(/^201(,409 idempotency-key-in-use)?$/);
    const done = answers.filter(({ status }) => status === 201);
    expect(done.filter(({ headers }) => headers['idempotent-replayed'] === undefined)).toHaveLength(1);
    expect(new Set(done.map((answer) => JSON.stringify(kept(answer)))).size).toBe(1);
    expect((await transfersOf(ada)) - before).toBe(1);
  });
});
