import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { channel } from 'node:diagnostics_channel';
import { TransactionConflictError } from '../src/transactions/errors.ts';
import { type Lane, type LaneOutcome, Lanes, type Rows } from '../src/transactions/lane.ts';
import { FairQueue } from '../src/transactions/lanes/queue.ts';
import type { LaneBatch } from '../src/transactions/boundary/channels.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { LaneFullError, TransactionExpiredError } from '../src/transactions/wire/errors.ts';
import { databaseFailure } from '../src/transactions/wire/postgres-errors.ts';
import { raised, cut } from '../src/testing/faults.ts';
import { type Core, startCore } from './support/core.ts';
import { fullCount } from './support/counts.ts';
import { eventually } from './support/crowd.ts';
import { createDatabase, type TestDatabase } from './support/database.ts';
import { Marks, marksLike } from './support/marks.ts';
import { randomFrom } from './support/random.ts';
import { answerFor } from '../src/http/problems/problem.ts';

interface Command {
  readonly slug: string;
  readonly by: string;
  readonly row?: string;
  readonly does?: 'refuse' | 'throw' | 'held' | 'twice';
}

class Refusal extends Error {}

/** Writes a mark for each command. */
@Injectable()
class Desk {
  readonly batches: string[][] = [];
  readonly alone: string[] = [];
  /** What each batch waits for in its boundary. */
  gate: Promise<unknown> = Promise.resolve();
  readonly lane: Lane<Command, string>;

  constructor(
    lanes: Lanes,
    private readonly marks: Marks,
  ) {
    this.lane = lanes.open<Command, string>({
      name: 'Desk.write',
      callerOf: ({ by }) => by,
      rowsOf: ({ slug, row = slug }) => [row],
      together: (commands, rows) => this.writeTogether(commands, rows),
      alone: (command) => this.writeAlone(command),
    });
  }

  @Transactional({ name: 'Desk.write' })
  async writeAlone({ slug, does }: Command): Promise<string> {
    this.alone.push(slug);
    if (does === 'refuse') throw new Refusal(slug);
    if (does === 'throw') throw new TypeError(slug);
    await this.marks.writeRaw(slug);
    if (does === 'twice') await this.marks.writeRaw(slug);
    return slug;
  }

  private async writeTogether(commands: readonly Command[], rows: Rows) {
    this.batches.push(commands.map(({ slug }) => slug));
    await this.gate;
    const outcomes: LaneOutcome<string>[] = [];
    for (const { slug, does } of commands) {
      if (does === 'throw') throw new TypeError(slug);
      if (does === 'refuse') outcomes.push({ refusal: new Refusal(slug) });
      else if (does === 'held' && rows === 'wait') outcomes.push({ alone: 'held' });
      else {
        await this.marks.writeRaw(slug);
        if (does === 'twice') await this.marks.writeRaw(slug);
        outcomes.push({ value: slug });
      }
    }
    return outcomes;
  }
}

let database: TestDatabase;
let core: Core;
let desk: Desk;
let made = 0;
beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [Marks, Desk], { variables: { DATABASE_TRANSACTION_TIMEOUT_MS: '120000' } });
});
beforeEach(() => {
  desk = core.get(Desk);
  desk.batches.length = 0;
  desk.alone.length = 0;
  desk.gate = Promise.resolve();
  core.transactions.faults = null;
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

/** So many commands with slugs of one beginning. */
function commands(count: number, more: Partial<Command> = {}): Command[] {
  const beginning = `lane-${++made}`;
  return Array.from({ length: count }, (_, n) => ({
    slug: `${beginning}-${String(n).padStart(4, '0')}`,
    by: 'ada',
    ...more,
  }));
}
/** Until so many batches have begun; then no more has. */
async function begun(count: number): Promise<void> {
  await eventually(
    async () => desk.batches.length,
    (length) => length >= count,
  );
  await sleep(50);
  expect(desk.batches).toHaveLength(count);
}
const submitAll = (all: readonly Command[]) => Promise.allSettled(all.map((command) => desk.lane.submit(command)));
const stored = (all: readonly Command[]) => marksLike(database, all[0]!.slug.slice(0, -5));
const slugs = (all: readonly Command[]) => all.map(({ slug }) => slug);
const reasons = (results: readonly PromiseSettledResult<unknown>[]) =>
  results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));

