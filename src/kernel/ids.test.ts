/** @servers any */
import fc from 'fast-check';
import { defineIdKinds, idPattern, newId, type Prefix, readId, showId, thingOf } from './ids.ts';
import { MisuseError } from './loggable-error.ts';

/** What 26 digits of base32 are worth, digit by digit. */
const numberIn = (digits: string): bigint =>
  digits.split('').reduce((sum, digit) => sum * 32n + BigInt('0123456789abcdefghjkmnpqrstvwxyz'.indexOf(digit)), 0n);

describe('ids', () => {
  it('come back unchanged from the form they have on the wire', () => {
    for (let i = 0; i < 1000; i++) {
      const id = newId();
      const shown = showId('ord', id);
      expect(shown).toMatch(idPattern('ord'));
      expect(readId(shown)).toBe(id);
    }
  });

  it('are written as TypeID writes them', () => {
    // github.com/jetify-com/typeid, spec/valid.yml
    expect(showId('ord', '00000000-0000-0000-0000-000000000000')).toBe('ord_00000000000000000000000000');
    expect(showId('ord', 'ffffffff-ffff-ffff-ffff-ffffffffffff')).toBe('ord_7zzzzzzzzzzzzzzzzzzzzzzzzz');
    expect(showId('ord', '01890a5d-ac96-774b-bcce-b302099a8057')).toBe('ord_01h455vb4pex5vsknk084sn02q');
  });

  it('are the number that their digits make, in either form', () => {
    const anyId = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((value) => value.toString(16).padStart(32, '0'));
    fc.assert(
      fc.property(anyId, (hex) => {
        const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
        const shown = showId('ord', uuid);
        expect(shown).toMatch(idPattern('ord'));
        expect(numberIn(shown.slice('ord_'.length))).toBe(BigInt(`0x${hex}`));
        expect(readId(shown)).toBe(uuid);
      }),
      { numRuns: 5000 },
    );
  });

  it('that are no UUIDs are not shown', () => {
    const uuid = '01890a5d-ac96-774b-bcce-b302099a8057';
    for (const other of ['', uuid.slice(1), `x${uuid.slice(1)}`, uuid.replaceAll('-', ''), uuid.toUpperCase()])
      expect(() => showId('ord', other)).toThrow(MisuseError);
  });

  it('sort in the order in which they were made, however fast', () => {
    // More than the 4096 that a millisecond has, many times over.
    const ids = Array.from({ length: 50_000 }, newId);
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('are UUIDs of version 7 that carry the time', () => {
    const before = Date.now();
    const id = newId();
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const made = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
    // So many at once, as above, run a few milliseconds ahead of the clock.
    expect(made - before).toBeGreaterThanOrEqual(0);
    expect(made - before).toBeLessThan(1000);
  });

  it('with another prefix or a character too many are not accepted', () => {
    const shown = showId('ord', newId());
    expect(shown).not.toMatch(idPattern('acct'));
    expect(`${shown}0`).not.toMatch(idPattern('ord'));
    expect('ord_8zzzzzzzzzzzzzzzzzzzzzzzzz').not.toMatch(idPattern('ord'));
  });
});

describe('defineIdKinds', () => {
  it('refuses a prefix that is defined already, whatever it names', () => {
    defineIdKinds({ twice: 'parcel' });
    const again = () => defineIdKinds({ once: 'letter', twice: 'parcel' });
    expect(again).toThrow(new TypeError('The prefix twice is defined twice: for parcel and for parcel.'));
  });

  it.each(['Ord', 'o', 'or_d', 'or1', 'a'.repeat(17)])('refuses the prefix %s', (prefix) => {
    expect(() => defineIdKinds({ [prefix]: 'parcel' })).toThrow(/is no prefix of ids/);
  });

  it('gives the name of what an id names, and throws where no module defines it', () => {
    defineIdKinds({ named: 'parcel' });
    expect(thingOf('named' as Prefix)).toBe('parcel');
    expect(() => thingOf('nobodys' as Prefix)).toThrow(
      'No module that was loaded defines ids with the prefix nobodys.',
    );
  });
});
