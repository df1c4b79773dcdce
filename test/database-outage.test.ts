/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Module, Param, Post } from '@nestjs/common';
import pg from 'pg';
import type { Response } from 'supertest';
import { Public } from '../src/http/access/principal.ts';
import { api, serve, type TestApp, type Variables } from './support/app.ts';
import { findMistakes } from './support/books.ts';
import { crowd, eventually, inFlight, underLoad, untilBlocked } from './support/crowd.ts';
import { type Person, uuidOf } from './support/make.ts';
import { Marks, marksLike } from './support/marks.ts';
import { startOwnCluster, type OwnCluster } from './support/own-cluster.ts';
import { type Proxy, startProxy } from './support/proxy.ts';
import { recordStatements } from './support/statements.ts';

let own: OwnCluster;
let service: TestApp;
let alice: Person;
let bob: Person;
const unhandled: unknown[] = [];
const remember = (reason: unknown): void => void unhandled.push(reason);

beforeAll(async () => {
  process.on('unhandledRejection', remember);
  own = await startOwnCluster();
  service = await instance({});
  [alice, bob] = (await crowd(service, 2, { balance: 100_000 })) as [Person, Person];
});
const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const work of cleanUp.splice(0)) await work();
});
afterEach(async () => expect(await findMistakes(service.database)).toEqual([]));
afterAll(async () => {
  await service.close();
  await own.close();
  process.off('unhandledRejection', remember);
  expect(unhandled).toEqual([]);
});

/** A write outside any boundary: no route of the product has one. */
@Controller('v1/marks')
class MarksController {
  constructor(private readonly marks: Marks) {}

  @Post(':slug')
  @Public()
  async write(@Param('slug') slug: string) {
    await this.marks.write(slug);
  }
}

@Module({ controllers: [MarksController], providers: [Marks] })
class MarksModule {}

async function instance(variables: Variables): Promise<TestApp> {
  const { app, url } = await serve(own.database, variables, [MarksModule]);
  const database = { ...own.database, drop: async () => undefined };
  return { app, url, database, as: (token) => api(url, token), close: () => app.close() };
}

const body = (from: Person, to: Person, amount = 1) => ({
  fromAccountId: from.accountId,
  toAccountId: to.accountId,
  amount: { amount, currency: 'EUR' },
});
const transfer = (through: TestApp, from: Person, to: Person) =>
  through.as(from.token).post('/v1/transfers', body(from, to));

interface Timed {
  readonly answer: Response;
  readonly ms: number;
}
async function timed(request: PromiseLike<Response>): Promise<Timed> {
  const start = performance.now();
  const answer = await request;
  return { answer, ms: performance.now() - start };
}

/** What a client is told when the database is at fault: it can be read by a program, and says whether to try again. */
function expectUnavailable({ status, body: problem, headers, request }: Response, code?: string): void {
  expect({ status, type: headers['content-type'] }).toEqual({
    status: 503,
    type: expect.stringContaining('application/problem+json'),
  });
  if (code !== undefined) expect(problem.code).toBe(code);
  const isKeyed = request.getHeader('idempotency-key') !== undefined;
  expect(problem.retryable).toBe(problem.code !== 'outcome-unknown' || isKeyed);
  expect(headers['retry-after']).toBe(problem.retryable ? '1' : undefined);
}

const isStored = async (id: string): Promise<boolean> =>
  (await own.database.query('SELECT FROM transfer WHERE id = $1', [uuidOf(id)])).length === 1;
const balance = async ({ accountId }: Person): Promise<number> => {
  const [row] = await own.database.query<{ balance: string }>('SELECT balance FROM account WHERE id = $1', [
    uuidOf(accountId),
  ]);
  return Number(row?.balance);
};

/** Holds the row lock of an account until it is let go. */
async function holdAccount({ accountId }: Person): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: own.database.urls.owner });
  await client.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM account WHERE id = $1 FOR UPDATE', [uuidOf(accountId)]);
  let isHeld = true;
  const letGo = async (): Promise<void> => {
    if (isHeld) await client.end();
    isHeld = false;
  };
  cleanUp.push(letGo);
  return letGo;
}

