import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Prisma } from '../src/database/generated/client.ts';
import { answerFor } from '../src/http/problems/problem.ts';
import { kindOfSqlState, verdicts } from '../src/transactions/wire/failure-table.ts';
import { kindOf } from '../src/transactions/wire/postgres-errors.ts';
import { type Bare, errorOf, startBare } from './support/bare.ts';
import { eventually } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { startSwitch, type Switch } from './support/switch.ts';

// PostgreSQL 18, appendix A, by classes: as the answer to a statement and to a connection, as pg throws it and as Prisma wraps it.

let database: TestDatabase;
let core: Bare;
beforeAll(async () => {
  database = await createDatabase();
  core = await startBare({ app: database.urls.app }, { DATABASE_POOL_SIZE: '2' });
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

const notNow = 'temporary-reduced-capacity';
const busy = 'transient-contention';
const ours = 'internal-error';
const states: [sqlState: string, code: string][] = [
  ['08000', notNow],
  ['08006', notNow],
  ['0A000', ours],
  ['22012', ours],
  ['23503', ours],
  ['26000', notNow],
  ['28000', notNow],
  ['28P01', notNow],
  ['2F000', ours],
  ['3D000', notNow],
  ['40001', busy],
  ['40003', notNow],
  ['40P01', busy],
  ['42601', ours],
  ['42501', ours],
  ['42P05', notNow],
  ['53000', notNow],
  ['53100', notNow],
  ['53200', notNow],
  ['53300', notNow],
  ['53400', notNow],
  ['54001', ours],
  ['55000', ours],
  ['55006', busy],
  ['55P03', busy],
  ['57000', notNow],
  ['57014', busy],
  ['57P01', notNow],
  ['57P04', notNow],
  ['58000', notNow],
  ['58030', notNow],
  ['58P01', notNow],
  ['72000', busy],
  ['F0000', notNow],
  ['P0001', ours],
  ['XX000', ours],
  ['XX001', ours],
];

const raise = (sqlState: string) =>
  core.db.$executeRaw(
    Prisma.sql([`DO $$ BEGIN RAISE EXCEPTION 'cut short by a test' USING ERRCODE = '${sqlState}'; END $$`]),
  );
const codeOf = (error: unknown): string => {
  const { code, retryable, headers } = answerFor(error);
  expect([code, retryable, 'retry-after' in headers]).toEqual([code, code !== ours, code !== ours]);
  return code;
};

describe('a failure as the answer to', () => {
  it.each(states)('a statement, %s, is answered as its kind says: %s', async (sqlState, code) => {
    const inBoundary = await errorOf(core.run({ retry: 0 }, () => raise(sqlState)));
    expect(codeOf(inBoundary)).toBe(code);
    // The next one is not disturbed by what became of the connection.
    expect(await core.run({}, () => core.pid())).toBeGreaterThan(0);
  });

  it.each(states.filter(([sqlState]) => kindOfSqlState(sqlState) !== 'lost'))(
    'a statement outside any boundary, %s, is answered the same: %s',
    async (sqlState, code) => expect(codeOf(await errorOf(raise(sqlState)))).toBe(code),
  );

  it.each(['08006', '57P01'])('a write outside any boundary, %s, leaves open what became of it', async (sqlState) => {
    expect(answerFor(await errorOf(raise(sqlState)))).toMatchObject({ code: 'outcome-unknown', retryable: false });
  });

  it('a COMMIT, raised by a deferred rule, is answered the same', async () => {
    await database.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'cut short by a test' USING ERRCODE = substr(NEW.slug, 1, 5); END $$`);
    await database.query(`
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON product DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.slug ~ '^[0-9A-Z]{5}-at-commit') EXECUTE FUNCTION refuse()`);
    for (const [sqlState, code] of states) {
      const error = await errorOf(core.run({ retry: 0 }, () => core.write(`${sqlState}-at-commit`)));
      // Those that leave open what became of COMMIT were asked for, and were not stored: the work may be done again.
      // 55P03 is told apart: COMMIT has waited for a lock, and is LockUnavailableError as from any statement.
      const isAsked = /^(08|40003|53|55(?!P03)|57|58|XX)/.test(sqlState);
      const isConflict = verdicts[kindOfSqlState(sqlState)].again && code === busy;
      expect([sqlState, codeOf(error)]).toEqual([sqlState, isAsked && !isConflict ? notNow : code]);
    }
    expect(await core.db.product.count({ where: { slug: { endsWith: '-at-commit' } } })).toBe(0);
  });
});

describe('a server that refuses the connection', () => {
  let server: Server;
  let address: Switch;
  const sockets = new Set<Socket>();
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await address.close();
    await new Promise((resolve) => server.close(resolve));
  });
  /** Answers the first message with this. */
  async function refusing(answer: Buffer): Promise<Bare> {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    address = await startSwitch(database.urls.app);
    const moved = await startBare({ app: address.through(database.urls.app) }, { DATABASE_POOL_SIZE: '2' });
    address.lead(`postgresql://127.0.0.1:${port}`);
    address.cut();
    await eventually(
      async () => moved.databases.write.pool.totalCount,
      (count) => count === 0,
    );
    return moved;
  }
  const errorResponse = (sqlState: string): Buffer => {
    const fields = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0Mrefused by a test\0\0`);
    const head = Buffer.alloc(5);
    head.write('E');
    head.writeInt32BE(fields.length + 4, 1);
    return Buffer.concat([head, fields]);
  };

  it.each(['28000', '28P01', '3D000', '42501', '53300', '57P03', '0A000', '22023', 'XX000', '08P01'])(
    'with %s is not reached: nothing was sent, and every request is 503, in and outside a boundary, again and again',
    async (sqlState) => {
      const moved = await refusing(errorResponse(sqlState));
      try {
        for (let n = 0; n < 10; n++)
          for (const work of [() => moved.db.product.count(), () => moved.run({}, () => moved.db.product.count())]) {
            const error = await errorOf(work());
            expect([kindOf(error), codeOf(error)]).toEqual(['unreachable', notNow]);
          }
        expect(moved.databases.write.pool.waitingCount).toBe(0);
      } finally {
        await moved.close();
      }
    },
  );

  it.each([
    ['by ending it', Buffer.alloc(0)],
    ['in another language', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('%s is not reached either', async (_, answer) => {
    const moved = await refusing(answer);
    expect(kindOf(await errorOf(moved.db.product.count()))).toBe('unreachable');
    await moved.close();
  });
});
