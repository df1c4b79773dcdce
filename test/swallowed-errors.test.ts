/** @servers any */
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import pg from 'pg';
import { DatabaseClients } from '../src/database/database-clients.ts';
import { Prisma } from '../src/database/generated/client.ts';
import { newId } from '../src/kernel/ids.ts';
import { runningBoundary } from '../src/transactions/current.ts';
import {
  ConnectionLostError,
  DetachedTransactionError,
  ParallelNestingError,
  TransactionJoinError,
  UnexpectedRollbackError,
} from '../src/transactions/errors.ts';
import { afterCommit, afterRollback } from '../src/transactions/hooks.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import {
  PoolTimeoutError,
  TransactionControlError,
  TransactionRolledBackError,
} from '../src/transactions/wire/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { type Core, startCore } from './support/core.ts';
import { eventually } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { Marks, marksLike } from './support/marks.ts';

// Every way of losing an error that we could think of, as the code of a service. `taken` is there before, so writing it fails.
// The line that fails is marked `// fails`: an UnexpectedRollbackError must name it.

const ignore = (): undefined => undefined;
/** What the hooks said, by the mark of their case. */
const committed = new Map<string, number>();
const rolledBack = new Map<string, unknown[]>();

@Injectable()
class Calls {
  constructor(private readonly marks: Marks) {}

  @Transactional()
  async passesOn(): Promise<void> {
    await this.marks.write('taken');
  }

  @Transactional()
  async swallows(): Promise<void> {
    await this.marks.write('taken').catch(ignore); // fails
  }

  @Transactional({ propagation: 'mandatory' })
  async swallowsAsMandatory(): Promise<void> {
    await this.marks.write('taken').catch(ignore); // fails
  }

  @Transactional({ propagation: 'supports' })
  async swallowsAsSupporting(mark?: string): Promise<void> {
    await this.marks.write('taken').catch(ignore); // fails
    if (mark !== undefined) await this.marks.write(mark);
  }

  @Transactional({ propagation: 'nested' })
  async swallowsAsNested(mark: string): Promise<void> {
    await this.marks.write(mark);
    await this.marks.write('taken').catch(ignore); // fails
  }

  @Transactional({ propagation: 'nested' })
  async passesOnAsNested(mark: string): Promise<void> {
    await this.marks.write(mark);
    await this.marks.write('taken');
  }

  @Transactional({ propagation: 'nested' })
  async saysNothingAndThrows(): Promise<void> {
    throw new Error('thrown');
  }

  @Transactional({ propagation: 'requires-new' })
  async passesOnInItsOwn(mark: string): Promise<void> {
    await this.marks.write(mark);
    await this.marks.write('taken');
  }

  @Transactional({ propagation: 'requires-new' })
  async swallowsInItsOwn(mark: string): Promise<void> {
    await this.marks.write(mark);
    await this.marks.write('taken').catch(ignore); // fails
  }

  @Transactional({ propagation: 'not-supported' })
  async swallowsBeside(mark: string): Promise<void> {
    await this.marks.write('taken').catch(ignore);
    await this.marks.write(mark);
  }
}

/** A repository that thinks it knows better. */
@Injectable()
class KindMarks {
  constructor(private readonly marks: Marks) {}

  async write(slug: string): Promise<boolean> {
    try {
      await this.marks.write(slug); // fails
      return true;
    } catch {
      return false;
    }
  }
}

const product = (slug: string) => ({ create: { id: newId(), slug, name: slug } });
const price = { name: 'Sold', price: 1n, currency: 'EUR' };
const withNewId = <Row extends object>(row: Row) => ({ ...row, id: newId() });

@Injectable()
class Swallowing {
  readonly db: Marks['db'];
  constructor(
    private readonly marks: Marks,
    private readonly kindMarks: KindMarks,
    private readonly calls: Calls,
    private readonly transactions: Transactions,
  ) {
    this.db = marks.db;
  }

  /** Writes the first mark of a case, and notes what its hooks say. */
  private async first(mark: string): Promise<void> {
    afterCommit(() => committed.set(mark, (committed.get(mark) ?? 0) + 1));
    afterRollback((error) => rolledBack.set(mark, [...(rolledBack.get(mark) ?? []), error]));
    await this.marks.write(`${mark}-first`);
  }

  // The ways of JavaScript.

  @Transactional()
  async aroundTheLastStatement(mark: string) {
    await this.first(mark);
    try {
      await this.marks.write('taken'); // fails
    } catch {
      // The caller need not know.
    }
  }