describe('the primary goes down in the middle of requests', () => {
  it('each client is told so or has its work stored, nothing is half made, and the service recovers by itself', async () => {
    const before = await balance(bob);
    const answers: Timed[] = [];
    const work = async (n: number): Promise<void> => {
      const one = await timed(n % 3 === 0 ? alice.api.get('/v1/users/me') : transfer(service, alice, bob));
      answers.push(one);
      if (one.answer.status >= 400) await sleep(50);
    };
    await underLoad(12, work, async () => {
      await eventually(
        async () => answers.length,
        (n) => n > 40,
      );
      await own.cluster.primary.stop('immediate');
      await eventually(
        async () => answers.filter(({ answer }) => answer.status >= 400).length,
        (n) => n > 20,
      );
      expect((await service.as().get('/livez')).status).toBe(200);
      const ready = await eventually(
        () => service.as().get('/readyz'),
        ({ body: report }) => report.details.primary.status === 'degraded',
      );
      expect(ready.status).toBe(200);
      // It has started, whatever is away by now: a restart would mend nothing.
      expect((await service.as().get('/startupz')).status).toBe(200);
      await own.cluster.primary.start();
      const restarted = answers.length;
      await eventually(
        async () => answers.slice(restarted).filter(({ answer }) => answer.status === 201).length,
        (n) => n > 30,
      );
    }).finally(() => own.cluster.primary.start());

    for (const { answer, ms } of answers) {
      if (answer.status >= 400) expectUnavailable(answer);
      expect(ms).toBeLessThan(6000);
    }
    const acknowledged = answers.filter(({ answer }) => answer.status === 201).map(({ answer }) => answer.body.id);
    for (const id of acknowledged) expect(await isStored(id)).toBe(true);
    // Beyond what was acknowledged only what was called unknown may have been stored.
    const unknown = answers.filter(({ answer }) => answer.body.code === 'outcome-unknown').length;
    const stored = (await balance(bob)) - before;
    expect(stored).toBeGreaterThanOrEqual(acknowledged.length);
    expect(stored).toBeLessThanOrEqual(acknowledged.length + unknown);
    const after = await eventually(
      () => service.as().get('/readyz'),
      ({ body: report }) => report.details.primary.status === 'up',
    );
    expect(after.status).toBe(200);
  });
});

describe('the replica goes down', () => {
  it('reads go on from the primary, none fails, and they return to the replica afterwards', async () => {
    const readsOn = async (): Promise<string[]> => {
      const statements = recordStatements();
      expect((await alice.api.get('/v1/users/me')).status).toBe(200);
      statements.stop();
      const reads = statements.take().filter(({ text }) => text.includes('"public"."user"'));
      return [...new Set(reads.map(({ connection }) => connection))];
    };
    await eventually(readsOn, (where) => where[0] === 'holdfast read');

    const answers: Response[] = [];
    const work = async (): Promise<unknown> => answers.push(await alice.api.get(`/v1/accounts/${alice.accountId}`));
    await underLoad(6, work, async () => {
      await eventually(
        async () => answers.length,
        (n) => n > 20,
      );
      await own.cluster.replica.stop('immediate');
      const stopped = answers.length;
      await eventually(
        async () => answers.length,
        (n) => n > stopped + 100,
      );
      const ready = await eventually(
        () => service.as().get('/readyz'),
        ({ body: report }) => report.details.replica.status === 'degraded',
      );
      expect(ready.status).toBe(200);
      expect(await readsOn()).toEqual(['holdfast write']);
      expect((await transfer(service, alice, bob)).status).toBe(201);
      await own.cluster.replica.start();
      await eventually(readsOn, (where) => where.length === 1 && where[0] === 'holdfast read');
    }).finally(() => own.cluster.replica.start());
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  });
});

describe('a service that is kept waiting', () => {
  it('answers 503 when no connection comes free in time, and the one who holds it is not disturbed', async () => {
    const small = await instance({ DATABASE_POOL_SIZE: '1', DATABASE_POOL_WAIT_MS: '300' });
    cleanUp.push(small.close);
    const letGo = await holdAccount(alice);
    const first = timed(transfer(small, alice, bob));
    // Longer than a batch of a lane waits for a row: then it is in a boundary of its own.
    await untilBlocked(own.database, 1, 200);
    // None of them wants the row: who does waits for that first, without a connection.
    const others = await inFlight(6, 6, () => timed(small.as(bob.token).post('/v1/accounts', { currency: 'EUR' })));
    await letGo();
    for (const { answer, ms } of others) {
      expectUnavailable(answer, 'temporary-reduced-capacity');
      expect(ms).toBeLessThan(2000);
    }
    expect((await first).answer.status).toBe(201);
    expect((await transfer(small, bob, alice)).status).toBe(201);
  });

  it.each([
    ['a lock', { DATABASE_LOCK_TIMEOUT_MS: '200' }],
    ['a statement', { DATABASE_STATEMENT_TIMEOUT_MS: '200' }],
    ['a boundary', { DATABASE_TRANSACTION_TIMEOUT_MS: '200' }],
  ])('answers 503 transient-contention when %s takes too long, and nothing is stored', async (_, variables) => {
    const impatient = await instance(variables);
    cleanUp.push(impatient.close);
    const before = await balance(bob);
    const letGo = await holdAccount(alice);
    const { answer, ms } = await timed(transfer(impatient, alice, bob));
    await letGo();
    expectUnavailable(answer, 'transient-contention');
    expect(ms).toBeLessThan(3000);
    expect(await balance(bob)).toBe(before);
    expect((await transfer(impatient, alice, bob)).status).toBe(201);
  });
});

