// The options of `npm run bench`. Pure.
import { parseArgs } from 'node:util';
import { type CaseName, caseNames } from './cases.mts';

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly cases: readonly CaseName[];
  /** Measures also how the figures change when the tables grow. */
  readonly hasGrowth: boolean;
  /** Measures all, often enough: the results are kept. */
  readonly isFull: boolean;
  /** Measures nothing: writes the figures of the newest results into the pages and the report. */
  readonly isWriteOnly: boolean;
}

const full = { rounds: 3, seconds: 10, warmUpSeconds: 2 };
const quick = { rounds: 1, seconds: 2, warmUpSeconds: 1 };
// Without those that only ask how a rate follows the number of callers.
const quickCases = caseNames.filter((name) => !/^transfers-[0-9]/.test(name));
const most = 600;

/** Throws a sentence. */
export function optionsOf(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  if (positionals[0] !== undefined) throw new Error(`${positionals[0]} is no option: ${usage}`);
  const base = values.quick === true ? quick : full;
  const chosen = values.cases?.split(',') ?? (values.quick === true ? quickCases : caseNames);
  const unknown = chosen.filter((name) => !(caseNames as readonly string[]).includes(name));
  if (unknown.length > 0) throw new Error(`There is no case ${unknown.join(', ')}: ${caseNames.join(', ')}.`);
  const rounds = numberOf('rounds', values.rounds, base.rounds);
  const seconds = numberOf('seconds', values.seconds, base.seconds);
  const hasAll = values.quick !== true && values.cases === undefined;
  return {
    rounds,
    seconds,
    warmUpSeconds: base.warmUpSeconds,
    cases: chosen as CaseName[],
    hasGrowth: hasAll,
    isFull: hasAll && rounds >= full.rounds,
    isWriteOnly: values.write === true,
  };
}

const usage = 'npm run bench [-- --quick | --write | --rounds <n> | --seconds <n> | --cases <name>,<name>]';

function parse(args: readonly string[]) {
  const options = {
    quick: { type: 'boolean' },
    write: { type: 'boolean' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    cases: { type: 'string' },
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new Error(`${(error as Error).message.split('.')[0] ?? ''}: ${usage}`, { cause: error });
  }
}

function numberOf(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new Error(`--${name} is a whole number from 1 to ${most}, not ${text}.`);
  return value;
}
