/** @servers any */
import { Writable } from 'node:stream';
import type { LoggerService } from '@nestjs/common';
import { pinoHttp } from 'pino-http';
import { newId } from '../src/kernel/ids.ts';
import { isLoggable, LoggableError } from '../src/kernel/loggable-error.ts';
import { describeError, type ErrorDescription, type ToldMessages } from '../src/operations/describe-error.ts';
import { lines } from '../src/operations/log.ts';
import * as coreErrors from '../src/transactions/errors.ts';
import { afterCommit } from '../src/transactions/hooks.ts';
import { lockRows } from '../src/transactions/locks.ts';
import { DATABASE, type Sql, type Tables } from '../src/transactions/tables.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import * as databaseErrors from '../src/transactions/wire/errors.ts';
import { nameOf } from '../src/transactions/wire/statements.ts';
import { startApp, type TestApp } from './support/app.ts';
import { errorOf } from './support/bare.ts';
import { eventually } from './support/crowd.ts';

type Class = abstract new (...args: never[]) => Error;
type Db = Tables<'product'> & Sql;

const secret = 'geheim-4711';
let service: TestApp;
let transactions: Transactions;
let db: Db;
const told = { own: [] as Line[], all: [] as Line[] };

interface Line {
  readonly msg: string;
  readonly level: number;
  readonly boundary?: string;
  readonly err?: ErrorDescription;
}

beforeAll(async () => {
  service = await startApp({ LEDGER_SEAL_INTERVAL_MS: '20' });
  service.app.useLogger(bothLogs());
  transactions = service.app.get(Transactions);
  db = service.app.get<Db>(DATABASE);
  await create(secret);
  await service.database.query(`
    CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no % here', NEW.email USING ERRCODE = 'HF001', HINT = 'try another'; END $$`);
  await service.database.query('CREATE TRIGGER break BEFORE INSERT ON "user" FOR EACH ROW EXECUTE FUNCTION break()');
});
afterAll(() => service.close());

/** Two logs of the same service, one as in production and one as elsewhere. */
function bothLogs(): LoggerService {
  const into = (messages: ToldMessages) => {
    const write = (line: unknown, _: unknown, done: () => void): void => {
      told[messages].push(JSON.parse(String(line)) as Line);
      done();
    };
    return pinoHttp(lines({ level: 'info', messages }), new Writable({ write })).logger;
  };
  const logs = [into('own'), into('all')];
  const at =
    (level: 'info' | 'warn' | 'error') =>
    (first: object, ...rest: string[]): void =>
      logs.forEach((log) => log[level](first, ...rest));
  return { log: at('info'), warn: at('warn'), error: at('error') };
}

const create = (slug: string) => db.product.create({ data: { id: newId(), slug, name: slug } });
const failed = (): Error => new Error(`Failing row contains (${secret}).`);
const inBoundary = (work: () => Promise<unknown>, options = {}): Promise<Error> =>
  errorOf(transactions.run({ name: 'Shop.sell', retry: 0, ...options }, work));

