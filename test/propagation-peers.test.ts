/** @servers any */
import {
  ClsPluginTransactional,
  getTransactionHostToken,
  Propagation as StockPropagation,
  type TransactionalAdapter,
  type TransactionHost,
} from '@nestjs-cls/transactional';
import { TransactionalAdapterPrisma } from '@nestjs-cls/transactional-adapter-prisma';
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PrismaPg } from '@prisma/adapter-pg';
import { ClsModule } from 'nestjs-cls';
import { type Prisma, PrismaClient } from '../src/database/generated/client.ts';
import { newId } from '../src/kernel/ids.ts';
import type { Propagation } from '../src/transactions/boundary/options.ts';
import { DetachedTransactionError, ParallelNestingError, TransactionJoinError } from '../src/transactions/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Core, startCore } from './support/core.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { Marks, marksLike } from './support/marks.ts';
import { type Cell, cells, type Engine, nameOf, type Outcome, outcomeOf } from './support/propagation.ts';

// The same cells against @nestjs-cls/transactional with its own adapter for Prisma, which ours replaces. What differs is listed with
// its reason, and everything that is not listed is the same.

type StockAdapter = TransactionalAdapter<
  PrismaClient,
  Prisma.TransactionClient,
  { isolationLevel?: Prisma.TransactionIsolationLevel }
>;
type StockHost = TransactionHost<StockAdapter>;
const stockModes: Record<Propagation, StockPropagation> = {
  required: StockPropagation.Required,
  'requires-new': StockPropagation.RequiresNew,
  nested: StockPropagation.Nested,
  mandatory: StockPropagation.Mandatory,
  supports: StockPropagation.Supports,
  'not-supported': StockPropagation.NotSupported,
  never: StockPropagation.Never,
};

let database: TestDatabase;
let core: Core;
let stockApp: INestApplicationContext;
let host: StockHost;
let ours: Engine;
let stock: Engine;

beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [Marks]);
  const marks = core.get(Marks);
  ours = {
    run: (propagation, work) => core.run({ propagation }, work),
    write: (slug) => marks.write(slug),
    transactionId: () => marks.transactionId(),
  };
  stockApp = await startStock();
  host = stockApp.get<StockHost>(getTransactionHostToken('stock'));
  stock = {
    // Async, because it throws some of its refusals instead of rejecting with them.
    run: async (mode, work) => host.withTransaction(stockModes[mode], work),
    write: async (slug) => void (await host.tx.product.create({ data: { id: newId(), slug, name: slug } })),
    transactionId: async () => {
      const [row] = await host.tx.$queryRaw<[{ id: string }]>`SELECT pg_current_xact_id()::text AS id`;
      return row.id;
    },
  };
  await marks.write('taken');
});
afterAll(async () => {
  await core.close();
  await stockApp.get(PrismaClient).$disconnect();
  await stockApp.close();
  await database.drop();
});

/** As its documentation says: the plugin with the adapter, and Prisma with its own pool. */
async function startStock(): Promise<INestApplicationContext> {
  const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: database.urls.app, max: 10 }) });
  @Module({ providers: [{ provide: PrismaClient, useValue: prisma }], exports: [PrismaClient] })
  class PrismaModule {}
  const adapter = new TransactionalAdapterPrisma<PrismaClient>({
    prismaInjectionToken: PrismaClient,
    sqlFlavor: 'postgresql',
  }) as unknown as StockAdapter;
  const plugin = new ClsPluginTransactional({ connectionName: 'stock', imports: [PrismaModule], adapter });
  @Module({ imports: [PrismaModule, ClsModule.forRoot({ global: true, plugins: [plugin] })] })
  class StockModule {}
  return NestFactory.createApplicationContext(StockModule, { logger: false, abortOnError: false });
}

const lie = 'it answers as if it were stored: PostgreSQL answers ROLLBACK to COMMIT, and nobody looks';
const lostWithin = 'the same for the transaction inside: what it wrote is gone, and its caller is not told';
const lastStatement = 'its RELEASE SAVEPOINT fails, and that error is thrown, without a word about the statement';
const swallowedWithin = 'a statement of the inner one fails and the inner one swallows that';
const caughtOutside = 'a statement of the inner one fails and the outer one catches';

/** What the stock one does where it differs, and why that is none of ours. */
const differences: Record<string, Partial<Outcome> & { readonly why: string }> = {
  'required: a statement fails and it swallows that': { answer: 'returns', why: lie },
  'requires-new: a statement fails and it swallows that': { answer: 'returns', why: lie },
  'nested: a statement fails and it swallows that': { answer: 'returns', why: lie },
  ...Object.fromEntries(
    ['required', 'mandatory', 'supports'].flatMap((mode) =>
      [swallowedWithin, caughtOutside].map((happening) => [`${mode}: ${happening}`, { answer: 'returns', why: lie }]),
    ),
  ),
  [`requires-new: ${swallowedWithin}`]: { stored: 'outer after', answer: 'returns', why: lostWithin },
  [`nested: ${swallowedWithin}`]: { answer: 'the error of the statement', why: lastStatement },
};

describe('every cell of the table, on the stock one and on ours:', () => {
  it('every difference is one of a cell', () => {
    expect(Object.keys(differences).filter((name) => !cells.some((cell) => nameOf(cell) === name))).toEqual([]);
  });

  it.each(cells.map((cell) => [nameOf(cell), cell] as const))('%s', async (name, cell) => {
    const { stored, answer, transaction }: Cell = cell;
    const { why, ...different } = differences[name] ?? { why: null };
    const [mine, theirs] = [await outcomeOf(ours, database, cell), await outcomeOf(stock, database, cell)];
    expect(mine).toEqual({ stored, answer, transaction });
    expect(theirs).toEqual({ stored, answer, transaction, ...different });
    // A difference that is none any more is to be taken off the list.
    if (why !== null) expect(theirs).not.toEqual(mine);
  });
});

