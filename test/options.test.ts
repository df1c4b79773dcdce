/** @servers any */
import { Injectable } from '@nestjs/common';
import { TransactionKit } from '../src/testing/testing.ts';
import { BoundaryTableError, TransactionOptionsError } from '../src/transactions/errors.ts';
import { allowExternalWork } from '../src/transactions/external-work.ts';
import { afterCommit, afterRollback } from '../src/transactions/hooks.ts';
import { lockRows } from '../src/transactions/locks.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { type Bare, errorOf, startBare } from './support/bare.ts';
import { startCore } from './support/core.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { serviceWith } from './support/one-boundary.ts';

// What stops the start is refused at the call, and what is refused at the call stops the start, in the same words: one list for both.

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

const unknown = (option: string, instead: string) => `has an option ${option}, which there is not: ${instead}`;
const not = (option: string, value: unknown, instead: string) =>
  `has ${option}: ${String(value)}, which there is not: ${instead}`;
const duration = (option: string, value: string) =>
  `has ${option}: ${value}. Write a time from 1 ms to 24 days, like 250, '250ms' or '2s'.`;
const retries = (value: string) => `has retry: ${value}. Say how often it may be run again, a whole number from 0.`;
const everyError = 'every error that leaves the boundary rolls it back. Put what may fail into a nested boundary.';
const levels = 'use one of read-committed, repeatable-read, serializable.';
const badName =
  'has a name that is empty or not in printable ASCII, as pg_stat_activity needs it. Give it another one.';

/** Options, and what is said of them. */
const wrong: readonly [options: object, said: string][] = [
  // Prisma, nestjs-cls, TypeORM
  [{ isolationLevel: 'Serializable' }, unknown('isolationLevel', 'say isolation.')],
  [{ isolation_level: 'Serializable' }, unknown('isolation_level', 'say isolation.')],
  [{ maxWait: 500 }, unknown('maxWait', 'how long a connection is waited for is DATABASE_POOL_WAIT_MS.')],
  [{ connectionName: 'second' }, unknown('connectionName', 'there is one database. Leave it out.')],
  [{ isolation: 'Serializable' }, not('isolation', 'Serializable', "say 'serializable'.")],
  [{ isolation: 'RepeatableRead' }, not('isolation', 'RepeatableRead', "say 'repeatable-read'.")],
  [{ isolation: 'READ COMMITTED' }, not('isolation', 'READ COMMITTED', "say 'read-committed'.")],
  [
    { isolation: 'READ UNCOMMITTED' },
    not('isolation', 'READ UNCOMMITTED', "PostgreSQL runs READ UNCOMMITTED as 'read-committed': say that."),
  ],
  [{ propagation: 'REQUIRES_NEW' }, not('propagation', 'REQUIRES_NEW', "say 'requires-new'.")],
  [{ propagation: 'NOT_SUPPORTED' }, not('propagation', 'NOT_SUPPORTED', "say 'not-supported'.")],
  // Spring, MikroORM
  [{ rollbackFor: [Error] }, unknown('rollbackFor', everyError)],
  [{ noRollbackFor: [Error] }, unknown('noRollbackFor', everyError)],
  [{ readonly: true }, unknown('readonly', 'say readOnly.')],
  [{ label: 'pay' }, unknown('label', 'say name.')],
  [{ isolation: 'ISOLATION_SERIALIZABLE' }, not('isolation', 'ISOLATION_SERIALIZABLE', "say 'serializable'.")],
  [{ isolation: 8 }, not('isolation', 8, "say 'serializable'.")],
  [{ propagation: 3 }, not('propagation', 3, "say 'requires-new'.")],
  [{ propagation: 'PROPAGATION_NESTED' }, not('propagation', 'PROPAGATION_NESTED', "say 'nested'.")],
  [{ readOnly: 'true' }, not('readOnly', 'true', 'say true.')],
  [{ readOnly: 1 }, not('readOnly', 1, 'say true.')],
  // nobody's
  [
    { serialisable: true },
    unknown('serialisable', 'there are isolation, lockTimeout, name, propagation, readOnly, retry, timeout.'),
  ],
  [
    { [Symbol('odd')]: 1 },
    unknown('Symbol(odd)', 'there are isolation, lockTimeout, name, propagation, readOnly, retry, timeout.'),
  ],
  [
    { isolation: 'serializable; DROP TABLE product; --' },
    not('isolation', 'serializable; DROP TABLE product; --', levels),
  ],
  [{ isolation: 'toString' }, not('isolation', 'toString', levels)],
  [{ isolation: null }, not('isolation', null, levels)],
  [{ isolation: ['serializable'] }, not('isolation', "[ 'serializable' ]", levels)],
  // times
  [{ timeout: '5' }, duration('timeout', '5')],
  [{ timeout: '2m' }, duration('timeout', '2m')],
  [{ timeout: '1.2.3s' }, duration('timeout', '1.2.3s')],
  [{ timeout: 0 }, duration('timeout', '0')],
  [{ timeout: -1 }, duration('timeout', '-1')],
  [{ timeout: Number.NaN }, duration('timeout', 'NaN')],
  [{ timeout: Infinity }, duration('timeout', 'Infinity')],
  [{ timeout: 5n }, duration('timeout', '5n')],
  [{ timeout: [5] }, duration('timeout', '[ 5 ]')],
  [{ timeout: null }, duration('timeout', 'null')],
  [{ timeout: true }, duration('timeout', 'true')],
  [{ timeout: 2 ** 31 }, duration('timeout', '2147483648')],
  [{ lockTimeout: '1s; COMMIT' }, duration('lockTimeout', '1s; COMMIT')],
  // attempts
  [{ retry: -1 }, retries('-1')],
  [{ retry: 0.5 }, retries('0.5')],
  [{ retry: '3' }, retries('3')],
  [{ retry: true }, retries('true')],
  [{ retry: { times: 3 } }, retries('{ times: 3 }')],
  // names
  [{ name: '' }, badName],
  [{ name: 5 }, badName],
  [{ name: 'pay\0' }, badName],
  [{ name: "pay'\n" }, badName],
  [{ name: 'x'.repeat(55) }, 'has a name of 55 bytes, and pg_stat_activity shows 54. Give it a shorter name.'],
  // what contradicts itself
  [
    { timeout: '1s', lockTimeout: '2s' },
    'waits 2000 ms for a lock and is over after 1000 ms. Shorten lockTimeout or lengthen timeout.',
  ],
  [
    { propagation: 'supports', retry: 2 },
    'is supports and begins nothing that retry could hold for. Leave that out, or let it begin a boundary.',
  ],
  [
    { isolation: 'serializable', retry: 0 },
    'is serializable with retry: 0, so every conflict reaches its caller. Leave retry out, or choose a weaker level.',
  ],
];