/** How each class of error of the core comes to be, over rows that hold a secret. */
const causes: Record<string, () => Promise<Error> | Error> = {
  TransactionJoinError: () => inBoundary(() => transactions.run({ isolation: 'serializable' }, () => create(secret))),
  TransactionRequiredError: () => errorOf(lockRows(db, { account: [newId()] })),
  UnexpectedRollbackError: () => inBoundary(() => create(secret).catch(() => undefined)),
  ParallelNestingError: () =>
    inBoundary(() => Promise.all([1, 2].map(() => transactions.run({ propagation: 'nested' }, () => create(secret))))),
  DetachedTransactionError: () => inBoundary(async () => void create(`${secret}-2`).catch(() => undefined)),
  ExternalWorkInTransactionError: () => inBoundary(() => fetch(`http://127.0.0.1:49151/${secret}`)),
  TransactionControlError: () => errorOf(db.$executeRaw`COMMIT AND CHAIN /* ${secret} */`),
  TransactionExpiredError: () => inBoundary(() => db.$queryRaw`SELECT ${secret}, pg_sleep(5)::text`, { timeout: 30 }),
  ConnectionLostError: () => new coreErrors.ConnectionLostError('Shop.sell', failed()),
  CommitOutcomeUnknownError: () => new coreErrors.CommitOutcomeUnknownError('Shop.sell', failed()),
  LockUnavailableError: () => new coreErrors.LockUnavailableError('account', failed()),
  RowBusyError: () => new coreErrors.RowBusyError('account', newId()),
  BoundaryTableError: () => new coreErrors.BoundaryTableError(['Shop.sell asks for too much.']),
  TransactionOptionsError: () => new coreErrors.TransactionOptionsError('Shop.sell', ['has no work.']),
  TransactionConflictError: () => new coreErrors.TransactionConflictError('Shop.sell', 3, failed()),
  AfterCommitError: () => new coreErrors.AfterCommitError('Shop.sell', failed()),
  AfterRollbackError: () => new coreErrors.AfterRollbackError('Shop.sell', failed()),
  TransactionRolledBackError: () => new databaseErrors.TransactionRolledBackError(),
  TransactionEndedError: () => new databaseErrors.TransactionEndedError(),
  PoolTimeoutError: () => new databaseErrors.PoolTimeoutError(2000),
  PoolStarvedError: () => new databaseErrors.PoolStarvedError(10, true),
  LaneFullError: () => new databaseErrors.LaneFullError('Shop.sell'),
  PoolEndedError: () => new databaseErrors.PoolEndedError(),
  ConnectError: () => new databaseErrors.ConnectError(new Error('connect ECONNREFUSED 127.0.0.1:1')),
  WrongServerError: () => new databaseErrors.WrongServerError('The address of the primary leads to a standby.'),
  StaleSessionError: () => new databaseErrors.StaleSessionError(failed()),
  SeparateWritesError: () => {
    const place = { what: 'order.create', calledAt: '    at Shop.sell' };
    return new coreErrors.SeparateWritesError('POST /v1/orders', place, place);
  },
};

const abstract = new Set<unknown>([databaseErrors.DatabaseError, databaseErrors.NamedAnswerError]);
const concrete = [...Object.values(coreErrors), ...Object.values(databaseErrors)].filter(
  (one): one is never => typeof one === 'function' && !abstract.has(one),
) as Class[];

describe('an error of the core', () => {
  it.each(concrete.map(({ name }) => name))(
    '%s is logged with its sentence in production, and with no value',
    async (name) => {
      const error = await causes[name]?.();
      expect(error?.name).toBe(name);
      expect(isLoggable(error)).toBe(true);
      const described = describeError(error, 'own');
      expect(described).toMatchObject({ type: name, message: error?.message });
      expect(JSON.stringify(described)).not.toContain(secret);
    },
  );

  it.each([
    [`SELECT 'copied from ${secret}' FROM product`, 'SELECT product'],
    [`INSERT INTO product VALUES ($$ UPDATE ${secret} $$)`, 'INSERT product'],
    [`SELECT 'it''s from ${secret}'`, 'SELECT'],
  ])('names no literal of a statement: %s', (text, name) => {
    expect(nameOf(text)).toBe(name);
  });

  it('is told with the boundary, the attempt, the call, the place and the reason', async () => {
    const error = await causes['UnexpectedRollbackError']?.();
    expect(describeError(error, 'own')).toMatchObject({
      message: expect.stringContaining('INSERT product failed, and Shop.sell returned as if it had not'),
      boundary: 'Shop.sell',
      attempt: 1,
      cause: { sqlState: '23505', constraint: 'slug-taken' },
    });
    const inside = await inBoundary(() => create(secret));
    expect(describeError(inside, 'own')).toMatchObject({
      sqlState: '23505',
      constraint: 'slug-taken',
      boundary: 'Shop.sell',
      call: 'product.create',
      calledAt: expect.stringMatching(/^\s+at .*error-log\.test\.ts/),
    });
  });
});

