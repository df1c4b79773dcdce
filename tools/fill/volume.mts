// How much a fill makes, and what it is asked for on the command line. Pure.
import { parseArgs } from 'node:util';

/** In the order in which they are made: each needs some of those before it. */
export const kinds = ['users', 'accounts', 'products', 'skus', 'orders', 'transfers'] as const;
export type Kind = (typeof kinds)[number];

/** How many rows of each kind there are in the end, made by this fill or by those before it. */
export type Volume = Readonly<Record<Kind, number>>;

/** Minor units that an account is opened with, and units that came of a SKU: more than what may be asked for can pay and sell. */
export const [given, units] = [100_000_000, 10_000_000];

/** The counts of the books are integers, and of no kind were more ever tried. */
const mostRows = 10_000_000;
/** As a product of the API. */
const mostSkus = 50;
const [mostOrders, mostTransfers] = [10_000, 100_000];

export interface Asked {
  readonly volume: Volume;
  /** A password is read from standard input, with which those who are added can sign in; without it nobody can. */
  readonly hasPassword: boolean;
  /** Also where others reach the database. */
  readonly isForced: boolean;
}

/** A call that is not understood. Its message is one sentence. */
export class CallError extends Error {}

const usage = `Usage: npm run db:fill -- [--<${kinds.join('|')}> <number>]… [--with-password] [--force]`;

/** Throws CallError. */
export function askedIn(args: readonly string[]): Asked {
  const options = Object.fromEntries(kinds.map((kind) => [kind, { type: 'string' as const }]));
  const flags = { 'with-password': { type: 'boolean' as const }, force: { type: 'boolean' as const } };
  const { tokens } = parseArgs({ args: [...args], options: { ...options, ...flags }, strict: false, tokens: true });
  const numbers: Partial<Record<Kind, number>> = {};
  const said = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== 'option')
      throw new CallError(`"${token.kind === 'positional' ? token.value : '--'}" is no option. ${usage}`);
    const { rawName, name, value } = token;
    if (said.has(name)) throw new CallError(`${rawName} is there twice.`);
    said.add(name);
    if (isKind(name)) numbers[name] = numberIn(rawName, value);
    else if (!(name in flags)) throw new CallError(`There is no option ${rawName}. ${usage}`);
    else if (value !== undefined) throw new CallError(`${rawName} takes no value.`);
  }
  const volume = volumeOf(numbers);
  const fault = faultOf(volume);
  if (fault !== null) throw new CallError(fault);
  return { volume, hasPassword: said.has('with-password'), isForced: said.has('force') };
}

const isKind = (name: string): name is Kind => (kinds as readonly string[]).includes(name);

function numberIn(name: string, text: string | undefined): number {
  const number = /^\d{1,9}$/.test(text ?? '') ? Number(text) : NaN;
  if (number <= mostRows) return number;
  throw new CallError(
    `${name} must be a whole number up to ${mostRows}${text === undefined ? '' : `, and "${text}" is none`}.`,
  );
}

/** What is not asked for follows from the rest. */
export function volumeOf(asked: Partial<Volume>): Volume {
  const users = asked.users ?? Math.min(1000, asked.accounts ?? 1000);
  const accounts = asked.accounts ?? users;
  const products = asked.products ?? Math.min(100, asked.skus ?? 100);
  const skus = asked.skus ?? products * 2;
  const [orders, transfers] = [skus > 0 ? accounts : 0, accounts > 1 ? accounts : 0];
  return { users, accounts, products, skus, orders, transfers, ...asked };
}

/** Why there cannot be so many, in a sentence; null where there can. */
function faultOf({ users, accounts, products, skus, orders, transfers }: Volume): string | null {
  const faults: readonly (readonly [boolean, string])[] = [
    [accounts > 0 && users === 0, '--accounts needs --users: each account belongs to one.'],
    [accounts < users, `--accounts must be at least ${users}, the number of --users: each has one.`],
    [skus > 0 && products === 0, '--skus needs --products: each SKU belongs to one.'],
    [skus < products, `--skus must be at least ${products}, the number of --products: each has one.`],
    [skus > products * mostSkus, `--skus may be at most ${products * mostSkus}, ${mostSkus} for each of --products.`],
    [orders > 0 && accounts === 0, '--orders needs --accounts: each order is paid from one.'],
    [orders > 0 && skus === 0, '--orders needs --skus: each order has some.'],
    [
      orders > accounts * mostOrders,
      `--orders may be at most ${accounts * mostOrders}, ${mostOrders} for each of --accounts.`,
    ],
    [transfers > 0 && accounts < 2, '--transfers needs two --accounts: one pays the other.'],
    [
      transfers > accounts * mostTransfers,
      `--transfers may be at most ${accounts * mostTransfers}, ${mostTransfers} for each of --accounts.`,
    ],
  ];
  return faults.find(([isSo]) => isSo)?.[1] ?? null;
}
