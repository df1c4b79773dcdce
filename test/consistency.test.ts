/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import type { QueryConfig } from 'pg';
import type { Response } from 'supertest';
import { DatabaseClients } from '../src/database/database-clients.ts';
import { type ReplicaRead, replicaRead } from '../src/transactions/boundary/channels.ts';
import { PrimaryPosition } from '../src/transactions/reads/primary-position.ts';
import { lsnOf } from '../src/transactions/reads/watermark.ts';
import type { Sql } from '../src/transactions/tables.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { TransactionExpiredError } from '../src/transactions/wire/errors.ts';
import { type Api, api, serve, type TestApp, type Variables } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { fullCount } from './support/counts.ts';
import { crowd, eventually, inFlight } from './support/crowd.ts';
import { makers, type Person } from './support/make.ts';
import { ask, type OwnCluster, pauseReplay, replicaSuperuser, startOwnCluster } from './support/own-cluster.ts';
import { expectProblem } from './support/problem.ts';
import { startProxy } from './support/proxy.ts';
import { startSecondReplica } from './support/second-replica.ts';
import { recordStatements, type Statement } from './support/statements.ts';

const token = 'consistency-token';
// What the service has when nothing is said; the tests of the other rooms have another one (support/app.ts).
const asShipped = { DATABASE_READ_CONSISTENCY: '' };

let own: OwnCluster;
let here: TestApp;
/** Another instance on the same databases, with more patience. */
let there: TestApp;
let people: Person[];
let alice: Person;
let operator: Person;
const instances: TestApp[] = [];

beforeAll(async () => {
  own = await startOwnCluster();
  here = await instance();
  there = await instance({ DATABASE_REPLICA_WAIT_MS: '300' });
  people = await crowd(here, 16, { balance: 100 });
  alice = people[0]!;
  operator = await makers(here).operator();
});
afterEach(async () => {
  await lag('none');
  expect(await findMistakes(here.database)).toEqual([]);
});
afterAll(async () => {
  for (const { close } of instances) await close();
  await own.close();
});

async function instance(variables: Variables = {}): Promise<TestApp> {
  const { app, url } = await serve(own.database, { ...asShipped, ...variables });
  const database = { ...own.database, drop: async () => undefined };
  const started: TestApp = { app, url, database, as: (by) => api(url, by), close: () => app.close() };
  instances.push(started);
  return started;
}

