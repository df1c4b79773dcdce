import pg from 'pg';
import { answerFor } from '../src/http/problems/problem.ts';
import { newId } from '../src/kernel/ids.ts';
import {
  CommitOutcomeUnknownError,
  ConnectionLostError,
  LockUnavailableError,
  TransactionConflictError,
  TransactionJoinError,
  UnexpectedRollbackError,
} from '../src/transactions/errors.ts';
import { TransactionExpiredError } from '../src/transactions/wire/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

// The table of errors of docs/transactions.md: one class for each meaning, and one answer over HTTP, wherever in a boundary it arises.

let database: TestDatabase;
let bare: Bare;
let rival: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  bare = await startBare({ app: database.urls.app });
  await bare.write('taken');
  await bare.write('held');
  // A deferred trigger, whose failures are those of COMMIT: what its row is called says how it fails.
  await database.query(`
    CREATE FUNCTION fails_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.name = 'held' THEN PERFORM FROM product WHERE slug = 'held' FOR UPDATE NOWAIT; END IF;
      IF NEW.name = 'late' THEN PERFORM pg_sleep(3); END IF;
      IF NEW.name ~ '^4' THEN RAISE EXCEPTION 'at commit' USING ERRCODE = NEW.name; END IF;
      RETURN NULL;
    END $$`);
  await database.query(`CREATE CONSTRAINT TRIGGER fails_at_commit AFTER INSERT ON product
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fails_at_commit()`);
  rival = new pg.Client({ connectionString: database.urls.superuser });
  await rival.connect();
  await rival.query(`BEGIN; SELECT FROM product WHERE slug = 'held' FOR UPDATE`);
});
afterAll(async () => {
  await rival.end();
  await bare.close();
  await database.drop();
});

type Work = () => Promise<unknown>;
interface Options {
  readonly timeout?: '250ms';
  readonly lockTimeout?: '50ms';
}
/** How the meaning comes about: in a raw statement, in a call of a model, in COMMIT. Out of time: `retries.test.ts`. */
type Ways = Partial<Record<'raw' | 'model' | 'commit', Work>>;

const named = (name: string): Work => {
  return () => bare.db.product.create({ data: { id: newId(), slug: fresh('mark'), name } });
};
const raise = (sqlState: string): Work => {
  return () => bare.db.$queryRaw`SELECT raises(${sqlState})::text`;
};
/** A model whose write raises it: the trigger below fires at once for those whose slug says so. */
const raisedByModel = (sqlState: string): Work => {
  return () => bare.db.product.create({ data: { id: newId(), slug: `now-${sqlState}-${fresh('now')}`, name: 'x' } });
};
beforeAll(async () => {
  await database.query(`
    CREATE FUNCTION fails_now() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.slug LIKE 'now-%' THEN RAISE EXCEPTION 'now' USING ERRCODE = split_part(NEW.slug, '-', 2); END IF;
      RETURN NEW;
    END $$`);
  await database.query(`
    CREATE FUNCTION raises(state text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'planted' USING ERRCODE = state;
    END $$`);
  await database.query(`CREATE TRIGGER fails_now BEFORE INSERT ON product FOR EACH ROW EXECUTE FUNCTION fails_now()`);
});

interface Row {
  readonly type: new (...params: never[]) => Error;
  readonly answer: string;
  readonly ways: Ways;
  /** What the boundary is given, so that it comes about. */
  readonly options?: Options;
}