describe('beyond the table, ours differs:', () => {
  let counted = 0;
  const fresh = (): string => `peer-${++counted}-`;
  const storedOf = async (mark: string): Promise<string[]> =>
    (await marksLike(database, mark)).map((slug) => slug.slice(mark.length));
  const answer = (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => 'returns',
      (error: unknown) => error,
    );

  it('two nested boundaries at once are refused, where the stock one answers and has lost rows', async () => {
    const both = async ({ run, write }: Engine, mark: string): Promise<unknown> =>
      answer(
        run('required', async () => {
          await write(`${mark}outer`);
          await Promise.allSettled(['a', 'b'].map((slug) => run('nested', () => write(mark + slug))));
        }),
      );
    const [mine, theirs] = [fresh(), fresh()];
    // The second one is refused before it does anything; the first is stored, as the outer one has caught the refusal.
    expect([await both(ours, mine), await storedOf(mine)]).toEqual(['returns', ['a', 'outer']]);
    expect([await both(stock, theirs), await storedOf(theirs)]).toEqual(['returns', []]);
    const uncaught = ours.run('required', () =>
      Promise.all(['a', 'b'].map((slug) => ours.run('nested', () => ours.write(fresh() + slug)))),
    );
    expect(await answer(uncaught)).toBeInstanceOf(ParallelNestingError);
  });

  it('work that outlives its boundary is refused, where the stock one writes outside it', async () => {
    const outlives = async ({ run, write }: Engine, mark: string): Promise<unknown> => {
      const ended = Promise.withResolvers();
      let late: Promise<unknown> = Promise.resolve();
      await run('required', async () => {
        await write(`${mark}inside`);
        late = ended.promise.then(() => write(`${mark}late`));
      });
      ended.resolve(null);
      return answer(late);
    };
    const [mine, theirs] = [fresh(), fresh()];
    expect(await outlives(ours, mine)).toBeInstanceOf(DetachedTransactionError);
    expect(await outlives(stock, theirs)).toBe('returns');
    expect([await storedOf(mine), await storedOf(theirs)]).toEqual([['inside'], ['inside', 'late']]);
  });

  it('a stricter level than the running one is refused, where the stock one joins with a line in the log', async () => {
    const level = async (): Promise<string | undefined> => {
      const [row] = await host.tx.$queryRaw<
        [{ level: string }]
      >`SELECT current_setting('transaction_isolation') AS level`;
      return row.level;
    };
    const joined = await host.withTransaction(() =>
      host.withTransaction(StockPropagation.Required, { isolationLevel: 'Serializable' }, level),
    );
    expect(joined).toBe('read committed');
    const refused = core.run({}, () => core.run({ isolation: 'serializable' }, async () => 0));
    expect(await answer(refused)).toBeInstanceOf(TransactionJoinError);
  });

  it('a refusal is a rejection, where the stock one throws at the call', async () => {
    expect(() => host.withTransaction(StockPropagation.Mandatory, async () => 0)).toThrow('MANDATORY');
    const refused = core.run({ propagation: 'mandatory' }, async () => 0);
    await expect(refused).rejects.toThrow('must run inside a boundary');
  });

  it('work that throws before any promise is a rejection, where the stock one throws something else', async () => {
    const work = (): Promise<number> => {
      throw new Error('thrown at once');
    };
    for (const propagation of Object.keys(stockModes) as Propagation[]) {
      const inside = core.run({}, () => core.run({ propagation }, work));
      expect(await answer(inside)).toMatchObject({
        message: propagation === 'never' ? expect.stringContaining('must not run') : 'thrown at once',
      });
    }
    const notAsync = (() => 1) as unknown as () => Promise<number>;
    expect(() => host.withTransaction(StockPropagation.NotSupported, notAsync)).toThrow(TypeError);
    expect(await core.run({ propagation: 'not-supported' }, notAsync)).toBe(1);
  });

  it('a conflict is retried, where the stock one hands it to its caller', async () => {
    type Run = (work: () => Promise<void>) => Promise<unknown>;
    /** Changes a row that was changed by somebody else, the first time, after it was looked at. */
    const meetConflict = async (run: Run, client: () => Pick<PrismaClient, 'product'>) => {
      const slug = fresh();
      await ours.write(slug);
      let attempts = 0;
      const work = run(async () => {
        await client().product.findUniqueOrThrow({ where: { slug } });
        if (++attempts === 1) await database.query('UPDATE product SET version = version + 1 WHERE slug = $1', [slug]);
        await client().product.update({ where: { slug }, data: { name: 'changed' } });
      });
      return [await answer(work), attempts] as const;
    };
    const { db } = core.get(Marks);
    expect(
      await meetConflict(
        (work) => core.run({ isolation: 'repeatable-read' }, work),
        () => db as PrismaClient,
      ),
    ).toEqual(['returns', 2]);
    const options = { isolationLevel: 'RepeatableRead' } as const;
    const [error, attempts] = await meetConflict(
      (work) => host.withTransaction(options, work),
      () => host.tx,
    );
    expect([databaseFailure(error)?.sqlState, attempts]).toEqual(['40001', 1]);
  });
});
