import { idPattern, newId, readId, showId } from './ids.ts';

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

  it('sort in the order in which they were made, however fast', () => {
    const ids = Array.from({ length: 20_000 }, newId);
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('are UUIDs of version 7 that carry the time', () => {
    const before = Date.now();
    const id = newId();
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const made = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
    // Twenty thousand at once, as above, run a few milliseconds ahead of the clock.
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
