// The figures of a result as Markdown, for the pages. Pure.
import {
  type CaseName,
  caseNames,
  cases,
  handWritten,
  limitSizes,
  type ServiceName,
  peerNames,
  titles,
} from './cases.mts';
import { goalsOf, growthOf, rulesLeave } from './goals.mts';
import { median } from './figures.mts';
import {
  bestOf,
  failuresOf,
  figureOf,
  grownCases,
  limitOf,
  p50,
  p99,
  perSecond,
  ratioOf,
  type Result,
  roundsOf,
  serviceMicros,
} from './results.mts';

type Cells = readonly string[];

/** The first columns hold text, the others figures. */
const table = (head: Cells, rows: readonly Cells[], texts = 1): string =>
  [head, head.map((_, n) => (n < texts ? '---' : '---:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');

/** 12345.6 is `12,346`; nothing of what was not measured. */
export function shown(value: number, digits = 0): string {
  if (Number.isNaN(value)) return '';
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const ms = (value: number, digits = 0): string => (Number.isNaN(value) ? '' : `${shown(value, digits)} ms`);

const writes = ['transfers-spread', 'transfers-hot', 'orders-spread', 'orders-hot'] as const satisfies CaseName[];
const reads = ['account', 'products', 'livez'] as const satisfies CaseName[];
const ratio = (result: Result, name: CaseName, others: readonly ServiceName[]): string =>
  shown(ratioOf(roundsOf(result, name, 'holdfast'), bestOf(result, name, others)), 2);

/** Of each block of a page what stands in it. */
export const blocks = { run, rates, batches, reads: readsTable, processor, callers, growth, goals } as const;
export type BlockName = keyof typeof blocks;

function run(result: Result): string {
  const { at, commit, isChanged, rounds, seconds, machine, versions, settings } = result;
  const { processor: model, cores, memoryGiB, system, load } = machine;
  const installed = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const set = Object.entries(settings).map(([name, value]) => `\`${name}=${value}\``);
  return [
    `Run of ${at.slice(0, 10)} on commit \`${commit}\`${isChanged ? ' with changes' : ''}: medians of ${rounds} rounds of ${seconds} s, 64 connections if not said otherwise.`,
    `Machine: ${cores} cores (${model}), ${memoryGiB} GiB, ${system}; load average before the run ${load.toFixed(1)}. The load, the services and both database servers share the cores.${load > cores / 2 ? ' Other work ran at the same time: on a quiet machine the figures are higher and vary less.' : ''}`,
    ...failures(result),
    `Versions: ${installed.join(', ')}. Settings that differ from the defaults: ${set.join(', ')}.`,
  ].join('\n\n');
}

/** A rate counts what succeeded: what did not is said apart. */
function failures(result: Result): string[] {
  const failed = caseNames.flatMap((name) =>
    (cases[name].services as readonly ServiceName[]).flatMap((service) => {
      const count = failuresOf(result, name, service);
      return count === 0 ? [] : [`${shown(count)} of ${titles[service]} (${cases[name].title})`];
    }),
  );
  return failed.length === 0 ? [] : [`Requests that did not succeed, and are not counted: ${failed.join(', ')}.`];
}

function rates(result: Result): string {
  const services = ['holdfast', ...peerNames] as const;
  return table(
    ['per second', ...services.map((name) => titles[name]), 'Holdfast / best by hand'],
    writes.map((name) => [
      cases[name].title,
      ...services.map((service) => shown(figureOf(result, name, service, perSecond))),
      ratio(result, name, handWritten),
    ]),
  );
}

function batches(result: Result): string {
  const rows = limitSizes.map((size) => [
    `by hand, ${size} in a statement`,
    shown(median(limitOf(result, size, 'withRules'))),
    shown(median(limitOf(result, size, 'withoutRules'))),
    shown(rulesLeave(result, size), 2),
  ]);
  const one = (name: CaseName, title: string): Cells => [
    title,
    shown(figureOf(result, name, 'holdfast', perSecond)),
    '',
    '',
  ];
  return table(
    ['transfers per second', 'with the rules of the database', 'without', 'with / without'],
    [one('transfers-spread', 'Holdfast, single'), one('batch-500', 'Holdfast, batches of 500'), ...rows],
  );
}

function readsTable(result: Result): string {
  return table(
    ['read', 'per second', 'by hand', 'Holdfast / by hand', 'processor of Holdfast', 'by hand', 'Holdfast / by hand'],
    reads.map((name) => {
      const other = name === 'livez' ? 'yardstick' : 'reads-by-hand';
      const micros = (service: ServiceName): string => `${shown(figureOf(result, name, service, serviceMicros))} µs`;
      const ofProcessor = ratioOf(
        roundsOf(result, name, 'holdfast', serviceMicros),
        roundsOf(result, name, other, serviceMicros),
      );
      return [
        cases[name].title,
        shown(figureOf(result, name, 'holdfast', perSecond)),
        shown(figureOf(result, name, other, perSecond)),
        ratio(result, name, [other]),
        ...[micros('holdfast'), micros(other), shown(ofProcessor, 2)],
      ];
    }),
  );
}

function processor(result: Result): string {
  const rows = (['transfers-spread', 'transfers-hot', 'batch-500', 'orders-spread', 'orders-hot'] as const).flatMap(
    (name) =>
      (cases[name].services as readonly ServiceName[]).map((service) => {
        const of = (which: 'service' | 'primary' | 'replica'): string =>
          shown(figureOf(result, name, service, ({ micros }) => micros[which]));
        return [cases[name].title, titles[service], of('service'), of('primary'), of('replica')];
      }),
  );
  return table(['µs of processor', 'service', 'of the service', 'of the primary', 'of the replica'], rows, 2);
}

function callers(result: Result): string {
  const names = ['transfers-1', 'transfers-16', 'transfers-spread', 'transfers-256'] as const satisfies CaseName[];
  const rows = names.flatMap((name) =>
    (['holdfast', 'holdfast-without-lanes', 'fastify-pg-one'] as const).map((service) => {
      const [rate, half, slowest] = [perSecond, p50, p99].map((figure) => figureOf(result, name, service, figure));
      return [
        ...[String(cases[name].connections), titles[service], shown(rate ?? NaN)],
        ...[ms(half ?? NaN), ms(slowest ?? NaN)],
      ];
    }),
  );
  return table(['connections', 'service', 'transfers per second', 'half within', '99 % within'], rows, 2);
}

const grownTitles = {
  'transfers-spread': 'Transfers',
  'orders-spread': 'Orders of 4 lines',
  account: cases.account.title,
} as const;

function growth(result: Result): string {
  const of = (name: (typeof grownCases)[number], size: 'small' | 'large'): string =>
    ms(median(result.grown?.[name][size] ?? []));
  const rows = grownCases.map((name) => [
    `${grownTitles[name]}, 99 % within`,
    of(name, 'small'),
    of(name, 'large'),
    shown(growthOf(result, name), 2),
  ]);
  const { pages = NaN, firstMs = NaN, lastMs = NaN } = result.pages ?? {};
  const list = `a page of 100 accounts, the first hundred pages and the last of ${shown(pages)}`;
  return table(
    ['', '1,000 rows', '1,000,000 rows', 'ratio'],
    [...rows, [list, ms(firstMs, 1), ms(lastMs, 1), shown(lastMs / firstMs, 2)]],
  );
}

function goals(result: Result): string {
  const verdict = { true: 'yes', false: 'no', null: '' } as const;
  return table(
    ['', 'work', 'goal', 'measured', 'reached'],
    goalsOf(result).map(({ name, work, goal, reached, isReached }) => [
      name,
      work,
      goal,
      reached,
      verdict[`${isReached}`],
    ]),
    5,
  );
}

const noResults = 'There are no results yet: `npm run bench` measures them.\n';
const marks = (name: string): readonly [string, string] => [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];

/** The page with the figures of a result in its blocks, each made by `format`. Throws when a block has no end. */
export async function withFigures(
  page: string,
  result: Result | undefined,
  format: (text: string) => Promise<string>,
): Promise<string> {
  let text = page;
  for (const [name, make] of Object.entries(blocks)) {
    const [begin, end] = marks(name);
    const start = text.indexOf(begin);
    if (start < 0) continue;
    const stop = text.indexOf(end);
    if (stop < start) throw new Error(`A block ${begin} has no end: ${end}.`);
    text = `${text.slice(0, start + begin.length)}\n\n${await format(result === undefined ? noResults : make(result))}\n${text.slice(stop)}`;
  }
  return text;
}
