import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Module } from '@nestjs/common';
import pg from 'pg';
import { z } from 'zod';
import { type DeliveryEnded, deliveryEnded } from '../src/events/channels.ts';
import { EventRelay } from '../src/events/event-relay.ts';
import { defineEvent, type EventOf } from '../src/events/event-type.ts';
import { Events } from '../src/events/events.ts';
import { OnEvent } from '../src/events/on-event.ts';
import { newId } from '../src/kernel/ids.ts';
import { generalProblems } from '../src/kernel/general.problems.ts';
import { Phased } from '../src/phased/phased.ts';
import { Sweeper } from '../src/retention/sweeper.ts';
import { TransactionRequiredError } from '../src/transactions/errors.ts';
import { DATABASE, type Sql } from '../src/transactions/tables.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { serve, startApp, type TestApp } from './support/app.ts';
import { errorOf, fresh } from './support/bare.ts';
import { atOnce, crowd } from './support/crowd.ts';
import { pastRules } from './support/database.ts';
import { marksLike } from './support/marks.ts';
import { recordStatements } from './support/statements.ts';
import { send } from './support/transfers.ts';

const happened = defineEvent({
  type: 'probe.happened',
  meaning: 'A test has done something.',
  subject: 'ord',
  data: z.object({ mark: z.string() }),
});

/** Writes a mark for each event: `<mark>-<consumer>-<random>`. */
@Injectable()
class ProbeConsumers {
  /** Called inside the boundary, before the mark is written. */
  before: (event: EventOf<typeof happened>, consumer: string) => Promise<unknown> = async () => undefined;
  readonly seen: { consumer: string; position: bigint; subjectId: string; mark: string }[] = [];

  constructor(@Inject(DATABASE) private readonly db: Sql) {}

  @OnEvent(happened)
  async first(event: EventOf<typeof happened>) {
    await this.act(event, 'first');
  }

  @OnEvent([happened], { name: 'probe.second', attempts: 2 })
  async second(event: EventOf<typeof happened>) {
    await this.act(event, 'second');
  }

  @OnEvent(happened)
  @Phased()
  async third(event: EventOf<typeof happened>) {
    await this.act(event, 'third');
  }

  private async act(event: EventOf<typeof happened>, consumer: string) {
    await this.before(event, consumer);
    const slug = `${event.data.mark}-${consumer}-${newId()}`;
    await this.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${slug}, ${slug})`;
    this.seen.push({ consumer, position: event.position, subjectId: event.subjectId, mark: event.data.mark });
  }
}

const counted = defineEvent({ ...happened, type: 'probe.counted' });

/** Writes the mark of each event, many in one boundary. */
@Injectable()
class BatchConsumer {
  before: (event: EventOf<typeof counted>) => Promise<unknown> = async () => undefined;

  constructor(@Inject(DATABASE) private readonly db: Sql) {}

  @OnEvent(counted, { name: 'probe.batch', concurrency: 1, batch: 10 })
  async act(event: EventOf<typeof counted>) {
    const { mark } = event.data;
    await this.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${mark}, ${mark})`;
    await this.before(event);
  }
}

@Module({ providers: [ProbeConsumers, BatchConsumer] })
class ProbeModule {}

let service: TestApp;
let probe: ProbeConsumers;
let batches: BatchConsumer;
let events: Events;
let transactions: Transactions;
let db: Sql;

beforeAll(async () => {
  service = await startApp({ EVENT_POLL_INTERVAL_MS: '200', EVENT_LEASE_MS: '3000' }, [ProbeModule]);
  probe = service.app.get(ProbeConsumers);
  batches = service.app.get(BatchConsumer);
  events = service.app.get(Events);
  transactions = service.app.get(Transactions);
  db = service.app.get<Sql>(DATABASE);
});
afterAll(() => service.close());
beforeEach(() => {
  probe.before = async () => undefined;
  batches.before = async () => undefined;
});

const record = (mark: string, subject = newId()) =>
  transactions.run({ name: 'test.record' }, async () => events.record(happened({ subject, data: { mark } })));
/** Which consumers have done it, each as often as it has. */
const doneBy = async (mark: string): Promise<string[]> =>
  (await marksLike(service.database, mark)).map((slug) => slug.slice(mark.length + 1).split('-')[0]!).sort();
const storedEvents = async (mark: string): Promise<number> =>
  (await service.database.query(`SELECT FROM event WHERE data ->> 'mark' = $1`, [mark])).length;
