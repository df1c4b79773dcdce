import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Module } from '@nestjs/common';
import pg from 'pg';
import { z } from 'zod';
import { EventRelay } from '../src/events/event-relay.ts';
import { defineEvent, type EventOf } from '../src/events/event-type.ts';
import { Events } from '../src/events/events.ts';
import { OnEvent } from '../src/events/on-event.ts';
import { newId, readId, showId } from '../src/kernel/ids.ts';
import { DATABASE, type Sql } from '../src/transactions/tables.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { type Api, readAll, startApp, type TestApp } from './support/app.ts';
import { fresh } from './support/bare.ts';
import { atOnce, eventually, tally } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';
import { marksLike } from './support/marks.ts';
import { expectProblem } from './support/problem.ts';
import { sentId } from './support/transfers.ts';

const happened = defineEvent({
  type: 'probe.happened',
  meaning: 'A test has done something.',
  subject: 'ord',
  data: z.object({ mark: z.string() }),
});
const silent = defineEvent({
  type: 'probe.silent',
  meaning: 'A test has done something that nobody acts on.',
  subject: 'ord',
  data: z.object({ mark: z.string() }),
});

@Injectable()
class Probe {
  /** Marks whose events are refused. */
  refused = '';

  constructor(@Inject(DATABASE) private readonly db: Sql) {}

  @OnEvent([happened], { name: 'probe.act', attempts: 1 })
  async act({ data: { mark } }: EventOf<typeof happened>) {
    if (mark === this.refused) throw new Error('not now');
    const slug = `${mark}-${newId()}`;
    await this.db.$executeRaw`INSERT INTO product (id, slug, name) VALUES (gen_random_uuid(), ${slug}, ${slug})`;
  }
}

@Module({ providers: [Probe] })
class ProbeModule {}

interface Shown {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly data: { readonly mark?: string };
}
interface Feed {
  readonly data: readonly Shown[];
  readonly hasMore: boolean;
  readonly nextCursor: string;
}

let service: TestApp;
let ada: Person;
let bob: Person;
let operator: Person;
beforeAll(async () => {
  service = await startApp({ EVENT_POLL_INTERVAL_MS: '200' }, [ProbeModule]);
  const make = makers(service);
  [ada, bob, operator] = [await make.user({ balance: 10_000 }), await make.user(), await make.operator()];
});
afterAll(() => service.close());

interface Told {
  readonly subject?: string;
  readonly owner?: Person;
  readonly counterparty?: Person;
}
const record = (mark: string, { subject = newId(), owner, counterparty }: Told = {}, type = happened) =>
  service.app.get(Transactions).run({ name: 'test.record' }, async () =>
    service.app.get(Events).record(
      type({
        subject,
        owner: owner === undefined ? null : readId(owner.id),
        counterparty: counterparty === undefined ? null : readId(counterparty.id),
        data: { mark },
      }),
    ),
  );

const at = async ({ api }: { api: Api }, query: string): Promise<Feed> =>
  (await api.get(`/v1/events?${query}`).expect(200)).body;
const now = async (reader: Person, more = ''): Promise<string> => (await at(reader, `from=now${more}`)).nextCursor;

/** Follows the feed until there is nothing more by now. */
async function follow(reader: Person, cursor: string, more = ''): Promise<{ events: Shown[]; cursor: string }> {
  const events: Shown[] = [];
  for (let next = cursor; ;) {
    const { data, hasMore, nextCursor } = await at(reader, `cursor=${next}${more}`);
    events.push(...data);
    next = nextCursor;
    if (!hasMore) return { events, cursor: next };
  }
}
/** Follows it until so many events have come. */
async function until(reader: Person, cursor: string, count: number, more = ''): Promise<Shown[]> {
  const all: Shown[] = [];
  let next = cursor;
  await eventually(
    async () => {
      const { events, cursor: behind } = await follow(reader, next, more);
      next = behind;
      return all.push(...events);
    },
    (seen) => seen >= count,
  );
  return all;
}
const marksOf = (events: readonly Shown[]) => events.map(({ data }) => data.mark);
/** Until the horizon, also on the replica that is read, is behind all that was recorded. */
async function settled(): Promise<void> {
  const mark = fresh('settled');
  const cursor = await now(operator, '&type=probe.silent');
  await record(mark, {}, silent);
  let next = cursor;
  await eventually(
    async () => {
      const { events, cursor: behind } = await follow(operator, next, '&type=probe.silent');
      next = behind;
      return marksOf(events);
    },
    (marks) => marks.includes(mark),
  );
}

