/** @servers any */
import pg from 'pg';
import { Transactions } from '../src/transactions/transactions.ts';
import { ReservationsRepository } from '../src/modules/ledger/reservations.repository.ts';
import { ReservationSweep } from '../src/modules/ledger/reservation-sweep.service.ts';
import { Clock } from '../src/kernel/clock.ts';
import { startApp, type TestApp } from './support/app.ts';
import { pastRules } from './support/database.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { atOnce, crowd, eventually, tally } from './support/crowd.ts';
import { makers, type Person, uuidOf } from './support/make.ts';
import { accountsBy, between, send, sentId } from './support/transfers.ts';

const bounds = {
  LEDGER_PENDING_SECONDS: '90',
  LEDGER_PENDING_PER_SENDER: '8',
  LEDGER_PENDING_PER_PAIR: '5',
  LEDGER_PENDING_PER_ACCOUNT: '7',
  DATABASE_POOL_SIZE: '16',
  DATABASE_POOL_WAIT_MS: '20000',
};

let service: TestApp;
let superuser: pg.Client;
let operator: Person;
beforeAll(async () => {
  service = await startApp(bounds);
  operator = await makers(service).operator();
  superuser = new pg.Client({ connectionString: service.database.urls.superuser });
  await superuser.connect();
});
afterEach(async () => expect(await findMistakes(service.database)).toEqual([]));
afterAll(async () => {
  await superuser.end();
  await service.close();
});

