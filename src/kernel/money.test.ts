/** @servers any */
import { MisuseError } from './loggable-error.ts';
import fc from 'fast-check';
import { largestAmount, money, showMoney, split } from './money.ts';

describe('money', () => {
  it.each([
    [1299n, 'EUR', '12.99 EUR'],
    [5n, 'EUR', '0.05 EUR'],
    [-5n, 'EUR', '-0.05 EUR'],
    [1299n, 'JPY', '1299 JPY'],
    [1299n, 'KWD', '1.299 KWD'],
    [9007199254740991n, 'USD', '90071992547409.91 USD'],
  ])('%s minor units of %s are shown as %s', (amount, currency, shown) => {
    expect(showMoney(money(amount, currency))).toBe(shown);
  });
});

describe('a split', () => {
  it.each<[bigint, bigint[], bigint[]]>([
    [100n, [1n, 1n, 1n], [34n, 33n, 33n]],
    [2n, [1n, 1n, 1n], [1n, 1n, 0n]],
    [-100n, [1n, 1n, 1n], [-34n, -33n, -33n]],
    [0n, [1n, 2n], [0n, 0n]],
    [7n, [0n, 5n, 0n], [0n, 7n, 0n]],
    [1000n, [333n, 333n, 334n], [333n, 333n, 334n]],
    // The rest goes to the largest remainders (0.6 and 0.5), not to the first.
    [5n, [13n, 19n, 18n], [1n, 2n, 2n]],
    [largestAmount, [1n, 1n], [4503599627370496n, 4503599627370495n]],
  ])('of %s by %s is %s', (amount, weights, parts) => {
    expect(split(amount, weights)).toEqual(parts);
  });

  it.each([[[]], [[0n, 0n]], [[1n, -1n]], [[5n, -1n]]])('by %s is none', (weights) => {
    expect(() => split(1n, weights)).toThrow(MisuseError);
  });

  it('sums to the whole, each part within a unit of its share, whatever the amount and the weights', () => {
    const weights = fc.array(fc.bigInt(0n, largestAmount), { minLength: 1, maxLength: 20 });
    const amount = fc.bigInt(-largestAmount, largestAmount);
    fc.assert(
      fc.property(amount, weights, (whole, by) => {
        const total = by.reduce((sum, weight) => sum + weight, 0n);
        fc.pre(total > 0n);
        const parts = split(whole, by);
        expect(parts.reduce((sum, part) => sum + part, 0n)).toBe(whole);
        for (const [n, part] of parts.entries()) {
          const off = part * total - whole * by[n]!;
          expect(off < 0n ? -off : off).toBeLessThan(total);
        }
      }),
      { seed: 20261121, numRuns: 2000 },
    );
  });
});