describe('the feed', () => {
  it('shows a customer what is theirs on either side, an operator everything, and nobody the rest', async () => {
    const readers = [ada, bob, operator];
    const cursors = await Promise.all(readers.map((reader) => now(reader)));
    await record(fresh('of-ada'), { owner: ada });
    await record(fresh('of-both'), { owner: ada, counterparty: bob });
    await record(fresh('of-bob'), { owner: bob });
    await record(fresh('of-nobody'));
    await settled();
    const seen = await Promise.all(readers.map((reader, n) => follow(reader, cursors[n]!)));
    const kinds = seen.map(({ events }) => marksOf(events).map((mark) => mark?.replace(/-[^-]*$/, '')));
    expect(kinds).toEqual([
      ['of-ada', 'of-both'],
      ['of-both', 'of-bob'],
      ['of-ada', 'of-both', 'of-bob', 'of-nobody', 'settled'],
    ]);
    const [own, foreign] = [seen[0]!.events[0]!, seen[2]!.events[3]!];
    expect((await ada.api.get(`/v1/events/${own.id}`).expect(200)).body).toEqual(own);
    await operator.api.get(`/v1/events/${own.id}`).expect(200);
    for (const id of [foreign.id, showId('evt', newId())])
      expectProblem(await ada.api.get(`/v1/events/${id}`).expect(404), 'event-not-found');
    expectProblem(await bob.api.get(`/v1/events/${own.id}`).expect(404), 'event-not-found');
  });

  it('waits for a commit that is late, and passes over nothing', async () => {
    const late = new pg.Client({ connectionString: service.database.urls.app });
    await late.connect();
    try {
      await settled();
      const cursor = await now(ada);
      const [first, second] = [fresh('late'), fresh('early')];
      await late.query('BEGIN');
      await late.query(
        `INSERT INTO event (id, type, version, subject_id, owner_id, data, expires_at)
         VALUES (gen_random_uuid(), 'probe.silent', 1, gen_random_uuid(), $1, $2, now() + interval '1 day')`,
        [readId(ada.id), { mark: first }],
      );
      await record(second, { owner: ada }, silent);
      await sleep(300);
      const meanwhile = await follow(ada, cursor);
      expect(marksOf(meanwhile.events)).toEqual([]);
      await late.query('COMMIT');
      expect(marksOf(await until(ada, meanwhile.cursor, 2))).toEqual([first, second]);
    } finally {
      await late.end();
    }
  });

  it('goes on from an empty page, and passes what is for others, so that it is looked at once', async () => {
    const cursor = await now(ada);
    const empty = await at(ada, `cursor=${cursor}`);
    expect([empty.data, empty.hasMore]).toEqual([[], false]);
    for (let n = 0; n < 3; n++) await record(fresh('foreign'), { owner: bob });
    await settled();
    const passed = await at(ada, `cursor=${empty.nextCursor}`);
    expect([passed.data, passed.hasMore]).toEqual([[], false]);
    const place = (text: string) => JSON.parse(Buffer.from(text, 'base64url').subarray(16).toString())[1];
    expect(BigInt(place(passed.nextCursor)) - BigInt(place(empty.nextCursor))).toBeGreaterThanOrEqual(4n);
  });

  it('looks through a bounded number of events, and says that there is more', async () => {
    const subject = newId();
    const cursor = await now(operator, `&subject=${showId('ord', subject)}`);
    await service.database.query(
      `INSERT INTO event (id, type, version, subject_id, data, expires_at)
       SELECT gen_random_uuid(), 'probe.silent', 1, gen_random_uuid(), '{"mark": "many"}', now() + interval '1 day' FROM generate_series(1, 2500)`,
    );
    await record('wanted', { subject }, silent);
    await settled();
    const pages: Feed[] = [];
    for (let next = cursor; pages.at(-1)?.hasMore !== false; next = pages.at(-1)!.nextCursor)
      pages.push(await at(operator, `cursor=${next}&subject=${showId('ord', subject)}`));
    expect(pages.map(({ data }) => data.length)).toEqual([0, 0, 1]);
  });

  it('filters by type and by what it happened to; a cursor belongs to its filter and its reader', async () => {
    const [order, other] = [newId(), newId()];
    const filter = `&type=probe.silent,probe.happened&subject=${showId('ord', order)}`;
    const [cursor, ofSilent] = [await now(ada, filter), await now(ada, '&type=probe.silent')];
    await record('one', { subject: order, owner: ada });
    await record('two', { subject: other, owner: ada }, silent);
    await record('three', { subject: order, owner: ada }, silent);
    await settled();
    expect(marksOf((await follow(ada, cursor, filter)).events)).toEqual(['one', 'three']);
    expect(marksOf((await follow(ada, ofSilent, '&type=probe.silent')).events)).toEqual(['two', 'three']);
    for (const [reader, query] of [
      [ada, `cursor=${cursor}`],
      [bob, `cursor=${cursor}${filter}`],
    ] as const)
      expectProblem(await reader.api.get(`/v1/events?${query}`).expect(400), 'malformed-cursor');
    for (const wrong of ['type=probe.unknown', 'subject=ord_1', 'from=then', 'limit=0', 'limit=101'])
      expectProblem(await ada.api.get(`/v1/events?${wrong}`).expect(422), 'validation-failed');
  });

  it('shows pages in order, each event once, as CloudEvents', async () => {
    const cursor = await now(bob);
    const transfers: string[] = [];
    for (let n = 0; n < 5; n++) transfers.push(await sentId(ada, bob, 1));
    await settled();
    const { events } = await follow(bob, cursor, '&limit=2');
    expect(events.map(({ subject }) => subject)).toEqual(transfers);
    expect(events[0]).toEqual({
      specversion: '1.0',
      id: expect.stringMatching(/^evt_/),
      source: '/v1/events',
      type: 'transfer.posted',
      subject: transfers[0],
      time: expect.stringMatching(/Z$/),
      datacontenttype: 'application/json',
      dataschema: '/openapi.json#/components/schemas/TransferPostedData',
      dataversion: 1,
      data: expect.objectContaining({ transferId: transfers[0], amount: { amount: 1, currency: 'EUR' } }),
    });
    const whole = await at(bob, 'from=beginning&limit=100');
    expect(whole.data.slice(-5)).toEqual(events);
  });
});