const { accountOf } = accountsBy(() => operator.api);
const two = async (balance: number) => (await crowd(service, 2, { balance })) as [Person, Person];
const pending = { type: 'pending' };
const counted = async (sql: string): Promise<number> =>
  Number((await service.database.query<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`))[0]?.n);
const of = (...people: Person[]): string =>
  `account_id IN (${people.map(({ accountId }) => `'${uuidOf(accountId)}'`).join()})`;
const sweep = async (most = 1000): Promise<number> =>
  (await service.app.get(ReservationSweep).removeExpired({ most, from: null })).removed;

/** The same past the rules, as if it had been pending for a month: what a request would wait for. */
async function expire(from: Person): Promise<void> {
  const ids = `(SELECT transfer_id FROM reservation WHERE ${of(from)})`;
  await pastRules(
    service.database,
    `UPDATE transfer SET expires_at = now() - interval '1 second' WHERE id IN ${ids};
    UPDATE reservation SET expires_at = now() - interval '1 second' WHERE transfer_id IN ${ids}`,
  );
}

/** So many expired reservations of one cent from one account to another, which have been there since before anybody swept. */
async function leave(from: Person, to: Person, many: number): Promise<void> {
  const [a, b, user] = [from.accountId, to.accountId, from.id].map(uuidOf);
  await pastRules(
    service.database,
    `CREATE TEMPORARY TABLE left_over ON COMMIT DROP AS
      SELECT gen_random_uuid() AS id, now() - interval '1 hour' + n * interval '1 millisecond' AS expires_at FROM generate_series(1, ${many}) AS n;
    INSERT INTO transfer (id, kind, from_account_id, to_account_id, amount, currency, created_by_id, expires_at)
      SELECT id, 'transfer', '${a}', '${b}', 1, 'EUR', '${user}', expires_at FROM left_over;
    INSERT INTO reservation (transfer_id, account_id, side, amount, expires_at, sender_id)
      SELECT id, account, side, 1, expires_at, '${user}' FROM left_over, (VALUES ('${a}'::uuid, 'out'::reservation_side), ('${b}', 'in')) AS of (account, side);
    UPDATE account SET pending_out = ${many} WHERE id = '${a}';
    UPDATE account SET pending_in = ${many} WHERE id = '${b}';
    INSERT INTO reservation_total VALUES ('${a}', ${many}, 0, ${many}, 0, 'epoch'), ('${b}', 0, ${many}, 0, ${many}, 'epoch')`,
  );
  await superuser.query('ANALYZE reservation');
}

describe('an account with 50,000 transfers that expired', () => {
  const many = 50_000;
  let [rich, poor] = [] as unknown as [Person, Person];
  beforeAll(async () => {
    [rich, poor] = await two(many);
    await leave(rich, poor, many);
  });

  it('pays what it shows as available at once, though nobody has swept, after requests that failed as well', async () => {
    expect((await accountOf(rich)).available.amount).toBe(many);
    expect((await send(rich, poor, many + 1).expect(422)).body.code).toBe('insufficient-funds');
    const batch = [between(rich, poor, many), between(rich, poor, 1)];
    const refused = await rich.api.post('/v1/transfers/batch', { mode: 'atomic', transfers: batch }).expect(422);
    expect(refused.body.errors[0].pointer).toBe('/transfers/1');
    const begunAt = performance.now();
    await send(rich, poor, many).expect(201);
    // Ten seconds and 503 before. Alone it takes some 200 ms; other tests may load the machine.
    expect(performance.now() - begunAt).toBeLessThan(fullCount(5000, 1000));
    expect((await accountOf(rich)).available.amount).toBe(0);
    expect((await accountOf(poor)).balance.amount).toBe(2 * many);
    expect(await counted(`reservation WHERE ${of(rich)}`)).toBe(many);
  });

  it('is swept at the cost of what a batch removes, however much has expired', async () => {
    const reservations = service.app.get(ReservationsRepository);
    const transactions = service.app.get(Transactions);
    // From now on its accounts count no more what has expired.
    expect(await sweep(100)).toBe(100);
    // As in a table that has grown since it was last analyzed: how many have expired is anybody's guess.
    await superuser.query(`DELETE FROM pg_statistic WHERE starelid = 'reservation'::regclass`);
    const rowsRead = await transactions.run({ name: 'Counted' }, async (db) => {
      const readSoFar = async (): Promise<number> => {
        const [row] = await db.$queryRaw<{ n: number }[]>`
          SELECT (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int AS n FROM pg_stat_xact_user_tables WHERE relname = 'reservation'`;
        return row?.n ?? 0;
      };
      // The server counts together what a connection has done since it last told of it, once a second: the sweep before as well.
      const before = await readSoFar();
      await reservations.listBehind({ most: 1000, from: null });
      expect(await reservations.removeExpired({ most: 1000, from: null })).toMatchObject({ removed: 1000 });
      return (await readSoFar()) - before;
    });
    expect(rowsRead).toBeGreaterThan(0);
    expect(rowsRead).toBeLessThan(20_000);
  });

  it('is swept in batches that are kept, without its row, while others hold it', async () => {
    const busy = new pg.Client({ connectionString: service.database.urls.owner });
    await busy.connect();
    // Both count no more what has expired: their rows are needed no longer.
    expect(await sweep(1000)).toBe(1000);
    expect(await counted(`settlement WHERE outcome = 'expired'`)).toBeGreaterThanOrEqual(500);
    await busy.query(`BEGIN; SELECT FROM account WHERE id = '${uuidOf(rich.accountId)}' FOR UPDATE`);
    try {
      for (let removed = 1000; removed === 10_000 || removed === 1000;) removed = await sweep(10_000);
    } finally {
      await busy.query('ROLLBACK');
      await busy.end();
    }
    expect(await counted(`reservation WHERE ${of(rich, poor)}`)).toBe(0);
    expect(await counted(`settlement WHERE outcome = 'expired'`)).toBe(many);
  });
});

describe('the sweep', () => {
  it('passes over an account that somebody holds while there are others, and waits for it when there are none', async () => {
    const [a, b] = await two(10);
    const [c, d] = await two(10);
    for (const [from, to] of [
      [a, b],
      [c, d],
    ] as const) {
      await sentId(from, to, 10, pending);
      await expire(from);
    }
    const busy = new pg.Client({ connectionString: service.database.urls.owner });
    await busy.connect();
    await busy.query(`BEGIN; SELECT FROM account WHERE id = '${uuidOf(a.accountId)}' FOR UPDATE`);
    try {
      expect(await sweep()).toBe(2);
      expect([await counted(`reservation WHERE ${of(c, d)}`), await counted(`reservation WHERE ${of(a)}`)]).toEqual([
        0, 1,
      ]);
      await expect(sweep()).rejects.toThrow(/lock/);
    } finally {
      await busy.query('ROLLBACK');
      await busy.end();
    }
    expect(await sweep()).toBe(2);
    await send(a, c, 10).expect(201);
  });

  it('of several instances at once removes each reservation once', async () => {
    const [a, b] = await two(10);
    for (let n = 0; n < 5; n++) await sentId(a, b, 1, pending);
    await expire(a);
    const removed = await atOnce(4, () => sweep());
    expect(removed.reduce((sum, one) => sum + one, 0)).toBe(10);
    expect((await accountOf(b)).pending.amount).toBe(10);
  });

  it('removes what has expired between accounts that are closed by now', async () => {
    const [a, b] = (await crowd(service, 2)) as [Person, Person];
    const [giver] = (await crowd(service, 1, { balance: 1 })) as [Person];
    await send(giver, a, 1).expect(201);
    await sentId(a, b, 1, pending);
    await expire(a);
    await b.api.post(`/v1/accounts/${b.accountId}/close`).set('if-match', '*').expect(200);
    expect(await sweep()).toBe(2);
  });
});

describe('pending transfers', () => {
  it('that say nothing of it live as long as the shop says', async () => {
    const [a, b] = await two(10);
    const { body } = await send(a, b, 1, pending).expect(201);
    const seconds = (new Date(body.expiresAt).getTime() - new Date(body.createdAt).getTime()) / 1000;
    expect(seconds).toBeGreaterThan(80);
    expect(seconds).toBeLessThan(95);
  });

  it('are bounded for one pair, for a sender from all accounts, and for a receiver from all senders', async () => {
    const [a, b] = await two(100);
    const [c, d] = await two(100);
    const second = (await a.api.post('/v1/accounts', { currency: 'EUR' }).expect(201)).body.id;
    for (let n = 0; n < 5; n++) await sentId(a, b, 1, pending);
    const pair = await send(a, b, 1, pending).expect(409);
    expect([pair.body.code, pair.body.detail]).toEqual([
      'too-many-pending',
      'You have 5 pending transfers to this account.',
    ]);
    await send(a, { ...a, accountId: second }, 10).expect(201);
    for (let n = 0; n < 3; n++) await sentId({ ...a, accountId: second }, c, 1, pending);
    expect((await send(a, d, 1, pending).expect(409)).body.detail).toBe('You have 8 pending transfers.');
    // The receiver is nobody's business: the answer is that of any account that cannot receive.
    for (let n = 0; n < 2; n++) await sentId(c, b, 1, pending);
    expect((await send(d, b, 1, pending).expect(409)).body.code).toBe('cannot-receive');
    await send(d, b, 1).expect(201);
    // What has expired is none.
    await expire(a);
    await sentId(a, d, 1, pending);
    await sentId(d, b, 1, pending);
  });

  it('are bounded within a batch, and when many are made at once from several accounts', async () => {
    const [a, b] = await two(100);
    const partial = await a.api
      .post('/v1/transfers/batch', {
        mode: 'partial',
        transfers: Array.from({ length: 7 }, () => between(a, b, 1, pending)),
      })
      .expect(207);
    expect(
      partial.body.data.map(({ refusal }: { refusal: { code: string } | null }) => refusal?.code ?? 'made'),
    ).toEqual([...Array<string>(5).fill('made'), ...Array<string>(2).fill('too-many-pending')]);

    const [c] = await two(100);
    const own = [c.accountId];
    for (let n = 0; n < 3; n++) own.push((await c.api.post('/v1/accounts', { currency: 'EUR' }).expect(201)).body.id);
    const as = (n: number): Person => ({ ...c, accountId: own[n % own.length]! });
    for (const n of [1, 2, 3]) await send(c, as(n), 20).expect(201);
    const receivers = await crowd(service, 4);
    const answers = await atOnce(24, (n) => send(as(n), receivers[n % 3]!, 1, pending));
    expect(tally(answers)).toEqual({ '201': 8, '409 too-many-pending': 16 });
  });

  it('of an atomic batch are counted once, though it is foreseen before it is decided', async () => {
    const [a, b] = await two(100);
    const [c, d] = await two(100);
    const batch = (...transfers: object[]) => a.api.post('/v1/transfers/batch', { mode: 'atomic', transfers });
    const five = Array.from({ length: 5 }, () => between(a, b, 1, pending));
    const refused = await batch(...five, between(a, b, 1, pending)).expect(409);
    expect([refused.body.code, refused.body.errors[0].pointer]).toEqual(['too-many-pending', '/transfers/5']);
    // As many as there may be for the pair, and for the sender.
    const three = [c, c, d].map((to) => between(a, to, 1, pending));
    const made = await batch(...five, ...three).expect(201);
    expect(made.body.data).toHaveLength(8);
    // And for the receiver, to whom others have sent some.
    await Promise.all([c, d].map((from) => sentId(from, b, 1, pending)));
    expect((await send(c, b, 1, pending).expect(409)).body.code).toBe('cannot-receive');
  });

  it('that come in while the account is being closed go back with the others', async () => {
    const person = async (balance: number) => (await crowd(service, 1, { balance }))[0]!;
    // Accounts are locked in the order in which they were made.
    const [early, closing, late] = [await person(10), await person(0), await person(10)];
    const first = await sentId(early, closing, 1, pending);
    const busy = new pg.Client({ connectionString: service.database.urls.owner });
    await busy.connect();
    await busy.query(`BEGIN; SELECT FROM account WHERE id = '${uuidOf(early.accountId)}' FOR UPDATE`);
    const closed = closing.api
      .post(`/v1/accounts/${closing.accountId}/close`)
      .set('if-match', '*')
      .then((one) => one);
    await eventually(
      () =>
        superuser.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR NO KEY UPDATE%'`,
        ),
      ({ rowCount }) => rowCount !== 0,
    );
    // It has seen what is pending, and holds nothing yet.
    const second = await sentId(late, closing, 1, pending);
    await busy.query('COMMIT');
    await busy.end();
    expect((await closed).status).toBe(200);
    for (const [by, id] of [
      [early, first],
      [late, second],
    ] as const)
      expect((await by.api.get(`/v1/transfers/${id}`).expect(200)).body.status).toBe('voided');
  });

  it('are voided by list, each by itself, on either side', async () => {
    const [a, b] = await two(100);
    const [stranger] = (await crowd(service, 1, { balance: 10 })) as [Person];
    const ids = [await sentId(a, b, 10, pending), await sentId(b, a, 20, pending), await sentId(a, b, 30)];
    const hidden = await sentId(stranger, b, 1, pending);
    const nobodys = 'tr_01h455vb4pex5vsknk084sn02q';
    const { body } = await a.api.post('/v1/transfers/void', { transferIds: [...ids, hidden, nobodys] }).expect(207);
    expect(body.data.map((one: never) => one['refusal']?.['code'] ?? one['transfer']['status'])).toEqual([
      'voided',
      'voided',
      'already-posted',
      'transfer-not-found',
      'transfer-not-found',
    ]);
    expect(body.data[3].refusal.errors).toEqual([{ pointer: '/transferIds/3', code: 'transfer-not-found' }]);
    expect((await a.api.get(`/v1/transfers/${ids[0]}`).expect(200)).body).toEqual(body.data[0].transfer);
    expect((await accountOf(a)).available.amount).toBe(70);
    const again = await b.api.post('/v1/transfers/void', { transferIds: [ids[0], hidden] }).expect(207);
    expect(again.body.data[0].refusal.code).toBe('already-voided');
    expect(again.body.data[1].transfer.status).toBe('voided');
    await a.api.post('/v1/transfers/void', { transferIds: [] }).expect(422);
    await a.api.post('/v1/transfers/void', { transferIds: Array<string>(1001).fill(nobodys) }).expect(413);
  });
});

