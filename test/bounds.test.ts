import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RateLimitStore } from '../src/http/rate-limit-store.ts';
import { SlowLane } from '../src/http/slow-lane.ts';
import { Sweeper } from '../src/retention/sweeper.ts';
import { startApp, type TestApp } from './support/app.ts';

const root = join(__dirname, '../src');

/** What is kept in memory for as long as the process lives, or a request, and why it does not grow without end. docs/bounds.md. */
const memory: Record<string, string> = {
  'database/generations.ts madeIn': 'weak: the connections of the pool',
  'database/pin.ts connections': 'weak: in tests only',
  'database/pool.ts lentOut': 'weak: the connections of the pool',
  'http/asker.ts askers': 'weak: the requests in flight, HTTP_MAX_IN_FLIGHT',
  'http/callers.ts known': 'weak: the requests in flight, HTTP_MAX_IN_FLIGHT',
  'http/expandable.ts expandables': 'the views of the program',
  'http/preparation.interceptor.ts prepared': 'weak: the requests in flight',
  'http/rate-limit-store.ts windows': 'RATE_LIMIT_MAX_KEYS for each policy',
  'http/rate-limits.ts meters': 'the policies of the program',
  'http/rate-limits.ts standings': 'weak: the requests in flight',
  'http/slow-lane.ts lanes': 'its size: 10,000 e-mail addresses',
  'http/standings.ts seen': 'its size: 20,000 sessions',
  'modules/accounts/house-accounts.ts known': 'two for each currency that is accepted',
  'modules/users/hashing-queue.ts waiting': 'the bound of the queue',
  'phased/phased-worker.ts methods': 'the phased methods of the program',
  'transactions/crowding.ts held': 'the rows that one boundary locks',
  'transactions/crowding.ts known': 'weak: the boundaries that run',
  'transactions/error-origins.ts origins': 'weak: the errors on their way',
  'transactions/external-work-channels.ts condemned': 'weak: the requests of others that are stopped',
  'transactions/external-work-channels.ts lastSent': 'weak: the sockets that are open',
  'transactions/external-work.ts told': 'weak: the boundaries that run',
  'transactions/keyed-gate.ts gates': 'the keys of the boundaries that run or wait',
  'transactions/lock-order.ts found': 'in tests only',
  'transactions/lock-order.ts locks': 'weak: in tests only',
  'transactions/planted-faults.ts boundaries': 'in tests only',
  'transactions/slots.ts rawStatements': 'weak: the slots of the pool',
  'transactions/slots.ts slots': 'the clients of the program',
  'transactions/watermark-cache.ts watermarks': 'its size: 10,000 callers',
};

/** Members and constants that begin empty, so that something is put into them later. */
function collections(): string[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !/(^|\/)(generated|embedded)\//.test(file),
  );
  const form =
    /^(?: {2}(?:private |protected |static |readonly )+|(?:export )?const )(\w+)(?:: [^=\n]+)? = new (?:Weak)?(?:Map|Set)(?:<.*>)?\(\);/gm;
  return files.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(form)].map(([, name]) => `${file} ${name ?? ''}`),
  );
}

describe('what is kept in memory', () => {
  it('is written down here with its bound, whatever it is', () => {
    const found = collections();
    expect(found.filter((one) => !(one in memory) && !one.startsWith('http/idempotency'))).toEqual([]);
    expect(found.length).toBeGreaterThan(15);
  });

  it('of rate limits is of so many keys at most: who has not been seen longest is forgotten first', () => {
    const store = new RateLimitStore({ cache: 2 });
    const counts = ['a', 'b', 'a', 'c', 'a', 'b'].map((key) => {
      let count = 0;
      store.incr(key, (_, { current }) => (count = current), 60_000);
      return [key, count];
    });
    // `b` was forgotten for `c`.
    expect(counts.slice(-2)).toEqual([
      ['a', 3],
      ['b', 1],
    ]);
  });

  it('of who is slowed down is of so many keys at most: who has not asked for longest is forgotten first', async () => {
    const lane = new SlowLane(60_000, 0, 2);
    const passed: boolean[] = [];
    for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) passed.push(await lane.wait(key, 'somewhere'));
    // `b` was forgotten for `c`.
    expect(passed).toEqual([true, true, false, true, false, true]);
  });
});

/** Tables that nothing is removed from, and why they end nowhere. What the business has done stays; it grows with the business alone. */
const kept: Record<string, string> = Object.fromEntries(
  [
    ...['account', 'account_change', 'transfer', 'settlement', 'entry', 'chain_link'],
    ...['product', 'sku', 'stock', 'stock_movement', 'image'],
    ...['order', 'order_line', 'payment', 'refund', 'cancellation', 'user', 'user_change', 'profile'],
  ].map((name) => [name, 'stays']),
);
const withAnother: Record<string, string> = {
  refresh_token: 'removed with its session',
  reservation: 'removed when its transfer is settled, or has expired and the room is needed',
  reservation_total: 'one for each account',
  seed: 'one for each set of data that is seeded, and there is one set',
};

describe('what is stored', () => {
  let service: TestApp;
  beforeAll(async () => {
    service = await startApp();
  });
  afterAll(() => service.close());

  const swept = () => service.app.get(Sweeper).tables;

  it('stays, is swept or goes with something that is, whichever table it is in', async () => {
    const tables = await service.database.query<{ name: string }>(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'`,
    );
    const known = new Set([...swept().map(({ table }) => table), ...Object.keys(kept), ...Object.keys(withAnother)]);
    const isOperational = (name: string) => /^(seed|schema)_/.test(name);
    expect(tables.filter(({ name }) => !known.has(name) && !isOperational(name))).toEqual([]);
  });

  it('with an end is swept in the order of an index that begins with it', async () => {
    const columns = await service.database.query<{ table: string; column: string }>(
      `SELECT c.table_name AS table, c.column_name AS column FROM information_schema.columns c JOIN pg_tables t ON t.tablename = c.table_name
       WHERE t.schemaname = 'public' AND c.data_type LIKE 'timestamp%' AND c.column_name ~ '(expire|end|until|valid|due)'`,
    );
    const ends = columns.filter(({ table }) => !(table in kept) && !(table in withAnother)).map(({ table }) => table);
    const names = swept().map(({ table }) => table);
    expect([...new Set(ends)].filter((table) => !names.includes(table))).toEqual([]);
    for (const { table, end } of swept()) {
      const [index] = await service.database.query(
        `SELECT indexname FROM pg_indexes WHERE tablename = $1 AND replace(indexdef, '"', '') ~* ('\\(' || $2)`,
        [table, end.replaceAll(/[()]/g, '\\$&')],
      );
      expect([table, index === undefined]).toEqual([table, false]);
    }
  });
});
