/** @servers any */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseClients } from '../src/database/database-clients.ts';
import { newId } from '../src/kernel/ids.ts';
import {
  PinnedConnectionBusyError,
  PinnedConnectionOverError,
  PinnedTransactionLostError,
} from '../src/testing/pinned-errors.ts';
import { FaultNotMetError } from '../src/testing/planted-faults.ts';
import { ImpossibleFaultError, type TransactionKit, transactionKit } from '../src/testing/testing.ts';
import type { TransactionOptions } from '../src/transactions/boundary/options.ts';
import { TransactionConflictError, UnexpectedRollbackError } from '../src/transactions/errors.ts';
import { afterCommit, afterRollback } from '../src/transactions/hooks.ts';
import { DATABASE, type Sql, type Tables } from '../src/transactions/tables.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { TransactionRolledBackError } from '../src/transactions/wire/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { startApp, type TestApp } from './support/app.ts';
import { errorOf } from './support/bare.ts';
import { allRows, findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { inFlight, tally } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';
import { recordStatements } from './support/statements.ts';

// Shorter than the default, so that a test can wait for it; longer than anything here takes on a slow machine.
const waitMs = 2000;

let service: TestApp;
let kit: TransactionKit;
let impatient: TransactionKit;
let databases: DatabaseClients;
let db: Tables<'product' | 'sku' | 'stock'> & Sql;
let run: Transactions['run'];
let operator: Person;
beforeAll(async () => {
  service = await startApp({ DATABASE_POOL_SIZE: '16', DATABASE_POOL_WAIT_MS: '20000' });
  operator = await makers(service).operator();
  databases = service.app.get(DatabaseClients);
  db = service.app.get(DATABASE);
  const transactions = service.app.get(Transactions);
  run = (options, work) => transactions.run(options, work);
  kit = transactionKit(service.app, { waitMs: 20_000 });
  impatient = transactionKit(service.app, { waitMs });
  await service.database.query(`
    CREATE TABLE place (n int PRIMARY KEY DEFERRABLE INITIALLY IMMEDIATE, id int GENERATED ALWAYS AS IDENTITY);
    GRANT SELECT, INSERT, UPDATE ON place TO holdfast_app`);
});
afterAll(async () => {
  expect(await findMistakes(service.database)).toEqual([]);
  await service.close();
});

let counter = 0;
const fresh = (name: string): string => `${name}-${++counter}`;
const write = (slug: string) => db.product.create({ data: { id: newId(), slug, name: slug } });
const writeWithSku = (slug: string) => {
  const sku = { id: newId(), code: slug.toUpperCase(), name: slug, price: 1n, currency: 'EUR' };
  return db.product.create({
    data: { id: newId(), slug, name: slug, skus: { create: { ...sku, stock: { create: {} } } } },
  });
};
const writeRaw = (slug: string) =>
  db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${slug}, ${slug})`;
/** Those of the marks that are there, as the application reads them outside any boundary. */
const there = async (...slugs: string[]): Promise<string[]> =>
  (await db.product.findMany({ where: { slug: { in: slugs } }, orderBy: { slug: 'asc' } })).map(({ slug }) => slug);
/** The same, as everybody else sees them. */
const stored = async (...slugs: string[]): Promise<string[]> =>
  (await service.database.query<{ slug: string }>('SELECT slug FROM product WHERE slug = ANY($1)', [slugs])).map(
    ({ slug }) => slug,
  );
const show = async (name: string): Promise<string> =>
  (await db.$queryRaw<[{ value: string }]>`SELECT current_setting(${name}) AS value`)[0].value;
const place = async (): Promise<string> =>
  (await db.$queryRaw<[{ at: string }]>`SELECT pg_backend_pid() || '/' || pg_current_xact_id() AS at`)[0].at;
/** A stock that says more than its movements, which a deferred rule refuses. */
const breakRule = () => db.$executeRaw`UPDATE stock SET on_hand = on_hand + 1`;
const fail = async (): Promise<never> => {
  throw new Error('thrown');
};
const boundary = (
  slug: string,
  rest: () => Promise<unknown> = async () => undefined,
  options: TransactionOptions = {},
) =>
  run(options, async () => {
    await write(slug);
    return rest();
  });

describe('a test that is rolled back', () => {
  it('leaves nothing in the database, whichever way it was written', async () => {
    const before = await allRows(service.database);
    const slugs = ['boundary', 'plain', 'raw', 'nested-write', 'new', 'beside'].map(fresh) as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];

    await kit.begin();
    await boundary(slugs[0], async () => {
      await boundary(slugs[4], undefined, { propagation: 'requires-new' });
      await run({ propagation: 'not-supported' }, () => write(slugs[5]));
    });
    await write(slugs[1]);
    await writeRaw(slugs[2]);
    await writeWithSku(slugs[3]);
    await service
      .as()
      .post('/v1/users', { email: 'kit@example.com', password: 'long enough', profile: { displayName: 'K' } })
      .expect(201);
    const seen = await there(...slugs);
    const seenOutside = await allRows(service.database);
    await kit.rollback();

    expect(seen).toEqual([...slugs].sort());
    expect(seenOutside).toEqual(before);
    expect(await allRows(service.database)).toEqual(before);
    expect(await there(...slugs)).toEqual([]);
  });

  it('happens on one connection and in one transaction, and asks no replica', async () => {
    const slug = fresh('read');
    await kit.begin();
    const statements = recordStatements();
    const places = [
      await place(),
      await run({}, place),
      await run({}, () => run({ propagation: 'requires-new' }, place)),
      await run({}, () => run({ propagation: 'not-supported' }, place)),
      await run({}, () => run({ propagation: 'nested' }, place)),
      await run({ isolation: 'serializable', timeout: '5s' }, place),
    ];
    await write(slug);
    const read = [await there(slug), await run({ readOnly: true }, () => there(slug))];
    // How far a replica has come is asked at any time, on connections of its own.
    const onReplica = statements
      .take()
      .filter(({ connection, text }) => connection === 'holdfast read' && !/_lsn\(|pg_is_in_recovery/.test(text));
    const pinned = databases.replicas.map(({ pool }) =>
      pool.query(`SELECT pg_backend_pid() || '/' || pg_current_xact_id() AS at`),
    );
    const ofReplicas = (await Promise.all(pinned)).map(({ rows }) => rows[0].at);
    statements.stop();
    await kit.rollback();

    expect(new Set([...places, ...ofReplicas]).size).toBe(1);
    expect(ofReplicas.length).toBeGreaterThan(0);
    expect(read).toEqual([[slug], [slug]]);
    expect(onReplica).toEqual([]);
    expect(await place()).not.toBe(places[0]);
  });

  it('is free of what the test before has done, and so is the application after it', async () => {
    const [slug, sequence] = [fresh('again'), `SELECT nextval(pg_get_serial_sequence('place', 'id')) AS n`];
    const settings = [
      'application_name',
      'statement_timeout',
      'lock_timeout',
      'transaction_isolation',
      'transaction_read_only',
    ];
    const shown = () => Promise.all(settings.map(show));
    const before = await shown();
    const numbers: number[] = [];
    for (let n = 0; n < 3; n++) {
      await kit.begin();
      expect(await shown()).toEqual(before);
      await boundary(slug, undefined, { timeout: '7s', lockTimeout: '3s', name: 'Named' });
      await run({ readOnly: true }, () => there(slug));
      expect(await shown()).toEqual(before);
      await db.$executeRaw`INSERT INTO place (n) VALUES (1)`;
      numbers.push(Number((await kit.query<{ id: number }>('SELECT id FROM place'))[0]?.id));
      await kit.rollback();
    }
    expect(await shown()).toEqual(before);
    // Sequences go on counting: PostgreSQL does not roll them back.
    expect(new Set(numbers).size).toBe(3);
    expect(Number((await service.database.query<{ n: string }>(sequence))[0]?.n)).toBeGreaterThan(Math.max(...numbers));
    expect(await service.database.query('SELECT n FROM place')).toEqual([]);
  });

  it('keeps what was stored before it', async () => {
    const [before, during] = [fresh('before'), fresh('during')];
    await write(before);
    await kit.begin();
    await boundary(during);
    await kit.rollback();
    expect(await stored(before, during)).toEqual([before]);
  });

  it('gives the connection back, as often as it is done', async () => {
    for (let n = 0; n < 20; n++) {
      await kit.begin();
      await write(fresh('again'));
      await kit.rollback();
    }
    expect((await inFlight(16, 16, () => run({}, () => sleep(20, place())))).length).toBe(16);
  });

  it('must be begun before it is rolled back, and only once', async () => {
    await expect(kit.rollback()).rejects.toThrow('There is no test to roll back');
    await kit.begin();
    await expect(kit.begin()).rejects.toThrow('has not been rolled back');
    await kit.rollback();
  });
});

describe('inside a test that is rolled back', () => {
  beforeEach(() => kit.begin());
  afterEach(() => kit.rollback());

  it('a boundary stores all of its work, or nothing, and leaves the others alone', async () => {
    const slugs = ['kept', 'lost', 'kept'].map(fresh) as [string, string, string];
    await boundary(slugs[0]);
    await expect(boundary(slugs[1], fail)).rejects.toThrow('thrown');
    await boundary(slugs[2]);
    expect(await there(...slugs)).toEqual([slugs[0], slugs[2]].sort());
  });

  it('a statement that fails outside any boundary fails alone', async () => {
    const [one, two] = [fresh('one'), fresh('two')];
    await write(one);
    await expect(write(one)).rejects.toMatchObject({ code: 'P2002' });
    await expect(writeWithSku(one)).rejects.toMatchObject({ code: 'P2002' });
    await write(two);
    expect(await there(one, two)).toEqual([one, two].sort());
  });

  it('a request that is sent again with its Idempotency-Key is answered as before', async () => {
    const [ada, key] = [await makers(service).user(), randomUUID()];
    const send = () => ada.api.post('/v1/accounts', { currency: 'JPY' }).set('idempotency-key', key).expect(201);
    const [first, second] = [await send(), await send()];
    expect([second.text, second.headers['idempotent-replayed']]).toEqual([first.text, 'true']);
  });

  it('a nested boundary is undone by itself', async () => {
    const [outer, inner, after] = [fresh('outer'), fresh('inner'), fresh('after')];
    await boundary(outer, async () => {
      await expect(boundary(inner, () => write(outer), { propagation: 'nested' })).rejects.toMatchObject({
        code: 'P2002',
      });
      await boundary(after, undefined, { propagation: 'nested' });
    });
    expect(await there(outer, inner, after)).toEqual([after, outer].sort());
  });

  it('an error that is swallowed is an error at the end, and COMMIT of a broken transaction is none', async () => {
    const [taken, lost] = [fresh('taken'), fresh('lost')];
    await write(taken);
    const swallow = () => write(taken).catch(() => undefined);
    await expect(boundary(lost, swallow)).rejects.toThrow(UnexpectedRollbackError);
    const unguarded = databases.write.prisma.$transaction(async (transaction) => {
      await transaction.product.create({ data: { id: newId(), slug: lost, name: lost } });
      await transaction.product.create({ data: { id: newId(), slug: taken, name: taken } }).catch(() => undefined);
    });
    // Prisma puts what it is told into an error of its own.
    expect((await errorOf(unguarded)).message).toContain(new TransactionRolledBackError().message);
    expect(await there(taken, lost)).toEqual([taken]);
  });

  it('a boundary that only reads refuses to write, and the next one does not', async () => {
    const [refused, kept] = [fresh('refused'), fresh('kept')];
    const error = await errorOf(run({ readOnly: true }, () => writeRaw(refused)));
    expect(databaseFailure(error)?.sqlState).toBe('25006');
    await run({ readOnly: true }, async () => expect(await show('transaction_read_only')).toBe('on'));
    await boundary(kept);
    expect(await there(refused, kept)).toEqual([kept]);
  });

  it('a statement is cancelled when the time of its boundary is over, and the test goes on', async () => {
    const slug = fresh('late');
    await expect(boundary(slug, () => db.$queryRaw`SELECT pg_sleep(8)::text`, { timeout: '300ms' })).rejects.toThrow();
    await sleep(400);
    await write(slug);
    expect(await there(slug)).toEqual([slug]);
  });

  it('the time of a boundary that has ended does not end the test', async () => {
    const slug = fresh('in-time');
    await boundary(slug, undefined, { timeout: '300ms' });
    // Longer than what the server would have been told for the whole transaction.
    await sleep(700);
    expect(await there(slug)).toEqual([slug]);
  });

  it('a boundary has its own limits and name, whatever the one around it has', async () => {
    const limits = async () => [
      await show('statement_timeout'),
      await show('lock_timeout'),
      await show('application_name'),
    ];
    await run({ name: 'Outer', lockTimeout: '1500ms' }, async () => {
      const before = await limits();
      const inner = await run({ name: 'Inner', propagation: 'requires-new', lockTimeout: '700ms' }, limits);
      const beside = await run({ propagation: 'not-supported' }, () => show('lock_timeout'));
      expect(before).toEqual([expect.anything(), '1500ms', 'holdfast Outer']);
      expect(inner).toEqual([expect.anything(), '700ms', 'holdfast Inner']);
      expect(beside).toBe('5s');
      expect((await limits()).slice(1)).toEqual(before.slice(1));
    });
  });
});

describe('a rule that the database checks at COMMIT', () => {
  // Each breaks it in another way: what the caller sees must be what it sees on a database of its own.
  const ways: [string, () => Promise<unknown>][] = [
    ['a boundary', () => run({ name: 'Breaks' }, breakRule)],
    [
      'a boundary that goes on',
      () => run({ name: 'Breaks' }, async () => void (await breakRule(), await write(fresh('beside')))),
    ],
    ['a plain statement', () => breakRule()],
    [
      'a write that Prisma wraps',
      async () => {
        const stock = await db.stock.findFirstOrThrow();
        await db.sku.update({
          where: { id: stock.skuId },
          data: { name: 'x', stock: { update: { onHand: { increment: 1 } } } },
        });
      },
    ],
    ['a nested boundary', () => run({}, () => run({ propagation: 'nested' }, breakRule))],
  ];
  const shapeOf = (error: Error): object => {
    const { code, meta, cause } = error as { code?: string; meta?: object; cause?: object };
    // A number of a line in a generated file may stand in the message.
    return {
      kind: error.constructor.name,
      message: error.message.split('\n').at(-1),
      code,
      meta,
      cause,
      failure: databaseFailure(error),
    };
  };

  beforeAll(() => writeWithSku(fresh('stocked')));

  it.each(ways)('is reported to %s just as COMMIT would report it', async (_, breaks) => {
    const real = shapeOf(await errorOf(breaks()));
    await kit.begin();
    const slug = fresh('before');
    await boundary(slug);
    const imitated = shapeOf(await errorOf(breaks()));
    const after = await there(slug);
    await kit.rollback();
    expect(real).toMatchObject({ failure: { sqlState: '23000' } });
    expect(imitated).toEqual(real);
    expect(after).toEqual([slug]);
  });

  it('is not checked before', async () => {
    await kit.begin();
    for (let n = 0; n < 2; n++) {
      await run({}, async () => {
        await breakRule();
        await db.$executeRaw`UPDATE stock SET on_hand = on_hand - 1`;
      });
    }
    await kit.rollback();
  });

  it('and one that is checked at once stays that, though it may be deferred', async () => {
    await kit.begin();
    const twice = (): Promise<unknown> => db.$executeRaw`INSERT INTO place (n) VALUES (7)`;
    await run({}, twice);
    const failed: unknown[] = [];
    await errorOf(run({}, () => twice().catch((error: unknown) => void failed.push(error))));
    await kit.rollback();
    expect(failed.map((error) => databaseFailure(error)?.sqlState)).toEqual(['23505']);
  });
});

describe('a boundary inside another one that waits for it', () => {
  beforeEach(() => kit.begin());
  afterEach(() => kit.rollback());
  const inNew = <T>(work: () => Promise<T>) => run({ propagation: 'requires-new' }, work);

  it('is undone by itself, and together with the other one', async () => {
    const [outer, inner, lost] = [fresh('outer'), fresh('inner'), fresh('lost')];
    await boundary(outer, async () => {
      await errorOf(boundary(lost, fail, { propagation: 'requires-new' }));
      await inNew(() => write(inner));
    });
    expect(await there(outer, inner, lost)).toEqual([inner, outer].sort());
    // Not so on a database of its own, where the inner one would stay.
    const [outer2, inner2] = [fresh('outer'), fresh('inner')];
    await errorOf(boundary(outer2, async () => void (await inNew(() => write(inner2)), await fail())));
    expect(await there(outer2, inner2)).toEqual([]);
  });

  it('can write down what has failed around it, which stays broken', async () => {
    const [taken, lost, note] = [fresh('taken'), fresh('lost'), fresh('note')];
    await write(taken);
    const afterwards: unknown[] = [];
    const noting = boundary(lost, async () => {
      await write(taken).catch(() => inNew(() => write(note)));
      afterwards.push(await there(note).catch((error: unknown) => (error as Error).message));
    });
    await expect(noting).rejects.toThrow(UnexpectedRollbackError);
    expect(afterwards).toEqual([expect.stringMatching(/^INSERT product failed with 23505, and /)]);
    // In a nested boundary that is undone the other one goes on.
    await boundary(lost, async () => {
      await errorOf(
        run({ propagation: 'nested' }, () =>
          write(taken).catch((error: unknown) => inNew(async () => Promise.reject(error as Error))),
        ),
      );
      await run({ propagation: 'nested' }, async () => {
        await errorOf(run({ propagation: 'nested' }, () => write(taken).catch(() => inNew(() => there(taken)))));
      });
    });
    expect(await there(taken, lost)).toEqual([lost, taken].sort());
  });

  it('answers for its own rules, and not for what the other one has still to do', async () => {
    await writeWithSku(fresh('stocked'));
    await run({}, async () => {
      await breakRule();
      await inNew(() => write(fresh('inner')));
      await db.$executeRaw`UPDATE stock SET on_hand = on_hand - 1`;
      expect(databaseFailure(await errorOf(inNew(breakRule)))?.sqlState).toBe('23000');
    });
    const outer = run({}, async () => {
      await breakRule();
      await inNew(() => write(fresh('inner')));
    });
    expect(databaseFailure(await errorOf(outer))?.sqlState).toBe('23000');
  });

  it('has the connection for itself: what the other one says meanwhile comes behind it', async () => {
    const [outer, inner] = [fresh('outer'), fresh('inner')];
    await run({}, async () => {
      await place();
      let begun: () => void = () => undefined;
      const hasBegun = new Promise<void>((resolve) => (begun = resolve));
      const failing = inNew(async () => {
        await write(inner);
        begun();
        await sleep(100);
        await fail();
      }).catch(() => undefined);
      await hasBegun;
      // Inside the savepoint of the inner one it would be lost with it.
      await Promise.all([write(outer), failing]);
    });
    expect(await there(outer, inner)).toEqual([outer]);
  });

  it('and one beside it take turns', async () => {
    const [a, b] = [fresh('a'), fresh('b')];
    await run({}, async () => {
      await place();
      const failing = inNew(async () => void (await write(a), await sleep(50), await fail())).catch(() => undefined);
      await Promise.all([failing, inNew(async () => void (await write(b), await sleep(20)))]);
    });
    expect(await there(a, b)).toEqual([b]);
  });
});

describe('boundaries at the same moment', () => {
  it('run one after the other, and none loses or keeps what belongs to another one', async () => {
    await kit.begin();
    let running = 0;
    const slugs = Array.from({ length: 40 }, () => fresh('beside'));
    const results = await inFlight(10, 40, (n) =>
      run({}, async () => {
        await write(slugs[n]!);
        expect(++running).toBe(1);
        await sleep(n % 3);
        running--;
        if (n % 4 === 0) throw new Error('thrown');
        return n;
      }).catch(() => null),
    );
    const seen = await there(...slugs);
    await kit.rollback();
    expect(seen).toEqual(slugs.filter((_, n) => n % 4 !== 0).sort());
    expect(results.filter((n) => n !== null)).toHaveLength(30);
  });

  it('that come over HTTP are answered as on a database of their own', async () => {
    await kit.begin();
    const person = { password: 'long enough', profile: { displayName: 'Racer' } };
    const taken = Array.from({ length: 6 }, () =>
      service.as().post('/v1/users', { email: 'race@example.com', ...person }),
    );
    const answers = tally(await Promise.all(taken));
    const slug = fresh('http');
    const products = await Promise.all(
      [slug, fresh('http'), slug].map((name) =>
        operator.api.post('/v1/products', {
          slug: name,
          name,
          skus: [
            { code: `${name}-${++counter}`.toUpperCase(), name, price: { amount: 1, currency: 'EUR' }, onHand: 3 },
          ],
        }),
      ),
    );
    const reads = await Promise.all(Array.from({ length: 6 }, () => service.as().get('/v1/products')));
    expect(await findMistakes(kit)).toEqual([]);
    await kit.rollback();
    expect(answers).toEqual({ '201': 1, '409 email-taken': 5 });
    expect(tally(products)).toEqual({ '201': 2, '409 slug-taken': 1 });
    expect(tally(reads)).toEqual({ '200': 6 });
    expect(await stored(slug)).toEqual([]);
  });

  it('that wait for each other are told so in time, and so is the test', async () => {
    await impatient.begin();
    let release: () => void = () => undefined;
    const waited = new Promise<void>((resolve) => (release = resolve));
    // The first holds the connection until the second one is done, which waits for the connection.
    const hasBegun = Promise.withResolvers<undefined>();
    const first = run({}, async () => void (await place(), hasBegun.resolve(undefined), await waited));
    await hasBegun.promise;
    const error = await errorOf(run({}, place));
    release();
    await first;
    await expect(impatient.rollback()).rejects.toThrow(PinnedConnectionBusyError);
    expect(error).toBeInstanceOf(PinnedConnectionBusyError);
    expect(await run({}, place)).toMatch(/\d/);
  });

  it('that outlive the test store nothing', async () => {
    const [held, queued] = [fresh('held'), fresh('queued')];
    await impatient.begin();
    const hasBegun = Promise.withResolvers<undefined>();
    const holding = errorOf(boundary(held, () => (hasBegun.resolve(undefined), sleep(waitMs + 1000))));
    await hasBegun.promise;
    const waiting = errorOf(write(queued));
    await expect(impatient.rollback()).rejects.toThrow(PinnedConnectionBusyError);
    expect([PinnedConnectionBusyError.name, PinnedConnectionOverError.name]).toContain((await waiting).name);
    await holding;
    expect(await stored(held, queued)).toEqual([]);
    expect(await run({}, place)).toMatch(/\d/);
  });

  it('one that is queued when the test ends is refused', async () => {
    const [first, second] = [fresh('first'), fresh('second')];
    await kit.begin();
    const hasBegun = Promise.withResolvers<undefined>();
    const running = boundary(first, () => (hasBegun.resolve(undefined), sleep(200)));
    await hasBegun.promise;
    const over = kit.rollback();
    const late = errorOf(write(second));
    await Promise.all([running, over]);
    expect(await late).toBeInstanceOf(PinnedConnectionOverError);
    expect(await stored(first, second)).toEqual([]);
  });

  it('a test whose transaction was ended under it says so', async () => {
    await kit.begin();
    await errorOf(kit.query('commit'));
    await expect(kit.rollback()).rejects.toThrow(PinnedTransactionLostError);
    expect(await run({}, place)).toMatch(/\d/);
  });
});

describe('hooks, while tests are rolled back,', () => {
  beforeEach(() => kit.begin());
  afterEach(() => kit.rollback());

  it('run once, when their boundary ends, in order, and outside it', async () => {
    const [slug, later] = [fresh('hooked'), fresh('hook')];
    const heard: unknown[] = [];
    await boundary(slug, async () => {
      afterCommit(async () => heard.push(['first', await there(slug), service.app.get(Transactions).running()]));
      afterCommit(() => boundary(later));
      afterRollback(() => heard.push('never'));
      await run({}, async () => void afterCommit(() => heard.push('joined')));
      expect(heard).toEqual([]);
    });
    expect(heard).toEqual([['first', [slug], null], 'joined']);
    expect(await there(later)).toEqual([later]);
  });

  it('of a boundary or a savepoint that is undone are dropped, and those for that run', async () => {
    const heard: string[] = [];
    const hook = (name: string) => {
      afterCommit(() => heard.push(`${name} committed`));
      afterRollback((error) => heard.push(`${name} ${(error as Error).message}`));
    };
    await errorOf(boundary(fresh('undone'), async () => void (hook('outer'), await fail())));
    expect(heard.splice(0)).toEqual(['outer thrown']);
    await boundary(fresh('kept'), async () => {
      hook('outer');
      await errorOf(run({ propagation: 'nested' }, async () => void (hook('inner'), await place(), await fail())));
    });
    expect(heard.splice(0)).toEqual(['inner thrown', 'outer committed']);
    await writeWithSku(fresh('stocked'));
    const broken = errorOf(
      run(
        {},
        async () =>
          void (afterCommit(() => heard.push('never')), afterRollback(() => heard.push('broken')), await breakRule()),
      ),
    );
    await broken;
    expect(heard).toEqual(['broken']);
  });
});

describe.each(['rolled back', 'on a database of its own'])('a planted fault, in a test %s,', (mode) => {
  const isPinned = mode === 'rolled back';
  beforeEach(() => (isPinned ? kit.begin() : undefined));
  afterEach(() => (isPinned ? kit.rollback() : kit.end()));

  const model = async (): Promise<unknown> => write(fresh('model'));
  const raw = async (): Promise<unknown> => writeRaw(fresh('raw'));
  const conflicts = ['40001', '40P01'].flatMap((sqlState) =>
    (
      [
        ['statement', model],
        ['statement', raw],
        ['commit', model],
        ['commit', raw],
      ] as const
    ).map(([at, work]) => [sqlState, at, work === model ? 'model' : 'raw', work] as const),
  );
  // What Prisma makes of them; at COMMIT, which is not its own, nothing.
  const codes: Record<string, string> = { '40001 model': 'P2034', '40P01 model': 'P2034' };

  it.each(conflicts)('%s at a %s, behind a %s query, has the shape of a real one', async (sqlState, at, kind, work) => {
    kit.failAt({ at, sqlState });
    const seen: Error[] = [];
    const failing = run({ retry: 0 }, () =>
      work().catch((error: unknown) => {
        seen.push(error as Error);
        throw error;
      }),
    );
    const conflict = await errorOf(failing);
    expect(conflict).toBeInstanceOf(TransactionConflictError);
    seen.push(conflict.cause as Error);
    expect(seen.map((error) => databaseFailure(error)?.sqlState)).toEqual(seen.map(() => sqlState));
    expect(seen).toHaveLength(at === 'commit' ? 1 : 2);
    const { code } = seen[0] as { code?: string };
    if (at === 'commit') expect([seen[0]?.constructor.name, code]).toEqual(['DatabaseError', sqlState]);
    else expect(code).toBe(codes[`${sqlState} ${kind}`] ?? 'P2010');
  });

  it('of every such shape: the work is done again, and only the hooks of the run that is stored run, once', async () => {
    const times = fullCount(300, 10_000);
    // A fault for each boundary, by name, so that they may run beside each other.
    const committed = new Map<string, number[]>();
    const undone: string[] = [];
    const runs = new Map<string, number>();
    await inFlight(8, times, (n) => {
      const [sqlState, at, , work] = conflicts[n % conflicts.length]!;
      const name = `Conflict ${n}`;
      kit.failAt({ boundary: name, attempt: 1, at, sqlState });
      return run({ name, timeout: '60s' }, async () => {
        const attempt = (runs.get(name) ?? 0) + 1;
        runs.set(name, attempt);
        afterCommit(() => void committed.set(name, [...(committed.get(name) ?? []), attempt]));
        afterRollback(() => undone.push(name));
        await work();
      });
    });
    expect(kit.faults.met).toHaveLength(times);
    expect([...runs.values()].filter((n) => n === 2)).toHaveLength(times);
    expect([...committed.values()].filter((attempts) => attempts.length === 1 && attempts[0] === 2)).toHaveLength(
      times,
    );
    expect(undone).toEqual([]);
  }, 300_000);

  it('is met by the boundary, the attempt and the statement that it names, as often as it says', async () => {
    kit.failAt({
      boundary: 'Chosen',
      attempt: 2,
      at: 'statement',
      statement: /^INSERT product$/,
      sqlState: '40001',
      times: 1,
    });
    kit.failAt({ boundary: 'Chosen', attempt: 1, at: 'commit', sqlState: '40P01' });
    const work = async () => {
      await db.sku.count();
      await write(fresh('chosen'));
    };
    await run({ name: 'Other' }, work);
    expect(kit.faults.met).toEqual([]);
    await run({ name: 'Chosen' }, work);
    expect(kit.faults.met).toEqual([
      { at: 'commit', sqlState: '40P01', boundary: 'Chosen', attempt: 1, statement: 'COMMIT' },
      { at: 'statement', sqlState: '40001', boundary: 'Chosen', attempt: 2, statement: 'INSERT product' },
    ]);
    kit.failAt({ at: 'statement', sqlState: '40001', times: 3 });
    const error = await errorOf(run({ name: 'Often', retry: 2 }, work));
    expect(error).toBeInstanceOf(TransactionConflictError);
    expect(kit.faults.met.slice(2).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
  });

  it('stores nothing of the run that met it', async () => {
    const slugs: string[] = [];
    kit.failAt({ at: 'commit', sqlState: '40001', times: 2 });
    await run({}, async () => {
      slugs.push(fresh('attempt'));
      await write(slugs.at(-1)!);
    });
    expect(slugs).toHaveLength(3);
    expect(await there(...slugs)).toEqual([slugs[2]]);
  });

  it('of another kind reaches the caller as the database would tell it', async () => {
    kit.failAt({ at: 'statement', sqlState: '55P03', statement: /^INSERT/ });
    expect(databaseFailure(await errorOf(run({}, model)))?.sqlState).toBe('55P03');
    kit.failAt({ at: 'commit', sqlState: '23514' });
    expect(databaseFailure(await errorOf(run({}, model)))?.sqlState).toBe('23514');
  });

  it('that is never met fails the test, with what was planted and which boundaries there were', async () => {
    kit.failAt({ boundary: 'Misspelled', attempt: 2, at: 'statement', statement: /^UPDATE/, sqlState: '40001' });
    await run({ name: 'Spelled' }, model);
    const error = await errorOf(isPinned ? kit.rollback() : kit.end());
    if (isPinned) await kit.begin();
    expect(error).toBeInstanceOf(FaultNotMetError);
    expect(error.message).toBe(
      'Planted and not met: 40001 at statement /^UPDATE/ of Misspelled, attempt 2 (1 left). Boundaries that spoke to the database: Spelled.',
    );
    // It is forgotten, and not met by the next test.
    await run({ name: 'Misspelled' }, model);
    expect(kit.faults.met).toEqual([]);
  });

  it('can be met each time, at least once', async () => {
    kit.failAt({ boundary: 'Each', at: 'commit', sqlState: '40001', times: Infinity });
    await errorOf(run({ name: 'Each', retry: 3 }, model));
    expect(kit.faults.met).toHaveLength(4);
    // Rolling back, or ending, forgets it without a complaint.
    await (isPinned ? kit.rollback() : kit.end());
    if (isPinned) await kit.begin();
    kit.failAt({ boundary: 'Each', at: 'commit', sqlState: '40001', times: Infinity });
    const error = await errorOf(isPinned ? kit.rollback() : kit.end());
    if (isPinned) await kit.begin();
    expect(error).toBeInstanceOf(FaultNotMetError);
  });

  it('has to make sense', () => {
    expect(() => kit.failAt({ at: 'statement', sqlState: "40001'; DROP" })).toThrow(TypeError);
    expect(() => kit.failAt({ at: 'statement', sqlState: '00000' })).toThrow(TypeError);
    expect(() => kit.failAt({ at: 'commit', sqlState: '40001', times: 0 })).toThrow(TypeError);
    expect(() => kit.failAt({ at: 'commit', sqlState: '40001', attempt: 1.5 })).toThrow(TypeError);
  });
});

describe('a planted break of the connection', () => {
  afterEach(() => kit.end());

  it.each(['before-statement-sent', 'before-commit-sent'] as const)('%s: the work is done again', async (at) => {
    const slugs: string[] = [];
    const heard: number[] = [];
    kit.failAt({ boundary: 'Cut', at });
    const value = await run({ name: 'Cut' }, async () => {
      slugs.push(fresh('cut'));
      const attempt = slugs.length;
      afterCommit(() => heard.push(attempt));
      await write(slugs.at(-1)!);
      return attempt;
    });
    expect([value, heard]).toEqual([2, [2]]);
    expect(await stored(...slugs)).toEqual([slugs[1]]);
    expect(kit.faults.met).toMatchObject([{ at, sqlState: null, boundary: 'Cut', attempt: 1 }]);
  });

  it('after-commit-sent: it is found out that the work is stored, and it is not done again', async () => {
    const [slug, heard] = [fresh('cut'), [] as string[]];
    kit.failAt({ boundary: 'Cut', at: 'after-commit-sent' });
    let runs = 0;
    await boundary(slug, async () => void (runs++, afterCommit(() => heard.push('committed'))), { name: 'Cut' });
    expect([runs, heard]).toEqual([1, ['committed']]);
    expect(await stored(slug)).toEqual([slug]);
  });

  it('is refused where a whole test stands on the connection', async () => {
    await kit.begin();
    for (const at of ['before-statement-sent', 'before-commit-sent', 'after-commit-sent'] as const)
      expect(() => kit.failAt({ at })).toThrow(ImpossibleFaultError);
    await kit.rollback();
    kit.failAt({ at: 'before-commit-sent' });
    await expect(kit.begin()).rejects.toThrow(ImpossibleFaultError);
    await expect(kit.end()).rejects.toThrow(FaultNotMetError);
  });
});