describe('whether a pending transfer has expired', () => {
  afterEach(() => jest.restoreAllMocks());

  it.each([100_000, -100_000])(
    'is told by the clock of the database, whatever the process takes it for: %s ms off',
    async (ms) => {
      const [a, b] = await two(10);
      const over = await sentId(a, b, 1, pending);
      await expire(a);
      const alive = await sentId(a, b, 1, pending);
      const clock = service.app.get(Clock);
      const now = clock.now.bind(clock);
      jest.spyOn(clock, 'now').mockImplementation(() => new Date(now().getTime() + ms));
      expect((await a.api.post(`/v1/transfers/${over}/post`).expect(409)).body.code).toBe('expired');
      await a.api.post(`/v1/transfers/${alive}/post`).expect(200);
    },
  );

  it('is told when its accounts are locked, not when their lock was asked for', async () => {
    const [a, b] = await two(10);
    const id = await sentId(a, b, 10, pending);
    const busy = new pg.Client({ connectionString: service.database.urls.owner });
    await busy.connect();
    await busy.query(`BEGIN; SELECT FROM account WHERE id = '${uuidOf(a.accountId)}' FOR UPDATE`);
    await pastRules(
      service.database,
      `UPDATE transfer SET expires_at = now() + interval '2 seconds' WHERE id = '${uuidOf(id)}';
      UPDATE reservation SET expires_at = now() + interval '2 seconds' WHERE transfer_id = '${uuidOf(id)}'`,
    );
    const posted = a.api.post(`/v1/transfers/${id}/post`).then((answer) => answer);
    const isOver = `SELECT FROM transfer WHERE id = '${uuidOf(id)}' AND expires_at < clock_timestamp()`;
    const waits = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR NO KEY UPDATE%'`;
    await eventually(
      () => superuser.query(waits),
      ({ rowCount }) => rowCount !== 0,
    );
    await eventually(
      () => superuser.query(isOver),
      ({ rowCount }) => rowCount === 1,
    );
    await busy.query('COMMIT');
    await busy.end();
    const { status, body } = await posted;
    expect([status, body.code]).toEqual([409, 'expired']);
  });
});
