/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import { type LoggerService } from '@nestjs/common';
import { newId } from '../src/kernel/ids.ts';
import { hookFailed } from '../src/transactions/boundary/channels.ts';
import { hookLimitMs } from '../src/transactions/boundary/hook-list.ts';
import { currentTransaction } from '../src/transactions/current.ts';
import {
  AfterCommitError,
  AfterRollbackError,
  CommitOutcomeUnknownError,
  DetachedTransactionError,
  TransactionConflictError,
} from '../src/transactions/errors.ts';
import { afterCommit, afterRollback } from '../src/transactions/hooks.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Core, startCore } from './support/core.ts';
import { fullCount } from './support/counts.ts';
import { inFlight } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { Marks, marksLike } from './support/marks.ts';
import { startProxy } from './support/proxy.ts';

let database: TestDatabase;
let core: Core;
let marks: Marks;
let run: Core['run'];
/** Every error that was logged, as it was given. */
const logged: unknown[][] = [];
const logger: LoggerService = {
  log: () => undefined,
  warn: () => undefined,
  error: (...line: unknown[]) => logged.push(line),
};

beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [Marks], { logger, variables: { DATABASE_POOL_WAIT_MS: '20000' } });
  marks = core.get(Marks);
  run = core.run;
  await marks.write('taken');
  await database.query('CREATE TABLE numbered (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)');
  await database.query('INSERT INTO numbered VALUES (1)');
  await database.query('GRANT SELECT, INSERT ON numbered TO holdfast_app');
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

let counted = 0;
const fresh = (name: string): string => `${name}-${++counted}-`;
const nested = { propagation: 'nested' } as const;
const requiresNew = { propagation: 'requires-new' } as const;
const ignore = (): undefined => undefined;
const fail = async (): Promise<never> => {
  throw new Error('thrown');
};
const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );

/** What hooks and work have said, in order. */
function listen() {
  const said: string[] = [];
  return {
    said,
    says: (what: string): void => void said.push(what),
    /** Registers a hook of each kind that says so. */
    hooks: (what: string): void => {
      afterCommit(() => said.push(`${what} committed`));
      afterRollback(() => said.push(`${what} rolled back`));
    },
  };
}

/** A statement that meets a conflict: what it changes was changed by somebody else after the boundary had looked. */
async function meetConflict(slug: string): Promise<void> {
  const change = (name: string) => marks.db.product.updateMany({ where: { slug }, data: { name } });
  await marks.db.product.findMany({ where: { slug } });
  await run(requiresNew, () => change('theirs'));
  await change('mine');
}
const repeatable = { isolation: 'repeatable-read' } as const;

