/** @servers any */
import fc from 'fast-check';
import { showInstant } from './instants.ts';

describe('a moment', () => {
  it('is shown as Date shows it, whatever was shown before', () => {
    const largestMs = 8_640_000_000_000_000;
    const anyMs = fc.integer({ min: -largestMs, max: largestMs });
    const nearMs = fc.integer({ min: -200 * 86_400_000, max: 200 * 86_400_000 }).map((ms) => 1_795_996_800_000 + ms);
    fc.assert(
      fc.property(fc.array(fc.oneof(anyMs, nearMs), { maxLength: 100 }), (moments) => {
        for (const ms of moments) expect(showInstant(new Date(ms))).toBe(new Date(ms).toISOString());
      }),
    );
  });

  it.each([
    '2026-11-30T00:00:00.000Z',
    '2026-11-30T23:59:59.999Z',
    '2024-02-29T12:00:00.001Z',
    '1969-12-31T23:59:59.999Z',
    '0001-01-01T00:00:00.000Z',
    '9999-12-31T23:59:59.999Z',
    '-000001-06-01T01:02:03.004Z',
    '+010000-01-01T00:00:00.000Z',
  ])('is shown at the edge of a day and of what has four digits of a year: %s', (text) => {
    expect(showInstant(new Date(text))).toBe(text);
  });

  it('that is none is refused', () => {
    expect(() => showInstant(new Date(NaN))).toThrow(RangeError);
    expect(() => showInstant(new Date(NaN))).toThrow(RangeError);
  });
});
