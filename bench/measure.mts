// The rounds: each case of each service in turn, and the limit.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../src/embedded/cluster.ts';
import type { Acknowledged } from './books.mts';
import { type CaseName, cases, type PeerName, peerNames, type ServiceName } from './cases.mts';
import type { Loaded, LoadMessage } from './load.mts';
import type { Options } from './options.mts';
import { message, ownFile, processorMs, processorMsIn, residentMiB, start, stop, type Started } from './processes.mts';
import { query } from './query.mts';
import type { LimitMeasured, Measured, Result } from './results.mts';
import { databaseOf } from './world.mts';

/** A service that listens. */
export interface Target {
  readonly name: ServiceName;
  readonly pid: number;
  readonly url: string;
}

export interface Measure {
  readonly options: Options;
  readonly cluster: Cluster;
  readonly targets: readonly Target[];
  readonly worldFile: string;
  readonly acknowledged: Acknowledged;
  readonly limit: () => Promise<Record<string, LimitMeasured>>;
}

type CasesMeasured = Partial<Record<CaseName, Partial<Record<ServiceName, Measured[]>>>>;

export async function measureCases(measure: Measure): Promise<Pick<Result, 'cases' | 'limit'>> {
  const measured: CasesMeasured = {};
  const limits: Record<string, LimitMeasured[]> = {};
  for (let round = 0; round < measure.options.rounds; round++) {
    for (const name of measure.options.cases) {
      for (const target of inTurn(measure.targets, name, round)) {
        const figures = await measureOne(measure, name, target, round === 0);
        ((measured[name] ??= {})[target.name] ??= []).push(figures);
        sayFigures(round, name, target.name, figures);
      }
    }
    for (const [size, limit] of Object.entries(await measure.limit())) {
      (limits[size] ??= []).push(limit);
      const [withRules, without] = [limit.withRules.toFixed(0), limit.withoutRules.toFixed(0)];
      process.stdout.write(
        `${round + 1}  by hand in batches of ${size}: ${withRules}/s, without the rules ${without}/s\n`,
      );
    }
  }
  return { cases: measured, limit: limits };
}

/** The services of a case; another one begins in each round. */
function inTurn(targets: readonly Target[], name: CaseName, round: number): Target[] {
  const asked = (cases[name].services as readonly ServiceName[]).flatMap(
    (service) => targets.find((one) => one.name === service) ?? [],
  );
  const first = round % asked.length;
  return [...asked.slice(first), ...asked.slice(0, first)];
}

async function measureOne(measure: Measure, name: CaseName, target: Target, isFirst: boolean): Promise<Measured> {
  const { options, cluster, targets, worldFile, acknowledged } = measure;
  await settle(targets);
  await query(cluster.url('superuser'), 'CHECKPOINT');
  let before: Times | null = null;
  let after: Times | null = null;
  const { warmedUp, loaded } = await loadOnce({
    ...{ service: target.name, name, url: target.url, worldFile, options },
    before: async (load) => {
      // As autovacuum does in time: plans that were made for small tables are made again.
      if (isFirst) await query(cluster.url('owner', databaseOfService(target.name)), 'ANALYZE');
      before = times(measure, target, load);
    },
    after: (load) => (after = times(measure, target, load)),
  });
  for (const one of [warmedUp, loaded])
    if (cases[name].unit !== 'request' && target.name !== 'yardstick') acknowledged.add(target.name, name, one);
  return figuresOf(name, loaded, residentMiB(target.pid), before ?? none, after ?? none);
}

export interface Load {
  readonly service: ServiceName;
  readonly name: CaseName;
  readonly url: string;
  readonly worldFile: string;
  readonly options: Options;
  /** Between the warm-up and what counts, and when that is over. */
  readonly before?: (load: Started) => Promise<void>;
  readonly after?: (load: Started) => void;
}

/** One case of one service: a warm-up, and what counts. */
export async function loadOnce({ service, name, url, worldFile, options, before, after }: Load) {
  const { warmUpSeconds, seconds } = options;
  const args = [service, name, url, worldFile, String(warmUpSeconds), String(seconds)];
  const load = start('the load', ownFile('load.mts'), args);
  const { warmedUp } = await next(load, 'warmedUp', warmUpSeconds);
  await before?.(load);
  load.child.send('go');
  const { loaded } = await next(load, 'loaded', seconds);
  after?.(load);
  await stop(load);
  return { warmedUp, loaded };
}

type Times = Record<keyof Measured['micros'], number>;
const none: Times = { service: 0, primary: 0, replica: 0, load: 0 };

function times({ cluster }: Measure, target: Target, load: Started): Times {
  return {
    service: processorMs(target.pid),
    primary: processorMsIn(`${cluster.home}/primary`),
    replica: processorMsIn(`${cluster.home}/replica`),
    load: processorMs(load.pid),
  };
}

function figuresOf(name: CaseName, loaded: Loaded, memory: number, before: Times, after: Times): Measured {
  const units = loaded.succeeded * cases[name].unitsPerRequest;
  const micros = (which: keyof Times): number => rounded(((after[which] - before[which]) * 1000) / Math.max(units, 1));
  return {
    perSecond: rounded(units / loaded.seconds),
    p50: loaded.p50,
    p99: loaded.p99,
    failed: loaded.failed,
    micros: {
      service: micros('service'),
      primary: micros('primary'),
      replica: micros('replica'),
      load: micros('load'),
    },
    memory: rounded(memory),
  };
}

const rounded = (value: number): number => Number(value.toFixed(1));

async function next<K extends 'warmedUp' | 'loaded'>(
  load: Started,
  key: K,
  seconds: number,
): Promise<Record<K, Loaded>> {
  // The load waits for an answer for 30 s at most.
  return (await message<LoadMessage>(load, 'it had measured', seconds * 1000 + 60_000)) as Record<K, Loaded>;
}

const databaseOfService = (service: ServiceName): string =>
  (peerNames as readonly string[]).includes(service) ? databaseOf(service as PeerName) : 'holdfast';

const [settleWithinMs, quietForMs, quietMs] = [20_000, 300, 20];

/** Waits until the services have ended what they do behind an answer: it would be done in the time of the next one. */
async function settle(targets: readonly Target[]): Promise<void> {
  const total = (): number => targets.reduce((sum, { pid }) => sum + processorMs(pid), 0);
  const until = performance.now() + settleWithinMs;
  let before = total();
  do {
    await sleep(quietForMs);
    const now = total();
    if (now - before <= quietMs) return;
    before = now;
  } while (performance.now() < until);
}

function sayFigures(
  round: number,
  name: CaseName,
  service: ServiceName,
  { perSecond, p50, p99, failed, micros }: Measured,
): void {
  const rate = `${perSecond.toFixed(0).padStart(7)}/s`;
  const rest = `${String(p50).padStart(5)} ms ${String(p99).padStart(6)} ms ${micros.service.toFixed(0).padStart(6)} µs`;
  process.stdout.write(
    `${round + 1}  ${name.padEnd(18)}${service.padEnd(24)}${rate} ${rest}${failed > 0 ? `  ${failed} failed` : ''}\n`,
  );
}