  @Transactional()
  async aroundTheOnlyStatement(mark: string) {
    afterCommit(() => committed.set(mark, 1));
    try {
      await this.marks.write('taken'); // fails
    } catch {
      // The caller need not know.
    }
  }

  @Transactional()
  async andThoseBehindIt(mark: string) {
    await this.first(mark);
    for (const slug of ['taken', `${mark}-second`, `${mark}-third`]) await this.marks.write(slug).catch(ignore); // fails
  }

  @Transactional()
  async byThen(mark: string) {
    await this.first(mark);
    return this.db.product.create({ data: { id: newId(), slug: 'taken', name: '' } }).then(
      () => true,
      () => false,
    );
  }

  @Transactional()
  async byAllSettled(mark: string) {
    await this.first(mark);
    await Promise.allSettled([this.marks.write(`${mark}-second`), this.marks.write('taken')]); // fails
  }

  @Transactional()
  async byAllThatIsCaught(mark: string) {
    await this.first(mark);
    const both = [this.marks.write('taken'), this.marks.write(`${mark}-second`)];
    await Promise.all(both).catch(ignore); // fails
  }

  @Transactional()
  async byAny(mark: string) {
    await this.first(mark);
    await Promise.any([this.marks.write('taken'), this.marks.write(`${mark}-second`)]).catch(ignore); // fails
  }

  @Transactional()
  async byRace(mark: string) {
    await this.first(mark);
    const statement = this.marks.write('taken');
    await Promise.race([statement.catch(() => 'failed'), sleep(5000, 'late', { ref: false })]); // fails
  }

  @Transactional()
  async byReturningInFinally(mark: string): Promise<boolean> {
    await this.first(mark);
    try {
      await this.marks.write('taken'); // fails
    } finally {
      // eslint-disable-next-line no-unsafe-finally
      return true;
    }
  }

  @Transactional()
  async inAGenerator(mark: string) {
    await this.first(mark);
    const { marks } = this;
    async function* slugs() {
      for (const slug of ['taken', `${mark}-second`])
        try {
          await marks.write(slug); // fails
          yield slug;
        } catch {
          yield null;
        }
    }
    for await (const slug of slugs()) void slug;
  }

  @Transactional()
  async inALoopThatGoesOn(mark: string) {
    await this.first(mark);
    for (const slug of [`${mark}-second`, 'taken', `${mark}-third`]) {
      try {
        await this.marks.write(slug); // fails
      } catch {
        continue;
      }
    }
  }

  @Transactional()
  async inAListener(mark: string) {
    await this.first(mark);
    const done = Promise.withResolvers();
    const emitter = new EventEmitter();
    emitter.on('placed', () => {
      this.marks
        .write('taken')
        .catch(ignore)
        .finally(() => {
          done.resolve(null);
        });
    });
    emitter.emit('placed');
    await done.promise;
  }

  @Transactional()
  async inATimer(mark: string) {
    await this.first(mark);
    const waited = new Promise((done) => setTimeout(() => void this.marks.write('taken').then(done, done), 1));
    await waited; // fails
  }

  @Transactional()
  async inAMicrotask(mark: string) {
    await this.first(mark);
    const waited = new Promise((done) => queueMicrotask(() => void this.marks.write('taken').then(done, done)));
    await waited; // fails
  }

  @Transactional()
  async whileClosing(mark: string) {
    await this.first(mark);
    {
      await using resource = {
        [Symbol.asyncDispose]: async () => {
          await this.marks.write('taken').catch(ignore); // fails
        },
      };
      void resource;
    }
  }

  @Transactional()
  async asAValue(mark: string) {
    await this.first(mark);
    try {
      await this.marks.write('taken'); // fails
      return { ok: true };
    } catch (error) {
      return { ok: false, error: new Error('That name is taken.', { cause: error }) };
    }
  }

  @Transactional()
  async asABusinessError(mark: string) {
    await this.first(mark);
    try {
      await this.marks.write('taken');
    } catch (error) {
      throw new Error('That name is taken.', { cause: error });
    }
  }

  // The kinds of statements.

  @Transactional()
  async atARawStatement(mark: string) {
    await this.first(mark);
    await this.marks.writeRaw('taken').catch(ignore); // fails
  }

  @Transactional()
  async atARawQuery(mark: string) {
    await this.first(mark);
    try {
      await this.db.$queryRaw`SELECT 1 / 0 AS never`; // fails
    } catch {
      // The caller need not know.
    }
  }

  @Transactional()
  async atARead(mark: string) {
    await this.first(mark);
    await this.db.product.findMany({ where: { id: 'no id' } }).catch(ignore); // fails
  }