const titles = wrong.map(([, said], index) => [`${index}: ${said.slice(0, 70)}`, index] as const);
const of = (index: number): readonly [object, string] => wrong[index] as (typeof wrong)[number];
const run = (...given: unknown[]): Promise<unknown> => Promise.resolve(Reflect.apply(core.run, null, given));

describe.each(titles)('options (%s)', (_title, index) => {
  it('are refused by run, outside and inside a boundary, in every attempt, and nothing runs', async () => {
    const [options, said] = of(index);
    let calls = 0;
    const work = async (): Promise<number> => ++calls;
    const frozen = Object.freeze({ ...options });
    for (const given of [options, frozen, frozen, Object.create(options) as object]) {
      const inherits =
        Object.keys(given).length === 0 && Reflect.ownKeys(options).some((key) => typeof key === 'symbol');
      if (inherits) continue; // a symbol is not inherited by name
      const error = await errorOf(run(given, work));
      expect(error).toBeInstanceOf(TransactionOptionsError);
      expect((error as TransactionOptionsError).mistakes).toEqual([said]);
      expect(await errorOf(core.run({ name: 'Outer' }, () => run(given, work)))).toBeInstanceOf(
        TransactionOptionsError,
      );
    }
    expect(calls).toBe(0);
  });

  it('stop the start of a service that has them', async () => {
    const [options, said] = of(index);
    const error = await errorOf(startCore(database, [serviceWith(options)]));
    expect(error).toBeInstanceOf(BoundaryTableError);
    expect((error as BoundaryTableError).contradictions).toEqual([`Shop.sell ${said}`]);
  });
});

it('that are none, or work that is none, are refused by run', async () => {
  const nothing = async (): Promise<number> => 0;
  for (const given of [undefined, null, 'serializable', 5, ['serializable'], nothing]) {
    const error = await errorOf(run(given, nothing));
    expect(error.message).toMatch(/^transactions\.run has no options: it was given /);
  }
  for (const work of [undefined, null, Promise.resolve(1), 'work'])
    expect((await errorOf(run({}, work))).message).toBe(
      'transactions.run has no work: give it a function that returns a promise, behind the options.',
    );
});

it('tell all mistakes at once, with the name of the boundary', async () => {
  const error = await errorOf(run({ name: 'pay', retry: -1, isolationLevel: 'Serializable' }, async () => 0));
  expect(error.message).toBe(`pay ${unknown('isolationLevel', 'say isolation.')}\npay ${retries('-1')}`);
});

