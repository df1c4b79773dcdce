/** @servers any */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FixedWindows } from '../src/http/limits/fixed-windows.ts';
import { SlowLane } from '../src/http/limits/slow-lane.ts';
import { Sweeper } from '../src/retention/sweeper.ts';
import { casesOf } from './support/cases.ts';
import { wanted } from './support/requests.ts';
import { startApp, type TestApp } from './support/app.ts';

const root = join(__dirname, '../src');

/** What is kept in memory for as long as the process lives, or a request, and why it does not grow without end. docs/bounds.md. */
const memory: Record<string, string> = {
  ...casesOf('memory'),
  'config/database-url.ts none': 'nothing is put into it',
  'kernel/ids.ts things': 'the kinds of ids of the program',
  'transactions/lockable-tables.ts known': 'the lockable tables of the program',
  'reconciliation/check.ts defined': 'the checks of the program',
  'kernel/problem.ts defined': 'the problems of the program',
  'transactions/boundary/named-errors.ts unanswered': 'weak: the errors on their way',
  'transactions/boundary/option-checks.ts checked': 'weak: the options of the program, and of calls that run',
  'transactions/wire/connection.ts reported': 'the settings that PostgreSQL reports, of one connection',
  'transactions/wire/generations.ts madeIn': 'weak: the connections of the pool',
  'testing/test-connection.ts connections': 'weak: in tests only',
  'transactions/wire/pool.ts lentOut': 'weak: the connections of the pool',
  'http/responses/cutting.ts known': 'weak: the views of the program',
  'http/responses/compression.ts kept': 'its size: 64 answers of 16 MiB together',
  'http/cors.ts asking': 'weak: the sockets that are open',
  'http/expansion/expandable.ts expandables': 'the views of the program',
  'http/input/json.ts fractions': 'weak: the bodies that are read',
  'http/input/list-lengths.ts finders': 'weak: the schemas of the program',
  'http/input/list-lengths.ts limits': 'weak: the schemas of the program',
  'http/input/preparation.ts prepared': 'weak: the requests in flight',
  'http/limits/fixed-windows.ts windows': 'RATE_LIMIT_MAX_KEYS for each policy',
  'http/limits/slow-lane.ts lanes': 'its size: 10,000 e-mail addresses',
  'http/limits/stage.ts byAddress': 'those who are in the stage',
  'http/limits/stage.ts present': 'HTTP_MAX_ARRIVING',
  'http/access/standings.ts seen': 'its size: 20,000 sessions',
  'operations/health.ts added': 'the parts that modules add',
  'queues/queue-worker.ts active': 'the `concurrency` of its work: 100',
  'queues/leased-work.ts active': 'its `atOnce`: WEBHOOK_REQUESTS_AT_ONCE, MAIL_AT_ONCE',
  'phased/phased-worker.ts methods': 'the phased methods of the program',
  'transactions/boundary/crowding.ts held': 'the rows that one boundary locks',
  'transactions/boundary/crowding.ts known': 'weak: the boundaries that run',
  'transactions/locks.ts sending': 'weak: the transactions that run',
  'transactions/boundary/error-origins.ts origins': 'weak: the errors on their way',
  'transactions/boundary/external-work-channels.ts condemned': 'weak: the requests of others that are stopped',
  'transactions/boundary/external-work-channels.ts lastSent': 'weak: the sockets that are open',
  'transactions/external-work.ts told': 'weak: the boundaries that run',
  'transactions/boundary/keyed-gate.ts gates': 'the keys of the boundaries that run or wait',
  'transactions/boundary/lock-order.ts found': 'in tests only',
  'transactions/boundary/lock-order.ts locks': 'weak: in tests only',
  'transactions/boundary/lock-order.ts wanted': 'weak: in tests only',
  'testing/planted-faults.ts boundaries': 'in tests only',
  'transactions/wire/slots.ts rawStatements': 'weak: the slots of the pool',
  'transactions/wire/slots.ts slots': 'the clients of the program',
  'transactions/lane.ts heldRows': 'the rows of the commands that run beside their lane',
  'transactions/lane.ts underWay': 'the keys of the commands in the lane',
  'transactions/lanes/batcher.ts busyRows': 'the rows of two batches',
  'transactions/lanes/queue.ts lines': 'its size: 2,048 commands',
  'transactions/reads/watermark-cache.ts watermarks': 'its size: 10,000 callers',
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
    const missing = found.filter((one) => !(one in memory) && !one.startsWith('http/idempotency/idempotency'));
    expect(missing.map((one) => wanted('memory', one))).toEqual([]);
    expect(Object.keys(memory).filter((one) => !found.includes(one))).toEqual([]);
    expect(found.length).toBeGreaterThan(15);
  });

  it('of rate limits is of so many keys at most: who has not been seen longest is forgotten first', () => {
    const windows = new FixedWindows(60_000, 2);
    const counts = ['a', 'b', 'a', 'c', 'a', 'b'].map((key) => [key, windows.count(key).count]);
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

/** Tables that nothing is removed from, and why they end nowhere (`tables` in test/cases): `stays` is what the business has done; it grows with the business alone. */
const kept = casesOf('tables');

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
    const known = new Set([...swept().map(({ table }) => table), ...Object.keys(kept)]);
    const isOperational = (name: string) => /^(seed|schema)(_|$)/.test(name);
    const missing = tables.filter(({ name }) => !known.has(name) && !isOperational(name));
    expect(missing.map(({ name }) => wanted('tables', name))).toEqual([]);
    const names = new Set(tables.map(({ name }) => name));
    expect(Object.keys(kept).filter((name) => !names.has(name))).toEqual([]);
  });

  it('is named with its end in docs/bounds.md where it is swept, and nothing else is', () => {
    const rows =
      readFileSync('docs/bounds.md', 'utf8')
        .split(/\| a row expires *\|/)[1]
        ?.split('\n\n')[0] ?? '';
    const named = [...rows.matchAll(/^\| `(\w+)`/gm)].map(([, table]) => table);
    expect(named.sort()).toEqual(
      swept()
        .map(({ table }) => table)
        .sort(),
    );
  });

  it('with an end is swept in the order of an index that begins with it', async () => {
    const columns = await service.database.query<{ table: string; column: string }>(
      `SELECT c.table_name AS table, c.column_name AS column FROM information_schema.columns c JOIN pg_tables t ON t.tablename = c.table_name
       WHERE t.schemaname = 'public' AND c.data_type LIKE 'timestamp%' AND c.column_name ~ '(expire|end|until|valid|due)'`,
    );
    const ends = columns.filter(({ table }) => !(table in kept)).map(({ table }) => table);
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
