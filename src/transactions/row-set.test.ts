/** @servers any */
import { rowSet } from './row-set.ts';

describe('a set of rows', () => {
  it('names the columns of its rows, and has amounts as texts', () => {
    const { columns, json } = rowSet([
      { orderId: 'a', unitPrice: 9007199254740993n, note: null },
      { orderId: 'b', unitPrice: 1n, note: 'b' },
    ]);
    expect(columns.sql).toBe('"order_id", "unit_price", "note"');
    expect(JSON.parse(json)).toEqual([
      { order_id: 'a', unit_price: '9007199254740993', note: null },
      { order_id: 'b', unit_price: '1', note: 'b' },
    ]);
  });

  it('is refused without rows, and with a member that is no identifier', () => {
    expect(() => rowSet([])).toThrow('A set of rows has none.');
    expect(() => rowSet([{ 'id") SELECT 1 --': 1 }])).toThrow('A member of a row is no identifier.');
  });
});