  @Transactional()
  async atCreateMany(mark: string) {
    await this.first(mark);
    const slugs = [`${mark}-second`, 'taken'];
    await this.db.product.createMany({ data: slugs.map((slug) => ({ id: newId(), slug, name: slug })) }).catch(ignore); // fails
  }

  @Transactional()
  async atTheSecondPartOfANestedWrite(mark: string) {
    await this.first(mark);
    const skus = ['fresh', 'taken'].map((code) => ({ id: newId(), code: `${code}-${mark}`, ...price }));
    await this.db.sku.create({ data: { ...skus[1]!, product: product(`${mark}-owner`) } });
    const data = { id: newId(), slug: `${mark}-second`, name: '', skus: { create: skus.map(withNewId) } };
    await this.db.product.create({ data }).catch(ignore); // fails
  }

  @Transactional()
  async atAPartOfANestedWriteThatIsMissing(mark: string) {
    await this.first(mark);
    const data = { id: newId(), slug: `${mark}-second`, name: '', skus: { connect: { id: newId() } } };
    await this.db.product.create({ data }).catch(ignore); // fails
  }

  @Transactional()
  async atAnUpsertThatLosesARace(mark: string) {
    await this.first(mark);
    await this.db.product
      .upsert({
        where: { slug: `${mark}-upsert` },
        create: { id: newId(), slug: `${mark}-upsert`, name: '' },
        update: { name: 'updated' },
        include: { skus: true },
      })
      .catch(ignore);
  }

  @Transactional()
  async atAConstraintThatIsDeferredNoLonger(mark: string) {
    await this.first(mark);
    await this.db.$executeRaw`INSERT INTO numbered VALUES (1)`;
    await this.db.$executeRaw`SET CONSTRAINTS ALL IMMEDIATE`.catch(ignore); // fails
  }

  @Transactional()
  async atCommit(mark: string) {
    await this.first(mark);
    await this.db.$executeRaw`INSERT INTO numbered VALUES (1)`;
  }

  @Transactional()
  async atALockThatIsHeld(mark: string) {
    await this.first(mark);
    await this.db.$queryRaw`SELECT id FROM product WHERE slug = 'held' FOR NO KEY UPDATE NOWAIT`.catch(ignore); // fails
  }

  @Transactional({ lockTimeout: '50ms' })
  async atALockThatTakesTooLong(mark: string) {
    await this.first(mark);
    await this.db.product.updateMany({ where: { slug: 'held' }, data: { name: mark } }).catch(ignore); // fails
  }

  @Transactional()
  async atAStatementThatTakesTooLong(mark: string) {
    await this.first(mark);
    await this.db.$executeRaw`SET LOCAL statement_timeout = 50`;
    await this.db.$queryRaw`SELECT pg_sleep(5)::text`.catch(ignore); // fails
  }

  @Transactional()
  async inACallThatTakesTooLong(mark: string) {
    await this.first(mark);
    await this.transactions // fails
      .run({ name: 'Slow', timeout: '60ms' }, () => this.db.$queryRaw`SELECT pg_sleep(5)::text`)
      .catch(ignore);
  }

  @Transactional()
  async atWhatIsNotAllowed(mark: string) {
    await this.first(mark);
    await this.db.$executeRaw`UPDATE transfer SET amount = 1`.catch(ignore); // fails
  }

  // A class that owns a repository that writes may not have a read-only method.
  async atAWriteOfAReader(mark: string) {
    const options = { readOnly: true, name: 'Swallowing.atAWriteOfAReader' } as const;
    await this.transactions.run(options, async () => {
      afterCommit(() => committed.set(mark, 1));
      await this.marks.writeRaw(`${mark}-first`).catch(ignore); // fails
    });
  }

  @Transactional({ retry: 0 })
  async atAConnectionThatBreaks(mark: string) {
    await this.first(mark);
    await this.db.$executeRaw`SELECT pg_terminate_backend(pg_backend_pid())`.catch(ignore);
    await this.marks.write(`${mark}-second`).catch(ignore);
  }

  @Transactional()
  async behindSetTransaction(mark: string) {
    await this.first(mark);
    // Hidden from the check of its text.
    await this.db.$executeRaw`DO $$ BEGIN EXECUTE 'SET TRANS' || 'ACTION READ ONLY'; END $$`;
    await this.marks.write(`${mark}-second`).catch(ignore); // fails
  }

  @Transactional()
  async byCommitInABlock(mark: string) {
    await this.first(mark);
    await this.db.$executeRaw`DO $$ BEGIN COMMIT; END $$`.catch(ignore); // fails
  }

