/** @servers any */
import type { TransactionOptions } from '../src/transactions/boundary/options.ts';
import { currentTransaction } from '../src/transactions/current.ts';
import { TransactionJoinError, TransactionRequiredError, UnexpectedRollbackError } from '../src/transactions/errors.ts';
import { afterCommit } from '../src/transactions/hooks.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Core, startCore } from './support/core.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { Marks, marksLike } from './support/marks.ts';

// Whoever comes from Spring knows these modes. Its rules are those of Spring Framework 7, "Transaction Propagation" and the javadoc of
// @Transactional, TransactionDefinition and AbstractPlatformTransactionManager (docs.spring.io), in our words. They are not run here:
// what is run is ours, where it keeps them and where it does not.

let database: TestDatabase;
let core: Core;
let marks: Marks;
let run: Core['run'];
beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [Marks]);
  marks = core.get(Marks);
  run = core.run;
  await marks.write('taken');
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

let counted = 0;
const fresh = (): string => `spring-${++counted}-`;
const storedOf = async (mark: string): Promise<string[]> =>
  (await marksLike(database, mark)).map((slug) => slug.slice(mark.length));
const fail = async (): Promise<never> => {
  throw new Error('thrown');
};
const ignore = (): undefined => undefined;
const show = async (setting: string): Promise<string> => {
  const [row] = await marks.db.$queryRaw<[{ value: string }]>`SELECT current_setting(${setting}) AS value`;
  return row.value;
};
const nothing = (): Promise<unknown> => Promise.resolve();
/** An outer boundary that writes, calls an inner one that writes, and goes on with the rest. */
async function meet(inner: TransactionOptions, { work = nothing, isCaught = false, rest = nothing } = {}) {
  const mark = fresh();
  let isOuterOn = false;
  const error: unknown = await run({ name: 'Outer' }, async () => {
    await marks.write(`${mark}outer`);
    const call = run({ name: 'Inner', ...inner }, async () => {
      await marks.write(`${mark}inner`);
      await work();
    });
    await (isCaught ? call.catch(ignore) : call);
    isOuterOn = currentTransaction()?.name === 'Outer';
    await rest();
  }).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return { error, stored: await storedOf(mark), isOuterOn };
}