describe('each way into the log', () => {
  /** The first line of both logs that says this, from now on. */
  async function heard(words: string, cause: () => unknown): Promise<Record<ToldMessages, Line>> {
    told.own.length = told.all.length = 0;
    await cause();
    const find = (lines: Line[]) => lines.find(({ msg }) => msg === words);
    await eventually(
      async () => [find(told.own), find(told.all)],
      (found) => found.every((line) => line !== undefined),
    );
    return { own: find(told.own) as Line, all: find(told.all) as Line };
  }

  it('a request: what, where and why; the words of the database outside production only', async () => {
    const { own, all } = await heard('request failed', () =>
      service
        .as()
        .post('/v1/users', {
          email: `${secret}@example.com`,
          password: 'correct horse',
          profile: { displayName: 'Ada' },
          currency: 'EUR',
        })
        .expect(500),
    );
    const known = { sqlState: 'HF001', call: 'user.createManyAndReturn', attempt: 1 };
    expect(own.err).toMatchObject({ ...known, calledAt: expect.stringContaining('UsersRepository.create') });
    expect(own.err).not.toHaveProperty('message');
    expect(JSON.stringify(told.own)).not.toContain(secret);
    expect(all.err).toMatchObject({ ...known, database: `no ${secret}@example.com here · try another` });
  });

  it('a hook', async () => {
    const { own } = await heard('a hook of a boundary failed', () =>
      transactions.run({ name: 'Shop.sell' }, async () => afterCommit(() => create(secret))),
    );
    expect(own.err).toMatchObject({
      type: 'AfterCommitError',
      message: 'A hook after the commit of Shop.sell failed. The work is stored.',
      cause: { sqlState: '23505', call: 'product.create' },
    });
    expect(JSON.stringify(own)).not.toContain(secret);
  });

  it('the sealer', async () => {
    const { own } = await heard('the chain of transfers could not be continued', () =>
      service.database.query('ALTER TABLE chain_link RENAME TO gone'),
    );
    expect(own.err).toMatchObject({ sqlState: '42P01', boundary: 'ChainService.seal' });
    await service.database.query('ALTER TABLE gone RENAME TO chain_link');
  });

  it('a line without words of its own does not take those of its error', async () => {
    const { own, all } = await heard(
      'an error was told',
      () => (service.app.get(Transactions), bothLogs().error(failed())),
    );
    expect([own.err?.message, all.err?.message]).toEqual([undefined, failed().message]);
  });
});

describe('whatever was thrown', () => {
  class Refused extends LoggableError {}

  it('is described with its causes and its several errors, each as far as it may be told', () => {
    const error = new AggregateError(
      [new Refused('the first', { cause: failed() }), Object.assign(failed(), { code: 'ECONNREFUSED' })],
      secret,
    );
    expect(describeError(error, 'own')).toMatchObject({
      type: 'AggregateError',
      errors: [{ type: 'Refused', message: 'the first', cause: { type: 'Error' } }, { code: 'ECONNREFUSED' }],
    });
    expect(JSON.stringify(describeError(error, 'own'))).not.toContain(secret);
  });

  it.each([[secret], [null], [undefined], [4711], [{ secret }], [Object.create(null)]])(
    'and is no Error is told as that: %p',
    (thrown) => {
      const described = describeError(thrown, 'own');
      expect(described).toMatchObject({ type: 'NotAnError', message: expect.stringContaining('no Error') });
      expect(JSON.stringify(described)).not.toContain(secret);
    },
  );

  it('is described within bounds, also when it goes round in a circle or cannot be read', () => {
    const circle = new Error('x'.repeat(100_000));
    circle.cause = new Error('inner', { cause: circle });
    expect(JSON.stringify(describeError(circle, 'all')).length).toBeLessThan(20_000);
    const trap = new Proxy(new Error('trap'), {
      get: () => {
        throw new Error('no');
      },
    });
    expect(describeError(trap, 'all')).toMatchObject({ type: 'UndescribableError' });
  });
});
