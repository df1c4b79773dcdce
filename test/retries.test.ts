import { newId } from '../src/kernel/ids.ts';
import { type TransactionKit, transactionKit } from '../src/testing/testing.ts';
import { TransactionConflictError } from '../src/transactions/errors.ts';
import { DATABASE, type Sql, type Tables } from '../src/transactions/tables.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { startApp, type TestApp } from './support/app.ts';
import { inFlight } from './support/crowd.ts';
import { makers } from './support/make.ts';

type Database = Tables<'product'> & Sql;
let service: TestApp;
let db: Database;
let run: Transactions['run'];
let kit: TransactionKit;
beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '20000' });
  db = service.app.get<Database>(DATABASE);
  const transactions = service.app.get(Transactions);
  run = (options, work) => transactions.run(options, work);
  kit = transactionKit(service.app);
});
afterEach(() => kit.end());
afterAll(() => service.close());

let counter = 0;
/** Rows to fight for: products, whose description says whether somebody is on duty. */
async function makeDoctors(count: number): Promise<string[]> {
  const rows = Array.from({ length: count }, () => ({ id: newId(), slug: `doctor-${++counter}`, name: 'Doctor' }));
  await db.product.createMany({ data: rows.map((row) => ({ ...row, description: 'on duty' })) });
  return rows.map(({ id }) => id);
}
const onDuty = (ids: string[]) => db.product.count({ where: { id: { in: ids }, description: 'on duty' } });
const leave = (id: string) => db.product.updateMany({ where: { id }, data: { description: 'gone' } });

/** Leaves when somebody else stays: right alone, wrong when two do it at once and each sees the other. */
const leaveUnlessLast = (ids: string[], id: string, options: { readonly retry?: number } = {}) =>
  run({ isolation: 'serializable', ...options }, async () => {
    const isLast = (await onDuty(ids)) < 2;
    if (!isLast) await leave(id);
    return !isLast;
  });

/** A raw statement, for a fault to be planted at: it changes nothing. */
const touch = () => db.$executeRaw`UPDATE product SET name = name WHERE false`;
const atTouch = { at: 'statement', statement: /^UPDATE product$/ } as const;

describe('a conflict', () => {
  it('never reaches a caller: of two hundred that leave two by two, one of each pair stays', async () => {
    const doctors = await makeDoctors(200);
    const pairOf = (n: number): string[] => doctors.slice(n - (n % 2), n - (n % 2) + 2);

    const left = await inFlight(16, 200, (n) => leaveUnlessLast(pairOf(n), doctors[n]!, { retry: 50 }));

    expect(left.filter(Boolean)).toHaveLength(100);
    for (let n = 0; n < 200; n += 2) expect(await onDuty(pairOf(n))).toBe(1);
  });

  it.each(['40001', '40P01'])('%s at a raw statement is tried again in a fresh transaction', async (sqlState) => {
    const transactions: string[] = [];
    kit.failAt({ ...atTouch, sqlState, times: 2 });
    const answer = await run({}, async () => {
      const [row] = await db.$queryRaw<{ id: string }[]>`SELECT pg_current_xact_id()::text AS id`;
      transactions.push(row!.id);
      await touch();
      return 'done';
    });
    expect(answer).toBe('done');
    expect(new Set(transactions).size).toBe(3);
  });

  it('at a model query is tried again', async () => {
    const [id] = (await makeDoctors(1)) as [string];
    let attempts = 0;
    await run({ isolation: 'repeatable-read' }, async () => {
      await db.product.findUniqueOrThrow({ where: { id } });
      // Somebody else changes the row that this snapshot has seen.
      if (++attempts === 1)
        await run({ propagation: 'requires-new' }, () => db.product.update({ where: { id }, data: { name: 'Other' } }));
      await db.product.update({ where: { id }, data: { description: 'mine' } });
    });
    expect(attempts).toBe(2);
    expect(await db.product.findUnique({ where: { id } })).toMatchObject({ name: 'Other', description: 'mine' });
  });

  it('at COMMIT is tried again', async () => {
    const [a, b] = (await makeDoctors(2)) as [string, string];
    let attempts = 0;
    const left = await run({ isolation: 'serializable' }, async () => {
      const isLast = (await onDuty([a, b])) < 2;
      if (!isLast) await leave(a);
      if (++attempts === 1)
        await run({ propagation: 'requires-new', isolation: 'serializable' }, async () => {
          if ((await onDuty([a, b])) === 2) await leave(b);
        });
      return !isLast;
    });
    expect([left, attempts]).toEqual([false, 2]);
    expect(await onDuty([a, b])).toBe(1);
  });

  it('by a deadlock of two is tried again by the one that lost', async () => {
    const [a, b] = (await makeDoctors(2)) as [string, string];
    let attempts = 0;
    let met: () => void = () => undefined;
    const bothHoldOne = new Promise<void>((resolve) => (met = resolve));
    const inOrder = (first: string, second: string) =>
      run({}, async () => {
        await leave(first);
        if (++attempts === 2) met();
        await bothHoldOne;
        await leave(second);
      });
    await Promise.all([inOrder(a, b), inOrder(b, a)]);
    expect(attempts).toBe(3);
    expect(await onDuty([a, b])).toBe(0);
  });

  it('stores nothing of the attempts that met it', async () => {
    const slugs: string[] = [];
    kit.failAt({ at: 'commit', attempt: 1, sqlState: '40001' });
    kit.failAt({ ...atTouch, attempt: 2, sqlState: '40001' });
    await run({}, async () => {
      const slug = `attempt-${++counter}`;
      slugs.push(slug);
      await db.product.create({ data: { id: newId(), slug, name: slug } });
      await touch();
    });
    expect(slugs).toHaveLength(3);
    const stored = await db.product.findMany({ where: { slug: { in: slugs } } });
    expect(stored.map(({ slug }) => slug)).toEqual([slugs[2]]);
  });
});

