// The goals, and what a result says of them. Pure.
import { handWritten } from './cases.mts';
import { bestOf, grownCases, limitOf, memory, ratioOf, type Result, roundsOf, serviceMicros } from './results.mts';

export interface Goal {
  readonly name: string;
  readonly work: string;
  readonly goal: string;
  /** What was reached, in the words of the goal. */
  readonly reached: string;
  /** Null where something of it was not measured. */
  readonly isReached: boolean | null;
}

interface Bound {
  readonly what: string;
  readonly value: number;
  readonly least?: number;
  readonly most?: number;
  readonly digits?: number;
  readonly unit?: string;
}

const holds = ({ value, least = -Infinity, most = Infinity }: Bound): boolean => value >= least && value <= most;

function goalOf(name: string, work: string, bounds: readonly Bound[]): Goal {
  const show = ({ what, least, most, unit = '×' }: Bound): string =>
    `${least === undefined ? `≤ ${most}` : `≥ ${least}`} ${unit} ${what}`.trim();
  const reached = ({ value, digits = 2, unit = '×' }: Bound): string =>
    Number.isNaN(value) ? 'not measured' : `${value.toFixed(digits)}${unit === '×' ? '' : ` ${unit}`}`;
  return {
    name,
    work,
    goal: bounds.map(show).join('; '),
    reached: bounds.map(reached).join('; '),
    isReached: bounds.some(({ value }) => Number.isNaN(value)) ? null : bounds.every(holds),
  };
}

export function goalsOf(result: Result): Goal[] {
  const ours = (name: Parameters<typeof roundsOf>[1]) => roundsOf(result, name, 'holdfast');
  const best = (name: Parameters<typeof roundsOf>[1]) => bestOf(result, name, handWritten);
  const limit = (size: number) => limitOf(result, size, 'withRules');
  const micros = (name: Parameters<typeof roundsOf>[1], service: Parameters<typeof roundsOf>[2]) =>
    roundsOf(result, name, service, serviceMicros);
  const lastPages = result.pages === undefined ? NaN : result.pages.lastMs / result.pages.firstMs;
  // Of the first round: in the others the larger answers of the reads came before.
  const [memoryUnderTransfers = NaN] = roundsOf(result, 'transfers-spread', 'holdfast', memory);
  const bare = micros('livez', 'yardstick');
  const byHand = ratioOf(roundsOf(result, 'products', 'holdfast'), roundsOf(result, 'products', 'reads-by-hand'));
  return [
    goalOf('P1', 'transfers between 10,000 accounts', [
      { what: 'the best peer by hand', value: ratioOf(ours('transfers-spread'), best('transfers-spread')), least: 1.5 },
      { what: 'the limit in batches of 64', value: ratioOf(ours('transfers-spread'), limit(64)), least: 0.75 },
    ]),
    goalOf('P2', 'transfers from one account', [
      { what: 'P1', value: ratioOf(ours('transfers-hot'), ours('transfers-spread')), least: 0.9 },
      { what: 'the best peer by hand', value: ratioOf(ours('transfers-hot'), best('transfers-hot')), least: 4 },
    ]),
    goalOf('P3', 'batches of 500 transfers', [
      { what: 'the limit in batches of 500', value: ratioOf(ours('batch-500'), limit(500)), least: 0.85 },
    ]),
    goalOf('P4', 'orders of 4 lines; the same with one SKU in all', [
      { what: 'the best peer by hand', value: ratioOf(ours('orders-spread'), best('orders-spread')), least: 2 },
      { what: 'the first', value: ratioOf(ours('orders-hot'), ours('orders-spread')), least: 0.8 },
    ]),
    goalOf('P5', 'processor of a boundary: one raw statement; one model call', [
      { what: 'nestjs-cls', value: result.boundaries?.raw ?? NaN, most: 0.5 },
      { what: 'nestjs-cls', value: result.boundaries?.one ?? NaN, most: 0.8 },
    ]),
    goalOf('P6', 'the last pages of a list over 1,000,000 rows', [{ what: 'the first', value: lastPages, most: 1.2 }]),
    goalOf(
      'P7',
      'from 1,000 to 1,000,000 rows, p99 of transfers; of orders; of an account',
      grownCases.map((name) => ({ what: 'that of few', value: growthOf(result, name), most: 1.3 })),
    ),
    goalOf('P8', 'memory under load; second start', [
      { what: '', value: memoryUnderTransfers, most: 250, digits: 0, unit: 'MiB' },
      { what: '', value: result.secondStartSeconds, most: 1.5, digits: 1, unit: 's' },
    ]),
    goalOf('P9', 'processor of /livez; of an account; of a transfer, its database work included', [
      { what: 'a bare route of Nest', value: ratioOf(micros('livez', 'holdfast'), bare), most: 1.5 },
      {
        what: 'the same by hand',
        value: ratioOf(micros('account', 'holdfast'), micros('account', 'reads-by-hand')),
        most: 2,
      },
      { what: 'a bare route of Nest', value: ratioOf(micros('transfers-spread', 'holdfast'), bare), most: 4 },
    ]),
    goalOf('P10', 'a page of 20 products', [{ what: 'the same by hand', value: byHand, least: 0.8 }]),
  ];
}

/** How many times the p99 with few rows that with many is. */
export const growthOf = (result: Result, name: (typeof grownCases)[number]): number =>
  ratioOf(result.grown?.[name].large ?? [], result.grown?.[name].small ?? []);

/** Of each round: what the rules of the database leave of the rate. */
export const rulesLeave = (result: Result, size: number): number =>
  ratioOf(limitOf(result, size, 'withRules'), limitOf(result, size, 'withoutRules'));
