// Writes what was measured where people read it: the terminal, the report, README.md and docs/performance.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import prettier from 'prettier';
import { caseNames, cases, type ServiceName, titles } from './cases.mts';
import { goalsOf } from './goals.mts';
import { reportOf } from './report.mts';
import { figureOf, p99, perSecond, type Result, serviceMicros } from './results.mts';
import { withFigures } from './tables.mts';

export const pages = ['README.md', 'docs/performance.md'] as const;

/** As the terminal shows it. */
export function show(result: Result): string {
  const line = (...cells: string[]): string =>
    cells.map((cell, n) => (n === 0 ? cell.padEnd(44) : cell.padStart(12))).join('');
  const lines = caseNames.flatMap((name) => {
    const measured = (cases[name].services as readonly ServiceName[]).filter(
      (service) => result.cases[name]?.[service],
    );
    if (measured.length === 0) return [];
    const of = (service: ServiceName) => {
      const [rate, micros, slowest] = [perSecond, serviceMicros, p99].map((figure) =>
        figureOf(result, name, service, figure),
      );
      return line(
        `  ${titles[service]}`,
        (rate ?? NaN).toFixed(0),
        (micros ?? NaN).toFixed(0),
        (slowest ?? NaN).toFixed(0),
      );
    };
    return ['', line(cases[name].title, 'per second', 'CPU µs', 'p99 ms'), ...measured.map(of)];
  });
  const goals = goalsOf(result).map(({ name, work, goal, reached, isReached }) => {
    return `${name.padEnd(4)}${work}: ${reached} (${goal})${isReached === false ? ' not reached' : ''}`;
  });
  return [...lines, '', ...goals].join('\n');
}

export function writeReport(file: string, results: readonly Result[]): void {
  const require = createRequire(import.meta.url);
  const asset = (name: string): string => readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8');
  const chart = { script: asset('uPlot.iife.min.js'), style: asset('uPlot.min.css') };
  writeFileSync(file, reportOf(results, chart));
}

/** As prettier writes it, which looks at the pages too. */
export async function format(text: string): Promise<string> {
  return prettier.format(text, { ...(await prettier.resolveConfig('README.md')), parser: 'markdown' });
}

export async function writePages(results: readonly Result[]): Promise<void> {
  for (const page of pages) writeFileSync(page, await withFigures(readFileSync(page, 'utf8'), results.at(-1), format));
}
