import { newId } from '../src/kernel/ids.ts';
import { LockUnavailableError, TransactionConflictError, UnexpectedRollbackError } from '../src/transactions/errors.ts';
import { lockRows } from '../src/transactions/locks.ts';
import { TransactionExpiredError } from '../src/transactions/wire/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

// A statement of a boundary has failed and its error was swallowed. Whatever comes next, its caller is told of that statement and where it
// was called, and not that "the current transaction is aborted".

let database: TestDatabase;
let bare: Bare;
beforeAll(async () => {
  database = await createDatabase();
  bare = await startBare({ app: database.urls.app }, { EXTERNAL_WORK: 'raise' });
  await bare.write('taken');
});
afterAll(async () => {
  await bare.close();
  await database.drop();
});

const ignore = (): undefined => undefined;
const insert = (slug: string) =>
  bare.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${slug}, ${slug})`;
const failures = {
  'a raw statement': () => insert('taken'),
  'a call of a model': () => bare.write('taken'),
};
const nextSteps: Record<string, () => Promise<unknown>> = {
  'a raw statement': () => insert(fresh('next')),
  'a raw query': () => bare.db.$queryRaw`SELECT 1 AS one`,
  'a write of a model': () => bare.write(fresh('next')),
  'a read of a model': () => bare.db.product.findFirst(),
  'a nested write': () => {
    const skus = {
      create: { id: newId(), code: fresh('SKU').toUpperCase(), name: 'a', price: 100n, currency: 'EUR' },
    };
    const data = { id: newId(), slug: fresh('next'), name: 'next', skus };
    return bare.db.product.create({ data });
  },
  lockRows: () => lockRows(bare.db, { account: [newId()] }),
  'a boundary that joins': () => bare.run({}, () => bare.write(fresh('next'))),
  'a boundary that joins with a time of its own': () => bare.run({ timeout: '1s' }, () => bare.write(fresh('next'))),
  'a nested boundary': () => bare.run({ propagation: 'nested' }, () => bare.write(fresh('next'))),
  'a second error that is swallowed': async () => {
    await bare.write('taken').catch(ignore);
    await bare.write(fresh('next'));
  },
};
const cells = Object.keys(failures).flatMap((first) =>
  Object.keys(nextSteps).map((next) => [first as keyof typeof failures, next] as const),
);

it.each(cells)('%s that failed is named when %s follows it', async (first, next) => {
  const mark = fresh('mark');
  let told: unknown;
  const error = await errorOf(
    bare.run({ name: 'Shop.sell' }, async () => {
      await bare.write(mark);
      await failures[first]().catch(ignore);
      told = await nextSteps[next]!().catch((thrown: unknown) => thrown);
      throw told;
    }),
  );
  expect(told).toBe(error);
  expect(error).toBeInstanceOf(UnexpectedRollbackError);
  expect(error).toMatchObject({ statement: 'INSERT product', swallowedIn: 'Shop.sell' });
  const { calledAt, firstError } = error as UnexpectedRollbackError;
  expect(calledAt).toContain('after-a-failure.test.ts:');
  expect(databaseFailure(firstError)?.sqlState).toBe('23505');
  expect(await stored(database, [mark])).toEqual([]);
});

it('what was refused afterwards is its cause, and its sentence says what was gone on with', async () => {
  const going = bare.run({ name: 'Shop.sell' }, async () => {
    await bare.write('taken').catch(ignore);
    await bare.db.product.count();
  });
  const error = await errorOf(going);
  expect(error.message).toMatch(
    /^INSERT product failed with 23505, and Shop\.sell went on with product\.count as if it had not\. /,
  );
  expect(databaseFailure(error.cause)?.sqlState).toBe('25P02');
});

it('a finally block that fails does not hide it', async () => {
  const error = await errorOf(
    bare.run({}, async () => {
      try {
        await bare.write('taken');
      } finally {
        await bare.write(fresh('log'));
      }
    }),
  );
  expect(error).toMatchObject({ name: 'UnexpectedRollbackError', statement: 'INSERT product' });
});

it('of several calls at once the first failure is told, also when they are gathered', async () => {
  const both = (gather: (calls: Promise<unknown>[]) => Promise<unknown>) =>
    errorOf(bare.run({}, () => gather([insert('taken'), insert(fresh('beside'))])));
  for (const gather of [
    (calls: Promise<unknown>[]) => Promise.all(calls),
    (calls: Promise<unknown>[]) => Promise.any(calls),
  ])
    expect(databaseFailure(await both(gather))?.sqlState).toBe('23505');
  const settled: unknown[] = [];
  await errorOf(
    bare.run({}, async () => {
      const calls = [insert('taken'), insert(fresh('beside'))];
      for (const one of await Promise.allSettled(calls)) if (one.status === 'rejected') settled.push(one.reason);
    }),
  );
  expect(settled[1]).toBeInstanceOf(UnexpectedRollbackError);
  expect((settled[1] as Error).message).toMatch(/^INSERT product failed with 23505, and .* had \$executeRaw under way/);
});

it('an error that the work puts in its place reaches the caller; errors of others among several do not count as its own', async () => {
  const own = new AggregateError([new Error('own')], 'several');
  const error = await errorOf(
    bare.run({}, () =>
      bare.write('taken').catch(() => {
        throw own;
      }),
    ),
  );
  expect(error).toBe(own);
});

it('outside work that follows it is not what is told', async () => {
  const error = await errorOf(
    bare.run({ name: 'Shop.sell' }, async () => {
      await bare.write('taken').catch(ignore);
      await fetch('http://127.0.0.1:49151/').catch(ignore);
    }),
  );
  expect(error).toMatchObject({ name: 'UnexpectedRollbackError', statement: 'INSERT product' });
  expect(error.message).toContain('went on with fetch outside the database');
});

it('time that ends afterwards does not hide it, and time that ended first is told as that', async () => {
  const slow = () => bare.db.$queryRaw`SELECT pg_sleep(3)::text`;
  const late = await errorOf(
    bare.run({ timeout: '150ms' }, async () => {
      await bare.write('taken').catch(ignore);
      await new Promise((resolve) => setTimeout(resolve, 250));
      await bare.write(fresh('late'));
    }),
  );
  expect(late).toMatchObject({ name: 'UnexpectedRollbackError', statement: 'INSERT product' });
  const expired = await errorOf(
    bare.run({ timeout: '150ms' }, async () => {
      await slow().catch(ignore);
      await bare.write(fresh('late'));
    }),
  );
  expect(expired).toBeInstanceOf(TransactionExpiredError);
});

it('a conflict that was first is tried again, whatever followed it', async () => {
  await database.query(`CREATE SEQUENCE IF NOT EXISTS met`);
  await database.query(`GRANT ALL ON SEQUENCE met TO PUBLIC`);
  await database.query(`
    CREATE OR REPLACE FUNCTION meets() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('met') % 2 = 1 THEN RAISE EXCEPTION 'once' USING ERRCODE = '40001'; END IF;
      RETURN 1;
    END $$`);
  for (const follow of [
    () => bare.write(fresh('x')),
    () => fetch('http://127.0.0.1:49151/'),
    () => bare.db.product.count(),
  ]) {
    let attempts = 0;
    await bare.run({}, async () => {
      attempts++;
      const met = await bare.db.$queryRaw`SELECT meets()`.then(
        () => false,
        () => true,
      );
      if (met) await follow();
    });
    expect(attempts).toBe(2);
  }
});

it('an error of a savepoint that is undone is its own, and the boundary goes on', async () => {
  const slug = fresh('kept');
  await bare.run({}, async () => {
    const inner = await errorOf(
      bare.run({ propagation: 'nested', name: 'Inner' }, async () => {
        await bare.write('taken').catch(ignore);
        await bare.write(fresh('lost'));
      }),
    );
    expect(inner).toMatchObject({ name: 'UnexpectedRollbackError', swallowedIn: 'Inner' });
    await bare.write(slug);
  });
  expect(await stored(database, [slug])).toEqual([slug]);
});

it('a lock that was not free, and a conflict, are found behind their names', () => {
  const said = { code: '55P03', severity: 'ERROR', message: 'could not obtain lock' };
  expect(databaseFailure(new LockUnavailableError(null, said))?.sqlState).toBe('55P03');
  const inner = new TransactionConflictError('Inner', 1, { code: '40001', severity: 'ERROR', message: 'x' });
  expect(databaseFailure(new TransactionConflictError('Outer', 2, inner))?.sqlState).toBe('40001');
});