describe('a lane', () => {
  it('does one command that comes alone at once, in a batch of its own', async () => {
    const [one] = commands(1);
    await expect(desk.lane.submit(one!)).resolves.toBe(one!.slug);
    expect(desk.batches).toEqual([[one!.slug]]);
    expect(desk.alone).toEqual([]);
    expect(await stored([one!])).toEqual([one!.slug]);
  });

  it('makes the next batch of what has waited while batches were at work, in the order of coming', async () => {
    const open = Promise.withResolvers<undefined>();
    desk.gate = open.promise;
    const all = commands(200);
    const done = all.map((command) => desk.lane.submit(command));
    // Two batches are at work, and nothing of the rest has begun.
    await begun(2);
    open.resolve(undefined);
    await Promise.all(done);
    expect(desk.batches.length).toBeLessThan(8);
    expect(Math.max(...desk.batches.map(({ length }) => length))).toBeLessThanOrEqual(64);
    expect(desk.batches.flat().sort()).toEqual(slugs(all));
    expect(desk.batches.flat()).toEqual(slugs(all));
    expect(await stored(all)).toEqual(slugs(all));
  });

  it('does not let two batches wait for each other at one row', async () => {
    const open = Promise.withResolvers<undefined>();
    desk.gate = open.promise;
    const hot = commands(40, { row: 'hot' });
    const others = commands(20);
    const done = [...hot, ...others].map((command) => desk.lane.submit(command));
    await begun(2);
    expect(desk.batches[1]!.every((slug) => slugs(others).includes(slug))).toBe(true);
    open.resolve(undefined);
    await Promise.all(done);
    expect(desk.alone).toEqual([]);
    expect(await stored(hot)).toEqual(slugs(hot));
  });

  it('refuses a command alone, and stores its neighbours', async () => {
    const all = commands(9).map((one, n) => (n % 3 === 1 ? { ...one, does: 'refuse' as const } : one));
    const results = await submitAll(all);
    expect(results.map(({ status }) => status)).toEqual(all.map(({ does }) => (does ? 'rejected' : 'fulfilled')));
    expect(reasons(results).every((error) => error instanceof Refusal)).toBe(true);
    expect(await stored(all)).toEqual(slugs(all.filter(({ does }) => !does)));
    expect(desk.alone).toEqual([]);
  });

  it.each(['throw', 'twice'] as const)(
    'leaves a command that breaks its batch (%s) to a boundary of its own',
    async (does) => {
      const all = commands(20).map((one, n) => (n === 7 ? { ...one, does } : one));
      const results = await submitAll(all);
      const [error, ...more] = reasons(results);
      expect(more).toEqual([]);
      if (does === 'throw') expect(error).toBeInstanceOf(TypeError);
      else expect(databaseFailure(error)?.sqlState).toBe('23505');
      expect(desk.alone).toEqual([all[7]!.slug]);
      expect(await stored(all)).toEqual(slugs(all.filter((_, n) => n !== 7)));
    },
  );

  it('does a batch again whole after a conflict', async () => {
    core.transactions.faults = (_, attempt, moment) => (attempt === 1 && moment === 'commit' ? raised('40001') : null);
    const all = commands(10);
    expect(reasons(await submitAll(all))).toEqual([]);
    expect(await stored(all)).toEqual(slugs(all));
  });

  it('tells each command of a conflict that does not end', async () => {
    core.transactions.faults = (_, __, moment) => (moment === 'commit' ? raised('40001') : null);
    const all = commands(4);
    const errors = reasons(await submitAll(all));
    expect(errors).toHaveLength(4);
    expect(errors.every((error) => error instanceof TransactionConflictError)).toBe(true);
    expect(desk.alone).toEqual([]);
    expect(await stored(all)).toEqual([]);
  });

  it.each(['statement', 'commit', 'answer'] as const)(
    'does it once where the connection breaks at its %s',
    async (at) => {
      core.transactions.faults = (_, attempt, moment) => (attempt === 1 && moment === at ? cut : null);
      const all = commands(10);
      expect(reasons(await submitAll(all))).toEqual([]);
      expect(await stored(all)).toEqual(slugs(all));
    },
  );

  const batches = fullCount(25, 500);
  it(`tells each command what is stored of it, while connections break at any moment of ${batches} batches`, async () => {
    const random = randomFrom(20261130);
    core.transactions.faults = (_, attempt, moment) => {
      if (attempt > 2 || random.whole(0, 3) > 0) return null;
      return moment === 'statement' && random.whole(0, 4) > 0 ? null : cut;
    };
    for (let n = 0; n < batches; n++) {
      const all = commands(12, n % 2 === 0 ? {} : { does: 'refuse' }).map((one, place) =>
        place % 3 === 0 ? { slug: one.slug, by: one.by } : one,
      );
      const results = await submitAll(all);
      const done = all.filter((_, place) => results[place]!.status === 'fulfilled');
      expect(await marksLike(database, all[0]!.slug.slice(0, -5))).toEqual(slugs(done));
      expect(reasons(results).filter((error) => !(error instanceof Refusal))).toEqual([]);
    }
  });

  it('leaves a command whose rows are held to a boundary of its own, and those with the same rows meanwhile', async () => {
    const all = commands(5).map((one, n) => (n === 2 ? { ...one, does: 'held' as const } : one));
    const batched = submitAll(all);
    await batched;
    expect(desk.alone).toEqual([all[2]!.slug]);
    expect(await stored(all)).toEqual(slugs(all));
  });

  it('joins the boundary that it is called in', async () => {
    const all = commands(2);
    await expect(
      core.run({ name: 'outer' }, async () => {
        for (const command of all) await desk.lane.submit(command);
        throw new Refusal('outer');
      }),
    ).rejects.toThrow(Refusal);
    expect(desk.batches).toEqual([]);
    expect(await stored(all)).toEqual([]);
  });

  it('refuses what comes when it is full, at once, and goes on with the rest', async () => {
    const open = Promise.withResolvers<undefined>();
    desk.gate = open.promise;
    const working = commands(32).map((command) => desk.lane.submit(command));
    await begun(2);
    const all = [...commands(1100, { by: 'ada' }), ...commands(1100, { by: 'bob' }), ...commands(1, { by: 'eve' })];
    const results = all.map((command) => desk.lane.submit(command));
    const full = await Promise.race([Promise.allSettled(results.slice(1024, 1100)), sleep(500).then(() => [])]);
    expect(full).toHaveLength(76);
    expect(reasons(full).every((error) => error instanceof LaneFullError)).toBe(true);
    open.resolve(undefined);
    await Promise.all(working);
    const settled = await Promise.allSettled(results);
    expect(reasons(settled).every((error) => error instanceof LaneFullError)).toBe(true);
    expect(settled.filter(({ status }) => status === 'fulfilled').length).toBe(2048);
  });

  it('does not begin a command whose time is over', async () => {
    const hasty = await startCore(database, [Marks, Desk], { variables: { DATABASE_TRANSACTION_TIMEOUT_MS: '1500' } });
    const open = Promise.withResolvers<undefined>();
    try {
      desk = hasty.get(Desk);
      desk.gate = open.promise;
      const working = submitAll(commands(40));
      await begun(2);
      const late = commands(3);
      const errors = reasons(await submitAll(late));
      expect(errors).toHaveLength(3);
      expect(errors.every((error) => error instanceof TransactionExpiredError)).toBe(true);
      open.resolve(undefined);
      expect(reasons(await working)).toHaveLength(40);
      expect(desk.batches.flat()).not.toContain(late[0]!.slug);
      expect(await stored(late)).toEqual([]);
    } finally {
      open.resolve(undefined);
      await hasty.close();
    }
  });

  it('is answered with 503 and when to come again where it is full', () => {
    const { status, code, headers } = answerFor(new LaneFullError('Desk.write'));
    expect([status, code, headers['retry-after']]).toEqual([503, 'temporary-reduced-capacity', '1']);
  });

  it('tells of each batch', async () => {
    const told: LaneBatch[] = [];
    const listen = (message: unknown) => void told.push(message as LaneBatch);
    channel('holdfast:lane-batch').subscribe(listen);
    try {
      await submitAll(commands(3));
    } finally {
      channel('holdfast:lane-batch').unsubscribe(listen);
    }
    expect(told.map(({ lane }) => lane)).toEqual(told.map(() => 'Desk.write'));
    expect(told.reduce((sum, { size }) => sum + size, 0)).toBe(3);
    expect(told.every(({ durationMs, waiting }) => durationMs > 0 && waiting === 0)).toBe(true);
  });
});

