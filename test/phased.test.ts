/** @servers any */
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, HttpException, Inject, Module, Param, Post, type Type } from '@nestjs/common';
import request from 'supertest';
import { Public } from '../src/http/access/principal.ts';
import { Idempotent } from '../src/http/idempotency/idempotent.ts';
import { orderProblems } from '../src/modules/orders/orders.problems.ts';
import { PhasedWorker } from '../src/phased/phased-worker.ts';
import { Phased, phasedKey } from '../src/phased/phased.ts';
import { DATABASE } from '../src/transactions/tables.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { serve, startApp, type TestApp } from './support/app.ts';
import { eventually, atOnce, tally } from './support/crowd.ts';
import { marksLike } from './support/marks.ts';
import { expectProblem } from './support/problem.ts';
import { buildService, startProgram } from './support/process.ts';
import { testSecret } from './support/secret.ts';

interface Said {
  readonly slug: string;
  readonly amount: bigint;
  readonly at: Date;
}
interface Probe {
  outside: (phase: number) => Promise<unknown>;
  keys: string[];
  refusal: Error | null;
  buy(mark: string): Promise<Said[]>;
}
const makeProbe = createRequire(__filename)('./support/phased-probe.cjs') as (parts: object) => {
  PhasedProbe: Type<Probe>;
  PhasedProbeModule: Type;
};
const { PhasedProbe, PhasedProbeModule } = makeProbe({ Phased, phasedKey, Transactional, DATABASE });

@Controller('v1/phased')
class PhasedController {
  constructor(@Inject(PhasedProbe) private readonly probe: Probe) {}

  @Post(':mark')
  @Public()
  @Idempotent('optional')
  async buy(@Param('mark') mark: string) {
    return (await this.probe.buy(mark)).map(({ slug, amount }) => ({ slug, amount: String(amount) }));
  }
}

@Module({ imports: [PhasedProbeModule], controllers: [PhasedController] })
class PhasedTestModule {}

// Long enough that nobody takes a run over whose process is merely slow, where the test does not say so.
const variables = { PHASED_WORKER_INTERVAL_MS: '0', PHASED_LEASE_MS: '60000' };
let service: TestApp;
let probe: Probe;
let worker: PhasedWorker;
beforeAll(async () => {
  await buildService();
  service = await startApp(variables, [PhasedTestModule]);
  [probe, worker] = [service.app.get(PhasedProbe), service.app.get(PhasedWorker)];
});
afterAll(() => service.close());
beforeEach(() => {
  probe.outside = async () => undefined;
  probe.keys = [];
  probe.refusal = null;
});

let marks = 0;
const fresh = (): string => `phased-${++marks}-`;
const post = (mark: string, key: string | null, url = service.url) => {
  const test = request(url).post(`/v1/phased/${mark}`);
  return key === null ? test : test.set('idempotency-key', key);
};
/** Which phases are stored, each as often as it is. */
const phases = async (mark: string): Promise<string[]> =>
  (await marksLike(service.database, mark)).map((slug) => slug.slice(mark.length + 1).split('-')[0]!);
/** As if the lease of every run were over. */
const endLeases = () =>
  service.database.query(`UPDATE phased_run SET leased_until = statement_timestamp() WHERE outcome IS NULL`);
const openRuns = async (): Promise<number> =>
  (await service.database.query('SELECT 1 FROM phased_run WHERE outcome IS NULL')).length;
/** Fails each call outside before this phase. */
const failBefore = (failing: number) => {
  probe.outside = async (phase) => {
    if (phase === failing) throw new Error('the other side did not answer');
  };
};

