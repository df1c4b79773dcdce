import { exponents } from './currencies.ts';
import { MisuseError } from './loggable-error.ts';

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
  const exponent = exponents.get(currency) ?? 0;
  if (exponent === 0) return `${amount} ${currency}`;
  const sign = amount < 0n ? '-' : '';
  const shown = (amount < 0n ? -amount : amount).toString().padStart(exponent + 1, '0');
  return `${sign}${shown.slice(0, -exponent)}.${shown.slice(-exponent)} ${currency}`;
}

/**
 * Splits an amount in proportion to the weights, exactly: the parts sum to it, and each is less than one minor unit from its exact share. What
 * rounding down leaves goes, one unit each, to the largest remainders (Hamilton's method), the first of equal ones first. A part of weight 0
 * is 0. Throws MisuseError unless there is a weight above 0 and none below.
 */
export function split(amount: bigint, weights: readonly bigint[]): bigint[] {
  const whole = weights.reduce((sum, weight) => sum + weight, 0n);
  if (whole <= 0n || weights.some((weight) => weight < 0n))
    throw new MisuseError('To split needs a weight above 0, and none below.');
  if (amount < 0n) return split(-amount, weights).map((part) => -part);
  const parts = weights.map((weight) => (amount * weight) / whole);
  const left = amount - parts.reduce((sum, part) => sum + part, 0n);
  const remainder = (n: number): bigint => (amount * (weights[n] ?? 0n)) % whole;
  const byRemainder = [...parts.keys()].sort(
    (a, b) => Number(remainder(b) > remainder(a)) - Number(remainder(b) < remainder(a)),
  );
  const favoured = new Set(byRemainder.slice(0, Number(left)));
  return parts.map((part, n) => (favoured.has(n) ? part + 1n : part));
}