/** Repeats the expectation until it holds. */
async function holds(expectation: () => Promise<unknown>, withinMs = 10_000): Promise<void> {
  for (const endsAt = performance.now() + withinMs; ; await sleep(20))
    try {
      await expectation();
      return;
    } catch (error) {
      if (performance.now() > endsAt) throw error;
    }
}
const all = ['first', 'second', 'third'];

describe('a consumer with batches', () => {
  const recordMany = (mark: string) =>
    transactions.run({ name: 'test.many' }, async () => {
      for (let n = 0; n < 20; n++) events.record(counted({ subject: newId(), data: { mark: `${mark}-${n}` } }));
    });
  const written = async (mark: string) =>
    (
      await service.database.query<{ rows: number; boundaries: number }>(
        `SELECT count(*)::int AS rows, count(DISTINCT xmin::text)::int AS boundaries FROM product WHERE slug LIKE $1`,
        [`${mark}-%`],
      )
    )[0]!;

  it('does many events of different things in one boundary', async () => {
    const mark = fresh('batch');
    await recordMany(mark);
    await holds(async () => expect((await written(mark)).rows).toBe(20));
    expect((await written(mark)).boundaries).toBeLessThanOrEqual(4);
  });

  it('does each by itself, once, where one of them fails: it alone counts as failed', async () => {
    const mark = fresh('poison');
    let failures = 0;
    const failed: unknown[] = [];
    const note = (ended: unknown) => {
      const { consumer, outcome, attempts } = ended as DeliveryEnded;
      if (consumer === 'probe.batch' && outcome !== 'done') failed.push(attempts);
    };
    deliveryEnded.subscribe(note);
    batches.before = async ({ data }) => {
      if (data.mark === `${mark}-7` && ++failures <= 2) throw new Error('the seventh');
    };
    try {
      await recordMany(mark);
      await holds(async () => expect((await written(mark)).rows).toBe(20));
    } finally {
      deliveryEnded.unsubscribe(note);
    }
    // Once among others, and once by itself.
    expect([failures, failed]).toEqual([3, [1]]);
  });

  it('does the others although one of them never ends, and counts its attempts', async () => {
    const mark = fresh('hanging');
    const hanging = Promise.withResolvers<undefined>();
    batches.before = ({ data }) => (data.mark === `${mark}-7` ? hanging.promise : Promise.resolve(undefined));
    try {
      await recordMany(mark);
      await holds(async () => expect((await written(mark)).rows).toBe(19), 20_000);
      await holds(async () => {
        const sql = `SELECT d.attempts FROM event_delivery d JOIN event e ON e.position = d.position WHERE e.data ->> 'mark' = $1`;
        const [left] = await service.database.query<{ attempts: number }>(sql, [`${mark}-7`]);
        expect(left?.attempts).toBeGreaterThanOrEqual(2);
      });
    } finally {
      hanging.resolve(undefined);
    }
    await holds(async () => expect((await written(mark)).rows).toBe(20), 20_000);
  });
});