  @Transactional()
  async byCommitInAProcedure(mark: string) {
    await this.first(mark);
    await this.db.$executeRaw`CALL commits()`.catch(ignore); // fails
  }

  // Where it is lost.

  @Transactional()
  async inARepository(mark: string) {
    await this.first(mark);
    return await this.kindMarks.write('taken'); // fails
  }

  @Transactional()
  async inACallThatJoins(mark: string) {
    await this.first(mark);
    await this.calls.swallows();
    await this.marks.write(`${mark}-second`).catch(ignore);
  }

  @Transactional()
  async aroundACallThatJoins(mark: string) {
    await this.first(mark);
    await this.calls.passesOn().catch(ignore); // fails
  }

  @Transactional()
  async inAMandatoryCall(mark: string) {
    await this.first(mark);
    await this.calls.swallowsAsMandatory();
  }

  @Transactional()
  async inASupportingCall(mark: string) {
    await this.first(mark);
    await this.calls.swallowsAsSupporting();
  }

  @Transactional()
  async inANestedCall(mark: string) {
    await this.first(mark);
    await this.calls.swallowsAsNested(`${mark}-second`);
  }

  @Transactional()
  async inANestedCallAndCaught(mark: string) {
    await this.first(mark);
    await this.calls.swallowsAsNested(`${mark}-second`).catch((error: unknown) => {
      expect(error).toBeInstanceOf(UnexpectedRollbackError);
    });
    await this.marks.write(`${mark}-third`);
  }

  @Transactional()
  async aroundANestedCall(mark: string) {
    await this.first(mark);
    await this.calls.passesOnAsNested(`${mark}-second`).catch(ignore);
    await this.marks.write(`${mark}-third`);
  }

  @Transactional()
  async beforeANestedCall(mark: string) {
    await this.first(mark);
    await this.marks.write('taken').catch(ignore); // fails
    await this.calls.passesOnAsNested(`${mark}-second`).catch(ignore);
  }

  @Transactional()
  async beforeANestedCallThatSaysNothing(mark: string) {
    await this.first(mark);
    await this.marks.write('taken').catch(ignore); // fails
    await this.calls.saysNothingAndThrows().catch(ignore);
  }

  @Transactional()
  async afterANestedCallThatWasCaught(mark: string) {
    await this.first(mark);
    await this.calls.passesOnAsNested(`${mark}-second`).catch(ignore);
    await this.marks.write('taken').catch(ignore); // fails
  }

  @Transactional()
  async aroundACallOfItsOwn(mark: string) {
    await this.first(mark);
    await this.calls.passesOnInItsOwn(`${mark}-second`).catch(ignore);
  }

  @Transactional()
  async inACallOfItsOwn(mark: string) {
    await this.first(mark);
    await this.calls.swallowsInItsOwn(`${mark}-second`).catch((error: unknown) => {
      expect(error).toMatchObject({ swallowedIn: 'Calls.swallowsInItsOwn' });
    });
  }

  @Transactional()
  async besideTheBoundary(mark: string) {
    await this.first(mark);
    await this.calls.swallowsBeside(`${mark}-second`);
  }

  // What is not awaited.

  @Transactional()
  async withoutWaiting(mark: string) {
    await this.first(mark);
    void this.marks.write('taken').catch(ignore);
  }

  @Transactional()
  async byATimerThatWins(mark: string) {
    await this.first(mark);
    await Promise.race([this.db.$queryRaw`SELECT pg_sleep(0.2)::text`, sleep(10)]);
  }

  @Transactional()
  async afterItsEnd(mark: string, ended: Promise<unknown>, late: Promise<unknown>[]) {
    await this.first(mark);
    late.push(ended.then(() => this.marks.write(`${mark}-late`)));
  }

  // What is no failure of a statement: nothing is broken, and whatever was said is stored.

  @Transactional()
  async atARowThatIsNotThere(mark: string) {
    await this.first(mark);
    await this.db.product.update({ where: { slug: 'nobody' }, data: { name: '' } }).catch(ignore);
    await this.db.product.findUniqueOrThrow({ where: { slug: 'nobody' } }).catch(ignore);
    await this.marks.write(`${mark}-second`);
  }

  @Transactional()
  async afterARowThatIsNotThere(mark: string) {
    await this.first(mark);
    await this.db.product.update({ where: { slug: 'nobody' }, data: { name: '' } }).catch(ignore);
    await this.marks.write('taken').catch(ignore); // fails
  }

  @Transactional()
  async atAnAnswerThatCannotBeRead(mark: string) {
    await this.first(mark);
    await expect(this.db.$queryRaw`SELECT pg_sleep(0)`).rejects.toThrow();
    await this.marks.write(`${mark}-second`);
  }