describe('hooks after the commit', () => {
  it('run in the order of their registration, whatever boundary of the transaction registered them, before the caller goes on', async () => {
    const { said, says } = listen();
    const hook = (what: string): void => {
      afterCommit(async () => {
        await sleep(1);
        says(what);
      });
    };
    await run({}, async () => {
      hook('1');
      await run({}, async () => hook('2'));
      await run(nested, async () => {
        hook('3');
        await run(nested, async () => hook('4'));
        hook('5');
      });
      await run({ propagation: 'mandatory' }, async () => hook('6'));
      await run({ timeout: '1s' }, async () => hook('7'));
      await run({ propagation: 'supports' }, async () => hook('8'));
      hook('9');
      says('work');
    });
    says('caller');
    expect(said).toEqual(['work', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'caller']);
  });

  it('find what was written already stored, for everybody', async () => {
    const mark = fresh('stored');
    const seen: string[][] = [];
    const look = (): void => afterCommit(async () => seen.push(await marksLike(database, mark)));
    await run({}, async () => {
      look();
      await run({}, async () => {
        look();
        await marks.write(`${mark}inner`);
      });
      await run(nested, async () => look());
      await marks.write(`${mark}outer`);
      expect(await marksLike(database, mark)).toEqual([]);
    });
    expect(seen).toEqual(Array(3).fill([`${mark}inner`, `${mark}outer`]));
  });

  it('run outside the transaction that has ended: what they write is stored by itself, and they may begin boundaries', async () => {
    const mark = fresh('outside');
    const { said, says } = listen();
    await run({}, async () => {
      await marks.write(`${mark}work`);
      afterCommit(async () => {
        expect(currentTransaction()).toBeNull();
        await marks.write(`${mark}by-itself`);
        says('one');
        throw new Error('thrown');
      });
      afterCommit(async () => {
        await expect(run({}, () => marks.write(`${mark}undone`).then(fail))).rejects.toThrow('thrown');
        await run({ name: 'In a hook' }, async () => {
          expect(currentTransaction()).toMatchObject({ name: 'In a hook', isNested: false, attempt: 1 });
          await marks.write(`${mark}boundary`);
          afterCommit(() => says('three'));
        });
        await expect(run({ propagation: 'never' }, async () => says('four'))).resolves.toBeUndefined();
      });
      afterCommit(async () => says(`five ${(await marksLike(database, mark)).length}`));
    });
    expect(said).toEqual(['one', 'three', 'four', 'five 3']);
    expect(await marksLike(database, mark)).toEqual([`${mark}boundary`, `${mark}by-itself`, `${mark}work`]);
  });

  it('run when nothing was written, and when there was nothing to say at all', async () => {
    const { said, hooks } = listen();
    await run({}, async () => hooks('silent'));
    await run({ readOnly: true }, async () => {
      await marks.db.product.count();
      hooks('reader');
    });
    expect(said).toEqual(['silent committed', 'reader committed']);
  });

  it('do not run when the commit fails', async () => {
    const { said, hooks } = listen();
    const failing = run({}, async () => {
      hooks('work');
      await run(nested, async () => hooks('nested'));
      await marks.db.$executeRaw`INSERT INTO numbered VALUES (1)`;
    });
    expect(databaseFailure(await errorOf(failing))?.sqlState).toBe('23505');
    expect(said).toEqual(['work rolled back', 'nested rolled back']);
  });

  it('belong to the boundary that registered them, also when many run beside each other', async () => {
    const mark = fresh('beside');
    const fired: string[] = [];
    await inFlight(8, 60, (n) =>
      run({}, async () => {
        afterCommit(() => fired.push(`${mark}${n}`));
        await marks.write(`${mark}${n}`);
        if (n % 3 === 0) await fail();
      }).catch(ignore),
    );
    expect(fired.sort()).toEqual((await marksLike(database, mark)).sort());
    expect(fired).toHaveLength(40);
  });
});

describe('a savepoint', () => {
  it('that is rolled back drops its hooks; one that is released hands them on', async () => {
    const { said, hooks } = listen();
    await run({}, async () => {
      hooks('outer');
      await run(nested, async () => hooks('kept'));
      await run(nested, async () => {
        hooks('dropped');
        await run(nested, async () => hooks('kept by what is dropped'));
        await fail();
      }).catch(ignore);
      await run(nested, async () => {
        hooks('keeps');
        await run(nested, async () => {
          hooks('dropped inside');
          await fail();
        }).catch(ignore);
      });
    });
    expect(said).toEqual([
      'dropped rolled back',
      'kept by what is dropped rolled back',
      'dropped inside rolled back',
      'outer committed',
      'kept committed',
      'keeps committed',
    ]);
  });

  it('that is rolled back by a statement that failed drops its hooks', async () => {
    const { said, hooks } = listen();
    await run({}, async () => {
      hooks('outer');
      await run(nested, async () => {
        hooks('nested');
        await marks.write('taken');
      }).catch(ignore);
    });
    expect(said).toEqual(['nested rolled back', 'outer committed']);
  });

  it('that was released shares the fate of the transaction', async () => {
    const { said, hooks } = listen();
    await run({}, async () => {
      await run(nested, async () => hooks('released'));
      hooks('outer');
      await fail();
    }).catch(ignore);
    expect(said).toEqual(['released rolled back', 'outer rolled back']);
  });

  it('gives its rollback hooks the error that it was rolled back with', async () => {
    const errors: unknown[] = [];
    const outer = run({}, async () => {
      afterRollback((error) => errors.push(error));
      await run(nested, async () => {
        afterRollback((error) => errors.push(error));
        throw new Error('inner');
      }).catch(ignore);
      throw new Error('outer');
    });
    await expect(outer).rejects.toThrow('outer');
    expect(errors).toMatchObject([{ message: 'inner' }, { message: 'outer' }]);
  });
});

