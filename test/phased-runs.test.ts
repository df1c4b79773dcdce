import { randomUUID } from 'node:crypto';
import { Injectable, Module } from '@nestjs/common';
import pg from 'pg';
import { generalProblems } from '../src/kernel/general.problems.ts';
import { newId } from '../src/kernel/ids.ts';
import { type Lease, PhasedRunsRepository } from '../src/phased/phased-runs.repository.ts';
import { PhasedRuns } from '../src/phased/phased-runs.ts';
import { PhasedWorker } from '../src/phased/phased-worker.ts';
import { Phased, phasedMethodsOf } from '../src/phased/phased.ts';
import { FinalStatementRefusedError, sendWithCommit } from '../src/transactions/participant.ts';
import { InjectDatabase, type Sql } from '../src/transactions/tables.ts';
import { Transactional } from '../src/transactions/transactional.ts';
import { Transactions } from '../src/transactions/transactions.ts';
import { startApp, type TestApp } from './support/app.ts';
import { eventually } from './support/crowd.ts';
import { Marks, marksLike } from './support/marks.ts';

/** Phased methods whose steps a test can hold, fail or reorder. */
@Injectable()
class Steps {
  /** Called before each phase with its number, and behind the last one. */
  at: (step: number) => Promise<unknown> = async () => undefined;
  isTurned = false;
  result: unknown = 'done';

  constructor(
    private readonly marks: Marks,
    @InjectDatabase() readonly db: Sql,
  ) {}

  @Phased()
  async run(mark: string, _more: unknown = null): Promise<unknown> {
    const phases = [() => this.first(mark), () => this.second(mark)];
    for (const [n, phase] of (this.isTurned ? phases.toReversed() : phases).entries()) {
      await this.at(n + 1);
      await phase();
    }
    await this.at(3);
    return this.result;
  }

  @Phased()
  async outer(mark: string): Promise<unknown> {
    return this.run(mark);
  }

  @Phased()
  async both(mark: string): Promise<void> {
    await Promise.all([this.first(mark), this.second(mark)]);
  }

  @Transactional()
  async first(mark: string): Promise<void> {
    await this.marks.write(`${mark}1`);
  }

  @Transactional()
  async second(mark: string): Promise<void> {
    await this.marks.write(`${mark}2`);
  }
}

@Module({ providers: [Marks, Steps] })
class StepsModule {}

const leaseMs = 60_000;
let service: TestApp;
let steps: Steps;
let worker: PhasedWorker;
let runs: PhasedRunsRepository;
beforeAll(async () => {
  service = await startApp({ PHASED_WORKER_INTERVAL_MS: '0', PHASED_LEASE_MS: String(leaseMs) }, [StepsModule]);
  steps = service.app.get(Steps);
  worker = service.app.get(PhasedWorker);
  runs = service.app.get(PhasedRunsRepository);
});
afterAll(() => service.close());
beforeEach(async () => {
  steps.at = async () => undefined;
  steps.isTurned = false;
  steps.result = 'done';
  await service.database.query('DELETE FROM phased_run');
});

/** Whether a boundary stores what the work has leave with its COMMIT. */
const storing = (work: () => void): Promise<boolean> =>
  service.app
    .get(Transactions)
    .run({ name: 'storing' }, async () => work())
    .then(
      () => true,
      (error: unknown) => {
        if (error instanceof FinalStatementRefusedError) return false;
        throw error;
      },
    );

let marks = 0;
const fresh = (): string => `phased-runs-${++marks}-`;
const stored = async (mark: string): Promise<string[]> =>
  (await marksLike(service.database, mark)).map((slug) => slug.slice(mark.length));
const endLeases = () => service.database.query('UPDATE phased_run SET leased_until = statement_timestamp()');
const open = () =>
  service.database.query<{ id: string; attempts: number; leasedMs: number }>(
    `SELECT id, attempts, (extract(epoch FROM leased_until - statement_timestamp()) * 1000)::int AS "leasedMs"
     FROM phased_run WHERE outcome IS NULL`,
  );
const failing = (step: number, error: Error) => async (now: number) => {
  if (now === step) throw error;
};

// Whoever is held when a test fails would keep its lease, and Jest, for ever.
let held: (() => void)[] = [];
afterEach(() => {
  for (const goOn of held) goOn();
});

