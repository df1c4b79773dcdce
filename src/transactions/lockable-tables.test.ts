/** @servers any */
import { defineLockableTables, lockableTable, lockableTables } from './lockable-tables.ts';

const tables = (): string[] => lockableTables().map(({ table }) => table);

describe('defineLockableTables', () => {
  it('orders by stage, then by the first table of each module, then as written, whatever is defined first', () => {
    defineLockableTables('money', { purse: 'id' });
    defineLockableTables('documents', { wish: 'id', album: 'id' });
    defineLockableTables('people', { guest: 'id' });
    defineLockableTables('documents', { booking: 'id', zone: 'id' });
    defineLockableTables('goods', { seat: 'place_id' });
    expect(tables()).toEqual(['guest', 'booking', 'zone', 'wish', 'album', 'seat', 'purse']);
  });

  it('refuses a table that is defined already, also by another module', () => {
    defineLockableTables('goods', { parcel: 'id' });
    const again = () => defineLockableTables('money', { parcel: 'id' });
    expect(again).toThrow(new TypeError('The lockable table parcel is defined twice.'));
  });

  it.each([{ 'a"b': 'id' }, { box: 'id; DROP' }])('refuses what is no name: %j', (keys) => {
    expect(() => defineLockableTables('goods', keys)).toThrow(/is no table with a key/);
  });

  it('knows the key of a table, and refuses one that nobody has defined', () => {
    expect(lockableTable('seat').key).toBe('place_id');
    expect(() => lockableTable('entry')).toThrow('entry has no locks.');
  });
});
