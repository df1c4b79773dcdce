// The load, in a process of its own, the same for all: `<service> <case> <url> <file of the world> <seconds of warm-up> <seconds>`.
// Says by message when the warm-up is over, goes on by message, and says what was answered.
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { type CaseName, cases, type ServiceName } from './cases.mts';
import { requestsOf, type World } from './requests.mts';

/** Of one run: what was answered, and how long it took. */
export interface Loaded {
  readonly seconds: number;
  readonly succeeded: number;
  /** Answered otherwise, not answered in time, or cut off. */
  readonly failed: number;
  /** By status. */
  readonly codes: Record<string, number>;
  readonly p50: number;
  readonly p99: number;
}
export type LoadMessage = { readonly warmedUp: Loaded } | { readonly loaded: Loaded };

/** What is used of autocannon, which has no types. */
interface Options {
  readonly url: string;
  readonly connections: number;
  readonly duration: number;
  readonly timeout: number;
  readonly requests: readonly { readonly setupRequest: (request: object) => object }[];
}
interface Result {
  readonly duration: number;
  readonly '2xx': number;
  readonly non2xx: number;
  readonly errors: number;
  readonly statusCodeStats: Record<string, { readonly count: number }>;
  readonly latency: { readonly p50: number; readonly p99: number };
}
const autocannon = createRequire(import.meta.url)('autocannon') as (options: Options) => Promise<Result>;

const timeoutSeconds = 30;
const [service, name, url = '', file = '', warmUp, seconds] = process.argv.slice(2) as [
  ServiceName,
  CaseName,
  ...string[],
];
const next = requestsOf(service, name, JSON.parse(readFileSync(file, 'utf8')) as World);

async function load(duration: number): Promise<Loaded> {
  const result = await autocannon({
    url,
    connections: cases[name].connections,
    duration,
    timeout: timeoutSeconds,
    requests: [{ setupRequest: (request) => Object.assign(request, next()) }],
  });
  const codes = Object.entries(result.statusCodeStats).map(([code, { count }]) => [code, count] as const);
  return {
    seconds: result.duration,
    succeeded: result['2xx'],
    failed: result.non2xx + result.errors,
    codes: Object.fromEntries(codes),
    p50: result.latency.p50,
    p99: result.latency.p99,
  };
}

const say = (message: LoadMessage) => process.send?.(message);
say({ warmedUp: await load(Number(warmUp)) });
await once(process, 'message');
say({ loaded: await load(Number(seconds)) });
process.disconnect();