describe('requires-new', () => {
  it('has hooks of its own, which run after its own commit and do not ask what becomes of the outer one', async () => {
    const mark = fresh('own');
    const { said, says, hooks } = listen();
    await run({}, async () => {
      hooks('outer');
      await run(requiresNew, async () => {
        await marks.write(`${mark}inner`);
        hooks('inner');
        afterCommit(async () => {
          expect(currentTransaction()).toBeNull();
          await marks.write(`${mark}hook`);
        });
      });
      says('outer goes on');
      expect(currentTransaction()).not.toBeNull();
      await marks.write(`${mark}outer`);
      await fail();
    }).catch(ignore);
    expect(said).toEqual(['inner committed', 'outer goes on', 'outer rolled back']);
    expect(await marksLike(database, mark)).toEqual([`${mark}hook`, `${mark}inner`]);
  });

  it('that fails drops its own hooks only', async () => {
    const { said, hooks } = listen();
    await run({}, async () => {
      hooks('outer');
      await run(requiresNew, async () => {
        hooks('inner');
        await fail();
      }).catch(ignore);
    });
    expect(said).toEqual(['inner rolled back', 'outer committed']);
  });
});

describe('an attempt that met a conflict', () => {
  it('takes all of its hooks with it', async () => {
    const slug = fresh('retried');
    await marks.write(slug);
    const { said, hooks } = listen();
    await run(repeatable, async () => {
      const { attempt } = currentTransaction()!;
      hooks(`attempt ${attempt}`);
      await run(nested, async () => hooks(`nested of ${attempt}`));
      await run(nested, async () => {
        hooks(`undone of ${attempt}`);
        await fail();
      }).catch(ignore);
      if (attempt < 3) await meetConflict(slug);
    });
    expect(said).toEqual(['undone of 3 rolled back', 'attempt 3 committed', 'nested of 3 committed']);
  });

  it('leaves the word to the last one when there is no other', async () => {
    const slug = fresh('stubborn');
    await marks.write(slug);
    const { said, hooks } = listen();
    const errors: unknown[] = [];
    const stubborn = run({ ...repeatable, retry: 2 }, async () => {
      hooks(`attempt ${currentTransaction()?.attempt}`);
      afterRollback((error) => errors.push(error));
      await meetConflict(slug);
    });
    const error = await errorOf(stubborn);
    expect(error).toBeInstanceOf(TransactionConflictError);
    expect(said).toEqual(['attempt 3 rolled back']);
    expect(errors).toEqual([error]);
  });

  it('is counted: each boundary fires as often as it has stored a row, and never otherwise', async () => {
    const mark = fresh('counted');
    const counters = Array.from({ length: 16 }, (_, n) => `${mark}counter-${n}-`);
    for (const slug of counters) await marks.write(slug);
    const times = fullCount(500, 10_000);
    const committed = new Map<number, number>();
    const rolledBack = new Map<number, number>();
    const count = (counts: Map<number, number>, n: number) => counts.set(n, (counts.get(n) ?? 0) + 1);
    let attempts = 0;
    const add = (slug: string) => marks.db.product.update({ where: { slug }, data: { version: { increment: 1 } } });

    await inFlight(8, times, async (n) => {
      const slug = counters[n % counters.length]!;
      const work = run({ ...repeatable, retry: 1000, timeout: '60s' }, async () => {
        attempts++;
        afterCommit(() => count(committed, n));
        afterRollback(() => count(rolledBack, n));
        await marks.db.product.create({ data: { id: newId(), slug: `${mark}row-${n}-${newId()}`, name: `${n}` } });
        // The first attempt of every boundary meets a conflict, and later ones may, by those that run beside it.
        if (currentTransaction()?.attempt === 1) await run(requiresNew, () => add(slug));
        await add(slug);
        if (n % 10 === 0) await fail();
      });
      if (n % 10 === 0) await expect(work).rejects.toThrow('thrown');
      else await work;
    });

    const rows = await database.query<{ n: string }>(`SELECT name AS n FROM product WHERE starts_with(slug, $1)`, [
      `${mark}row-`,
    ]);
    const stored = rows.map(({ n }) => Number(n)).sort((a, b) => a - b);
    const all = [...Array(times).keys()];
    expect(stored).toEqual(all.filter((n) => n % 10 !== 0));
    expect([...committed].sort(([a], [b]) => a - b)).toEqual(stored.map((n) => [n, 1]));
    expect([...rolledBack].sort(([a], [b]) => a - b)).toEqual(all.filter((n) => n % 10 === 0).map((n) => [n, 1]));
    expect(attempts).toBeGreaterThanOrEqual(2 * times);
  }, 900_000);
});