describe('the queue of a lane', () => {
  const one = (caller: string, n: number, endsAt = Infinity) => ({ caller, n, endsAt });
  const shown = (taken: readonly { caller: string; n: number }[]) =>
    taken.map(({ caller, n }) => `${caller}${n}`).join(' ');

  it('lets callers take turns, each in its own order', () => {
    const queue = new FairQueue<ReturnType<typeof one>>(100);
    for (let n = 0; n < 5; n++) queue.push(one('a', n));
    queue.push(one('b', 0));
    queue.push(one('c', 0));
    expect(shown(queue.take(4))).toBe('a0 b0 c0 a1');
    queue.push(one('d', 0));
    expect(shown(queue.take(10))).toBe('a2 d0 a3 a4');
    expect(queue.length).toBe(0);
  });

  it('takes no more than it may, and of one caller no more than half', () => {
    const queue = new FairQueue<ReturnType<typeof one>>(4);
    expect([0, 1, 2].map((n) => queue.push(one('a', n)))).toEqual([true, true, false]);
    expect([0, 1, 2].map((n) => queue.push(one('b', n)))).toEqual([true, true, false]);
    expect(queue.push(one('c', 0))).toBe(false);
    expect(queue.length).toBe(4);
  });

  it('gives up those whose time is over', () => {
    const queue = new FairQueue<ReturnType<typeof one>>(10);
    queue.push(one('a', 0, 5));
    queue.push(one('a', 1, 20));
    queue.push(one('b', 0, 10));
    expect(queue.firstEnd).toBe(5);
    expect(shown(queue.takeExpired(10))).toBe('a0 b0');
    expect(queue.firstEnd).toBe(20);
    expect(shown(queue.take(5))).toBe('a1');
    expect(queue.firstEnd).toBeNull();
  });
});