const rows: Record<string, Row> = {
  'a conflict': {
    type: TransactionConflictError,
    answer: '503 transient-contention',
    ways: { raw: raise('40001'), model: raisedByModel('40001'), commit: named('40001') },
  },
  'a deadlock': {
    type: TransactionConflictError,
    answer: '503 transient-contention',
    ways: { raw: raise('40P01'), model: raisedByModel('40P01'), commit: named('40P01') },
  },
  'a lock that is not free': {
    type: LockUnavailableError,
    answer: '503 transient-contention',
    ways: {
      raw: () => bare.db.$queryRaw`SELECT slug FROM product WHERE slug = 'held' FOR UPDATE NOWAIT`,
      model: () => bare.db.product.updateMany({ where: { slug: 'held' }, data: { name: 'mine' } }),
      commit: named('held'),
    },
    options: { lockTimeout: '50ms' },
  },
  'time that is over': {
    type: TransactionExpiredError,
    answer: '503 transient-contention',
    ways: {
      raw: () => bare.db.$queryRaw`SELECT pg_sleep(3)::text`,
      model: () => bare.db.product.updateMany({ where: { slug: 'held' }, data: { name: 'mine' } }),
      commit: named('late'),
    },
    options: { timeout: '250ms' },
  },
  'a lost connection': {
    type: ConnectionLostError,
    answer: '503 temporary-reduced-capacity',
    ways: { raw: () => bare.db.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())::text` },
  },
  'a swallowed error': {
    type: UnexpectedRollbackError,
    answer: '500 internal-error',
    ways: {
      raw: () => raise('22012')().catch(() => undefined),
      model: () => bare.write('taken').catch(() => undefined),
    },
  },
  'a refusal to join': {
    type: TransactionJoinError,
    answer: '500 internal-error',
    ways: { model: () => bare.run({ isolation: 'serializable' }, () => bare.write(fresh('mark'))) },
  },
};

// In an inner boundary COMMIT is that of the outermost, or of `requires-new`.
const places: Record<string, (options: Options, work: Work) => Promise<unknown>> = {
  'the first attempt of one': (options, work) => bare.run({ ...options, retry: 0 }, work),
  'the last attempt of two': (options, work) => bare.run({ ...options, retry: 1 }, work),
  'a nested boundary': (options, work) => bare.run(options, () => bare.run({ propagation: 'nested' }, work)),
  'a nested one with a time of its own': (options, work) =>
    bare.run({ retry: 0 }, () => bare.run({ timeout: '2s', ...options, propagation: 'nested' }, work)),
  'one that joins': (options, work) => bare.run(options, () => bare.run({}, work)),
  'one on another connection': (options, work) =>
    bare.run({ retry: 0 }, () => bare.run({ propagation: 'requires-new', ...options }, work)),
};

const cells = Object.entries(rows).flatMap(([meaning, row]) =>
  Object.entries(row.ways).flatMap(([way, work]) =>
    Object.entries(places)
      // COMMIT is in the time of the outermost.
      .filter(([place]) => !(way === 'commit' && meaning === 'time that is over' && place.includes('of its own')))
      .map(([place, run]) => [meaning, way, place, row, () => run(row.options ?? {}, work)] as const),
  ),
);

it.each(cells)('%s, in %s, in %s, has one class and one answer', async (_m, _w, _p, { type, answer }, run) => {
  const error = await errorOf(run());
  expect([error.constructor.name, error.message]).toEqual([type.name, expect.any(String)]);
  const { status, code } = answerFor(error);
  expect(`${status} ${code}`).toBe(answer);
});

it.each(['40001', '40P01'])(
  '%s meets the same class inside, where the outermost boundary runs it again',
  async (state) => {
    for (const propagation of ['required', 'nested', 'requires-new'] as const) {
      const slug = fresh('again');
      let attempts = 0;
      const inside: unknown[] = [];
      await bare.run({}, async () => {
        await bare.write(slug);
        attempts++;
        await bare
          .run({ propagation, name: 'Inner' }, () => (attempts === 1 ? raise(state)() : Promise.resolve()))
          .catch((error: unknown) => {
            inside.push(error);
            throw error;
          });
      });
      expect(attempts).toBe(2);
      expect(inside).toEqual([expect.any(TransactionConflictError)]);
      expect(databaseFailure(inside[0])?.sqlState).toBe(state);
      expect(await stored(database, [slug])).toEqual([slug]);
    }
  },
);

it('a conflict among several errors of inner boundaries is answered by another attempt', async () => {
  let attempts = 0;
  const slug = fresh('several');
  await bare.run({}, async () => {
    attempts++;
    await bare.write(slug);
    const inner = [0, 1].map(() =>
      bare.run({ propagation: 'requires-new' }, () => (attempts === 1 ? raise('40001')() : Promise.resolve(undefined))),
    );
    await Promise.any(inner);
  });
  expect(attempts).toBe(2);
  expect(await stored(database, [slug])).toEqual([slug]);
});

it('an outcome that nobody knows is told as such at any number of attempts', () => {
  const { status, code } = answerFor(new CommitOutcomeUnknownError('Shop.sell', new Error('lost')));
  expect([status, code]).toEqual([503, 'outcome-unknown']);
});