  @Transactional()
  async atWhatPrismaRefuses(mark: string) {
    await this.first(mark);
    await this.db.product.create({ data: { nonsense: true } as never }).catch(ignore);
    await this.marks.write(`${mark}-second`);
  }

  @Transactional()
  async atASecondNestedCall(mark: string) {
    await this.first(mark);
    const nested = (slug: string) => this.transactions.run({ propagation: 'nested' }, () => this.marks.write(slug));
    const both = await Promise.allSettled([nested(`${mark}-second`), nested(`${mark}-third`)]);
    expect(both).toMatchObject([{ status: 'fulfilled' }, { reason: expect.any(ParallelNestingError) }]);
  }

  @Transactional()
  async atARefusalToJoin(mark: string) {
    await this.first(mark);
    const stricter = this.transactions.run({ isolation: 'serializable' }, () => this.marks.write(`${mark}-second`));
    await expect(stricter).rejects.toThrow(TransactionJoinError);
  }

  // Statements that end transactions.

  @Transactional()
  async bySaying(mark: string, statement: Prisma.Sql) {
    await this.first(mark);
    await this.db.$executeRaw(statement);
    await this.marks.write(`${mark}-second`);
  }

  @Transactional()
  async byWriting(mark: string, statement: string) {
    await this.first(mark);
    await this.db.$executeRaw`${Prisma.raw(statement)}`;
    await this.marks.write(`${mark}-second`);
  }

  @Transactional()
  async bySayingAndIgnoring(mark: string, statement: Prisma.Sql) {
    await this.first(mark);
    await this.db.$executeRaw(statement).catch(ignore);
    await this.marks.write(`${mark}-second`).catch(ignore);
  }
}

type Method = keyof Omit<Swallowing, 'db'>;
let database: TestDatabase;
let core: Core;
let service: Swallowing;
let superuser: pg.Client;
let holder: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [Marks, KindMarks, Calls, Swallowing]);
  service = core.get(Swallowing);
  await core.get(Marks).write('taken');
  await core.get(Marks).write('held');
  await database.query('CREATE TABLE numbered (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)');
  await database.query('INSERT INTO numbered VALUES (1)');
  await database.query('GRANT SELECT, INSERT ON numbered TO holdfast_app');
  await database.query("CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'");
  superuser = new pg.Client({ connectionString: database.urls.superuser });
  holder = new pg.Client({ connectionString: database.urls.owner });
  await Promise.all([superuser.connect(), holder.connect()]);
  await holder.query("BEGIN; UPDATE product SET name = 'Held' WHERE slug = 'held'");
});
afterAll(async () => {
  await core.close();
  await Promise.all([superuser.end(), holder.end()]);
  await database.drop();
});

let cases = 0;
/** Calls the method, and gives what its caller and what everybody else sees. */
async function outcomeOf(method: Method, ...more: unknown[]) {
  const mark = `case${++cases}`;
  const work = service[method] as (...args: unknown[]) => Promise<unknown>;
  const error: unknown = await work.call(service, mark, ...more).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  const rows = (await marksLike(database, `${mark}-`)).map((slug) => slug.slice(mark.length + 1));
  return { error, rows, hooks: { committed: committed.get(mark) ?? 0, rolledBack: rolledBack.get(mark) ?? [] } };
}

const source = readFileSync(__filename, 'utf8').split('\n');
/** Where this file says that a method fails, by its class and name: `swallowed-errors.test.ts:140`. */
function failingLine(name: string): string {
  const [type = '', method = ''] = name.split('.');
  const beginning = source.findIndex((line) => line === `class ${type} {`);
  const begin = source.findIndex((line, n) => n > beginning && line.startsWith(`  async ${method}(`));
  const line = source.findIndex((text, n) => n > begin && text.includes('// fails'));
  return `swallowed-errors.test.ts:${line + 1}:`;
}

interface Expected {
  /** Verb and table. */
  readonly statement?: string;
  /** The boundary that has lost the error, when it is not the outermost one. */
  readonly swallowedIn?: string;
  /** What is known of the place, where V8 has lost who waits for the statement. */
  readonly at?: string;
}