const lags = ['none', '200 ms', '5 s', 'for ever'] as const;
/** How far the replica is behind from now on. */
async function lag(how: (typeof lags)[number]): Promise<void> {
  const url = replicaSuperuser(own);
  await ask(url, `ALTER SYSTEM SET recovery_min_apply_delay = '${how.endsWith('s') ? how.replace(' ', '') : 0}'`);
  await ask(url, 'SELECT pg_reload_conf()');
  if (how === 'for ever') return pauseReplay(url);
  await ask(url, 'SELECT pg_wal_replay_resume()');
  if (how !== 'none') return;
  const [{ lsn } = { lsn: '' }] = await ask<{ lsn: string }>(
    own.database.urls.superuser,
    'SELECT pg_current_wal_flush_lsn()::text AS lsn',
  );
  await eventually(
    () => ask<{ there: boolean }>(url, 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS there', [lsn]),
    ([row]) => row?.there === true,
    30_000,
  );
}

const rename = (by: Api, { id }: Person, displayName: string) =>
  by.patch(`/v1/users/${id}`, { profile: { displayName } }).set('if-match', '*').expect(200);
// Without a key, which would draw a boundary around the one statement.
const openAccount = (by: Api, name: string) =>
  by.post('/v1/accounts', { currency: 'EUR', name }).unset('idempotency-key').expect(201);
const tokenOf = ({ headers }: Response): string => headers[token] ?? '';
const nameOf = ({ body }: Response): string => body.profile.displayName;

/** Which connections the reads of a request went over, and what was asked about positions. */
async function routeOf(read: () => PromiseLike<unknown>) {
  const statements = recordStatements();
  await read();
  statements.stop();
  const all = statements.take();
  const places = [...new Set(all.filter(isRead).map(({ connection }) => connection))];
  return { places, questions: all.filter(isQuestion).length };
}
const isRead = ({ text }: Statement): boolean => /^SELECT "(public|t0)"/.test(text);
const isQuestion = ({ text }: Statement): boolean => /pg_(last_wal_replay|current_wal_flush)_lsn/.test(text);
const onReplica = (read: () => PromiseLike<unknown>) =>
  eventually(
    () => routeOf(read),
    ({ places }) => places.join() === 'holdfast read',
  );

/** What is told of reads that waited or were given to the primary, while the work goes on. */
async function told(work: () => Promise<unknown>): Promise<ReplicaRead[]> {
  const events: ReplicaRead[] = [];
  const hear = (event: unknown): void => void events.push(event as ReplicaRead);
  replicaRead.subscribe(hear);
  await work().finally(() => replicaRead.unsubscribe(hear));
  return events;
}

interface Pair {
  readonly writer: Person;
  /** What the write was answered with. */
  readonly token: string;
  readonly path: string;
}
const ways: [way: string, read: (pair: Pair) => PromiseLike<Response>][] = [
  ['on the instance that wrote, without a token', ({ writer, path }) => writer.api.get(path)],
  [
    'on another instance, with the token',
    ({ writer, path, token: shown }) => there.as(writer.token).get(path).set(token, shown),
  ],
  ['of somebody else, with the token', ({ path, token: shown }) => here.as(operator.token).get(path).set(token, shown)],
];

describe.each(lags)('with a replica that is behind: %s,', (how) => {
  beforeEach(() => lag(how));
  const pairs = fullCount(384, 20_000) / lags.length / 16;

  it.each(ways)(
    'each read after a write sees it %s',
    async (way, read) => {
      const stale: string[] = [];
      let count = 0;
      // A writer at a time for each person: every name stands until it is read.
      const go = async (writer: Person): Promise<void> => {
        for (let n = 0; n < pairs; n++) {
          const name = `${how} ${way} ${n}`.slice(0, 60);
          // In turn a write in a boundary, which tells its position, and one outside.
          const written = n % 2 === 0 ? await rename(writer.api, writer, name) : await openAccount(writer.api, name);
          const path = n % 2 === 0 ? `/v1/users/${writer.id}` : `/v1/accounts/${written.body.id}`;
          const { status, body } = await read({ writer, path, token: tokenOf(written) });
          count++;
          if (status !== 200 || (body.profile?.displayName ?? body.name) !== name) stale.push(`${path} ${status}`);
        }
      };
      await Promise.all(people.map(go));
      expect({ count: count >= pairs * 16, stale }).toEqual({ count: true, stale: [] });
    },
    600_000,
  );
});

describe('a single write that the replica does not hold', () => {
  const kinds: [kind: string, collection: string, write: (by: Api) => PromiseLike<Response>][] = [
    ['in a boundary', 'users', (by) => rename(by, alice, 'Single')],
    ['outside any boundary', 'accounts', (by) => openAccount(by, 'Single')],
  ];

  // All before it is there, so that nothing but this write can tell.
  it.each(kinds)(
    '%s is seen by its writer on that instance, and with the token on another',
    async (_, things, write) => {
      for (const by of [here, there]) await onReplica(() => by.as(alice.token).get('/v1/users/me').expect(200));
      await lag('for ever');
      const written = await write(alice.api);
      const path = `/v1/${things}/${written.body.id}`;
      for (const read of [alice.api.get(path), there.as(alice.token).get(path).set(token, tokenOf(written))]) {
        const { body } = await read.expect(200);
        expect(body.profile?.displayName ?? body.name).toBe('Single');
      }
    },
  );
});

describe('a read without a token', () => {
  it('may be behind on another instance, and is not with DATABASE_READ_CONSISTENCY=primary', async () => {
    const primary = await instance({ DATABASE_READ_CONSISTENCY: 'primary' });
    const before = nameOf(await there.as(alice.token).get('/v1/users/me'));
    await onReplica(() => there.as(alice.token).get('/v1/users/me'));
    await lag('for ever');
    await inFlight(16, fullCount(100, 1000), async (n) => {
      const writer = people[n % 16]!;
      const { id } = (await openAccount(writer.api, 'Seen')).body;
      await primary.as(writer.token).get(`/v1/accounts/${id}`).expect(200);
      await there.as(writer.token).get(`/v1/accounts/${id}`).expect(404);
    });
    const written = await rename(alice.api, alice, 'Not there yet');
    expect(nameOf(await there.as(alice.token).get('/v1/users/me'))).toBe(before);
    expect(nameOf(await there.as(alice.token).get('/v1/users/me').set(token, tokenOf(written)))).toBe('Not there yet');
  });

  it('of somebody else need not see it, and with DATABASE_READ_CONSISTENCY=instance does, on the instance that wrote', async () => {
    const shared = await instance({ DATABASE_READ_CONSISTENCY: 'instance' });
    const read = (by: TestApp, path: string) => by.as(operator.token).get(path);
    await onReplica(() => read(here, '/v1/users/me'));
    await lag('for ever');
    const { id } = (await openAccount(alice.api, 'Mine')).body;
    await read(here, `/v1/accounts/${id}`).expect(404);
    const { id: other } = (await openAccount(shared.as(alice.token), 'Ours')).body;
    await read(shared, `/v1/accounts/${other}`).expect(200);
  });

  it('sees what nobody in particular has stored on that instance: a sign-up, a job', async () => {
    await lag('for ever');
    const job = await there.app.get(Transactions).run({ name: 'job' }, async (db) => {
      const id = '01890a5d-ac96-774b-bcce-000000000001';
      return db.product.create({ data: { id, slug: 'of-a-job', name: 'Of a job' } });
    });
    const { data } = (await there.as().get('/v1/products?limit=100').expect(200)).body;
    expect((data as { slug: string }[]).map(({ slug }) => slug)).toContain(job.slug);
    // Nobody wrote the user, who is somebody by the time of the read.
    const newcomer = await makers(there).user();
    await newcomer.api.get('/v1/users/me').expect(200);
  });

  it('costs no question once the replica is known to hold what was written', async () => {
    await rename(alice.api, alice, 'Asked once');
    const me = () => alice.api.get('/v1/users/me').expect(200);
    await onReplica(me);
    let questions = 0;
    for (let n = 0; n < 20; n++) questions += (await routeOf(me)).questions;
    // A connection that ends meanwhile, because it was idle for a minute, is a reason to ask again.
    expect(questions).toBeLessThan(10);
  });
});

describe('the question for the position of the primary', () => {
  it('is shared by the writes that had ended when it was asked, and answers for them alone', async () => {
    const { pool } = here.app.get(DatabaseClients).write;
    const [asked, released] = [Promise.withResolvers<null>(), Promise.withResolvers<null>()];
    let questions = 0;
    // The real pool, whose first answer is long on its way.
    const slow = {
      query: async (question: QueryConfig) => {
        const answer = await pool.query(question);
        if (++questions === 1) {
          asked.resolve(null);
          await released.promise;
        }
        return answer;
      },
    };
    const primary = new PrimaryPosition(slow as unknown as typeof pool);
    const before = [primary.afterUntold(), primary.afterUntold()];
    const answersBefore = before.map((watermark) => primary.of(watermark));
    await asked.promise;
    await openAccount(alice.api, 'After the question');
    const after = primary.afterUntold();
    const answerAfter = primary.of(after);
    released.resolve(null);
    const [first, second] = await Promise.all(answersBefore);
    expect(second).toBe(first);
    expect((await answerAfter) > first!).toBe(true);
    expect(questions).toBe(2);
    // Those of before need not wait for what came after.
    expect(before.map(lsnOf)).toEqual([first, first]);
    expect(lsnOf(after)).toBe(await answerAfter);
  });
});

describe('a COMMIT whose connection was lost', () => {
  it('is seen like any other once its outcome is found out', async () => {
    const proxy = await startProxy(own.database.urls.app);
    const far = await instance({ DATABASE_WRITE_URL: proxy.through(own.database.urls.app) });
    try {
      await onReplica(() => far.as(alice.token).get('/v1/users/me'));
      await lag('for ever');
      await proxy.cutAt('COMMIT', 'after');
      const written = await rename(far.as(alice.token), alice, 'Cut');
      expect(proxy.cuts).toBe(1);
      expect(nameOf(await far.as(alice.token).get('/v1/users/me'))).toBe('Cut');
      expect(nameOf(await there.as(alice.token).get('/v1/users/me').set(token, tokenOf(written)))).toBe('Cut');
    } finally {
      await far.close();
      instances.splice(instances.indexOf(far), 1);
      await proxy.close();
    }
  });

  it('leaves a token that is good on every instance, also when the position cannot be asked for', async () => {
    const proxy = await startProxy(own.database.urls.app);
    const far = await instance({ DATABASE_WRITE_URL: proxy.through(own.database.urls.app) });
    try {
      await lag('for ever');
      // The answer to COMMIT is lost with the position, and so is the question that asks for it afterwards.
      await proxy.cutAt('pg_current_wal_flush_lsn', 'after');
      proxy.trap({ text: 'pg_current_wal_flush_lsn', when: 'before', how: 'cut' });
      const written = await openAccount(far.as(alice.token), 'Unplaced');
      expect([proxy.cuts, tokenOf(written)]).toEqual([2, 'latest']);
      const path = `/v1/accounts/${written.body.id}`;
      const patient = await instance({ DATABASE_REPLICA_WAIT_MS: '2000' });
      const read = await patient.as(alice.token).get(path).set(token, 'latest').expect(200);
      expect(tokenOf(read)).toMatch(/^[0-9a-f]{16}$/);
      await here.as(alice.token).get(path).set(token, tokenOf(read)).expect(200);
    } finally {
      await far.close();
      instances.splice(instances.indexOf(far), 1);
      await proxy.close();
    }
  });
});

describe('the token', () => {
  it('is answered to a request that has written, and to one that has shown one; never to others', async () => {
    const by = (await instance({ DATABASE_REPLICA_WAIT_MS: '10000' })).as(alice.token);
    const written = await rename(by, alice, 'Tokened');
    expect(tokenOf(written)).toMatch(/^[0-9a-f]{16}$/);
    const opened = await openAccount(by, 'Tokened');
    expect(tokenOf(opened) > tokenOf(written)).toBe(true);
    expect(tokenOf(await by.get('/v1/users/me'))).toBe('');
    expect(tokenOf(await by.get('/v1/users/me').set(token, tokenOf(opened)))).toBe(tokenOf(opened));
    // The highest position that the caller knows of.
    const again = await rename(by, alice, 'Again').set(token, tokenOf(written));
    expect(tokenOf(again) > tokenOf(opened)).toBe(true);
    const refused = await by.get(`/v1/accounts/${operator.id}`).set(token, tokenOf(opened)).expect(404);
    expect(tokenOf(refused)).toBe(tokenOf(opened));
    const stale = await alice.api
      .patch(`/v1/users/${alice.id}`, { profile: { displayName: 'No' } })
      .set('if-match', '"1"');
    expect([stale.status, tokenOf(stale)]).toEqual([412, '']);
  });

  it.each(['', 'x', '0', '0000000000000000 ', 'G000000000000000', '00000000000000000', 'latest, latest', '0/16B3748'])(
    'is refused as %p, and nothing is done',
    async (text) => {
      // Sent as it is: a client would trim it.
      const answer = await here.app.inject({
        method: 'POST',
        url: '/v1/accounts',
        headers: { [token]: text, authorization: `Bearer ${alice.token}` },
        payload: { currency: 'EUR', name: 'Malformed' },
      });
      const { headers, statusCode: status, body } = answer;
      expectProblem({ headers, status, body: JSON.parse(body), text: body } as never, 'malformed-consistency-token');
      expect(status).toBe(400);
      expect(await own.database.query(`SELECT FROM account WHERE name = 'Malformed'`)).toEqual([]);
    },
  );

  it('that was forged makes its own reads go to the primary, after a bounded wait, and nobody else wait', async () => {
    const me = (by: Person) => by.api.get('/v1/users/me').expect(200);
    await onReplica(() => me(alice));
    const forged = 'ffffffffffffffff';
    const reads = await inFlight(8, 40, async () => {
      const startedAt = performance.now();
      const { body } = await alice.api.get('/v1/users/me').set(token, forged).expect(200);
      expect(body.id).toBe(alice.id);
      return performance.now() - startedAt;
    });
    // 50 ms is what DATABASE_REPLICA_WAIT_MS allows; the rest is for a busy machine.
    expect(Math.max(...reads)).toBeLessThan(2000);
    const route = await routeOf(() => alice.api.get('/v1/users/me').set(token, forged).expect(200));
    expect(route.places).toEqual(['holdfast write']);
    for (const by of [alice, people[1]!]) await onReplica(() => me(by));
  });

  it('of before shows no less than what the instance has stored for its caller', async () => {
    const written = await rename(alice.api, alice, 'Earlier');
    await lag('for ever');
    await rename(alice.api, alice, 'Later');
    expect(nameOf(await alice.api.get('/v1/users/me').set(token, tokenOf(written)))).toBe('Later');
  });
});

describe('a read that waits', () => {
  it('waits no longer than it may, and is counted when it goes to the primary', async () => {
    await lag('for ever');
    await rename(alice.api, alice, 'Waited');
    const events = await told(async () => {
      for (let n = 0; n < 5; n++) expect(nameOf(await alice.api.get('/v1/users/me'))).toBe('Waited');
    });
    expect(events).toHaveLength(5);
    for (const { replica, result, waitMs } of events) {
      expect([replica, result]).toEqual(['replica', 'behind']);
      expect(waitMs).toBeGreaterThanOrEqual(45);
      expect(waitMs).toBeLessThan(2000);
    }
  });

  it('gets the replica as soon as that has caught up, which is told as well', async () => {
    await lag('200 ms');
    const patient = await instance({ DATABASE_REPLICA_WAIT_MS: '10000' });
    const by = patient.as(alice.token);
    await rename(by, alice, 'Caught up');
    const events = await told(async () => {
      const { places } = await routeOf(async () => expect(nameOf(await by.get('/v1/users/me'))).toBe('Caught up'));
      expect(places).toEqual(['holdfast read']);
    });
    expect(events).toMatchObject([{ replica: 'replica', result: 'replica' }]);
    expect(events[0]!.waitMs).toBeLessThan(9000);
  });

  it('shares its questions with all that wait beside it', async () => {
    await lag('for ever');
    await rename(alice.api, alice, 'Shared');
    const startedAt = performance.now();
    const { questions } = await routeOf(() => inFlight(30, 90, () => alice.api.get('/v1/users/me').expect(200)));
    // One at a time, with a pause of 2 ms between them; each of the ninety by itself would ask some twenty times.
    expect(questions).toBeLessThan((performance.now() - startedAt) / 1.5);
    expect(questions).toBeGreaterThan(0);
  });

  it('in a boundary does not outlast the time of that', async () => {
    const patient = await instance({ DATABASE_REPLICA_WAIT_MS: '10000' });
    await lag('for ever');
    await rename(patient.as(alice.token), alice, 'Outlasted');
    // By nobody, so that the floor holds for the boundary below as well.
    await patient.app.get(Transactions).run({}, (db) => db.profile.updateMany({ data: { locale: 'en' } }));
    const startedAt = performance.now();
    const run = patient.app
      .get(Transactions)
      .run({ readOnly: true, timeout: '300ms', retry: 0 }, (db) => db.profile.count());
    // With no time left it may still have been quick enough on the primary.
    await run.catch((error: unknown) => expect(error).toBeInstanceOf(TransactionExpiredError));
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });
});

describe('a read-only boundary', () => {
  const whereIs = async (db: Pick<Sql, '$queryRaw'>): Promise<boolean | undefined> =>
    (await db.$queryRaw<{ replica: boolean }[]>`SELECT pg_is_in_recovery() AS replica`)[0]?.replica;

  it('is on a standby, but for SERIALIZABLE, which no standby has', async () => {
    const run = here.app.get(Transactions).run.bind(here.app.get(Transactions));
    for (const isolation of ['read-committed', 'repeatable-read'] as const)
      await eventually(
        () => run({ readOnly: true, isolation }, whereIs),
        (isThere) => isThere === true,
      );
    expect(await run({ readOnly: true, isolation: 'serializable' }, whereIs)).toBe(false);
  });
});

describe('what is known of a replica', () => {
  const me = () => alice.api.get('/v1/users/me').expect(200);

  it('ends with its connections: one that crashed may be back at an earlier state', async () => {
    await rename(alice.api, alice, 'Known');
    await eventually(
      () => routeOf(me),
      ({ questions }) => questions === 0,
    );
    await ask(
      replicaSuperuser(own),
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holdfast read'`,
    );
    // The pool hears of it by itself.
    await eventually(
      async () => here.app.get(DatabaseClients).replicas[0]!.pool.totalCount,
      (n) => n === 0,
    );
    expect((await routeOf(me)).questions).toBeGreaterThan(0);
  });

  it('does not make it one when it is no standby: nobody knows what such a server holds', async () => {
    const url = Object.assign(new URL(own.database.urls.reader), { port: String(own.cluster.primary.port) }).href;
    const misled = await instance({ DATABASE_READ_URL: url, DATABASE_REPLICA_WAIT_MS: '10000' });
    const by = misled.as(alice.token);
    const events = await told(async () => {
      for (let n = 0; n < 3; n++) {
        await rename(by, alice, `No standby ${n}`);
        const { places } = await routeOf(async () =>
          expect(nameOf(await by.get('/v1/users/me'))).toBe(`No standby ${n}`),
        );
        expect(places).toEqual(['holdfast write']);
      }
    });
    expect(events.map(({ result }) => result)).toEqual(['lost', 'lost', 'lost']);
    // Nothing of it goes on when the service has stopped, though Prisma has never used this pool.
    instances.splice(instances.indexOf(misled), 1);
    await misled.close();
    expect(misled.app.get(DatabaseClients).replicas[0]!.pool.ended).toBe(true);
  });
});

describe('two replicas by name', () => {
  it('take turns while both hold what is read; while one stands still or is away, reads are given to the other', async () => {
    const second = await startSecondReplica(own);
    const { reader } = own.database.urls;
    const named = (url: string, name: string): string => `${name}=${url}&application_name=holdfast%20${name}`;
    const both = await instance({
      DATABASE_READ_URL: `${named(reader, 'near')} ${named(second.at(reader), 'far')}`,
      DATABASE_REPLICA_WAIT_MS: '2000',
    });
    const by = both.as(alice.token);
    const read = async (name: string) => expect(nameOf(await by.get('/v1/users/me').expect(200))).toBe(name);
    /** Where some reads in a row happen. */
    const settled = async (name: string): Promise<string> => {
      const { places } = await routeOf(async () => {
        for (let n = 0; n < 6; n++) await read(name);
      });
      return places.sort().join();
    };
    try {
      await rename(by, alice, 'Two');
      await eventually(
        () => settled('Two'),
        (places) => places === 'holdfast far,holdfast near',
      );

      await lag('for ever'); // near stands still
      for (let n = 0; n < 10; n++) {
        await rename(by, alice, `Still ${n}`);
        const events = await told(() => read(`Still ${n}`));
        expect(events.filter(({ result }) => result !== 'replica')).toEqual([]);
        expect(await settled(`Still ${n}`)).toBe('holdfast far');
      }

      await second.stop(); // and far is away
      for (let n = 0; n < 3; n++) {
        await rename(by, alice, `Away ${n}`);
        await read(`Away ${n}`);
      }
      const states = async () => {
        const { far, near, primary } = (await by.get('/readyz')).body.details;
        return [far.status, near.status, primary.status].join();
      };
      await eventually(states, (shown) => shown === 'degraded,up,up');
      await lag('none'); // near goes on
      await rename(by, alice, 'Near');
      await eventually(
        () => settled('Near'),
        (places) => places === 'holdfast near',
      );

      await second.start();
      await eventually(
        async () => {
          await rename(by, alice, 'Both');
          await sleep(50);
          return settled('Both');
        },
        (places) => places === 'holdfast far,holdfast near',
        30_000,
      );
    } finally {
      await second.stop();
    }
  });
});
