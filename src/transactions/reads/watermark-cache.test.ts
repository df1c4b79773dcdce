/** @servers any */
import { WatermarkCache } from './watermark-cache.ts';
import { lowest, lsnOf, parseLsn, type Untold } from './watermark.ts';

describe('a position in the write-ahead log', () => {
  it('is a number of 64 bits: of two, the one that was written later is the larger one', () => {
    const rising = [
      '0/0',
      '0/A',
      '0/10',
      '0/9FFFFFFF',
      '0/FFFFFFFF',
      '1/0',
      '9/FFFFFFFF',
      'A/1',
      '10/0',
      'FFFFFFFF/FFFFFFFF',
    ];
    const positions = rising.map(parseLsn);
    for (const [index, position] of positions.slice(1).entries()) expect(position > positions[index]!).toBe(true);
    expect(parseLsn('16/B374D848')).toBe(0x16_b374_d848n);
    expect(positions.at(-1)).toBe(2n ** 64n - 1n);
  });

  it.each(['', '16', '16/', '/16', '16/G', '123456789/0', '0/0/0', ' 0/0'])('is not %p', (text) => {
    expect(() => parseLsn(text)).toThrow(TypeError);
  });
});

describe('the memory of who wrote what', () => {
  const at = (lsn: number) => ({ lsn: BigInt(lsn), untold: null });
  const keys = ['a', 'b', 'c', 'd', 'e'];

  it('never tells somebody less than what they wrote, however small it is', () => {
    const missed = (size: number): string[] => {
      const cache = new WatermarkCache(size);
      const written = new Map<string, bigint>();
      const missing = (n: number) =>
        [...written].filter(([key, lsn]) => cache.of(key).lsn < lsn).map(([key]) => `${key} after ${n}`);
      return Array.from({ length: 500 }, (_, n) => {
        // Every key is written in a rhythm of its own; each write lies behind the one before.
        const key = keys[(n * n + Math.floor(n / 7)) % keys.length]!;
        cache.raise(key, at(n));
        written.set(key, BigInt(n));
        return missing(n);
      }).flat();
    };
    for (const size of [1, 2, 3, 5]) expect(missed(size)).toEqual([]);
  });

  it('forgets whoever wrote longest ago first, and tells everybody to wait for that', () => {
    const cache = new WatermarkCache(2);
    cache.raise('a', at(1));
    cache.raise('b', at(2));
    cache.raise('a', at(3));
    expect(cache.of(null)).toEqual(lowest);
    cache.raise('c', at(4));
    expect([cache.of('a'), cache.of('c'), cache.of('b'), cache.of(null)].map(({ lsn }) => lsn)).toEqual([
      3n,
      4n,
      2n,
      2n,
    ]);
  });

  it('lets nobody wait for what somebody else wrote, as long as that is not forgotten', () => {
    const cache = new WatermarkCache(2);
    cache.raise('a', at(7));
    expect(cache.of('b')).toEqual(lowest);
    cache.raise(null, at(5));
    expect([cache.of('a').lsn, cache.of('b').lsn, cache.of(null).lsn]).toEqual([7n, 5n, 5n]);
  });

  it('keeps a position that was told beside writes that told none, and both when they are forgotten', () => {
    const cache = new WatermarkCache(1);
    const [first, second]: Untold[] = [
      { number: 1, lsn: null },
      { number: 2, lsn: null },
    ] as Untold[];
    cache.raise('a', { lsn: 9n, untold: null });
    cache.raise('a', { lsn: 0n, untold: second! });
    cache.raise('a', { lsn: 0n, untold: first! });
    expect(cache.of('a')).toEqual({ lsn: 9n, untold: second });
    expect(lsnOf(cache.of('a'))).toBeNull();
    second!.lsn = 12n;
    expect(lsnOf(cache.of('a'))).toBe(12n);
    cache.raise('b', at(3));
    expect(lsnOf(cache.of('b'))).toBe(12n);
  });
});