describe('as in Spring,', () => {
  it('REQUIRED takes part in the transaction that is there: there is one physical transaction, which ends once', async () => {
    const ids = new Set<string>();
    const note = async () => ids.add(await marks.transactionId());
    expect(await meet({}, { work: note, rest: note })).toEqual({
      error: null,
      stored: ['inner', 'outer'],
      isOuterOn: true,
    });
    expect(ids.size).toBe(1);
    expect(await meet({}, { rest: fail })).toMatchObject({ stored: [], error: { message: 'thrown' } });
  });

  it('a caller is never led to believe in a commit that was none: what an inner one has marked for rollback raises UnexpectedRollback', async () => {
    // The inner one marks it without a word: by a statement that fails, which it keeps to itself.
    const { error, stored } = await meet({}, { work: () => marks.write('taken').catch(ignore) });
    expect(error).toBeInstanceOf(UnexpectedRollbackError);
    expect(error).toMatchObject({ swallowedIn: 'Inner', statement: 'INSERT product' });
    expect(stored).toEqual([]);
  });

  it('REQUIRES_NEW is a physical transaction of its own, with its own level and fate, and the outer one is resumed', async () => {
    const seen: string[] = [];
    const options = { propagation: 'requires-new', isolation: 'serializable' } as const;
    const work = async () => seen.push(await show('transaction_isolation'));
    const rest = async () => {
      seen.push(await show('transaction_isolation'));
      await fail();
    };
    expect(await meet(options, { work, rest })).toMatchObject({ stored: ['inner'], isOuterOn: true });
    expect(seen).toEqual(['serializable', 'read committed']);
    expect(await meet(options, { work: fail, isCaught: true })).toEqual({
      error: null,
      stored: ['outer'],
      isOuterOn: true,
    });
  });

  it('REQUIRES_NEW gives its locks back at its own end, and does not see what the outer one has not committed', async () => {
    const mark = fresh();
    await marks.write(mark);
    await run({}, async () => {
      await run({ propagation: 'requires-new' }, () =>
        marks.db.product.update({ where: { slug: mark }, data: { name: 'first' } }),
      );
      await marks.db.product.update({ where: { slug: mark }, data: { name: 'second' } });
      await run({ propagation: 'requires-new' }, async () => {
        expect(await marks.db.product.findUnique({ where: { slug: mark } })).toMatchObject({ name: 'first' });
      });
    });
  });

  it('NESTED is a savepoint in the one physical transaction: undone by itself, and with the outer one', async () => {
    const nested = { propagation: 'nested' } as const;
    expect(await meet(nested, { work: fail, isCaught: true })).toMatchObject({ error: null, stored: ['outer'] });
    expect(await meet(nested, { work: () => marks.write('taken'), isCaught: true })).toMatchObject({
      error: null,
      stored: ['outer'],
    });
    expect(await meet(nested, { rest: fail })).toMatchObject({ stored: [] });
    expect(await meet(nested)).toMatchObject({ error: null, stored: ['inner', 'outer'] });
  });

  it('MANDATORY fails without a transaction, and takes part in the one that is there', async () => {
    await expect(run({ propagation: 'mandatory' }, async () => 0)).rejects.toThrow(TransactionRequiredError);
    expect(await meet({ propagation: 'mandatory' }, { rest: fail })).toMatchObject({ stored: [] });
  });

  it('NEVER fails inside a transaction, and runs without one', async () => {
    const { error, stored } = await meet({ propagation: 'never' });
    expect(error).toBeInstanceOf(TransactionRequiredError);
    expect(stored).toEqual([]);
    expect(await run({ propagation: 'never' }, async () => currentTransaction())).toBeNull();
  });

  it('SUPPORTS takes part in the transaction that is there, and runs without one', async () => {
    expect(await meet({ propagation: 'supports' }, { rest: fail })).toMatchObject({ stored: [] });
    expect(await run({ propagation: 'supports' }, async () => currentTransaction())).toBeNull();
  });

  it('NOT_SUPPORTED sets the transaction aside, and it is resumed afterwards', async () => {
    const outcome = await meet({ propagation: 'not-supported' }, { rest: fail });
    expect(outcome).toMatchObject({ stored: ['inner'], isOuterOn: true });
  });

  it('what is to be done after the commit is not done after a rollback', async () => {
    const done: string[] = [];
    const work = async () => afterCommit(() => done.push('committed'));
    await meet({}, { work, rest: fail });
    expect(done).toEqual([]);
    await meet({}, { work });
    expect(done).toEqual(['committed']);
  });
});