describe('a hook that fails', () => {
  /** What the channel and the log have said meanwhile. */
  async function during<T>(work: () => Promise<T>) {
    const told: { boundary: string; error: Error }[] = [];
    const hear = (message: unknown): void => void told.push(message as (typeof told)[number]);
    logged.length = 0;
    hookFailed.subscribe(hear);
    try {
      return { value: await work(), told, lines: [...logged] };
    } finally {
      hookFailed.unsubscribe(hear);
    }
  }

  const ways: [string, () => unknown, unknown][] = [
    [
      'by a throw',
      () => {
        throw new Error('thrown');
      },
      expect.objectContaining({ message: 'thrown' }),
    ],
    ['by a rejection', fail, expect.objectContaining({ message: 'thrown' })],
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    ['by a rejection with nothing', () => Promise.reject(), undefined],
    ['by a statement', () => marks.write('taken'), expect.objectContaining({ code: 'P2002' })],
  ];
  it.each(ways)('%s leaves its caller the result, is told, and the next one runs', async (_, hook, cause) => {
    const mark = fresh('failing');
    const { said, says } = listen();
    const { value, told, lines } = await during(() =>
      run({ name: 'Orders.place' }, async () => {
        await marks.write(mark);
        afterCommit(() => says('before'));
        afterCommit(hook);
        afterCommit(() => says('behind'));
        return 'the result';
      }),
    );
    expect(value).toBe('the result');
    expect(await marksLike(database, mark)).toEqual([mark]);
    expect(said).toEqual(['before', 'behind']);
    expect(told).toMatchObject([{ boundary: 'Orders.place' }]);
    expect(told[0]?.error).toBeInstanceOf(AfterCommitError);
    expect(told[0]?.error).toMatchObject({ committed: true, cause });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.[0]).toEqual({ err: told[0]?.error, boundary: 'Orders.place' });
  });

  it('by never coming to an end is waited for no longer than its limit', async () => {
    const { said, says } = listen();
    const begunAt = performance.now();
    const { value, told } = await during(() =>
      run({}, async () => {
        afterCommit(() => new Promise(() => undefined));
        afterCommit(() => says('behind'));
        return 'the result';
      }),
    );
    expect([value, said]).toEqual(['the result', ['behind']]);
    expect(performance.now() - begunAt).toBeGreaterThanOrEqual(hookLimitMs - 50);
    expect(told).toMatchObject([
      { error: { committed: true, cause: { message: expect.stringContaining('10000 ms') } } },
    ]);
  });

  it('after a rollback leaves its caller the error of the work', async () => {
    const { said, says } = listen();
    const { value, told } = await during(() =>
      errorOf(
        run({}, async () => {
          afterRollback(() => {
            throw new Error('of the hook');
          });
          afterRollback(() => says('behind'));
          throw new Error('of the work');
        }),
      ),
    );
    expect(value).toMatchObject({ message: 'of the work' });
    expect(said).toEqual(['behind']);
    expect(told).toMatchObject([{ error: { committed: false, cause: { message: 'of the hook' } } }]);
    expect(told[0]?.error).toBeInstanceOf(AfterRollbackError);
  });
});

