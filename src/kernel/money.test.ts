import { money, showMoney } from './money.ts';

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
