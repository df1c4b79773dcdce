import { setTimeout as sleep } from 'node:timers/promises';
import { type INestApplicationContext, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { makeConfig } from '../src/config/config.ts';
import { configModule } from '../src/config/slices.ts';
import { readEnvironment } from '../src/config/environment.ts';
import { newId } from '../src/kernel/ids.ts';
import type { Isolation, TransactionOptions } from '../src/transactions/boundary/options.ts';
import {
  DetachedTransactionError,
  ParallelNestingError,
  TransactionJoinError,
  TransactionRequiredError,
  UnexpectedRollbackError,
} from '../src/transactions/errors.ts';
import { lockRows } from '../src/transactions/locks.ts';
import { InjectDatabase, type Sql, type Tables } from '../src/transactions/tables.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { TransactionsModule } from '../src/transactions/transactions.module.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { TransactionExpiredError } from '../src/transactions/wire/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { startCore } from './support/core.ts';
import { eventually, inFlight } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { testSecret } from './support/secret.ts';
import { recordStatements } from './support/statements.ts';

/** Writes marks: products whose slug says who wrote them. */
@Injectable()
class Marks {
  constructor(@InjectDatabase() readonly db: Tables<'product' | 'sku'> & Sql) {}

  async write(slug: string): Promise<void> {
    await this.db.product.create({ data: { id: newId(), slug, name: slug } });
  }

  async writeRaw(slug: string): Promise<void> {
    await this.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${slug}, ${slug})`;
  }

  async show(setting: string): Promise<string | undefined> {
    const [row] = await this.db.$queryRaw<{ value: string }[]>`SELECT current_setting(${setting}) AS value`;
    return row?.value;
  }

  async pid(): Promise<number | undefined> {
    const [row] = await this.db.$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
    return row?.pid;
  }
}

@Injectable()
class Probe {
  constructor(private readonly marks: Marks) {}

  @Transactional()
  async writesThenFails(slug: string): Promise<void> {
    await this.marks.write(slug);
    throw new Error('thrown');
  }

  @Transactional()
  failsAtOnce(): Promise<void> {
    throw new Error('thrown before any promise');
  }

  @Transactional()
  async callsItself(slug: string): Promise<[outer: number | undefined, inner: number | undefined]> {
    await this.marks.write(slug);
    return [await this.marks.pid(), await this.pidOfItsOwn()];
  }

  @Transactional({ propagation: 'requires-new' })
  async pidOfItsOwn(): Promise<number | undefined> {
    return this.marks.pid();
  }

  @Transactional({ isolation: 'repeatable-read' })
  async repeatable(): Promise<string | undefined> {
    return this.marks.show('transaction_isolation');
  }

  @Transactional({ isolation: 'serializable' })
  async serializable(): Promise<string | undefined> {
    return this.marks.show('transaction_isolation');
  }

  @Transactional({ propagation: 'mandatory' })
  async joins(): Promise<number | undefined> {
    return this.marks.pid();
  }
}

interface Instance {
  readonly app: INestApplicationContext;
  readonly marks: Marks;
  readonly probe: Probe;
  readonly run: Transactions['run'];
}

let database: TestDatabase;
let one: Instance;
const instances: Instance[] = [];

beforeAll(async () => {
  database = await createDatabase();
  one = await startInstance(database);
});
afterAll(async () => {
  for (const { app } of instances) await app.close();
  await database.drop();
});

async function startInstance({ urls }: TestDatabase, variables: Record<string, string> = {}): Promise<Instance> {
  const environment = readEnvironment({
    DATABASE_WRITE_URL: urls.app,
    DATABASE_READ_URL: urls.reader,
    AUTH_SECRET: testSecret,
    ...variables,
  });
  const config = makeConfig(environment as Parameters<typeof makeConfig>[0]);
  @Module({ imports: [configModule(config), TransactionsModule], providers: [Marks, Probe] })
  class ProbeModule {}
  const app = await NestFactory.createApplicationContext(ProbeModule, { logger: false, abortOnError: false });
  const transactions = app.get(Transactions);
  const run: Transactions['run'] = (options, work) => transactions.run(options, work);
  const instance = { app, marks: app.get(Marks), probe: app.get(Probe), run };
  instances.push(instance);
  return instance;
}

const stored = async (...slugs: string[]): Promise<string[]> => {
  const rows = await database.query<{ slug: string }>('SELECT slug FROM product WHERE slug = ANY($1)', [slugs]);
  return rows.map(({ slug }) => slug).sort();
};
let counter = 0;
const fresh = (name: string): string => `${name}-${++counter}`;
/** Runs a boundary that writes `slug`, then the rest. */
const boundary = (options: TransactionOptions, slug: string, rest: () => Promise<unknown> = async () => undefined) =>
  one.run(options, async () => {
    await one.marks.write(slug);
    return rest();
  });
const fail = async (): Promise<never> => {
  throw new Error('thrown');
};

describe('a boundary', () => {
  it('stores all of its work, or nothing when the work throws', async () => {
    const [kept, lost] = [fresh('kept'), fresh('lost')];
    await boundary({}, kept);
    await expect(boundary({}, lost, fail)).rejects.toThrow('thrown');
    await expect(one.probe.writesThenFails(lost)).rejects.toThrow('thrown');
    expect(await stored(kept, lost)).toEqual([kept]);
  });

  it('refuses work that outlives it, and that work stores nothing', async () => {
    const [awaited, late, nested, called] = [fresh('awaited'), fresh('late'), fresh('nested'), fresh('called')];
    const detached: Promise<unknown>[] = [];
    const afterwards = (work: () => Promise<unknown>): void => {
      detached.push(sleep(100).then(work));
    };
    await boundary({}, awaited, async () => {
      afterwards(() => one.marks.write(late));
      afterwards(() => one.marks.db.product.findMany({ where: { slug: late } }));
      afterwards(() => one.run({}, () => one.marks.write(called)));
      await one.run({ propagation: 'nested' }, async () => afterwards(() => one.marks.write(nested)));
    });
    for (const { reason } of (await Promise.allSettled(detached)) as PromiseRejectedResult[])
      expect(reason).toBeInstanceOf(DetachedTransactionError);
    expect(await stored(awaited, late, nested, called)).toEqual([awaited]);
  });

  it('that was put aside for a while goes on afterwards, and what ran beside it may outlive it', async () => {
    const [inside, beside] = [fresh('inside'), fresh('outlives')];
    let later: Promise<void> = Promise.resolve();
    await boundary({}, inside, () =>
      one.run({ propagation: 'not-supported' }, async () => {
        later = sleep(100).then(() => one.marks.write(beside));
      }),
    );
    await later;
    expect(await stored(inside, beside)).toEqual([beside, inside].sort());
  });

  it('turns a throw before any promise into a rejection', async () => {
    await expect(one.probe.failsAtOnce()).rejects.toThrow('thrown before any promise');
    expect(one.app.get(Transactions).running()).toBeNull();
  });

  it('is not seen from outside before it ends', async () => {
    const slug = fresh('unseen');
    await boundary({}, slug, async () => expect(await stored(slug)).toEqual([]));
    expect(await stored(slug)).toEqual([slug]);
  });

  it('never reports a commit that did not happen: a swallowed error of a statement is an error at its end', async () => {
    const [taken, lost] = [fresh('taken'), fresh('lost')];
    await one.marks.write(taken);
    const swallowing = boundary({}, lost, () => one.marks.write(taken).catch(() => undefined));
    await expect(swallowing).rejects.toThrow(UnexpectedRollbackError);
    expect(await stored(lost)).toEqual([]);
  });

  it('keeps its boundary in a call on this', async () => {
    const [outer, inner] = await one.probe.callsItself(fresh('this'));
    expect(inner).not.toBe(outer);
  });

  it('does not mix with others that run beside it', async () => {
    const seen = await inFlight(8, 40, (n) =>
      one.run({}, async () => {
        const pid = await one.marks.pid();
        await one.marks.write(`beside-${n}`);
        await sleep(n % 3);
        if (n % 4 === 0) return [pid, await one.marks.pid(), await one.probe.joins(), true] as const;
        return [pid, await one.marks.pid(), await one.probe.joins(), false] as const;
      }),
    );
    for (const [first, second, joined] of seen) expect([second, joined]).toEqual([first, first]);
    const failing = await inFlight(8, 40, (n) =>
      boundary({}, `torn-${n}`, n % 2 === 0 ? fail : undefined).then(
        () => true,
        () => false,
      ),
    );
    const slugs = failing.map((_, n) => `torn-${n}`);
    expect(await stored(...slugs)).toEqual(slugs.filter((_, n) => failing[n]).sort());
  });

  it('belongs to its own application when two run in one process', async () => {
    const otherDatabase = await createDatabase();
    const two = await startInstance(otherDatabase);
    try {
      await inFlight(6, 30, (n) => {
        const { run, marks } = n % 2 === 0 ? one : two;
        return run({}, () => marks.write(`app-${n}`));
      });
      // Also when one calls the other from within a boundary.
      await one.run({}, async () => {
        await one.marks.write('app-outer');
        await two.run({}, () => two.marks.write('app-inner'));
        await two.marks.write('app-plain');
      });
      const slugs = async ({ query }: TestDatabase) =>
        (await query<{ slug: string }>(`SELECT slug FROM product WHERE slug LIKE 'app-%' ORDER BY slug`)).map(
          ({ slug }) => slug,
        );
      const numbers = [...Array(30).keys()];
      const of = (rest: number, ...more: string[]) =>
        [...numbers.filter((n) => n % 2 === rest).map((n) => `app-${n}`), ...more].sort();
      expect(await slugs(database)).toEqual(of(0, 'app-outer'));
      expect(await slugs(otherDatabase)).toEqual(of(1, 'app-inner', 'app-plain'));
    } finally {
      await instances.pop()?.app.close();
      await otherDatabase.drop();
    }
  });
});

describe('propagation', () => {
  /** The slugs that are stored after an outer boundary met an inner one. */
  async function meet(
    inner: TransactionOptions,
    { innerFails = false, outerFails = false, isCaught = false } = {},
  ): Promise<string[]> {
    const [o, i] = [fresh('outer'), fresh('inner')];
    const outcome = boundary({ name: 'Outer' }, o, async () => {
      const call = boundary({ name: 'Inner', ...inner }, i, innerFails ? fail : undefined);
      await (isCaught ? call.catch(() => undefined) : call);
      if (outerFails) await fail();
    });
    await outcome.catch(() => undefined);
    return (await stored(o, i)).map((slug) => slug.split('-')[0] as string).sort();
  }

  it('required joins: both are stored together', async () => {
    expect(await meet({})).toEqual(['inner', 'outer']);
    expect(await meet({}, { innerFails: true })).toEqual([]);
    expect(await meet({}, { outerFails: true })).toEqual([]);
    // What was joined cannot be undone by itself: an error that is caught is the catcher's decision.
    expect(await meet({}, { innerFails: true, isCaught: true })).toEqual(['inner', 'outer']);
  });

  it('required begins one where none is running', async () => {
    const slug = fresh('alone');
    await expect(boundary({ propagation: 'required' }, slug, fail)).rejects.toThrow('thrown');
    expect(await stored(slug)).toEqual([]);
  });

  it('requires-new is stored, or not, whatever becomes of the outer one', async () => {
    const options = { propagation: 'requires-new' } as const;
    expect(await meet(options)).toEqual(['inner', 'outer']);
    expect(await meet(options, { outerFails: true })).toEqual(['inner']);
    expect(await meet(options, { innerFails: true })).toEqual([]);
    expect(await meet(options, { innerFails: true, isCaught: true })).toEqual(['outer']);
  });

  it('requires-new leaves the outer boundary running when it ends', async () => {
    const slugs = [fresh('before'), fresh('within'), fresh('after')] as const;
    await one
      .run({}, async () => {
        await one.marks.write(slugs[0]);
        const pid = await one.marks.pid();
        await boundary({ propagation: 'requires-new' }, slugs[1]);
        expect(await one.marks.pid()).toBe(pid);
        await one.marks.write(slugs[2]);
        await fail();
      })
      .catch(() => undefined);
    expect(await stored(...slugs)).toEqual([slugs[1]]);
  });

  it('nested is undone by itself, and with the outer one', async () => {
    const options = { propagation: 'nested' } as const;
    expect(await meet(options)).toEqual(['inner', 'outer']);
    expect(await meet(options, { outerFails: true })).toEqual([]);
    expect(await meet(options, { innerFails: true })).toEqual([]);
    expect(await meet(options, { innerFails: true, isCaught: true })).toEqual(['outer']);
  });

  it('nested survives a statement that failed within, and the outer boundary goes on', async () => {
    const [taken, before, after] = [fresh('taken'), fresh('before'), fresh('after')];
    await one.marks.write(taken);
    await boundary({}, before, async () => {
      await expect(boundary({ propagation: 'nested' }, taken)).rejects.toMatchObject({ code: 'P2002' });
      await boundary({ propagation: 'nested' }, after);
      await one.run({ propagation: 'nested' }, () =>
        one.run({ propagation: 'nested' }, async () => expect(await one.probe.joins()).toBe(await one.marks.pid())),
      );
    });
    expect(await stored(before, after)).toEqual([after, before].sort());
  });

  it('nested begins one where none is running', async () => {
    const slug = fresh('alone');
    await expect(boundary({ propagation: 'nested' }, slug, fail)).rejects.toThrow('thrown');
    expect(await stored(slug)).toEqual([]);
  });

  it('two nested ones at the same moment are refused, and nothing is lost in silence', async () => {
    const [a, b] = [fresh('a'), fresh('b')];
    const both = one.run({}, async () => {
      const nested = [a, b].map((slug) => boundary({ propagation: 'nested' }, slug, () => sleep(20)));
      await Promise.all(nested).finally(() => Promise.allSettled(nested));
    });
    await expect(both).rejects.toThrow(ParallelNestingError);
    expect(await stored(a, b)).toEqual([]);
  });

  it('mandatory joins, and without a boundary is refused before it does anything', async () => {
    expect(await meet({ propagation: 'mandatory' }, { outerFails: true })).toEqual([]);
    const slug = fresh('alone');
    await expect(boundary({ propagation: 'mandatory', name: 'Inner' }, slug)).rejects.toThrow(
      new TransactionRequiredError('Inner must run inside a boundary; call it from a @Transactional() method.'),
    );
    await expect(one.probe.joins()).rejects.toThrow(/^Probe\.joins must run inside a boundary/);
    expect(await stored(slug)).toEqual([]);
  });

  it('supports joins, and without a boundary runs without one', async () => {
    expect(await meet({ propagation: 'supports' }, { outerFails: true })).toEqual([]);
    const slug = fresh('alone');
    await expect(boundary({ propagation: 'supports' }, slug, fail)).rejects.toThrow('thrown');
    expect(await stored(slug)).toEqual([slug]);
  });

  it('not-supported runs without one, also inside, and the outer boundary goes on afterwards', async () => {
    const options = { propagation: 'not-supported' } as const;
    expect(await meet(options, { outerFails: true })).toEqual(['inner']);
    expect(await meet(options, { innerFails: true, isCaught: true })).toEqual(['inner', 'outer']);
    await one.run({}, async () => {
      const pid = await one.marks.pid();
      await one.run(options, async () => expect(one.app.get(Transactions).running()).toBeNull());
      expect(await one.marks.pid()).toBe(pid);
    });
  });

  it('never is refused inside, and runs without one outside', async () => {
    const slug = fresh('alone');
    await boundary({ propagation: 'never' }, slug);
    expect(await stored(slug)).toEqual([slug]);
    await one.run({ name: 'Outer' }, () =>
      expect(boundary({ propagation: 'never', name: 'Inner' }, fresh('never'))).rejects.toThrow(
        new TransactionRequiredError('Inner must not run inside a boundary, but Outer is running.'),
      ),
    );
  });

  it('a row lock outside a boundary is refused, for it would be gone at once', async () => {
    await expect(lockRows(one.marks.db, { stock: [newId()] })).rejects.toThrow(TransactionRequiredError);
  });
});

describe('the name of a boundary', () => {
  // Only a superuser is shown what others do.
  let superuser: pg.Client;
  beforeAll(async () => {
    superuser = new pg.Client({ connectionString: database.urls.superuser });
    await superuser.connect();
  });
  afterAll(() => superuser.end());
  const seen = async () => {
    const { rows } = await superuser.query<{ name: string; waits: string | null }>(
      `SELECT application_name AS name, wait_event_type AS waits FROM pg_stat_activity
       WHERE datname = current_database() AND application_name LIKE 'holdfast %' AND state <> 'idle' ORDER BY 1`,
    );
    return rows;
  };

  it('tells in pg_stat_activity who holds a lock and who waits for it', async () => {
    const slug = fresh('held');
    await one.marks.write(slug);
    const rename = (name: string) => one.marks.db.product.updateMany({ where: { slug }, data: { name } });
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const holder = one.run({ name: "Holder's" }, async () => {
      await rename('first');
      await released;
    });
    await eventually(seen, (rows) => rows.length === 1);
    const waiter = one.run({ name: 'Waiter' }, () => rename('second'));
    const both = await eventually(seen, (rows) => rows.some(({ waits }) => waits === 'Lock'));
    expect(both).toMatchObject([{ name: "holdfast Holder's" }, { name: 'holdfast Waiter', waits: 'Lock' }]);
    release();
    await Promise.all([holder, waiter]);
    expect(await one.marks.show('application_name')).toBe('holdfast write');
  });
});

describe('isolation', () => {
  const levels: [Isolation, string][] = [
    ['read-committed', 'read committed'],
    ['repeatable-read', 'repeatable read'],
    ['serializable', 'serializable'],
  ];

  it.each(levels)('%s is what PostgreSQL says of the transaction', async (isolation, shown) => {
    expect(await one.run({ isolation }, () => one.marks.show('transaction_isolation'))).toBe(shown);
    // Said by nobody, it is PostgreSQL's own default.
    expect(await one.run({}, () => one.marks.show('transaction_isolation'))).toBe('read committed');
  });

  it('belongs to the method', async () => {
    expect(await one.probe.repeatable()).toBe('repeatable read');
    expect(await one.probe.serializable()).toBe('serializable');
  });

  it('a stricter level than the running one is refused at the call, an equal or weaker one joins', async () => {
    await one.run({ name: 'Outer', isolation: 'repeatable-read' }, async () => {
      await expect(one.probe.serializable()).rejects.toThrow(
        new TransactionJoinError('Probe.serializable asks for a stricter level than Outer gives.'),
      );
      await expect(one.run({ isolation: 'serializable', propagation: 'nested' }, async () => 0)).rejects.toThrow(
        TransactionJoinError,
      );
      expect(await one.probe.repeatable()).toBe('repeatable read');
      expect(await one.run({ isolation: 'read-committed' }, () => one.marks.show('transaction_isolation'))).toBe(
        'repeatable read',
      );
      expect(await one.run({ isolation: 'serializable', propagation: 'requires-new' }, async () => 1)).toBe(1);
    });
  });

  it('a write on top of what was read meanwhile is refused by PostgreSQL at repeatable-read and above', async () => {
    const slug = fresh('contested');
    await one.marks.write(slug);
    const rename = (name: string) => one.marks.db.product.updateMany({ where: { slug }, data: { name } });
    const torn = one.run({ isolation: 'repeatable-read', retry: 0 }, async () => {
      await one.marks.db.product.findMany({ where: { slug } });
      await one.run({ propagation: 'requires-new' }, () => rename('first'));
      await rename('second');
    });
    const error: unknown = await torn.catch((thrown: unknown) => thrown);
    expect(databaseFailure(error)?.sqlState).toBe('40001');
    expect(await one.marks.db.product.findMany({ where: { slug }, select: { name: true } })).toEqual([
      { name: 'first' },
    ]);
  });
});

describe('a read-only boundary', () => {
  it('runs on the replica, where a write is refused', async () => {
    const statements = recordStatements();
    const slug = fresh('refused');
    const error: unknown = await one
      .run({ readOnly: true }, async () => {
        expect(await one.marks.show('transaction_read_only')).toBe('on');
        await expect(one.marks.write(slug)).rejects.toThrow(TransactionJoinError);
        await one.marks.writeRaw(slug);
      })
      .catch((thrown: unknown) => thrown);
    statements.stop();
    // Whatever came to the primary was the question where it stands.
    expect(statements.take().filter(({ text }) => text.startsWith('BEGIN'))).toMatchObject([
      { connection: 'holdfast read' },
    ]);
    expect(databaseFailure(error)?.sqlState).toMatch(/25006|42501/);
    expect(await stored(slug)).toEqual([]);
  });

  it('on the primary, for want of a replica, refuses a write just so', async () => {
    const { DATABASE_READ_URL: _, ...rest } = { DATABASE_READ_URL: '' };
    const primaryOnly = await startInstance({ ...database, urls: { ...database.urls, reader: '' } }, rest);
    const slug = fresh('refused');
    const error: unknown = await primaryOnly
      .run({ readOnly: true }, () => primaryOnly.marks.writeRaw(slug))
      .catch((thrown: unknown) => thrown);
    expect(databaseFailure(error)?.sqlState).toBe('25006');
    expect(await primaryOnly.run({ readOnly: true }, () => primaryOnly.marks.show('transaction_read_only'))).toBe('on');
    expect(await stored(slug)).toEqual([]);
  });

  it('gives no more access to what it calls: a boundary that writes is refused at the call', async () => {
    await one.run({ readOnly: true, name: 'Outer' }, async () => {
      await expect(boundary({ name: 'Inner' }, fresh('refused'))).rejects.toThrow(
        new TransactionJoinError('Inner asks for more access than Outer gives.'),
      );
      expect(await one.run({ readOnly: true }, async () => 1)).toBe(1);
    });
  });

  it('may stand inside one that writes, and sees what was written', async () => {
    const slug = fresh('seen');
    await boundary({}, slug, () =>
      one.run({ readOnly: true }, async () => expect(await one.marks.db.product.count({ where: { slug } })).toBe(1)),
    );
  });
});

describe('the timeout of a boundary', () => {
  const sleeping = `query LIKE '%pg_sleep%' AND query NOT LIKE '%pg_stat_activity%' AND state = 'active'`;
  let superuser: pg.Client;
  beforeAll(async () => {
    superuser = new pg.Client({ connectionString: database.urls.superuser });
    await superuser.connect();
  });
  afterAll(() => superuser.end());
  const atWork = async (): Promise<number> =>
    (await superuser.query(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND ${sleeping}`))
      .rowCount ?? 0;

  it('ends the boundary and the statement in it', async () => {
    const slug = fresh('late');
    const late = boundary({ timeout: '300ms' }, slug, () => one.marks.db.$queryRaw`SELECT pg_sleep(8)::text`);
    const ended = late.catch((thrown: unknown) => thrown);
    await eventually(atWork, (n) => n === 1, 2000);
    await eventually(atWork, (n) => n === 0, 2000);
    const error = await ended;
    expect(error).toBeInstanceOf(TransactionExpiredError);
    expect(databaseFailure((error as Error).cause)?.sqlState).toBe('57014');
    expect(await stored(slug)).toEqual([]);
  });

  it('holds for all of its statements together', async () => {
    const slug = fresh('late');
    const late = boundary({ timeout: '300ms' }, slug, async () => {
      for (let i = 0; i < 40; i++) await one.marks.db.$queryRaw`SELECT pg_sleep(0.05)::text`;
    });
    await expect(late).rejects.toThrow();
    expect(await stored(slug)).toEqual([]);
  });

  it('holds while the boundary waits for something that is no statement', async () => {
    const slug = fresh('late');
    await expect(boundary({ timeout: '200ms' }, slug, () => sleep(500))).rejects.toThrow();
    expect(await stored(slug)).toEqual([]);
  });

  it('is forgotten when the connection serves the next one', async () => {
    const shown = (options: TransactionOptions) => one.run(options, () => one.marks.show('statement_timeout'));
    // What is left of it when BEGIN is sent.
    expect(await shown({ timeout: '1500ms' })).toMatch(/^1[0-5]\d\dms$/);
    expect(await shown({ timeout: '60s' })).toMatch(/^(1min|5\d{4}ms|5\ds)$/);
    for (let i = 0; i < 10; i++) expect(await shown({})).toBe('10s');
  });

  it('costs no statement where none is asked for', async () => {
    const statements = recordStatements();
    await one.run({}, () => one.marks.pid());
    const without = statements.take();
    await one.run({ timeout: '1s' }, () => one.marks.pid());
    const asked = statements.take();
    statements.stop();
    expect(without.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^BEGIN; SET LOCAL application_name = '[^']*'$/),
      'SELECT pg_backend_pid() AS pid',
      expect.stringContaining('pg_current_xact_id_if_assigned'),
      'COMMIT',
    ]);
    expect(asked).toHaveLength(4);
  });

  it('longer than what is left of the running one is refused at the call', async () => {
    await one.run({ name: 'Outer', timeout: '1s' }, async () => {
      await expect(one.run({ name: 'Inner', timeout: '2s' }, async () => 0)).rejects.toThrow(
        new TransactionJoinError('Inner asks for more time than Outer gives.'),
      );
      expect(await one.run({ timeout: '100ms' }, async () => 1)).toBe(1);
      expect(await one.run({ timeout: '2s', propagation: 'requires-new' }, async () => 1)).toBe(1);
    });
  });

  it('leaves nothing of a nested write to be stored after it', async () => {
    // Prisma sends the parts of a nested write one by one, and its own clock does not stop it in between.
    const variables = { DATABASE_TRANSACTION_TIMEOUT_MS: '300', DATABASE_POOL_SIZE: '1' };
    const { run, get, app } = await startCore(database, [Marks], { variables }); // not Probe: its requires-new needs two
    const small = { run, app, marks: get(Marks), probe: one.probe };
    instances.push(small);
    const slug = fresh('held');
    const sku = { id: newId(), code: slug.toUpperCase(), name: 'Early', price: 1n, currency: 'EUR' };
    await one.marks.db.product.create({ data: { id: newId(), slug, name: 'Early', skus: { create: sku } } });
    const holds = Promise.withResolvers<undefined>();
    const holder = one.run({}, async () => {
      await one.marks.db.product.updateMany({ where: { slug }, data: { name: 'Held' } });
      holds.resolve(undefined);
      await sleep(700);
      await fail();
    });
    await holds.promise;
    const name = 'Late';
    const late = small.run({}, () =>
      small.marks.db.product.update({
        where: { slug },
        data: { name, skus: { updateMany: { where: {}, data: { name } } } },
      }),
    );
    await expect(late).rejects.toThrow();
    await expect(holder).rejects.toThrow('thrown');
    await sleep(300);
    const names =
      'SELECT p.name AS product, s.name AS sku FROM product p JOIN sku s ON s.product_id = p.id WHERE slug = $1';
    expect(await database.query(names, [slug])).toEqual([{ product: 'Early', sku: 'Early' }]);
    expect(await small.run({}, () => small.marks.pid())).toBeGreaterThan(0);
  });
});