describe('an event', () => {
  it('is stored with the boundary in which it was recorded, in the round trip of its COMMIT', async () => {
    const mark = fresh('commit');
    await record(fresh('warm-up'));
    const statements = recordStatements({ isFar: true });
    await transactions.run({ name: 'test.trips' }, async () => {
      await db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${mark}, ${mark})`;
      for (let n = 0; n < 3; n++) events.record(happened({ subject: newId(), data: { mark } }));
    });
    statements.stop();
    const sent = statements.take().filter(({ text }) => /INSERT INTO (product|event)|COMMIT/.test(text));
    expect(sent.filter(({ text }) => text.includes('INSERT INTO event ('))).toHaveLength(1);
    expect(await storedEvents(mark)).toBe(3);
  });

  it('is gone with what is rolled back: the boundary, or the nested one that has recorded it', async () => {
    const mark = fresh('rollback');
    const refusal = generalProblems.notAllowed();
    await expect(
      transactions.run({ name: 'test.undone' }, async () => {
        events.record(happened({ subject: newId(), data: { mark } }));
        throw refusal;
      }),
    ).rejects.toBe(refusal);
    await transactions.run({ name: 'test.outer' }, async () => {
      events.record(happened({ subject: newId(), data: { mark: `${mark}-kept` } }));
      await errorOf(
        transactions.run({ name: 'test.inner', propagation: 'nested' }, async () => {
          await db.$queryRaw`SELECT 1`;
          events.record(happened({ subject: newId(), data: { mark } }));
          throw refusal;
        }),
      );
    });
    expect([await storedEvents(mark), await storedEvents(`${mark}-kept`)]).toEqual([0, 1]);
  });

  it('belongs to a boundary', () => {
    expect(() => events.record(happened({ subject: newId(), data: { mark: 'outside' } }))).toThrow(
      TransactionRequiredError,
    );
  });

  it('does not change, and what was read up to does not go back', async () => {
    await record(fresh('fixed'));
    const app = new pg.Client({ connectionString: service.database.urls.app });
    await app.connect();
    try {
      await expect(app.query(`UPDATE event SET type = 'probe.changed'`)).rejects.toThrow('permission denied');
      await expect(app.query(`UPDATE event_horizon SET position = -1`)).rejects.toThrow('never goes back');
    } finally {
      await app.end();
    }
  });
});

describe('a consumer', () => {
  it('acts once on each event that it is told of, in a boundary or in phases', async () => {
    const mark = fresh('once');
    await record(mark);
    await holds(async () => expect(await doneBy(mark)).toEqual(all));
    expect(await service.database.query('SELECT FROM event_delivery')).toEqual([]);
  });

  it('is tried again when it has failed, and nothing of the failed attempt stays', async () => {
    const mark = fresh('again');
    let failures = 0;
    probe.before = async (event, consumer) => {
      if (event.data.mark !== mark || consumer !== 'first' || failures++ > 0) return;
      await db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${`${mark}-first-half`}, 'half')`;
      throw new Error('not now');
    };
    await record(mark);
    await holds(async () => expect(await doneBy(mark)).toEqual(all));
    expect(failures).toBe(2);
    expect(await marksLike(service.database, `${mark}-first-half`)).toEqual([]);
  });

  it('gives up after its attempts, and holds up neither another consumer nor another thing', async () => {
    const [mark, other] = [fresh('dead'), fresh('other')];
    probe.before = async (event, consumer) => {
      if (event.data.mark === mark && consumer === 'second') throw generalProblems.notAllowed();
    };
    await record(mark);
    await record(other);
    await holds(async () => expect(await doneBy(other)).toEqual(all));
    await holds(async () =>
      expect(
        await service.database.query(
          `SELECT consumer, attempts, last_error FROM event_delivery WHERE dead_at IS NOT NULL`,
        ),
      ).toEqual([{ consumer: 'probe.second', attempts: 2, last_error: 'not-allowed' }]),
    );
    expect(await doneBy(mark)).toEqual(['first', 'third']);
  });

  it('is told of one thing in the order of its commits, also behind a failure', async () => {
    const [mark, subject] = [fresh('order'), newId()];
    let failed = false;
    probe.before = async (event, consumer) => {
      if (event.data.mark !== `${mark}-0` || consumer !== 'first' || failed) return;
      failed = true;
      throw new Error('not now');
    };
    for (let n = 0; n < 5; n++) await record(`${mark}-${n}`, subject);
    const ofFirst = () => probe.seen.filter((one) => one.consumer === 'first' && one.subjectId === subject);
    await holds(async () => expect(ofFirst()).toHaveLength(5));
    expect(ofFirst().map((one) => one.mark)).toEqual([0, 1, 2, 3, 4].map((n) => `${mark}-${n}`));
  });
});

describe('a delivery', () => {
  it('is taken over when its lease is over, and whoever comes late stores nothing', async () => {
    const mark = fresh('taken-over');
    const slow = Promise.withResolvers<undefined>();
    let calls = 0;
    probe.before = (event, consumer) =>
      event.data.mark === mark && consumer === 'first' && calls++ === 0 ? slow.promise : Promise.resolve();
    await record(mark);
    await holds(async () => expect(await doneBy(mark)).toEqual(['second', 'third']));
    await service.database.query('UPDATE event_delivery SET due_at = statement_timestamp() WHERE dead_at IS NULL');
    const other = await serve(service.database, { EVENT_POLL_INTERVAL_MS: '50' }, [ProbeModule]);
    try {
      await holds(async () => expect(await doneBy(mark)).toEqual(all));
      slow.resolve(undefined);
      // Its boundary ends meanwhile.
      await holds(async () =>
        expect(
          await service.database.query(
            `SELECT FROM pg_stat_activity WHERE application_name LIKE '%ProbeConsumers%' AND state LIKE 'idle in%'`,
          ),
        ).toEqual([]),
      );
      await sleep(200);
      expect(await doneBy(mark)).toEqual(all);
    } finally {
      await other.app.close();
    }
  });
});

