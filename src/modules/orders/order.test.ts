/** @servers any */
import fc from 'fast-check';
import { money } from '../../kernel/money.ts';
import { mergeItems, priceItems, refuseCancellation, refuseTotal, totalOf } from './order.ts';

const quotes = new Map([
  ['mug', { name: 'Mug', price: money(1299n, 'EUR') }],
  ['pen', { name: 'Pen', price: money(99n, 'EUR') }],
  ['book', { name: 'Book', price: money(1500n, 'USD') }],
]);
const price = (items: { skuId: string; quantity: number }[]) => priceItems(mergeItems(items), quotes);

describe('an order', () => {
  it('merges items of one SKU and keeps the place of the first', () => {
    const merged = mergeItems([
      { skuId: 'pen', quantity: 1 },
      { skuId: 'mug', quantity: 2 },
      { skuId: 'pen', quantity: 3 },
    ]);
    expect(merged).toEqual([
      { skuId: 'pen', quantity: 4, pointer: '/items/0' },
      { skuId: 'mug', quantity: 2, pointer: '/items/1' },
    ]);
  });

  it('asks for as many units after merging as before', () => {
    const item = fc.record({ skuId: fc.constantFrom('a', 'b', 'c'), quantity: fc.integer({ min: 1, max: 10_000 }) });
    const units = (items: readonly { quantity: number }[]) => items.reduce((sum, { quantity }) => sum + quantity, 0);
    fc.assert(
      fc.property(fc.array(item, { maxLength: 30 }), (items) => {
        const merged = mergeItems(items);
        expect(units(merged)).toBe(units(items));
        expect(new Set(merged.map(({ skuId }) => skuId)).size).toBe(merged.length);
      }),
    );
  });

  it('costs what its lines cost', () => {
    const { lines, currency } = price([
      { skuId: 'mug', quantity: 2 },
      { skuId: 'pen', quantity: 3 },
    ]);
    expect(totalOf(lines, currency)).toEqual(money(2895n, 'EUR'));
  });

  it('with an unknown SKU is refused at its place', () => {
    expect(() =>
      price([
        { skuId: 'mug', quantity: 1 },
        { skuId: 'nil', quantity: 1 },
      ]),
    ).toThrow(
      expect.objectContaining({ code: 'sku-not-found', errors: [{ pointer: '/items/1', code: 'sku-not-found' }] }),
    );
  });

  it('in two currencies is refused', () => {
    expect(() =>
      price([
        { skuId: 'mug', quantity: 1 },
        { skuId: 'book', quantity: 1 },
      ]),
    ).toThrow(expect.objectContaining({ code: 'currency-mismatch' }));
  });

  it('that costs more than can be written is refused', () => {
    const line = {
      skuId: 'x',
      quantity: 10_000,
      pointer: '/items/0',
      position: 0,
      name: 'X',
      unitPrice: 9007199254740991n,
    };
    expect(() => totalOf([line], 'EUR')).toThrow(expect.objectContaining({ code: 'total-too-large' }));
  });

  it('is refused when it costs something else than expected', () => {
    const total = money(100n, 'EUR');
    refuseTotal(total, undefined);
    refuseTotal(total, money(100n, 'EUR'));
    const priceChanged = expect.objectContaining({ code: 'price-changed' });
    expect(() => refuseTotal(total, money(99n, 'EUR'))).toThrow(priceChanged);
    expect(() => refuseTotal(total, money(100n, 'USD'))).toThrow(priceChanged);
  });

  it('is cancelled once', () => {
    refuseCancellation({ status: 'placed' });
    expect(() => refuseCancellation({ status: 'cancelled' })).toThrow(
      expect.objectContaining({ code: 'not-cancellable' }),
    );
  });
});
