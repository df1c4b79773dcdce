import { setTimeout as sleep } from 'node:timers/promises';
import { ParallelNestingError, UnexpectedRollbackError } from '../src/transactions/errors.ts';
import { afterCommit, afterRollback } from '../src/transactions/hooks.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { inFlight } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { recordStatements } from './support/statements.ts';

let database: TestDatabase;
let core: Bare;
beforeAll(async () => {
  database = await createDatabase();
  core = await startBare({ app: database.urls.app });
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

const nested = <T>(work: () => Promise<T>): Promise<T> => core.run({ propagation: 'nested', name: 'Nested' }, work);
const fail = (): Promise<never> => Promise.reject(new Error('thrown'));

describe('nested boundaries at the same moment', () => {
  it('are refused but for the first, which is stored when the others are known to have failed', async () => {
    const slugs = ['a', 'b', 'c'].map(fresh);
    const outcomes = await core.run({}, () =>
      Promise.allSettled(
        slugs.map((slug) =>
          nested(async () => {
            await core.write(slug);
            await sleep(20);
          }),
        ),
      ),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    for (const outcome of outcomes.slice(1))
      expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(ParallelNestingError);
    expect(await stored(database, slugs)).toEqual(slugs.slice(0, 1));
  });

  it('take the outer one with them when nobody catches that', async () => {
    const slugs = ['a', 'b'].map(fresh);
    const both = core.run({}, async () => {
      const all = slugs.map((slug) => nested(() => core.write(slug)));
      await Promise.all(all).finally(() => Promise.allSettled(all));
    });
    expect(await errorOf(both)).toBeInstanceOf(ParallelNestingError);
    expect(await stored(database, slugs)).toEqual([]);
  });

  it('never lose a row in silence, however they overlap', async () => {
    const told = await inFlight(4, 40, async (n) => {
      const slugs = [0, 1, 2].map((k) => `overlap-${n}-${k}`);
      const outcomes = await core
        .run({}, () =>
          Promise.allSettled(
            slugs.map(async (slug, k) => {
              await sleep((n * 7 + k * 5) % 11);
              await nested(async () => {
                await core.write(slug);
                // One that fails takes its own rows back, and none of a neighbour's.
                if ((n + k) % 4 === 0) await fail();
              });
              return slug;
            }),
          ),
        )
        .catch(() => []);
      return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    });
    const rows = await database.query<{ slug: string }>(
      `SELECT slug FROM product WHERE slug LIKE 'overlap-%' ORDER BY 1`,
    );
    expect(rows.map(({ slug }) => slug)).toEqual(told.flat().sort());
    expect(rows.length).toBeGreaterThan(15);
  });

  it('a statement beside one is refused, and so is one beside a statement', async () => {
    const [inner, beside, pending] = ['inner', 'beside', 'pending'].map(fresh) as [string, string, string];
    await core.run({}, async () => {
      const running = nested(async () => {
        await core.write(inner);
        await sleep(30);
      });
      await sleep(10);
      const error = await errorOf(core.write(beside));
      expect(error).toBeInstanceOf(ParallelNestingError);
      expect(error.message).toBe(
        'product.create was started while Nested was running beside it. Await one before the other.',
      );
      await running;

      const statement = core.write(pending);
      expect(await errorOf(nested(() => core.pid()))).toMatchObject({
        name: 'ParallelNestingError',
        message: 'Nested was started while product.create was running beside it. Await one before the other.',
      });
      await statement;
    });
    expect(await stored(database, [inner, beside, pending])).toEqual([inner, pending].sort());
  });
});

describe('nesting', () => {
  const depth = 20;

  it(`${depth} levels deep loses what is below the level that failed, and keeps what is above`, async () => {
    for (let failing = 1; failing <= depth; failing++) {
      const slugOf = (level: number): string => `deep-${failing}-${String(level).padStart(2, '0')}`;
      const hooks: string[] = [];
      const level = async (n: number): Promise<void> => {
        await core.write(slugOf(n));
        afterCommit(() => hooks.push(slugOf(n)));
        afterRollback(() => hooks.push(`undone ${n}`));
        if (n === depth) await fail();
        const below = nested(() => level(n + 1));
        await (n + 1 === failing ? below.catch(() => undefined) : below);
      };
      await core.run({}, () => level(0));
      const kept = Array.from({ length: failing }, (_, n) => slugOf(n));
      expect(
        await stored(
          database,
          Array.from({ length: depth + 1 }, (_, n) => slugOf(n)),
        ),
      ).toEqual(kept);
      expect(hooks.filter((hook) => !hook.startsWith('undone'))).toEqual(kept);
      expect(hooks.filter((hook) => hook.startsWith('undone'))).toHaveLength(depth + 1 - failing);
    }
  });

  it('one after the other works on after a failed one, whatever failed in it', async () => {
    const taken = fresh('taken');
    await core.write(taken);
    const expected: string[] = [];
    const slugs: string[] = [];
    await core.run({}, async () => {
      for (let n = 0; n < 30; n++) {
        const slug = fresh('turn');
        slugs.push(slug);
        const turn = nested(async () => {
          await core.write(slug);
          if (n % 3 === 1) await core.write(taken); // the database refuses it
          if (n % 3 === 2) await fail();
        });
        if (n % 3 === 0) {
          await turn;
          expected.push(slug);
        } else await errorOf(turn);
        expect(await core.db.product.count({ where: { slug: { in: slugs } } })).toBe(expected.length);
      }
    });
    expect(await stored(database, slugs)).toEqual(expected.sort());
  });

  it('does not hide a statement that failed before it', async () => {
    const [taken, within] = [fresh('taken'), fresh('within')];
    await core.write(taken);
    const broken = core.run({}, async () => {
      await core.write(taken).catch(() => undefined);
      await nested(() => core.write(within)).catch(() => undefined);
    });
    expect(await errorOf(broken)).toBeInstanceOf(UnexpectedRollbackError);
    expect(await stored(database, [within])).toEqual([]);
  });

  it('is a savepoint of the same transaction, which has an id of its own', async () => {
    const [outer, inner, after] = ['outer', 'inner', 'after'].map(fresh) as [string, string, string];
    await core.run({}, async () => {
      await core.write(outer);
      const pid = await core.pid();
      await nested(async () => {
        await core.write(inner);
        expect(await core.pid()).toBe(pid);
      });
      await core.write(after);
    });
    // PostgreSQL gives the rows of a savepoint the id of a subtransaction.
    const rows = await database.query<{ slug: string; xmin: string }>(
      'SELECT slug, xmin::text FROM product WHERE slug = ANY($1)',
      [[outer, inner, after]],
    );
    const idOf = (slug: string) => rows.find((row) => row.slug === slug)?.xmin;
    expect(rows).toHaveLength(3);
    expect(idOf(after)).toBe(idOf(outer));
    expect(idOf(inner)).not.toBe(idOf(outer));
  });

  it('sends no savepoint for a nested boundary that says nothing', async () => {
    const statements = recordStatements();
    await core.run({}, async () => {
      await nested(() => nested(async () => undefined));
      await core.pid();
      await nested(fail).catch(() => undefined);
    });
    statements.stop();
    const texts = statements.take().map(({ text }) => text);
    expect(texts.filter((text) => text.includes('SAVEPOINT'))).toEqual([]);
    expect(texts.filter((text) => text === 'COMMIT')).toHaveLength(1);
  });

  // prisma/orm #30367: Prisma writes the id of the transaction into the options that it is given.
  it('leaves shared options as they are, so that they serve the next boundary as well', async () => {
    const shared = Object.freeze({
      propagation: 'nested',
      isolation: 'read-committed',
      retry: 1,
      name: 'Shared',
    } as const);
    const unfrozen = { ...shared };
    const slugs: string[] = [];
    const write = (): Promise<void> => {
      const slug = fresh('shared');
      slugs.push(slug);
      return core.write(slug);
    };
    for (const options of [shared, unfrozen, shared, unfrozen]) {
      await core.run(options, async () => {
        await write();
        await core.run(options, write);
        await core.run(options, () => core.run(options, write));
      });
      await core.run(options, write);
    }
    expect(unfrozen).toEqual(shared);
    expect(await stored(database, slugs)).toEqual([...slugs].sort());
  });
});