/** Holds everybody who comes to a step; each is let go on by itself, in the order of their coming. */
function holding(step: number) {
  held = [];
  steps.at = async (now) => {
    if (now === step) await new Promise<void>((goOn) => held.push(goOn));
  };
  return {
    reached: (many: number) =>
      eventually(
        async () => held.length,
        (count) => count === many,
      ),
    letGo: (n: number) => held[n]?.(),
  };
}

describe('a run that was taken over', () => {
  it.each([
    [2, ['1']],
    [3, ['1', '2']],
  ])('is not gone on with at step %s by who held it before', async (step, before) => {
    const mark = fresh();
    const { reached, letGo } = holding(step);
    const first = steps.run(mark).catch((error: unknown) => error);
    await reached(1);
    await endLeases();
    const second = worker.work();
    await reached(2);
    letGo(0);
    expect(await first).toMatchObject({ name: 'PhasedRunBusyError' });
    expect([await stored(mark), (await open()).length]).toEqual([before, 1]);
    letGo(1);
    await second;
    expect([await stored(mark), await open()]).toEqual([['1', '2'], []]);
  });

  it('is held, gone on with and finished by its last attempt alone', async () => {
    const id = newId();
    const bytes = new Uint8Array([1]);
    await runs.create({ id, method: 'Steps.run', arguments: bytes, leaseMs });
    await endLeases();
    const taken = await runs.take(id, leaseMs);
    expect(taken).toMatchObject({ id, attempts: 2 });
    const [before, now] = [
      { id, attempts: 1 },
      { id, attempts: 2 },
    ];
    const addPhase = (lease: Lease): Promise<boolean> =>
      storing(() => sendWithCommit(runs.addingPhase(lease, bytes, 0, leaseMs)));
    expect(await runs.extend(before, 1)).toBe(false);
    expect(await addPhase(before)).toBe(false);
    expect(await runs.finish(before, bytes, 60)).toBe(false);
    expect(await addPhase(now)).toBe(true);
    // The same phase again, as by an attempt that was cut off from the answer.
    expect(await addPhase(now)).toBe(false);
    expect(await runs.extend(now, leaseMs)).toBe(true);
    expect(await runs.finish(now, bytes, 60)).toBe(true);
    expect(await runs.finish(now, bytes, 60)).toBe(false);
  });

  it('is held by one who takes it on, and by one of several who look for what nobody holds', async () => {
    const id = newId();
    await runs.create({ id, method: 'Steps.run', arguments: new Uint8Array([1]), leaseMs });
    expect([await runs.take(id, leaseMs), await runs.takeNext(4, 30, leaseMs)]).toEqual([null, []]);
    await endLeases();
    const holder = new pg.Client({ connectionString: service.database.urls.owner });
    await holder.connect();
    try {
      await holder.query(`BEGIN; SELECT FROM phased_run WHERE id = '${id}' FOR UPDATE`);
      const both = Promise.all([runs.takeNext(4, 30, leaseMs), runs.takeNext(4, 30, leaseMs)]);
      const waiting = `SELECT DISTINCT pid FROM pg_locks waiting JOIN pg_locks here USING (pid)
        WHERE NOT waiting.granted AND here.relation = 'phased_run'::regclass`;
      await eventually(
        () => service.database.query(waiting),
        (rows) => rows.length === 2,
      );
      await holder.query('COMMIT');
      expect((await both).flat().map((run) => [run.id, run.attempts])).toEqual([[id, 2]]);
    } finally {
      await holder.end();
    }
  });
});

describe('the lease of a run', () => {
  it('is extended while somebody is at it, however long a step takes', async () => {
    const short = await startApp({ PHASED_WORKER_INTERVAL_MS: '0', PHASED_LEASE_MS: '1500' }, [StepsModule]);
    const slow = short.app.get(Steps);
    const goOn = Promise.withResolvers<null>();
    slow.at = async (step) => (step === 2 ? goOn.promise : null);
    const mark = fresh();
    try {
      const run = slow.run(mark);
      const isExtended = `SELECT FROM phased_run WHERE leased_until > created_at + interval '3 s'`;
      await eventually(
        () => short.database.query(isExtended),
        (rows) => rows.length === 1,
      );
      goOn.resolve(null);
      expect(await run).toBe('done');
    } finally {
      goOn.resolve(null);
      await short.close();
    }
  });

  it('is given up after an error, for a while that grows with the attempts', async () => {
    const mark = fresh();
    steps.at = failing(2, new Error('the other side did not answer'));
    await expect(steps.run(mark)).rejects.toThrow('did not answer');
    expect((await open())[0]?.leasedMs).toBeLessThan(5000);
    await service.database.query('UPDATE phased_run SET attempts = 5, leased_until = statement_timestamp()');
    await worker.work();
    const [run] = await open();
    expect(run?.attempts).toBe(6);
    expect(run?.leasedMs).toBeGreaterThan(15_000);
    expect(run?.leasedMs).toBeLessThan(40_000);
  });

  it('is taken thirty times by the worker; then the run is left to people', async () => {
    const mark = fresh();
    steps.at = failing(2, new Error('the other side did not answer'));
    await expect(steps.run(mark)).rejects.toThrow('did not answer');
    steps.at = async () => undefined;
    await service.database.query('UPDATE phased_run SET attempts = 30, leased_until = statement_timestamp()');
    await worker.work();
    expect(await stored(mark)).toEqual(['1']);
    await service.database.query('UPDATE phased_run SET attempts = 29');
    await worker.work();
    expect(await stored(mark)).toEqual(['1', '2']);
  });
});

