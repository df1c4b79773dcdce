/** The currencies that accounts and prices may have, with their minor-unit exponent (ISO 4217): 1 EUR = 10² cents. */
export const currencies = {
  BHD: 3,
  CHF: 2,
  EUR: 2,
  GBP: 2,
  JPY: 0,
  KWD: 3,
  SEK: 2,
  USD: 2,
} as const;
export type Currency = keyof typeof currencies;

/** An amount in minor units of a currency. Arithmetic is exact: `bigint` refuses to mix with floats. */
export interface Money {
  readonly amount: bigint;
  readonly currency: string;
}

/** The largest amount that crosses the wire as a JSON integer without loss: 2^53 - 1 minor units. */
export const largestAmount = BigInt(Number.MAX_SAFE_INTEGER);

export const money = (amount: bigint, currency: string): Money => ({ amount, currency });

/** `1299n EUR` becomes `12.99 EUR`, for people. */
export function showMoney({ amount, currency }: Money): string {
  const exponent = currencies[currency as Currency] ?? 0;
  if (exponent === 0) return `${amount} ${currency}`;
  const sign = amount < 0n ? '-' : '';
  const shown = (amount < 0n ? -amount : amount).toString().padStart(exponent + 1, '0');
  return `${sign}${shown.slice(0, -exponent)}.${shown.slice(-exponent)} ${currency}`;
}
