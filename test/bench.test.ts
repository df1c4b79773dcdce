/** @servers any */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { Acknowledged } from '../bench/books.mts';
import { handWritten } from '../bench/cases.mts';
import { goalsOf } from '../bench/goals.mts';
import { optionsOf } from '../bench/options.mts';
import { historyOf, reportOf } from '../bench/report.mts';
import { requestsOf } from '../bench/requests.mts';
import {
  bestOf,
  fileOf,
  figureOf,
  type Measured,
  perSecond,
  ratioOf,
  readResults,
  type Result,
} from '../bench/results.mts';
import { withFigures } from '../bench/tables.mts';

const rate = (perSecond: number, service = 100): Measured => ({
  perSecond,
  p50: 1,
  p99: 2,
  failed: 0,
  micros: { service, primary: 50, replica: 10, load: 30 },
  memory: 200,
});

const result: Result = {
  at: '2026-11-30T10:00:00.000Z',
  commit: '1234567',
  isChanged: false,
  rounds: 3,
  seconds: 10,
  machine: { processor: 'One <fast> "core"', cores: 2, memoryGiB: 8, system: 'Linux 6', load: 0.1 },
  versions: { node: '24.21.0' },
  settings: { DATABASE_POOL_SIZE: '16' },
  cases: {
    'transfers-spread': {
      // The machine is twice as fast in the second round, and half as fast in the third.
      holdfast: [rate(3000), rate(6000), rate(1500)],
      'fastify-pg-one': [rate(1500), rate(2000), rate(750)],
      'fastify-pg-interactive': [rate(1000), rate(3000), rate(100)],
    },
    'transfers-hot': {
      holdfast: [rate(2400), rate(4800), rate(1200)],
      'fastify-pg-one': [rate(600), rate(1200), rate(400)],
    },
    livez: { holdfast: [rate(10_000, 30)], yardstick: [rate(20_000, 20)] },
  },
  limit: { 64: [{ withRules: 4000, withoutRules: 5000 }] },
  grown: {
    'transfers-spread': { small: [10, 20, 30], large: [10, 20, 30] },
    'orders-spread': { small: [10, 20, 30], large: [12, 24, 33] },
    account: { small: [10, 20, 30], large: [15, 20, 60] },
  },
  pages: { pages: 10_000, firstMs: 10, lastMs: 11 },
  secondStartSeconds: 1.2,
};

describe('figures of a run', () => {
  it('are medians of the rounds, and NaN of what was not measured', () => {
    expect(figureOf(result, 'transfers-spread', 'holdfast', perSecond)).toBe(3000);
    expect(figureOf(result, 'batch-500', 'holdfast', perSecond)).toBeNaN();
  });

  it('are compared within a round, with the best of each', () => {
    expect(bestOf(result, 'transfers-spread', handWritten)).toEqual([1500, 3000, 750]);
    expect(ratioOf([3000, 6000, 1500], [1500, 3000, 750])).toBe(2);
    // The medians of both sides, 3000 and 1000, say 3: they are of different rounds.
    expect(ratioOf([3000, 6000, 1500], [1000, 3000, 750])).toBe(2);
    expect(ratioOf([1, 2], [])).toBeNaN();
  });

  it('say which goals are reached, and nothing of one that was not measured', () => {
    const goals = new Map(goalsOf(result).map((goal) => [goal.name, goal]));
    expect(goals.get('P1')).toMatchObject({ reached: '2.00; 0.75', isReached: true });
    expect(goals.get('P2')).toMatchObject({ reached: '0.80; 4.00', isReached: false });
    expect(goals.get('P3')).toMatchObject({ reached: 'not measured', isReached: null });
    expect(goals.get('P5')).toMatchObject({ reached: 'not measured; not measured', isReached: null });
    expect(goals.get('P6')).toMatchObject({ reached: '1.10', isReached: true });
    expect(goals.get('P7')).toMatchObject({ reached: '1.00; 1.20; 1.50', isReached: false });
    expect(goals.get('P8')).toMatchObject({ reached: '200 MiB; 1.2 s', isReached: true });
    expect([...goals.keys()]).toEqual(Array.from({ length: 10 }, (_, n) => `P${n + 1}`));
  });
});

it('reads the results of a folder from the oldest to the newest', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-bench-'));
  const later = { ...result, at: '2026-12-01T09:00:00.000Z', commit: '0000000' };
  for (const one of [later, result]) writeFileSync(join(folder, fileOf(one)), JSON.stringify(one));
  writeFileSync(join(folder, 'notes.txt'), 'no result');
  expect(readResults(folder).map(fileOf)).toEqual(['2026-11-30-1234567.json', '2026-12-01-0000000.json']);
  rmSync(folder, { recursive: true });
  expect(readResults(folder)).toEqual([]);
});

describe('the options', () => {
  it('keep the results of a full run only', () => {
    expect(optionsOf([])).toMatchObject({ rounds: 3, seconds: 10, isFull: true, isWriteOnly: false });
    expect(optionsOf(['--seconds', '2'])).toMatchObject({ seconds: 2, isFull: true });
    for (const args of [['--quick'], ['--cases', 'livez'], ['--rounds', '1']])
      expect(optionsOf(args)).toMatchObject({ isFull: false });
    expect(optionsOf(['--cases', 'livez,account']).cases).toEqual(['livez', 'account']);
  });

  it.each([
    [['--fast'], /^Unknown option '--fast'.*npm run bench/],
    [['orders'], /^orders is no option/],
    [['--rounds', '0'], /^--rounds is a whole number from 1 to 600, not 0\.$/],
    [['--cases', 'livez,none'], /^There is no case none: transfers-spread, /],
  ])('%j is refused with a sentence', (args, sentence) => {
    expect(() => optionsOf(args)).toThrow(sentence);
  });
});