describe('trying again', () => {
  const always = (attempts: { n: number }) => async () => {
    attempts.n++;
    await touch();
  };
  const conflictEachTime = () => kit.failAt({ ...atTouch, sqlState: '40001', times: Infinity });

  it('ends after five times, and the error says how often the work was run', async () => {
    const attempts = { n: 0 };
    conflictEachTime();
    const error = await run({ name: 'Stubborn' }, always(attempts)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionConflictError);
    expect(error).toMatchObject({ attempts: 6, message: 'Stubborn met a conflict at each of 6 attempts.' });
    expect(attempts.n).toBe(6);
    expect(databaseFailure((error as Error).cause)?.sqlState).toBe('40001');
  });

  it('is done as often as the boundary says', async () => {
    conflictEachTime();
    for (const retry of [0, 1, 3]) {
      const attempts = { n: 0 };
      await expect(run({ retry }, always(attempts))).rejects.toThrow();
      expect(attempts.n).toBe(retry + 1);
    }
  });

  it('ends with the time of the boundary', async () => {
    const attempts = { n: 0 };
    conflictEachTime();
    await expect(run({ retry: 10_000, timeout: '400ms' }, always(attempts))).rejects.toThrow(TransactionConflictError);
    expect(attempts.n).toBeGreaterThan(1);
    expect(attempts.n).toBeLessThan(400);
  });

  it('is not done for any other error', async () => {
    for (const sqlState of ['23505', '55P03', '57014', 'P0001']) {
      const attempts = { n: 0 };
      kit.failAt({ ...atTouch, sqlState });
      await expect(run({}, always(attempts))).rejects.toThrow();
      expect(attempts.n).toBe(1);
    }
  });

  it('is left to the outermost boundary, whatever the inner one is', async () => {
    for (const propagation of ['required', 'nested', 'requires-new'] as const) {
      const attempts = { outer: 0, inner: 0 };
      kit.failAt({ ...atTouch, sqlState: '40001', times: 2 });
      await run({}, async () => {
        attempts.outer++;
        await run({ propagation }, async () => {
          attempts.inner++;
          await touch();
        });
      });
      expect([propagation, attempts]).toEqual([propagation, { outer: 3, inner: 3 }]);
    }
  });
});

describe('over HTTP', () => {
  it('a boundary that meets a conflict at each attempt is 503, may be repeated, and has stored nothing', async () => {
    const { id, api } = await makers(service).user();
    const edit = () => api.patch(`/v1/users/${id}`, { profile: { displayName: 'Edited' } }).set('if-match', '"1"');
    kit.failAt({ boundary: 'UsersService.change', at: 'commit', sqlState: '40001', times: 6 });
    const answer = await edit().expect(503).expect('retry-after', '1');
    expect(answer.body).toMatchObject({ code: 'transient-contention', retryable: true });
    expect(kit.faults.met.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6]);
    await edit().expect(200).expect('etag', /^"2-/);
  });

  it('a conflict outside any boundary that does not end is 503, may be repeated, and has stored nothing', async () => {
    await service.database.query(`CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '40001'; END $$`);
    await service.database.query(`CREATE TRIGGER conflict BEFORE INSERT ON profile EXECUTE FUNCTION conflict()`);
    const body = { email: 'conflict@example.com', password: 'long enough', profile: { displayName: 'C' } };
    const answer = await service.as().post('/v1/users', body).expect(503).expect('retry-after', '1');
    expect(answer.body).toMatchObject({ code: 'transient-contention', retryable: true });
    await service.database.query('DROP TRIGGER conflict ON profile');
    await service.as().post('/v1/users', body).expect(201);
  });
});
