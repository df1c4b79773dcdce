/** @servers any */
import { channel } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '../src/kernel/ids.ts';
import type { AttemptFailed, BoundaryEnded, HooksRun } from '../src/transactions/boundary/channels.ts';
import { afterCommit } from '../src/transactions/hooks.ts';
import { DATABASE, type Sql, type Tables } from '../src/transactions/tables.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { startApp, type TestApp } from './support/app.ts';

let service: TestApp;
let db: Tables<'product'> & Sql;
let run: Transactions['run'];
beforeAll(async () => {
  service = await startApp();
  db = service.app.get(DATABASE);
  const transactions = service.app.get(Transactions);
  run = (options, work) => transactions.run(options, work);
  await service.database.query(`CREATE FUNCTION raise(code text) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = code; END $$`);
});
afterAll(() => service.close());

/** What is told on the channel while the work runs. */
async function toldOf<Message>(name: string, work: () => Promise<unknown>): Promise<Message[]> {
  const told: Message[] = [];
  const hear = (message: unknown): void => void told.push(message as Message);
  channel(`holdfast:${name}`).subscribe(hear);
  await work().catch(() => undefined);
  channel(`holdfast:${name}`).unsubscribe(hear);
  return told;
}

const write = () => db.product.create({ data: { id: newId(), slug: newId(), name: 'Told' } });
const ended = (work: () => Promise<unknown>) => toldOf<BoundaryEnded>('boundary-ended', work);

it('a boundary tells its name, how it ended and how often its work was run', async () => {
  let runs = 0;
  const told = await ended(async () => {
    await run({ name: 'Kept' }, write);
    await run({ name: 'Again', readOnly: false }, async () => {
      if (++runs < 3) await db.$queryRaw`SELECT raise('40001')`;
    });
    await run({ name: 'Read', readOnly: true }, () => db.product.count());
    await run({ name: 'Refused' }, () => Promise.reject(new Error('thrown')));
  });
  expect(told.map(({ name, outcome, attempts, readOnly }) => [name, outcome, attempts, readOnly])).toEqual([
    ['Kept', 'committed', 1, false],
    ['Again', 'committed', 3, false],
    ['Read', 'committed', 1, true],
    ['Refused', 'rolled-back', 1, false],
  ]);
  expect(told.map(({ error }) => (error as Error | null)?.message ?? null)).toEqual([null, null, null, 'thrown']);
});

it('joined and nested boundaries are part of the one that began', async () => {
  const told = await ended(() =>
    run({ name: 'Outer' }, async () => {
      await run({ name: 'Joined' }, write);
      await run({ name: 'Nested', propagation: 'nested' }, write);
      await run({ name: 'New', propagation: 'requires-new' }, write);
    }),
  );
  expect(told.map(({ name }) => name)).toEqual(['New', 'Outer']);
});

it('the time for which the server waited inside is told, and is part of the whole', async () => {
  const [told] = await ended(() =>
    run({}, async () => {
      await write();
      await sleep(60);
      await write();
    }),
  );
  expect(told!.idleMs).toBeGreaterThanOrEqual(55);
  expect(told!.durationMs).toBeGreaterThan(told!.idleMs);
});

it('an attempt that is followed by another one is told with its reason', async () => {
  let runs = 0;
  const told = await toldOf<AttemptFailed>('attempt-failed', () =>
    run({ name: 'Again' }, async () => {
      if (++runs < 3) await db.$queryRaw`SELECT raise('40P01')`;
    }),
  );
  expect(told.map(({ name, attempt }) => [name, attempt])).toEqual([
    ['Again', 1],
    ['Again', 2],
  ]);
});

it('hooks are counted', async () => {
  const told = await toldOf<HooksRun>('hooks-run', async () => {
    await run({ name: 'Hooked' }, async () => {
      afterCommit(() => undefined);
      afterCommit(() => undefined);
    });
    await run({ name: 'Unhooked' }, write);
  });
  expect(told).toEqual([{ boundary: 'Hooked', count: 2, durationMs: expect.any(Number) }]);
});