describe('what was acknowledged', () => {
  const loaded = { seconds: 1, succeeded: 10, failed: 1, codes: {}, p50: 1, p99: 1 };
  const acknowledged = new Acknowledged();
  acknowledged.add('holdfast', 'transfers-spread', loaded);
  acknowledged.add('holdfast', 'batch-500', loaded);
  const [least, most] = [10 + 5000, 10 + 1 + 64 + (10 + 1 + 4) * 500];

  it.each([least, most])('may be stored %d times', (transfer) => {
    expect(() => acknowledged.check('holdfast', { transfer, order: 0 })).not.toThrow();
  });

  it.each([
    [least - 1, 0],
    [most + 1, 0],
    [least, 1],
  ])('is not what was stored if that are %d transfers and %d orders', (transfer, order) => {
    expect(() => acknowledged.check('holdfast', { transfer, order })).toThrow(
      /^holdfast acknowledged \d+ (transfer|order)s/,
    );
  });
});

it('sends each write with a key of its own, and an order with four different SKUs', () => {
  const world = { token: 't', accounts: ['a', 'b', 'c'], skus: ['1', '2', '3', '4', '5'] };
  for (const service of ['holdfast', 'nest-cls-prisma'] as const) {
    const next = requestsOf(service, 'orders-hot', world);
    const sent = Array.from({ length: 50 }, next);
    expect(new Set(sent.map(({ headers }) => headers['idempotency-key'])).size).toBe(50);
    for (const { body = '' } of sent) {
      const { items, lines = items } = JSON.parse(body);
      const skus: string[] = lines.map(({ skuId }: { skuId: string }) => skuId);
      expect(new Set(skus).size).toBe(4);
      expect(skus).toContain(service === 'holdfast' ? '1' : '00000000-0000-4000-8000-000000000001');
    }
  }
});

describe('the report', () => {
  const uplot = (name: string): string => readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8');
  const report = reportOf([result, { ...result, commit: '7654321' }], {
    script: uplot('uPlot.iife.min.js'),
    style: uplot('uPlot.min.css'),
  });

  it('needs nothing but itself', () => {
    const references = /<(link|img|iframe|base)\b|\b(src|href|srcset)=|url\(|@import|\bimport\s*\(|\bfetch\(|https?:/i;
    // The licence of uPlot, a comment, names its address.
    expect(references.exec(report.replace(/\/\*! https:[^*]*\*\//, ''))).toBeNull();
    expect(report.match(/<script>/g)).toHaveLength(2);
  });

  it('shows text of the results as text', () => {
    expect(report).toContain('One &lt;fast&gt; &quot;core&quot;');
    expect(report).not.toContain('<fast>');
  });

  it('draws ours beside theirs, the longest bar for the largest figure', () => {
    const [, picture = ''] =
      /<figcaption>Transfers between 10,000 accounts<\/figcaption>(.*?)<\/figure>/.exec(report) ?? [];
    const bars = [...picture.matchAll(/width="([\d.]+)" height="\d+" class="(ours|theirs)"/g)];
    expect(bars.map(([, width, whose]) => [Number(width), whose])).toEqual([
      [240, 'ours'],
      [120, 'theirs'],
      [80, 'theirs'],
    ]);
  });

  it('draws the history of all runs', () => {
    const scripts = [...report.matchAll(/<script>([^]*?)<\/script>/g)].map(([, script = '']) => script);
    const drawn: { data: unknown[][] }[] = [];
    const page = createContext({
      document: { getElementById: () => ({ clientWidth: 800 }), body: {} },
      getComputedStyle: () => ({ color: 'black' }),
      uPlot: function (_: unknown, data: unknown[][]) {
        drawn.push({ data });
      },
    });
    runInContext(scripts[1]!, page);
    const { runs, charts } = historyOf([result, result]);
    expect(runs).toEqual(['2026-11-30 1234567', '2026-11-30 1234567']);
    expect(drawn.map(({ data }) => data.length - 1)).toEqual(charts.map(({ lines }) => lines.length));
    expect(drawn[0]!.data.slice(0, 2)).toEqual([
      [0, 1],
      [2, 2],
    ]);
  });
});

describe('the pages', () => {
  const squeezed = (text: string): string => text.replaceAll(/ +|-{3,}|:?-+:/g, ' ').replaceAll(/\s+/g, ' ');

  it('hold the figures of the newest results', async () => {
    const newest = readResults().at(-1);
    for (const page of ['README.md', join('docs', 'performance.md')]) {
      const text = readFileSync(page, 'utf8');
      const written = await withFigures(text, newest, async (block) => block);
      expect(written.match(/<!-- bench:\w+ -->\n\n\S/g)?.length).toBeGreaterThan(0);
      expect(squeezed(text)).toBe(squeezed(written));
    }
  });

  it('lose nothing around a block, and must end it', async () => {
    const page = 'before\n<!-- bench:goals -->\nold\n<!-- /bench:goals -->\nafter';
    const written = await withFigures(page, result, async () => 'new\n');
    expect(written).toBe('before\n<!-- bench:goals -->\n\nnew\n\n<!-- /bench:goals -->\nafter');
    await expect(withFigures('<!-- bench:goals -->', result, async () => '')).rejects.toThrow(/has no end/);
  });
});
