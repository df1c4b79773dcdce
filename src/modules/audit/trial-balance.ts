/** The totals of one currency, in minor units, as the accounts and as the entries have them. */
export interface CurrencyTotals {
  readonly currency: string;
  /** What left accounts and what arrived on them, both more than zero, by the entries. */
  readonly debits: bigint;
  readonly credits: bigint;
  /** The sum of all balances, those of the house among them. */
  readonly balances: bigint;
  readonly accountCount: bigint;
  readonly transferCount: bigint;
  readonly entryCount: bigint;
  /** How many entries the accounts say they have. */
  readonly countedEntries: bigint;
}

/**
 * Whether a currency adds up: what left is what arrived, all balances together are nothing, and accounts and entries know of each other.
 * The last compares what stands in two tables: a part of a transfer would be seen there.
 */
export const isBalanced = ({ debits, credits, balances, entryCount, countedEntries }: CurrencyTotals): boolean =>
  debits === credits && balances === 0n && entryCount === countedEntries;