describe('a delivery', () => {
  const probe = () => service.app.get(Probe);
  const dead = async (mark: string): Promise<string> => {
    probe().refused = mark;
    const cursor = await now(operator, '&type=probe.happened');
    await record(mark);
    const [event] = await until(operator, cursor, 1, '&type=probe.happened');
    await eventually(
      () => operator.api.get(`/v1/events/${event!.id}/deliveries`),
      ({ body }) => body.data[0]?.givenUpAt !== undefined && body.data[0].givenUpAt !== null,
    );
    return event!.id;
  };

  it('that was given up is listed, and acted on once when it is delivered again, however often that is asked', async () => {
    const mark = fresh('dead');
    const id = await dead(mark);
    const [listed] = await readAll<{ eventId: string }>(operator.api, '/v1/event-deliveries?state=dead');
    expect(listed).toMatchObject({
      object: 'event_delivery',
      eventId: id,
      type: 'probe.happened',
      consumer: 'probe.act',
      attempts: 1,
      dueAt: null,
      lastError: 'Error',
    });
    probe().refused = '';
    const answers = await atOnce(10, () => operator.api.post(`/v1/events/${id}/redeliver`));
    expect(answers[0]!.body).toEqual(
      answers[0]!.status === 202
        ? { object: 'event_redelivery', eventId: id, consumers: ['probe.act'] }
        : expect.objectContaining({ code: 'nothing-to-redeliver' }),
    );
    expect(Object.keys(tally(answers)).filter((one) => !/^(202|409 nothing-to-redeliver)$/.test(one))).toEqual([]);
    await eventually(
      () => service.database.query('SELECT FROM event_delivery'),
      (rows) => rows.length === 0,
    );
    expect(await marksLike(service.database, mark)).toHaveLength(1);
    expectProblem(await operator.api.post(`/v1/events/${id}/redeliver`).expect(409), 'nothing-to-redeliver');
  });

  it('that was done is done again where its consumer is named', async () => {
    const mark = fresh('done');
    const cursor = await now(operator, '&type=probe.happened');
    await record(mark);
    const [event] = await until(operator, cursor, 1, '&type=probe.happened');
    const done = (times: number) =>
      eventually(
        () => marksLike(service.database, mark),
        (marks) => marks.length === times,
      );
    await done(1);
    const redeliver = (consumer: string) => operator.api.post(`/v1/events/${event!.id}/redeliver`, { consumer });
    await redeliver('probe.act').expect(202);
    await done(2);
    expectProblem(await redeliver('nobody.acts').expect(422), 'consumer-not-found');
    const missing = showId('evt', newId());
    expectProblem(await operator.api.post(`/v1/events/${missing}/redeliver`).expect(404), 'event-not-found');
  });

  it('is the business of operators', async () => {
    const id = showId('evt', newId());
    for (const path of [`/v1/events/${id}/deliveries`, '/v1/event-deliveries'])
      expectProblem(await ada.api.get(path).expect(403), 'not-allowed');
    expectProblem(await ada.api.post(`/v1/events/${id}/redeliver`).expect(403), 'not-allowed');
    await service.as().get('/v1/events').expect(401);
  });
});

it('an event above the horizon is not found by its id either', async () => {
  const id = newId();
  await service.app.get(EventRelay).beforeApplicationShutdown();
  await service.database.query(
    `INSERT INTO event (id, type, version, subject_id, owner_id, data, expires_at)
     VALUES ($1, 'probe.silent', 1, gen_random_uuid(), $2, '{"mark": "above"}', now() + interval '1 day')`,
    [id, readId(ada.id)],
  );
  expectProblem(await ada.api.get(`/v1/events/${showId('evt', id)}`).expect(404), 'event-not-found');
});
