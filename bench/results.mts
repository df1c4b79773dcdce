// The results of a run: their form, and what is read out of them. Pure but for reading the folder.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CaseName, ServiceName } from './cases.mts';
import { median } from './figures.mts';

/** One service in one case in one round. */
export interface Measured {
  /** Transfers, orders or requests a second, as the case counts. Only what succeeded. */
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Requests that did not succeed. */
  readonly failed: number;
  /** Processor time per unit, in microseconds: of the service, of the two database servers, of the load. */
  readonly micros: {
    readonly service: number;
    readonly primary: number;
    readonly replica: number;
    readonly load: number;
  };
  /** Resident memory of the service in the end, in MiB. */
  readonly memory: number;
}

export interface LimitMeasured {
  readonly withRules: number;
  readonly withoutRules: number;
}

/** What is measured with tables of different sizes. */
export const grownCases = ['transfers-spread', 'orders-spread', 'account'] as const satisfies CaseName[];
export type Grown = Readonly<
  Record<(typeof grownCases)[number], { readonly small: readonly number[]; readonly large: readonly number[] }>
>;

/** A list that was read to its end. */
export interface PagesMeasured {
  readonly pages: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Processor of a boundary as a share of that of nestjs-cls. */
export interface BoundariesMeasured {
  readonly raw: number;
  readonly one: number;
}

export interface Result {
  /** ISO 8601. */
  readonly at: string;
  readonly commit: string;
  /** Whether files of the project differed from the commit. */
  readonly isChanged: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly memoryGiB: number;
    readonly system: string;
    /** Of the minute before the run: a busy machine makes worse figures. */
    readonly load: number;
  };
  readonly versions: Readonly<Record<string, string>>;
  /** What differs from the defaults of the service. */
  readonly settings: Readonly<Record<string, string>>;
  readonly cases: Readonly<Partial<Record<CaseName, Readonly<Partial<Record<ServiceName, readonly Measured[]>>>>>>;
  /** By the size of the batch. */
  readonly limit: Readonly<Record<string, readonly LimitMeasured[]>>;
  /** Milliseconds within which 99 of 100 requests are answered, with few rows in the tables and with many; by round. */
  readonly grown?: Grown;
  readonly pages?: PagesMeasured;
  readonly boundaries?: BoundariesMeasured;
  /** How long the second start of the service with the embedded database takes. */
  readonly secondStartSeconds: number;
}

export const resultsFolder = join('bench', 'results');

/** All results of the folder, the oldest first. */
export function readResults(folder = resultsFolder): Result[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Result)
    .sort((a, b) => (a.at < b.at ? -1 : 1));
}

/** `2026-11-30-63d2007.json` */
export const fileOf = ({ at, commit }: Pick<Result, 'at' | 'commit'>): string => `${at.slice(0, 10)}-${commit}.json`;

export type Figure = (measured: Measured) => number;
export const perSecond: Figure = (measured) => measured.perSecond;
export const serviceMicros: Figure = ({ micros }) => micros.service;
/** Requests of all rounds that did not succeed. */
export const failuresOf = (result: Result, name: CaseName, service: ServiceName): number =>
  (result.cases[name]?.[service] ?? []).reduce((sum, { failed }) => sum + failed, 0);

export const memory: Figure = (measured) => measured.memory;
export const p99: Figure = (measured) => measured.p99;
export const p50: Figure = (measured) => measured.p50;

/** The median of the rounds; NaN where the case was not measured. */
export const figureOf = (result: Result, name: CaseName, service: ServiceName, figure: Figure): number =>
  median((result.cases[name]?.[service] ?? []).map(figure));

/** How many times the one is the other: the median of the ratios within each round. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, round) => value / (theirs[round] ?? NaN)).filter((ratio) => !Number.isNaN(ratio)));
}

export const roundsOf = (result: Result, name: CaseName, service: ServiceName, figure: Figure = perSecond): number[] =>
  (result.cases[name]?.[service] ?? []).map(figure);

/** What was the fastest of the services in each round. */
export function bestOf(result: Result, name: CaseName, services: readonly ServiceName[]): number[] {
  const all = services.map((service) => roundsOf(result, name, service));
  const rounds = Math.max(0, ...all.map(({ length }) => length));
  return Array.from({ length: rounds }, (_, round) => Math.max(...all.map((values) => values[round] ?? 0)));
}

export const limitOf = (result: Result, size: number, figure: keyof LimitMeasured): number[] =>
  (result.limit[String(size)] ?? []).map((measured) => measured[figure]);
