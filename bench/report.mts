// The report: one file of HTML that needs nothing but itself. Pure: it is given the script and the style of uPlot.
import {
  type Case,
  type CaseName,
  caseNames,
  cases,
  handWritten,
  limitSizes,
  type ServiceName,
  titles,
} from './cases.mts';
import { goalsOf } from './goals.mts';
import { median } from './figures.mts';
import { bestOf, figureOf, limitOf, perSecond, ratioOf, type Result, roundsOf, serviceMicros } from './results.mts';
import { shown } from './tables.mts';

export interface Chart {
  readonly script: string;
  readonly style: string;
}

interface Bar {
  readonly title: string;
  readonly value: number;
  readonly isOurs: boolean;
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** In a script: no text of it ends the element. */
const json = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');

export function reportOf(results: readonly Result[], { script, style }: Chart): string {
  const newest = results.at(-1);
  const body = newest === undefined ? '<p>There are no results: npm run bench.</p>' : contentOf(newest, results);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast: performance</title>
<style>${style}${ownStyle}</style>
<main>
<h1>Holdfast: performance</h1>
${body}
</main>
<script>${script}</script>
<script>const history = ${json(historyOf(results))};${ownScript}</script>
</html>
`;
}

function contentOf(result: Result, results: readonly Result[]): string {
  const { at, commit, rounds, seconds, machine } = result;
  const facts = [
    `Run of ${at.slice(0, 16).replace('T', ' ')} UTC on commit ${commit}`,
    `medians of ${rounds} rounds of ${seconds} s`,
    `${machine.cores} cores (${machine.processor}), load before the run ${machine.load.toFixed(1)}`,
    ...Object.entries(result.versions).map(([name, version]) => `${name} ${version}`),
  ];
  return [
    `<p>${escape(facts.join(' · '))}</p>`,
    '<p>All share one machine: compare the bars of one picture, not two runs.</p>',
    `<h2>Goals</h2>${goalsTable(result)}`,
    `<h2>How many a second</h2><div class="pictures">${caseNames.map((name) => rateBars(result, name)).join('')}${limitBars(result)}</div>`,
    `<h2>Processor of the service, µs</h2><div class="pictures">${caseNames.map((name) => processorBars(result, name)).join('')}</div>`,
    `<h2>Over ${results.length === 1 ? '1 run' : `${results.length} runs`}</h2><div id="history"></div>`,
  ].join('\n');
}

function goalsTable(result: Result): string {
  const marks = { true: '<b class="yes">reached</b>', false: '<b class="no">not reached</b>', null: '' } as const;
  const rows = goalsOf(result).map(({ name, work, goal, reached, isReached }) => {
    const cells = [name, work, goal, reached].map((text) => `<td>${escape(text)}</td>`);
    return `<tr>${cells.join('')}<td>${marks[`${isReached}`]}</td></tr>`;
  });
  return `<table><tr><th></th><th>work</th><th>goal</th><th>measured</th><th></th></tr>${rows.join('')}</table>`;
}

const servicesOf = (name: CaseName): readonly ServiceName[] => (cases[name] as Case).services;

function rateBars(result: Result, name: CaseName): string {
  // The yardstick has no database: its rate is none of this work.
  const services = servicesOf(name).filter((service) => service !== 'yardstick' || name === 'livez');
  return picture(
    cases[name].title,
    services.map((service) => barOf(result, name, service, perSecond)),
  );
}

const processorBars = (result: Result, name: CaseName): string =>
  picture(
    cases[name].title,
    servicesOf(name).map((service) => barOf(result, name, service, serviceMicros)),
  );

const barOf = (result: Result, name: CaseName, service: ServiceName, figure: Parameters<typeof figureOf>[3]): Bar => ({
  title: titles[service],
  value: figureOf(result, name, service, figure),
  isOurs: service === 'holdfast',
});

function limitBars(result: Result): string {
  const byHand = limitSizes.flatMap((size) =>
    (['withRules', 'withoutRules'] as const).map((which) => ({
      title: `by hand, ${size} a batch${which === 'withRules' ? '' : ', no rules'}`,
      value: median(limitOf(result, size, which)),
      isOurs: false,
    })),
  );
  const ours = (['transfers-spread', 'batch-500'] as const).map((name) => ({
    ...barOf(result, name, 'holdfast', perSecond),
    title: `Holdfast, ${name === 'batch-500' ? 'batches of 500' : 'single'}`,
  }));
  return picture('Transfers, and what PostgreSQL takes', [...ours, ...byHand]);
}

const [barHeight, barWidth, labelWidth, valueWidth] = [22, 240, 230, 70];

function picture(title: string, given: readonly Bar[]): string {
  const bars = given.filter(({ value }) => !Number.isNaN(value));
  if (bars.length === 0) return '';
  const largest = Math.max(...bars.map(({ value }) => value));
  const [width, height] = [labelWidth + barWidth + valueWidth, bars.length * barHeight];
  const drawn = bars.map((bar, n) => {
    const [y, length] = [n * barHeight, Math.max(1, (bar.value / largest) * barWidth)];
    return (
      `<text x="${labelWidth - 8}" y="${y + 15}" text-anchor="end">${escape(bar.title)}</text>` +
      `<rect x="${labelWidth}" y="${y + 3}" width="${length.toFixed(1)}" height="${barHeight - 6}" class="${bar.isOurs ? 'ours' : 'theirs'}"/>` +
      `<text x="${(labelWidth + length + 6).toFixed(1)}" y="${y + 15}">${shown(bar.value)}</text>`
    );
  });
  const label = `${title}: ${bars.map((bar) => `${bar.title} ${shown(bar.value)}`).join(', ')}`;
  return `<figure><figcaption>${escape(title)}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(label)}">${drawn.join('')}</svg></figure>`;
}

