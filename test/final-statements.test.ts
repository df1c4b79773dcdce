import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { FinalStatementRefusedError, type FinalStatement, sendWithCommit } from '../src/transactions/participant.ts';
import { raised } from '../src/testing/faults.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { recordStatements } from './support/statements.ts';

let database: TestDatabase;
let core: Bare;

beforeAll(async () => {
  database = await createDatabase();
  core = await startBare({ app: database.urls.app }, { DATABASE_POOL_SIZE: '4' });
});
afterEach(() => {
  core.transactions.faults = null;
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

const mark = (slug: string): FinalStatement => ({
  name: 'mark',
  text: 'INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), $1, $1)',
  values: [slug],
});
const missing = (places: readonly number[]): FinalStatement => ({
  name: 'missing',
  text: 'SELECT refuse_missing($1::int[])',
  values: [places],
});
const free = async (): Promise<number> => {
  const [row] = await database.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'`,
  );
  return row?.count ?? -1;
};

describe('a statement that leaves with COMMIT', () => {
  it('is stored with the work, in the round trip of COMMIT', async () => {
    const slug = fresh('with');
    await core.run({}, () => core.write('warm-up'));
    const statements = recordStatements({ isFar: true });
    await core.run({}, async () => {
      await core.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${slug}, ${slug})`;
      sendWithCommit(mark(`${slug}-last`));
      sendWithCommit(mark(`${slug}-very-last`));
    });
    statements.stop();
    const sent = statements.take();
    const trips = new Set(sent.map(({ trip }) => trip));
    expect([trips.size, sent.at(-1)?.text.startsWith('SELECT pg_current_wal')]).toEqual([2, expect.any(Boolean)]);
    expect(await stored(database, [slug, `${slug}-last`, `${slug}-very-last`])).toHaveLength(3);
  });

  it('that has not done all of it stores nothing, and says what is missing', async () => {
    const slug = fresh('missing');
    const statement = missing([3, 7]);
    const error = await errorOf(
      core.run({}, async () => {
        await core.write(slug);
        sendWithCommit(mark(`${slug}-last`));
        sendWithCommit(statement);
      }),
    );
    expect(error).toBeInstanceOf(FinalStatementRefusedError);
    expect(error).toMatchObject({ statement, missing: [3, 7] });
    expect(await stored(database, [slug, `${slug}-last`])).toEqual([]);
    expect(await free()).toBe(0);
  });

  it('goes with the nested boundary that has asked for it: it is kept with that, and gone where that is rolled back', async () => {
    const slug = fresh('nested');
    const nested = (name: string, fails: boolean) =>
      core
        .run({ propagation: 'nested' }, async () => {
          await core.write(`${slug}-${name}`);
          sendWithCommit(mark(`${slug}-${name}-last`));
          if (fails) throw new Error('undone');
        })
        .catch(() => undefined);
    await core.run({}, async () => {
      await nested('kept', false);
      await nested('undone', true);
      await core
        .run({ propagation: 'nested' }, async () => {
          await nested('inner', false);
          throw new Error('undone');
        })
        .catch(() => undefined);
    });
    const names = ['kept', 'undone', 'inner'].flatMap((name) => [`${slug}-${name}`, `${slug}-${name}-last`]);
    expect(await stored(database, names)).toEqual([`${slug}-kept`, `${slug}-kept-last`]);
  });

  it('lets COMMIT through where nothing is missing', async () => {
    const slug = fresh('nothing');
    for (const places of [[], null as unknown as number[]])
      await core.run({}, async () => {
        await core.write(`${slug}-${String(places)}`);
        sendWithCommit(missing(places));
      });
    expect(await stored(database, [`${slug}-`, `${slug}-null`])).toHaveLength(2);
  });

  it('that violates a constraint stores nothing, and says which', async () => {
    const slug = fresh('twice');
    const error = await errorOf(
      core.run({}, async () => {
        await core.write(slug);
        sendWithCommit(mark(slug));
      }),
    );
    expect(databaseFailure(error)).toMatchObject({ sqlState: '23505' });
    expect(await stored(database, [slug])).toEqual([]);
  });

  it.each([
    ['40001', 'is in a conflict has the work done again', true],
    ['40P01', 'is in a deadlock has the work done again', true],
    ['57014', 'is cancelled stores nothing', false],
    ['53200', 'finds no memory stores nothing', false],
  ])('%s: that %s', async (sqlState, _, again) => {
    const slug = fresh(`planted-${sqlState}`);
    core.transactions.faults = (__, attempt, moment, text) =>
      moment === 'statement' && attempt === 1 && text === mark('').text ? raised(sqlState) : null;
    let attempts = 0;
    const done = core.run({}, async () => {
      attempts++;
      await core.db.$executeRaw`SELECT pg_current_xact_id()`;
      sendWithCommit(mark(slug));
    });
    if (again) await done;
    else expect(databaseFailure(await errorOf(done))).toMatchObject({ sqlState });
    expect([attempts, await stored(database, [slug])]).toEqual(again ? [2, [slug]] : [1, []]);
    expect(await free()).toBe(0);
  });

  it('is not sent where the work fails, nor a second time by a repeated attempt', async () => {
    const slug = fresh('again');
    const work = async (): Promise<void> => {
      await core.write(slug);
      sendWithCommit(mark(`${slug}-last`));
    };
    await errorOf(core.run({}, () => work().then(() => Promise.reject(new Error('thrown')))));
    expect(await stored(database, [slug, `${slug}-last`])).toEqual([]);
    core.transactions.faults = (_, attempt, moment) => (attempt === 1 && moment === 'commit' ? raised('40001') : null);
    await core.run({}, work);
    expect(await stored(database, [slug, `${slug}-last`])).toHaveLength(2);
  });

  it('needs a boundary', () => {
    expect(() => sendWithCommit(mark('outside'))).toThrow('A statement leaves with COMMIT of a boundary only.');
  });
});