describe('a phased method', () => {
  it('gives the results of its phases, with a key and without', async () => {
    for (const key of [null, randomUUID()]) {
      const mark = fresh();
      const { body } = await post(mark, key).expect(201);
      expect((body as Said[]).map(({ amount }) => amount)).toEqual(['12', '12', '12']);
      expect(await phases(mark)).toEqual(['1', '2', '3']);
    }
    expect(await openRuns()).toBe(0);
  });

  it('is answered again as before under its key', async () => {
    const [mark, key] = [fresh(), randomUUID()];
    const first = await post(mark, key).expect(201);
    const again = await post(mark, key).expect(201);
    expect([again.text, again.headers['idempotent-replayed']]).toEqual([first.text, 'true']);
    expect(probe.keys).toHaveLength(3);
  });

  it.each([1, 2, 3])('that failed before phase %i is gone on with by a repeat, each phase once', async (failing) => {
    const [mark, key] = [fresh(), randomUUID()];
    failBefore(failing);
    await post(mark, key).expect(500);
    probe.outside = async () => undefined;
    await endLeases();
    await post(mark, key).expect(201);
    expect(await phases(mark)).toEqual(['1', '2', '3']);
    // The call outside that failed was sent again, under the same key.
    expect(new Set(probe.keys).size).toBe(3);
  });

  it.each([1, 2, 3])('that failed before phase %i is gone on with by the worker', async (failing) => {
    const [mark, key] = [fresh(), randomUUID()];
    failBefore(failing);
    await post(mark, key).expect(500);
    probe.outside = async () => undefined;
    await endLeases();
    await worker.work();
    expect(await phases(mark)).toEqual(['1', '2', '3']);
    // Whoever repeats the request is told what has become of it.
    await post(mark, key).expect(201);
    expect(await phases(mark)).toEqual(['1', '2', '3']);
  });

  it('is left alone while somebody is at it', async () => {
    const [mark, key] = [fresh(), randomUUID()];
    const [reached, goOn] = [Promise.withResolvers<null>(), Promise.withResolvers<null>()];
    probe.outside = async (phase) => {
      if (phase !== 2) return;
      reached.resolve(null);
      await goOn.promise;
    };
    const first = post(mark, key).then((answer) => answer);
    await reached.promise;
    const second = await post(mark, key).expect(409);
    expectProblem(second, 'idempotency-key-in-use');
    await worker.work();
    expect(await phases(mark)).toEqual(['1']);
    goOn.resolve(null);
    expect((await first).status).toBe(201);
    expect(await phases(mark)).toEqual(['1', '2', '3']);
  });

  it('that was taken over stores nothing more of the first who was at it', async () => {
    const [mark, key] = [fresh(), randomUUID()];
    const [reached, goOn] = [Promise.withResolvers<null>(), Promise.withResolvers<null>()];
    let isFirst = true;
    probe.outside = async (phase) => {
      if (phase !== 2 || !isFirst) return;
      isFirst = false;
      reached.resolve(null);
      await goOn.promise;
    };
    const first = post(mark, key).then((answer) => answer);
    await reached.promise;
    await endLeases();
    await worker.work();
    expect(await phases(mark)).toEqual(['1', '2', '3']);
    goOn.resolve(null);
    expectProblem(await first, 'idempotency-key-in-use');
    expect(await phases(mark)).toEqual(['1', '2', '3']);
    await post(mark, key).expect(201);
  });

  it('is done once by copies at the same moment', async () => {
    const [mark, key] = [fresh(), randomUUID()];
    const counts = tally(await atOnce(12, () => post(mark, key)));
    expect(Object.keys(counts).sort().join()).toMatch(/^201(,409 idempotency-key-in-use)?$/);
    await eventually(
      async () => post(mark, key),
      ({ status }) => status === 201,
    );
    expect(await phases(mark)).toEqual(['1', '2', '3']);
  });

  it.each([
    ['a refusal', orderProblems.notCancellable('Not this one.')],
    ["an exception of Nest's", new HttpException('gone', 410)],
  ])('that ends with %s has come to its end', async (_, refusal) => {
    const mark = fresh();
    probe.refusal = refusal;
    await expect(probe.buy(mark)).rejects.toBe(refusal);
    expect(await openRuns()).toBe(0);
    await worker.work();
    expect(await phases(mark)).toEqual(['1', '2', '3']);
  });

  it('is refused inside a boundary', async () => {
    const inside = service.app.get(Transactions).run({ name: 'around' }, () => probe.buy(fresh()));
    await expect(inside).rejects.toThrow(/PhasedProbe.buy is phased and must not run inside around/);
  });

  it('keeps its arguments no longer than it needs them', async () => {
    const mark = fresh();
    await post(mark, null).expect(201);
    const [last] = await service.database.query(
      `SELECT arguments, cardinality(phases) AS phases, expires_at > now() + interval '6 days' AS "isKept"
       FROM phased_run ORDER BY created_at DESC LIMIT 1`,
    );
    expect(last).toEqual({ arguments: null, phases: 0, isKept: true });
  });
});

describe('a process that is killed', () => {
  it.each([1, 2, 3, 4])(
    'before step %i of a phased method leaves it to a repeat: each phase once',
    async (step) => {
      const { mark, key } = await killed(step);
      await endLeases();
      const answer = await post(mark, key);
      expect(answer.status).toBe(201);
      expect(await phases(mark)).toEqual(['1', '2', '3']);
      expect((await post(mark, key).expect(201)).text).toBe(answer.text);
    },
    60_000,
  );

  it.each([2, 4])(
    'before step %i of a phased method leaves it to the worker of another instance',
    async (step) => {
      const { mark, key } = await killed(step);
      const other = await serve(
        service.database,
        { ...variables, PHASED_WORKER_INTERVAL_MS: '50', PHASED_LEASE_MS: '60000' },
        [PhasedTestModule],
      );
      await endLeases();
      try {
        await eventually(openRuns, (open) => open === 0);
        expect(await phases(mark)).toEqual(['1', '2', '3']);
        await post(mark, key, other.url).expect(201);
        expect(await phases(mark)).toEqual(['1', '2', '3']);
      } finally {
        await other.app.close();
      }
    },
    60_000,
  );

  /** Has a process of its own begin the method and be killed in the middle. */
  async function killed(step: number): Promise<{ mark: string; key: string }> {
    const [mark, key] = [fresh(), randomUUID()];
    const child = startProgram(['test/support/phased-process.cjs'], {
      DATABASE_WRITE_URL: service.database.urls.app,
      AUTH_SECRET: testSecret,
      LEDGER_SEAL_INTERVAL_MS: '0',
      KILL_BEFORE: String(step),
      ...variables,
    });
    await expect(post(mark, key, await child.url)).rejects.toThrow();
    expect((await child.exit).signal).toBe('SIGKILL');
    await sleep(0);
    return { mark, key };
  }
});