/** The caller is told, by a name that says where; nothing is stored; the hooks know. */
async function expectNothing(
  method: Method,
  { statement = 'INSERT product', swallowedIn = `Swallowing.${method}`, at }: Expected,
) {
  const { error, rows, hooks } = await outcomeOf(method);
  expect(error).toBeInstanceOf(UnexpectedRollbackError);
  expect(error).toMatchObject({
    statement,
    swallowedIn,
    calledAt: expect.stringContaining(at ?? failingLine(swallowedIn)),
  });
  expect(rows).toEqual([]);
  expect(hooks.committed).toBe(0);
  if (hooks.rolledBack.length > 0) expect(hooks.rolledBack).toEqual([error]);
}

describe('an error that is swallowed is an error at the end of the boundary, and nothing is stored:', () => {
  const ways: [string, Method, Expected?][] = [
    ['try and catch around the last statement', 'aroundTheLastStatement'],
    ['try and catch around the only statement', 'aroundTheOnlyStatement'],
    ['catch at each of several statements', 'andThoseBehindIt'],
    ['then with a second function', 'byThen', { at: 'swallowed-errors.test.ts:' }],
    ['Promise.allSettled', 'byAllSettled'],
    ['Promise.all that is caught', 'byAllThatIsCaught'],
    ['Promise.any', 'byAny'],
    ['Promise.race', 'byRace'],
    ['return in finally', 'byReturningInFinally'],
    ['an async generator that goes on', 'inAGenerator'],
    ['continue in a loop', 'inALoopThatGoesOn'],
    ['a listener of an event', 'inAListener', { at: 'Marks.write' }],
    ['a timer that is waited for', 'inATimer'],
    ['a microtask', 'inAMicrotask'],
    ['await using', 'whileClosing'],
    ['an error that is returned as a value', 'asAValue'],
    ['a raw statement', 'atARawStatement'],
    ['a raw query', 'atARawQuery', { statement: 'SELECT' }],
    ['a read', 'atARead', { statement: 'SELECT product' }],
    ['createMany', 'atCreateMany'],
    ['the second part of a nested write', 'atTheSecondPartOfANestedWrite', { statement: 'INSERT sku' }],
    [
      'a nested write that Prisma gives up halfway',
      'atAPartOfANestedWriteThatIsMissing',
      { statement: 'product.create' },
    ],
    ['a deferred constraint that is asked for early', 'atAConstraintThatIsDeferredNoLonger', { statement: 'SET' }],
    ['a lock that is not to be waited for', 'atALockThatIsHeld', { statement: 'SELECT product' }],
    ['a lock that takes too long', 'atALockThatTakesTooLong', { statement: 'UPDATE product' }],
    ['a statement that takes too long', 'atAStatementThatTakesTooLong', { statement: 'SELECT' }],
    ['a call whose time is over', 'inACallThatTakesTooLong', { statement: 'SELECT' }],
    ['a statement without permission', 'atWhatIsNotAllowed', { statement: 'UPDATE transfer' }],
    ['a write of a boundary that only reads', 'atAWriteOfAReader'],
    ['SET TRANSACTION READ ONLY in front of a write', 'behindSetTransaction'],
    ['COMMIT in a DO block', 'byCommitInABlock', { statement: 'DO' }],
    ['COMMIT in a procedure', 'byCommitInAProcedure', { statement: 'CALL' }],
    ['a repository that answers false', 'inARepository'],
    ['a service that joins', 'inACallThatJoins', { swallowedIn: 'Calls.swallows' }],
    ['around a service that joins', 'aroundACallThatJoins'],
    ['a mandatory call', 'inAMandatoryCall', { swallowedIn: 'Calls.swallowsAsMandatory' }],
    ['a supporting call', 'inASupportingCall', { swallowedIn: 'Calls.swallowsAsSupporting' }],
    ['a nested call', 'inANestedCall', { swallowedIn: 'Calls.swallowsAsNested' }],
    ['before a nested call that fails and is caught', 'beforeANestedCall'],
    ['before a nested call that says nothing, fails and is caught', 'beforeANestedCallThatSaysNothing'],
    ['after a nested call that failed and was caught', 'afterANestedCallThatWasCaught'],
    ['after a row that was not there', 'afterARowThatIsNotThere'],
  ];
  it.each(ways)('%s', (_, method, expected = {}) => expectNothing(method, expected));

  it('an upsert that loses a race', async () => {
    const rival = new pg.Client({ connectionString: database.urls.owner });
    await rival.connect();
    const slug = `case${cases + 1}-upsert`;
    await rival.query('BEGIN');
    await rival.query(`INSERT INTO product (id, slug, name) VALUES ($1, $2, '')`, [newId(), slug]);
    const waiting = () =>
      superuser.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
         AND application_name = 'holdfast Swallowing.atAnUpsertThatLosesARace'`,
      );
    const outcome = outcomeOf('atAnUpsertThatLosesARace');
    await eventually(waiting, ({ rowCount }) => rowCount === 1);
    await rival.query('COMMIT');
    await rival.end();
    const { error, rows } = await outcome;
    expect(error).toMatchObject({ statement: 'INSERT product', swallowedIn: 'Swallowing.atAnUpsertThatLosesARace' });
    expect(rows).toEqual(['upsert']); // the rival's
  });

  it('a pool that is exhausted before anything was sent, when it is not any more', async () => {
    const small = await startCore(database, [Marks], {
      variables: { DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: '100' },
    });
    try {
      const marks = small.get(Marks);
      const release = Promise.withResolvers();
      const holds = Promise.withResolvers();
      const holding = small.run({ name: 'Holder' }, async () => {
        await marks.write('pool-holder');
        holds.resolve(null);
        await release.promise;
      });
      await holds.promise;
      const fired: string[] = [];
      const swallowing = small.run({ name: 'Swallower' }, async () => {
        afterCommit(() => fired.push('committed'));
        await expect(marks.write('pool-first')).rejects.toThrow(PoolTimeoutError);
        release.resolve(null);
        await holding;
        await marks.write('pool-second');
      });
      await expect(swallowing).rejects.toMatchObject({
        name: 'UnexpectedRollbackError',
        statement: 'INSERT product',
        cause: expect.any(PoolTimeoutError),
      });
      expect(await marksLike(database, 'pool-')).toEqual(['pool-holder']);
      expect(fired).toEqual([]);
    } finally {
      await small.close();
    }
  });

  it('a connection that breaks is named as what it is', async () => {
    const { error, rows, hooks } = await outcomeOf('atAConnectionThatBreaks');
    expect(error).toBeInstanceOf(ConnectionLostError);
    expect([rows, hooks]).toEqual([[], { committed: 0, rolledBack: [error] }]);
  });

  it('a constraint that fails at COMMIT needs nobody to swallow it', async () => {
    const { error, rows, hooks } = await outcomeOf('atCommit');
    expect(databaseFailure(error)?.sqlState).toBe('23505');
    expect([rows, hooks]).toEqual([[], { committed: 0, rolledBack: [error] }]);
  });

  it('a business error in its place reaches the caller as it is', async () => {
    const { error, rows, hooks } = await outcomeOf('asABusinessError');
    expect(error).toMatchObject({ message: 'That name is taken.' });
    expect([rows, hooks]).toEqual([[], { committed: 0, rolledBack: [error] }]);
  });
});

describe('an error that is caught where it does no harm leaves all the rest stored:', () => {
  const ways: [string, Method, string[]][] = [
    ['around a nested call', 'aroundANestedCall', ['first', 'third']],
    ['around a nested call that swallowed it', 'inANestedCallAndCaught', ['first', 'third']],
    ['around a call with a transaction of its own', 'aroundACallOfItsOwn', ['first']],
    ['around a call with a transaction of its own that swallowed it', 'inACallOfItsOwn', ['first']],
    ['beside the boundary, where every statement stands alone', 'besideTheBoundary', ['first', 'second']],
    ['a row that is not there', 'atARowThatIsNotThere', ['first', 'second']],
    ['what Prisma refuses before it sends it', 'atWhatPrismaRefuses', ['first', 'second']],
    ['a second nested call beside one', 'atASecondNestedCall', ['first', 'second']],
    ['a call that may not join', 'atARefusalToJoin', ['first']],
    ['an answer that cannot be read', 'atAnAnswerThatCannotBeRead', ['first', 'second']],
  ];
  it.each(ways)('%s', async (_, method, expected) => {
    const { error, rows, hooks } = await outcomeOf(method);
    expect(error).toBeNull();
    expect(rows).toEqual(expected);
    expect(hooks).toEqual({ committed: 1, rolledBack: [] });
  });

  it('without any boundary', async () => {
    await core.get(Calls).swallowsAsSupporting('alone-supporting');
    expect(await marksLike(database, 'alone-')).toEqual(['alone-supporting']);
  });
});

describe('work that nobody waits for', () => {
  it('and that is under way when the boundary ends is an error, and nothing is stored', async () => {
    for (const method of ['withoutWaiting', 'byATimerThatWins'] as const) {
      const { error, rows, hooks } = await outcomeOf(method);
      expect(error).toBeInstanceOf(DetachedTransactionError);
      expect([rows, hooks]).toEqual([[], { committed: 0, rolledBack: [error] }]);
    }
  });

  it('and that comes late is refused, and the rest is stored', async () => {
    const late: Promise<unknown>[] = [];
    const ended = Promise.withResolvers();
    const { error, hooks } = await outcomeOf('afterItsEnd', ended.promise, late);
    ended.resolve(null);
    const [refused] = (await Promise.allSettled(late)) as [PromiseRejectedResult];
    expect(refused.reason).toBeInstanceOf(DetachedTransactionError);
    expect([error, hooks]).toEqual([null, { committed: 1, rolledBack: [] }]);
    expect(await marksLike(database, `case${cases}-`)).toEqual([`case${cases}-first`]);
  });
});

describe('a raw statement that controls the transaction', () => {
  const controls = [
    'COMMIT',
    'ROLLBACK',
    '  rollback;',
    'END',
    'ABORT',
    'BEGIN',
    'START TRANSACTION',
    'SAVEPOINT mine',
    'RELEASE SAVEPOINT mine',
    'ROLLBACK TO SAVEPOINT mine',
    "PREPARE TRANSACTION 'mine'",
    '/* harmless */ COMMIT',
    '/* a /* comment */ in a comment */ COMMIT',
    '-- harmless\nROLLBACK',
    '-- /*\nROLLBACK',
    '; ROLLBACK',
    'COMMIT AND CHAIN',
    '/**/ROLLBACK AND CHAIN',
  ];

  it.each(controls)('is refused before it is sent: %j', async (text) => {
    for (const method of ['bySaying', 'byWriting'] as const) {
      const { error, rows, hooks } = await outcomeOf(method, method === 'bySaying' ? Prisma.raw(text) : text);
      expect(error).toBeInstanceOf(TransactionControlError);
      expect([rows, hooks]).toEqual([[], { committed: 0, rolledBack: [error] }]);
    }
    // What was not sent has broken nothing.
    const { error, rows } = await outcomeOf('bySayingAndIgnoring', Prisma.raw(text));
    expect([error, rows]).toEqual([null, ['first', 'second']]);
  });

  it('behind another statement is refused by the server, also when the statement has no name', async () => {
    const text = 'SELECT 1; ROLLBACK AND CHAIN';
    // So many texts that the next one is not prepared by name.
    for (let n = 0; n < 1000; n++) await core.get(Marks).db.$queryRaw`SELECT ${Prisma.raw(String(n))} AS n`;
    for (const method of ['bySaying', 'bySayingAndIgnoring'] as const) {
      const { error, rows, hooks } = await outcomeOf(method, Prisma.raw(text));
      expect(databaseFailure(error) ?? databaseFailure((error as Error).cause)).toMatchObject({ sqlState: '42601' });
      expect([rows, hooks]).toEqual([[], { committed: 0, rolledBack: [error] }]);
    }
  });
});

// A boundary lets none of this come so far. These are the walls behind it, reached through the client that only the core has.
describe('a transaction on the wire', () => {
  const inTransaction = (work: (db: Prisma.TransactionClient) => Promise<unknown>) =>
    core.app.get(DatabaseClients).write.prisma.$transaction(work);
  const write = (db: Prisma.TransactionClient, slug: string) =>
    db.product.create({ data: { id: newId(), slug, name: slug } });

  it('whose COMMIT is answered ROLLBACK was not committed', async () => {
    const swallowing = inTransaction(async (db) => {
      await write(db, 'wire-first');
      await write(db, 'taken').catch(ignore);
    });
    await expect(swallowing).rejects.toThrow(TransactionRolledBackError);
    expect(await marksLike(database, 'wire-')).toEqual([]);
  });

  it('is looked at in the same way when it is that of a boundary, and nobody has noticed the statement that failed', async () => {
    let attempts = 0;
    const fired: string[] = [];
    const unnoticed = core.run({}, async () => {
      attempts++;
      afterCommit(() => fired.push('committed'));
      const marks = core.get(Marks);
      await marks.write('wire-first');
      await marks.write('taken').catch(ignore);
      runningBoundary()!.transaction.beginning.wire!.failure = null;
    });
    await expect(unnoticed).rejects.toThrow(TransactionRolledBackError);
    expect([await marksLike(database, 'wire-'), fired, attempts]).toEqual([[], [], 1]);
  });

  it.each(['/**/ ROLLBACK', '/**/ ROLLBACK AND CHAIN'])('that %s has ended is not gone on with', async (statement) => {
    const ended = inTransaction(async (db) => {
      await write(db, 'wire-first');
      await db.$executeRawUnsafe(statement).catch(ignore);
      await write(db, 'wire-second').catch(ignore);
    });
    await expect(ended).rejects.toThrow();
    expect(await marksLike(database, 'wire-')).toEqual([]);
  });
});