describe('a phased method', () => {
  it('that comes to other boundaries when it is called again stores nothing more', async () => {
    const mark = fresh();
    steps.at = failing(2, new Error('the other side did not answer'));
    await expect(steps.run(mark)).rejects.toThrow('did not answer');
    const [{ id } = { id: '' }] = await open();
    steps.at = async () => undefined;
    steps.isTurned = true;
    await endLeases();
    const [phased] = phasedMethodsOf(steps).filter(({ name }) => name === 'Steps.run');
    const taken = await runs.take(id, leaseMs);
    await expect(service.app.get(PhasedRuns).goOn(phased!, steps, taken!)).rejects.toThrow(
      'Phase 1 of Steps.run was Steps.first when it was stored and is Steps.second now.',
    );
    expect([await stored(mark), (await open()).length]).toEqual([['1'], 1]);
  });

  it('is not gone on with as another one', async () => {
    const id = newId();
    await runs.create({ id, method: 'Steps.run', arguments: new Uint8Array([1]), leaseMs: 0 });
    const taken = await runs.take(id, leaseMs);
    const [outer] = phasedMethodsOf(steps).filter(({ name }) => name === 'Steps.outer');
    await expect(service.app.get(PhasedRuns).goOn(outer!, steps, taken!)).rejects.toThrow(
      'Steps.outer was asked to go on with Steps.run',
    );
  });

  it('that was told to come again later has not come to its end', async () => {
    const mark = fresh();
    steps.at = failing(2, generalProblems.reducedCapacity('Later.'));
    await expect(steps.run(mark)).rejects.toThrow('Later.');
    steps.at = async () => undefined;
    await endLeases();
    await worker.work();
    expect([await stored(mark), await open()]).toEqual([['1', '2'], []]);
  });

  it('inside another one is a part of it', async () => {
    const mark = fresh();
    await steps.outer(mark);
    expect(await service.database.query('SELECT method FROM phased_run')).toEqual([{ method: 'Steps.outer' }]);
    expect(await stored(mark)).toEqual(['1', '2']);
  });

  it('has its boundaries one after the other, also when it begins them at once', async () => {
    const mark = fresh();
    await steps.both(mark);
    expect([await stored(mark), await open()]).toEqual([['1', '2'], []]);
  });

  it.each([
    ['arguments that are no data', () => steps.run(fresh(), () => undefined), 'The arguments of Steps.run'],
    ['arguments of more than a megabyte', () => steps.run(fresh(), 'x'.repeat(1_000_001)), 'at most 1000000 are kept'],
  ])('with %s does not begin', async (_, run, sentence) => {
    await expect(run()).rejects.toThrow(sentence);
    expect(await open()).toEqual([]);
  });

  it('whose name another one has keeps the service from starting', async () => {
    @Injectable()
    class Others {
      @Phased({ name: 'Steps.run' })
      async run(): Promise<void> {
        await Promise.resolve();
      }
    }
    @Module({ providers: [Others] })
    class OthersModule {}
    await expect(startApp({}, [StepsModule, OthersModule])).rejects.toThrow(
      'Two phased methods are called Steps.run. Give one of them a name of its own.',
    );
  });

  it('of an earlier release that is not there any more is left to a later one', async () => {
    const id = randomUUID();
    await runs.create({ id, method: 'Steps.gone', arguments: new Uint8Array([1]), leaseMs: 0 });
    await worker.work();
    expect(await open()).toMatchObject([{ id, attempts: 2 }]);
  });
});
