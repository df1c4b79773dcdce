/** @servers any */
import { z } from 'zod';
import { defineIdKinds, newId, type Prefix } from '../../kernel/ids.ts';
import { idOut, instant, MoneyOut } from '../schemas.ts';
import { cutOf } from './cutting.ts';

defineIdKinds({ crate: 'crate' });
const crate = idOut('crate' as Prefix);
const view = z.object({
  object: z.literal('crate').default('crate'),
  id: crate,
  name: z.string(),
  price: MoneyOut,
  madeAt: instant,
  endedAt: instant.nullable(),
  note: z.string().optional(),
  isFull: z.boolean(),
  state: z.enum(['open', 'shut']),
  count: z.int(),
  places: z.array(z.object({ id: crate, at: z.int() })),
  // What is left to `parse`.
  either: z.union([z.string(), z.object({ id: crate })]),
  labels: z.record(z.string(), z.int()),
  loose: z.looseObject({ id: crate }),
});
const whole = () => ({
  id: newId(),
  name: 'First',
  price: { amount: 9_007_199_254_740_991n, currency: 'EUR' },
  madeAt: new Date('2026-11-30T12:00:00.123Z'),
  endedAt: null,
  isFull: false,
  state: 'open',
  count: 0,
  places: [{ id: newId(), at: 1 }],
  either: { id: newId() },
  labels: { a: 1 },
  loose: { id: newId(), more: true },
});
const textOf = (shown: unknown): string => JSON.stringify(shown);

describe('a thing that is cut to its view', () => {
  it('is what the view makes of it, member by member in the same order', () => {
    for (const more of [
      {},
      { object: 'crate' },
      { note: 'x' },
      { note: undefined },
      { endedAt: new Date(0) },
      { places: [] },
    ]) {
      const thing = { ...whole(), ...more };
      expect(textOf(cutOf(view)(thing))).toBe(textOf(view.parse(thing)));
    }
  });

  it('shows no member that the view does not name, however deep', () => {
    const thing = { ...whole(), passwordHash: 'secret', price: { ...whole().price, hash: 'secret' } };
    const places = [{ id: newId(), at: 1, hash: 'secret' }];
    expect(textOf(cutOf(view)({ ...thing, places, toJSON: () => 'secret' }))).not.toContain('secret');
  });

  const objects = { secret: 'secret', toString: () => 'x', toJSON: () => 'secret' };
  const others = [undefined, null, 1, 1n, 'secret', true, new Date(0), [objects], objects, Symbol('secret'), NaN];
  it.each(Object.keys(whole()))('is refused with another type for %s, as it is by the view', (name) => {
    for (const other of others) {
      const thing = { ...whole(), [name]: other };
      // Of the right type in another form: that is what is not asked.
      if (view.safeParse(thing).success || (name === 'state' && other === 'secret')) continue;
      expect(() => cutOf(view)(thing)).toThrow();
    }
  });

  it.each([null, undefined, 'text', 1, [whole()], true])('is refused where it is none: %p', (thing) => {
    expect(() => cutOf(view)(thing)).toThrow(z.ZodError);
  });
});