it('are those that were checked, whatever their object says later', async () => {
  const levels = ['read-committed', 'nonsense'];
  const turning = {
    get isolation() {
      return levels.shift() ?? 'nonsense';
    },
  };
  expect(await run(turning, async () => 1)).toBe(1);
  const changed: Record<string, unknown> = { retry: 1 };
  expect(await run(changed, async () => 1)).toBe(1);
  changed['isolation'] = 'Serializable';
  expect(await errorOf(run(changed, async () => 1))).toBeInstanceOf(TransactionOptionsError);
});

describe('options elsewhere', () => {
  const lock = (options: unknown) => errorOf(core.run({}, () => lockRows(core.db, { account: [] }, options as never)));
  it.each<[unknown, string]>([
    [{ nowait: true }, 'lockRows has no option nowait.'],
    [{ skip_locked: true }, 'lockRows has no option skip_locked.'],
    [{ wait: 'false' }, 'lockRows has no wait: false. It is true or false.'],
    [{ skipLocked: 1 }, 'lockRows has no skipLocked: 1. It is true or false.'],
    [{ skipLocked: true, wait: false }, 'Say one of them.'],
    [null, 'The options of lockRows are an object.'],
    ['NOWAIT', 'The options of lockRows are an object.'],
  ])('of lockRows are refused: %j', async (options, said) => {
    const error = await lock(options);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(said);
  });

  it('of allowExternalWork and of hooks are refused', async () => {
    const call = (one: unknown, ...given: unknown[]) =>
      errorOf((async () => Reflect.apply(one as () => void, null, given))());
    for (const reason of [undefined, '', ' ', 5])
      expect((await call(allowExternalWork, reason, () => 0)).message).toBe('allowExternalWork needs a reason.');
    expect((await call(allowExternalWork, 'as it must', Promise.resolve())).message).toMatch(/needs work/);
    for (const hook of [afterCommit, afterRollback]) {
      const inside = () =>
        core.run({}, async () => Reflect.apply(hook as (one: unknown) => void, null, [Promise.resolve()]));
      expect((await errorOf(inside())).message).toMatch(/takes a function/);
    }
  });

  it('of the test kit are refused', () => {
    const kit = (options: object) => new TransactionKit(() => core.app, options);
    expect(() => kit({ wait: 5 })).toThrow('The kit has no option wait. There is waitMs.');
    expect(() => kit({ waitMs: '5' })).toThrow('waitMs is a number of milliseconds above 0.');
    const plant = (fault: object) => () => kit({}).failAt(fault as never);
    expect(plant({ at: 'statement', sqlstate: '40001' })).toThrow('A fault has no sqlstate.');
    expect(plant({ at: 'begin', sqlState: '40001' })).toThrow('No fault is planted at "begin".');
    expect(plant({ at: 'statement' })).toThrow('A sqlState is raised at');
    expect(plant({ at: 'after-commit-sent', sqlState: '40001' })).toThrow('A sqlState is raised at');
    expect(plant({ at: 'statement', sqlState: '40001', statement: 'UPDATE stock' })).toThrow('a regular expression');
  });
});

describe('a name that nobody gave', () => {
  it('is cut from the side of the class to what pg_stat_activity shows', async () => {
    @Injectable()
    class CallingServiceWithTransaction {
      @Transactional()
      async explicitRequiredPropagation() {
        return 0;
      }
      @Transactional()
      async größe() {
        return 0;
      }
    }
    const started = await startCore(database, [CallingServiceWithTransaction]);
    try {
      const service = started.get(CallingServiceWithTransaction);
      expect(await service.explicitRequiredPropagation()).toBe(0);
      expect(await service.größe()).toBe(0);
    } finally {
      await started.close();
    }
  });

  it('and becomes that of another one by the cut is refused', async () => {
    @Injectable()
    class OneServiceOfTheShopThatHasAVeryLongNameIndeed {
      @Transactional()
      async sellEverythingThatIsThere() {
        return 0;
      }
    }
    @Injectable()
    class TheServiceOfTheShopThatHasAVeryLongNameIndeed {
      @Transactional()
      async sellEverythingThatIsThere() {
        return 0;
      }
    }
    const both = [OneServiceOfTheShopThatHasAVeryLongNameIndeed, TheServiceOfTheShopThatHasAVeryLongNameIndeed];
    const error = await errorOf(startCore(database, both));
    expect((error as BoundaryTableError).contradictions).toEqual([
      expect.stringMatching(
        /^OneService\S+ is called \S{54}, and so is TheService\S+\. Give each a name of its own\.$/,
      ),
    ]);
  });
});