interface Line {
  readonly title: string;
  readonly values: readonly (number | null)[];
}
interface History {
  readonly runs: readonly string[];
  readonly charts: readonly { readonly title: string; readonly lines: readonly Line[] }[];
}

const known = (value: number): number | null => (Number.isNaN(value) ? null : Number(value.toPrecision(4)));
const followed = ['transfers-spread', 'transfers-hot', 'batch-500', 'orders-spread', 'orders-hot'] as const;

/** What is drawn over the runs, the oldest first. */
export function historyOf(results: readonly Result[]): History {
  const against = (name: CaseName, others: readonly ServiceName[]): Line => ({
    title: cases[name].title,
    values: results.map((result) => known(ratioOf(roundsOf(result, name, 'holdfast'), bestOf(result, name, others)))),
  });
  const rateLine = (name: CaseName): Line => ({
    title: cases[name].title,
    values: results.map((result) => known(figureOf(result, name, 'holdfast', perSecond))),
  });
  return {
    runs: results.map(({ at, commit }) => `${at.slice(0, 10)} ${commit}`),
    charts: [
      {
        title: 'Holdfast as many times the best peer by hand',
        lines: [
          ...followed.filter((name) => name !== 'batch-500').map((name) => against(name, handWritten)),
          against('account', ['reads-by-hand']),
          against('products', ['reads-by-hand']),
        ],
      },
      { title: 'Holdfast, how many a second', lines: followed.map(rateLine) },
    ],
  };
}

const ownStyle = `
:root{color-scheme:light dark;--ours:#1f6feb;--theirs:#9aa4b2;--line:#8884}
body{font:15px/1.5 system-ui,sans-serif;margin:0}
main{max-width:1180px;margin:0 auto;padding:24px}
table{border-collapse:collapse}td b{white-space:nowrap}.uplot{margin-bottom:32px}th,td{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}
.yes{color:#1a7f37}.no{color:#cf222e}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,520px),1fr));gap:20px 32px}
figure{margin:0}figcaption{font-weight:600;margin-bottom:4px}
svg{width:100%;height:auto;font-size:13px}svg text{fill:currentColor}
.ours{fill:var(--ours)}.theirs{fill:var(--theirs)}
`;

const ownScript = `
const colours = ['#1f6feb', '#e36209', '#1a7f37', '#8250df', '#cf222e', '#9a6700'];
const place = document.getElementById('history');
for (const { title, lines } of place ? history.charts : []) {
  const text = getComputedStyle(document.body).color;
  const axis = { stroke: text, grid: { stroke: '#8883' } };
  const chart = new uPlot({
    title,
    width: Math.min(1130, place.clientWidth),
    height: 320,
    scales: { x: { time: false, range: [-0.5, Math.max(0.5, history.runs.length - 0.5)] }, y: { range: (_, __, most) => [0, most * 1.1 || 1] } },
    axes: [{ ...axis, splits: () => history.runs.map((_, n) => n), values: (_, all) => all.map((n) => history.runs[n]) }, axis],
    series: [{ label: 'run', value: (_, n) => history.runs[n] ?? '' }, ...lines.map((line, n) => ({ label: line.title, stroke: colours[n], width: 2, points: { show: true, size: 7 } }))],
  }, [history.runs.map((_, n) => n), ...lines.map((line) => line.values)], place);
}
`;