describe('hooks after the rollback', () => {
  it('run in order, outside, with the error that the caller is given, once nothing is stored', async () => {
    const mark = fresh('rolled-back');
    const seen: unknown[] = [];
    const error = await errorOf(
      run({}, async () => {
        await marks.write(mark);
        for (const n of [1, 2])
          afterRollback(async (reason) => {
            expect(currentTransaction()).toBeNull();
            await marks.write(`${mark}hook-${n}`);
            seen.push(n, reason, await marksLike(database, mark));
          });
        await marks.write('taken').catch(ignore);
      }),
    );
    expect(error).toMatchObject({ name: 'UnexpectedRollbackError' });
    expect(seen).toEqual([1, error, [`${mark}hook-1`], 2, error, [`${mark}hook-1`, `${mark}hook-2`]]);
  });
});

describe('an outcome that is unknown', () => {
  it('runs neither kind', async () => {
    const proxy = await startProxy(database.urls.app);
    const behind = await startCore(database, [Marks], { urls: { app: proxy.through(database.urls.app), reader: '' } });
    try {
      const { said, hooks } = listen();
      const doubtful = behind.run({ name: 'Doubtful', timeout: '2s' }, async () => {
        hooks('doubtful');
        await behind.get(Marks).write(fresh('doubtful'));
        // From here on nobody answers: neither to COMMIT nor to the question what became of it.
        proxy.goSilent();
      });
      await expect(doubtful).rejects.toThrow(CommitOutcomeUnknownError);
      expect(said).toEqual([]);
    } finally {
      proxy.heal();
      await proxy.close();
      await behind.close();
    }
  });
});

describe('a hook that is registered elsewhere', () => {
  it('than in a boundary runs at once when it is for a commit, and never when it is for a rollback', async () => {
    const { said, says, hooks } = listen();
    hooks('outside');
    says('next');
    await run({ propagation: 'supports' }, async () => hooks('supports'));
    await run({}, () => run({ propagation: 'not-supported' }, async () => hooks('beside')));
    expect(said).toEqual(['outside committed', 'next', 'supports committed', 'beside committed']);
  });

  it('namely in another hook, runs at once', async () => {
    const { said, says } = listen();
    await run({}, async () => {
      afterCommit(() => {
        says('first');
        afterCommit(() => says('inside'));
        says('first ends');
      });
      afterCommit(() => says('second'));
    });
    expect(said).toEqual(['first', 'inside', 'first ends', 'second']);
  });

  it('namely in work that has outlived its boundary, is refused', async () => {
    const { said, says } = listen();
    const late: Promise<void>[] = [];
    const ended = Promise.withResolvers();
    const registerLate = (): void => {
      late.push(ended.promise.then(() => afterCommit(() => says('late'))));
      late.push(ended.promise.then(() => afterRollback(() => says('late'))));
    };
    await run({}, async () => {
      registerLate();
      await run(nested, async () => registerLate());
    });
    await run({}, async () => {
      registerLate();
      await fail();
    }).catch(ignore);
    ended.resolve(null);
    for (const { reason } of (await Promise.allSettled(late)) as PromiseRejectedResult[])
      expect(reason).toBeInstanceOf(DetachedTransactionError);
    expect(late).toHaveLength(6);
    expect(said).toEqual([]);
  });

  it('namely in a savepoint that is over while the transaction is not, is refused as well', async () => {
    const { said, hooks } = listen();
    await run({}, async () => {
      const ended = Promise.withResolvers();
      let late: Promise<void> = Promise.resolve();
      await run(nested, async () => {
        late = ended.promise.then(() => hooks('late'));
      });
      ended.resolve(null);
      await expect(late).rejects.toThrow(DetachedTransactionError);
    });
    expect(said).toEqual([]);
  });
});