describe('a consumer that never ends', () => {
  it('loses its delivery after the lease, and holds up no other thing', async () => {
    const [mark, ...others] = Array.from({ length: 8 }, () => fresh('never-ends'));
    probe.before = async (event, consumer) =>
      event.data.mark === mark && consumer === 'first' ? new Promise(() => undefined) : undefined;
    await record(mark!);
    for (const one of others) await record(one);
    for (const one of others) await holds(async () => expect(await doneBy(one)).toEqual(all));
    await holds(async () =>
      expect(
        await service.database.query(
          `SELECT FROM event_delivery WHERE consumer LIKE '%first' AND last_error = 'WorkTimeoutError'`,
        ),
      ).toHaveLength(1),
    );
    probe.before = async () => undefined;
    await holds(async () => expect(await doneBy(mark!)).toEqual(all));
  });
});

describe('the horizon', () => {
  it('counts on a transaction having its id before it draws a position', async () => {
    const writer = new pg.Client({ connectionString: service.database.urls.app });
    await writer.connect();
    try {
      // A sequence takes an id itself where it is logged, which it is once in a while.
      await service.database.query(`SELECT nextval('event_position_seq')`);
      const { rows } = await writer.query<{ has_id: boolean }>(
        `INSERT INTO event (position, id, type, version, subject_id, data, expires_at)
         SELECT nextval('event_position_seq'), gen_random_uuid(), 'probe.ignored', 1, gen_random_uuid(),
           jsonb_build_object('has_id', pg_current_xact_id_if_assigned() IS NOT NULL), now() + interval '1 day'
         RETURNING (data ->> 'has_id')::boolean AS has_id`,
      );
      expect(rows).toEqual([{ has_id: true }]);
    } finally {
      await writer.end();
    }
  });

  it('ends before an event whose commit is under way, and passes one that was never stored', async () => {
    const relay = service.app.get(EventRelay);
    const late = new pg.Client({ connectionString: service.database.urls.app });
    await late.connect();
    const insert = (mark: string) =>
      late.query(
        `INSERT INTO event (id, type, version, subject_id, data, expires_at)
         VALUES (gen_random_uuid(), 'probe.happened', 1, gen_random_uuid(), $1, now() + interval '1 day')`,
        [{ mark }],
      );
    const horizon = async () =>
      (await service.database.query<{ position: string }>('SELECT position FROM event_horizon'))[0]!.position;
    try {
      const [first, second] = [fresh('late'), fresh('early')];
      await holds(async () => expect((await relay.turn()).isHeld).toBe(false));
      await late.query('BEGIN');
      await insert(first);
      const before = await horizon();
      await record(second);
      await sleep(300);
      // What was committed behind it waits for it.
      expect([await horizon(), await doneBy(second)]).toEqual([before, []]);
      await late.query('COMMIT');
      await holds(async () => expect(await doneBy(first)).toEqual(all));
      await holds(async () => expect(await doneBy(second)).toEqual(all));
      const third = fresh('after-rollback');
      await late.query('BEGIN');
      await insert(fresh('never'));
      await record(third);
      await sleep(100);
      expect(await doneBy(third)).toEqual([]);
      await late.query('ROLLBACK');
      await holds(async () => expect(await doneBy(third)).toEqual(all));
    } finally {
      await late.end();
    }
  });
});

describe('an event that is over', () => {
  it('is removed, but not before its consumers have done it', async () => {
    const [done, open] = [fresh('over-done'), fresh('over-open')];
    await record(done);
    await holds(async () => expect(await doneBy(done)).toEqual(all));
    probe.before = async (event, consumer) => {
      if (event.data.mark === open && consumer === 'second') throw new Error('never');
    };
    await record(open);
    await holds(async () => expect(await doneBy(open)).toEqual(['first', 'third']));
    await pastRules(
      service.database,
      `UPDATE event SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE data ->> 'mark' IN ('${done}', '${open}')`,
    );
    await service.app.get(Sweeper).sweep();
    expect([await storedEvents(done), await storedEvents(open)]).toEqual([0, 1]);
  });
});

describe('the product', () => {
  it('tells of transfers and orders in the commit that makes them', async () => {
    const [ada, bob] = await crowd(service, 2, { balance: 100 });
    await atOnce(10, () => send(ada!, bob!, 1).expect(201));
    const rows = await service.database.query<{ type: string; count: number }>(
      `SELECT type, count(*)::int AS count FROM event WHERE type LIKE 'transfer.%' GROUP BY type`,
    );
    expect(rows).toEqual([{ type: 'transfer.posted', count: 12 }]);
  });
});