describe('other than in Spring,', () => {
  it('an error that passes a joined inner method and is caught outside is the decision of whoever catches it', async () => {
    // There a RuntimeException that leaves a REQUIRED method marks the whole for rollback, also when it is caught; the caller then meets
    // UnexpectedRollbackException. Here only the database can break a transaction: whoever wants the inner part undone says nested.
    const thrown = await meet({}, { work: fail, isCaught: true });
    expect(thrown).toEqual({ error: null, stored: ['inner', 'outer'], isOuterOn: true });
    // When a statement has failed, nothing can be decided any more, there as here.
    const failed = await meet({}, { work: () => marks.write('taken'), isCaught: true });
    expect(failed).toMatchObject({ error: { name: 'UnexpectedRollbackError', swallowedIn: 'Outer' }, stored: [] });
  });

  it('every error rolls back: there are no rules for which ones do', async () => {
    // There a checked exception commits unless rollbackFor says otherwise. JavaScript has no such kind, and a commit that is reached by a
    // throw is one that nobody looks for. Who wants to store and report returns a value, or throws behind the boundary.
    for (const error of [new Error('thrown'), new TypeError('thrown'), 'a text', null]) {
      const mark = fresh();
      const failing = run({}, async () => {
        await marks.write(mark);
        throw error as Error;
      });
      await expect(failing).rejects.toBe(error);
      expect(await storedOf(mark)).toEqual([]);
    }
  });

  it('a level that is stricter than that of the running transaction is refused, and a weaker one joins', async () => {
    // There the inner level is ignored in silence, or with validateExistingTransaction every different one is refused. Here what was asked
    // for is either given or refused: more is given without a word.
    const joins = (outer: TransactionOptions, inner: TransactionOptions) =>
      run(outer, () => run(inner, () => show('transaction_isolation')));
    await expect(joins({}, { isolation: 'serializable' })).rejects.toThrow(TransactionJoinError);
    await expect(joins({ isolation: 'repeatable-read' }, { isolation: 'serializable' })).rejects.toThrow(
      TransactionJoinError,
    );
    expect(await joins({ isolation: 'serializable' }, { isolation: 'repeatable-read' })).toBe('serializable');
    expect(await joins({ isolation: 'serializable' }, {})).toBe('serializable');
    await expect(joins({}, { propagation: 'nested', isolation: 'serializable' })).rejects.toThrow(TransactionJoinError);
  });

  it('a timeout of an inner method holds for it, and one that the outer one cannot give is refused', async () => {
    // There the timeout of a method that takes part is ignored.
    const slow = () => marks.db.$queryRaw`SELECT pg_sleep(8)::text`;
    const tooSlow = await meet({ timeout: '100ms' }, { work: slow });
    expect(tooSlow).toMatchObject({ stored: [], error: { name: 'TransactionExpiredError' } });
    const tooLong = run({ timeout: '1s' }, () => run({ timeout: '2s' }, async () => 0));
    await expect(tooLong).rejects.toThrow(TransactionJoinError);
    expect(await run({ timeout: '1s' }, () => run({ propagation: 'requires-new', timeout: '2s' }, async () => 1))).toBe(
      1,
    );
  });

  it('read-only is no hint: the database refuses the write', async () => {
    const mark = fresh();
    const error: unknown = await run({ readOnly: true }, () => marks.writeRaw(mark)).catch((thrown: unknown) => thrown);
    expect(databaseFailure(error)?.sqlState).toMatch(/25006|42501/);
    expect(await storedOf(mark)).toEqual([]);
  });

  it('a method that writes cannot take part in a read-only transaction, and one that only reads is held to it in a writing one', async () => {
    // There both flags of the inner method are ignored, unless validateExistingTransaction refuses the first.
    const writing = run({ readOnly: true, name: 'Outer' }, () => run({ name: 'Inner' }, async () => 0));
    await expect(writing).rejects.toThrow(new TransactionJoinError('Inner asks for more access than Outer gives.'));
    const mark = fresh();
    await run({}, async () => {
      await marks.write(`${mark}outer`);
      const reading = run({ readOnly: true }, async () => {
        expect(await marks.db.product.count({ where: { slug: `${mark}outer` } })).toBe(1);
        await marks.write(`${mark}inner`);
      });
      await expect(reading).rejects.toThrow(TransactionJoinError);
    });
    expect(await storedOf(mark)).toEqual(['outer']);
  });

  it('REQUIRES_NEW that would wait for ever is refused at once', async () => {
    // There the documentation asks for a pool that is larger than the number of threads, and otherwise it deadlocks.
    const small = await startCore(database, [Marks], {
      variables: { DATABASE_POOL_SIZE: '2', DATABASE_POOL_WAIT_MS: '20000' },
    });
    try {
      const deeper = async (depth: number): Promise<number> =>
        small.run({ propagation: 'requires-new' }, async () => {
          await small.get(Marks).pid();
          return depth === 1 ? 1 : deeper(depth - 1);
        });
      expect(await deeper(2)).toBe(1);
      await expect(deeper(3)).rejects.toMatchObject({ name: 'PoolStarvedError', isTransient: false });
    } finally {
      await small.close();
    }
  });

  it('two NESTED ones at the same moment are refused: there a transaction belongs to a thread, which does one thing at a time', async () => {
    const mark = fresh();
    const both = run({}, () =>
      Promise.all(['a', 'b'].map((slug) => run({ propagation: 'nested' }, () => marks.write(mark + slug)))),
    );
    await expect(both).rejects.toMatchObject({ name: 'ParallelNestingError' });
    expect(await storedOf(mark)).toEqual([]);
  });
});