describe('a network that swallows everything', () => {
  let proxy: Proxy;
  let far: TestApp;
  beforeEach(async () => {
    proxy = await startProxy(own.database.urls.app);
    far = await instance({
      DATABASE_WRITE_URL: proxy.through(own.database.urls.app),
      DATABASE_READ_URL: '',
      DATABASE_STATEMENT_TIMEOUT_MS: '500',
      DATABASE_POOL_WAIT_MS: '500',
      DATABASE_POOL_SIZE: '2',
    });
  });
  afterEach(async () => {
    await far.close();
    await proxy.close();
  });

  it('no answer comes later than its deadline, and once it passes again the first request is served', async () => {
    expect((await transfer(far, alice, bob)).status).toBe(201);
    const before = await balance(bob);
    const letGo = await holdAccount(alice);
    // One is in the middle of its boundary when it begins, the others come afterwards.
    const caught = timed(transfer(far, alice, bob));
    await untilBlocked(own.database, 1, 200);
    proxy.goSilent();
    const others = await inFlight(5, 5, (n) =>
      timed(n % 2 === 0 ? far.as(alice.token).get('/v1/users/me') : transfer(far, bob, alice)),
    );
    const ready = await eventually(
      () => far.as().get('/readyz'),
      ({ body: report }) => report.details.primary.status === 'degraded',
    );
    expect(ready.status).toBe(200);
    // Half a second for a connection, and half a second plus one for the statement on it; the rest is for a busy machine.
    for (const { answer, ms } of [await caught, ...others]) {
      expectUnavailable(answer);
      expect(ms).toBeLessThan(500 + 1500 + 700);
    }
    proxy.heal();
    await letGo();
    expect((await transfer(far, bob, alice)).status).toBe(201);
    expect((await far.as(alice.token).get('/v1/users/me')).status).toBe(200);
    expect(await balance(bob)).toBe(before - 1);
  });

  it.each(['before', 'after'] as const)(
    'finds out what became of a COMMIT that was cut %s it reached the server',
    async (when) => {
      expect((await transfer(far, alice, bob)).status).toBe(201);
      const before = await balance(bob);
      await proxy.cutAt('COMMIT', when);
      const answer = await transfer(far, alice, bob);
      expect(proxy.cuts).toBe(1);
      // Stored, or rolled back and done again: in either case it is there once.
      expect(answer.status).toBe(201);
      expect((await balance(bob)) - before).toBe(1);
    },
  );

  it.each([
    ['before', 0],
    ['after', 1],
  ] as const)('says so too of a write outside any boundary, cut %s it reached the server', async (when, stored) => {
    const slug = `written-alone-${when}`;
    await proxy.cutAt('INSERT INTO "public"."product"', when);
    const answer = await far.as().post(`/v1/marks/${slug}`).unset('idempotency-key');
    expect(proxy.cuts).toBe(1);
    expectUnavailable(answer, 'outcome-unknown');
    expect(await marksLike(own.database, slug)).toHaveLength(stored);
  });

  it('is overcome when it cut a statement before COMMIT: nothing was stored, and the work is done again', async () => {
    const before = await balance(bob);
    await proxy.cutAt('INSERT INTO transfer', 'after');
    expect((await transfer(far, alice, bob)).status).toBe(201);
    expect(proxy.cuts).toBe(1);
    expect((await balance(bob)) - before).toBe(1);
  });

  it('around the replica alone costs the first reads their patience, and none its answer', async () => {
    const around = await startProxy(own.database.urls.reader);
    const half = await instance({
      DATABASE_READ_URL: around.through(own.database.urls.reader),
      DATABASE_STATEMENT_TIMEOUT_MS: '500',
      DATABASE_POOL_WAIT_MS: '500',
    });
    cleanUp.push(half.close, around.close);
    const me = () => timed(half.as(alice.token).get('/v1/users/me'));
    expect((await me()).answer.status).toBe(200);
    around.goSilent();
    for (const { answer, ms } of await inFlight(4, 4, me)) {
      expect(answer.status).toBe(200);
      expect(ms).toBeLessThan(500 + 1500 + 1000);
    }
    // It is known by now.
    for (const { answer, ms } of await inFlight(4, 12, me)) {
      expect(answer.status).toBe(200);
      expect(ms).toBeLessThan(500);
    }
    // A write, and a read after it, do not wait for the replica either.
    const written = await timed(transfer(half, alice, bob));
    const read = await me();
    expect([written.answer.status, read.answer.status]).toEqual([201, 200]);
    expect(written.ms + read.ms).toBeLessThan(1000);
    around.heal();
    const reads = async (): Promise<string | undefined> => {
      const statements = recordStatements();
      await me();
      statements.stop();
      return statements.take().find(({ text }) => text.includes('"public"."user"'))?.connection;
    };
    await eventually(reads, (where) => where === 'holdfast read');

    // Silent from a write on: a read that asks the replica whether it has the write does not wait for the answer.
    expect((await transfer(half, alice, bob)).status).toBe(201);
    around.goSilent();
    const after = await me();
    expect(after.answer.status).toBe(200);
    expect(after.ms).toBeLessThan(500);
    around.heal();
  });
});
