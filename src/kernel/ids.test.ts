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

  it('sort by the time they were made', async () => {
    const first = newId();
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(first < newId()).toBe(true);
  });

  it('with another prefix or a character too many are not accepted', () => {
    const shown = showId('ord', newId());
    expect(shown).not.toMatch(idPattern('acct'));
    expect(`${shown}0`).not.toMatch(idPattern('ord'));
    expect('ord_8zzzzzzzzzzzzzzzzzzzzzzzzz').not.toMatch(idPattern('ord'));
  });
});
