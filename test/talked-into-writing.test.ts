import type { Prisma } from '../src/database/generated/client.ts';
import { newId } from '../src/kernel/ids.ts';
import { TransactionControlError } from '../src/transactions/wire/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { controlsTransaction } from '../src/transactions/wire/statements.ts';
import { type Bare, errorOf, fresh, startBare, stored } from './support/bare.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';

// A boundary says whether it writes and on which level it is. A raw statement cannot say otherwise, however it is spelt: what the text shows
// is refused before it is sent, and what is put together on the server is refused there.

let database: TestDatabase;
let bare: Bare;
beforeAll(async () => {
  database = await createDatabase();
  // Without a replica a boundary that reads has a role that may write.
  bare = await startBare({ app: database.urls.app });
});
afterAll(async () => {
  await bare.close();
  await database.drop();
});

const raw = (text: string, ...values: unknown[]) =>
  bare.db.$queryRaw({ text, sql: text, values, strings: [text] } as unknown as Prisma.Sql);
const asTemplate = (text: string) => bare.db.$executeRaw(Object.assign([text], { raw: [text] }));
const insert = (slug: string) =>
  bare.db.$queryRaw`INSERT INTO product (id, slug, name) VALUES (${newId()}::uuid, ${slug}, ${slug}) RETURNING slug`;

const shown: [text: string, ...values: unknown[]][] = [
  ['SET TRANSACTION READ WRITE'],
  ['SET TRANSACTION READ ONLY'],
  ['set/**/transaction read write'],
  ['-- now\nSET\n-- and\nTRANSACTION READ WRITE'],
  ['; ; SET TRANSACTION ISOLATION LEVEL READ COMMITTED'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE'],
  ['SET transaction_read_only = off'],
  ['SET LOCAL transaction_read_only = off'],
  ['SET LOCAL "transaction_read_only" TO off'],
  ['SET LOCAL default_transaction_read_only = off'],
  ['SET default_transaction_isolation = serializable'],
  ['RESET transaction_read_only'],
  ['RESET ALL'],
  ["SELECT set_config('transaction_read_only', 'off', true)"],
  ["SELECT pg_catalog.\"set_config\"( /* what */ 'TRANSACTION_READ_ONLY', 'off', true)"],
  ['SELECT set_config($1, $2, true)', 'transaction_read_only', 'off'],
  ["SELECT set_config('transaction_' || 'read_only', 'off', true)"],
  ["SELECT set_config('lock_timeout', '1', false)"],
  ["WITH told AS (SELECT set_config('default_transaction_read_only', 'off', true)) SELECT * FROM told"],
  ["UPDATE pg_settings SET setting = 'off' WHERE name = 'transaction_read_only'"],
  ['DO $$ BEGIN SET TRANSACTION READ WRITE; END $$'],
  ["do $$ begin perform set_config('transaction_read_only', 'off', true); end $$"],
];

it.each(shown)('%j is refused before it is sent', async (text, ...values) => {
  const [talked, refused] = [fresh('talked'), fresh('refused')];
  const boundary = bare.run({ readOnly: true }, async () => {
    const error = await errorOf(raw(text, ...values));
    expect(error).toBeInstanceOf(TransactionControlError);
    await insert(talked);
  });
  expect(databaseFailure(await errorOf(boundary))?.sqlState).toBe('25006');
  // One that writes keeps its terms too, and what was not sent has broken nothing.
  await bare.run({ isolation: 'serializable' }, async () => {
    await errorOf(raw(text, ...values));
    await insert(refused);
    expect(await bare.show('transaction_isolation')).toBe('serializable');
  });
  expect(await stored(database, [talked, refused])).toEqual([refused]);
});

const harmless: [text: string, ...values: unknown[]][] = [
  ['SET LOCAL lock_timeout = 50'],
  ['SET CONSTRAINTS ALL IMMEDIATE'],
  ["SELECT set_config('lock_timeout', '50', true)"],
  ['SELECT set_config($1, $2, true)', 'lock_timeout', '50'],
  ["SELECT 'SET TRANSACTION READ WRITE', 'set_config('"],
  ["SELECT current_setting('transaction_read_only')"],
  ["SELECT setting FROM pg_settings WHERE name = 'transaction_read_only'"],
  ["DO $$ BEGIN RAISE NOTICE 'done'; END $$"],
];

it.each(harmless)('%j is not', (text, ...values) => {
  expect(controlsTransaction(text, values)).toBe(false);
});

// What no text shows: names and statements that the server puts together.
const hidden = [
  `DO $$ BEGIN EXECUTE 'SET TRANS' || 'ACTION READ WRITE'; END $$`,
  `DO $$ BEGIN EXECUTE 'SELECT set_con' || 'fig(''transaction_read' || '_only'', ''off'', true)'; END $$`,
];

it.each(hidden)('%s is refused by the server, whichever comes first', async (text) => {
  const slug = fresh('hidden');
  for (const isFirst of [true, false]) {
    const boundary = bare.run({ readOnly: true }, async () => {
      if (!isFirst) await raw('SELECT 1 AS one');
      await asTemplate(text);
      await insert(slug);
    });
    expect(databaseFailure(await errorOf(boundary))?.sqlState).toBe('25001');
  }
  expect(await stored(database, [slug])).toEqual([]);
});

it('a boundary that was told inside to read only is not on a standby: its connections stay, and it is run once', async () => {
  const before = await bare.pid();
  let attempts = 0;
  const error = await errorOf(
    bare.run({}, async () => {
      attempts++;
      await asTemplate(`DO $$ BEGIN EXECUTE 'SET TRANS' || 'ACTION READ ONLY'; END $$`);
      await insert(fresh('told'));
    }),
  );
  expect([attempts, databaseFailure(error)?.sqlState]).toEqual([1, '25006']);
  expect(await bare.pid()).toBe(before);
});
