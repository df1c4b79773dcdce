/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import { Admission } from './admission.ts';
import { PoolStarvedError, PoolTimeoutError } from './errors.ts';

const holder = (name: string): object => ({ name });
const patientMs = 20_000;

/** Lets everybody who is let in say so. */
function watching(admission: Admission) {
  const order: string[] = [];
  const enter = (name: string, ...held: object[]): Promise<unknown> =>
    admission.enter(held).then(
      () => order.push(name),
      (error: unknown) => order.push(`${name} ${(error as Error).name}`),
    );
  return { order, enter };
}
/** Whoever may go on has done so. */
const settled = (): Promise<void> => sleep(1);

describe('admission to a pool', () => {
  it('lets those in first who hold a place, each in the order of their coming', async () => {
    const admission = new Admission(4, patientMs);
    const { order, enter } = watching(admission);
    const [a, b] = [holder('a'), holder('b')];
    for (const name of ['a', 'b', 'c', 'd']) void enter(name);
    await settled();
    order.length = 0;
    for (const name of ['first', 'second']) void enter(name);
    void enter('inside a', a);
    void enter('third');
    void enter('inside b', b);
    for (let n = 0; n < 5; n++) {
      admission.leave();
      await settled();
    }
    expect(order).toEqual(['inside a', 'inside b', 'first', 'second', 'third']);
  });

  it('refuses the one with whom everybody would wait for everybody, and nobody before', async () => {
    const admission = new Admission(3, patientMs);
    const { order, enter } = watching(admission);
    const [a, b, c] = [holder('a'), holder('b'), holder('c')];
    for (const name of ['a', 'b', 'c']) void enter(name);
    await settled();
    order.length = 0;
    void enter('inside a', a);
    void enter('inside b', b);
    await settled();
    expect(order).toEqual([]);
    await expect(admission.enter([c])).rejects.toMatchObject({ name: 'PoolStarvedError', isTransient: true });
    // It gives its place back, and so the others go on.
    admission.leave();
    await settled();
    expect(order).toEqual(['inside a']);
    admission.leave();
    await settled();
    expect(order).toEqual(['inside a', 'inside b']);
  });

  it('counts a holder once, however many places it asks for', async () => {
    const admission = new Admission(2, patientMs);
    const { order, enter } = watching(admission);
    const a = holder('a');
    void enter('a');
    void enter('plain');
    await settled();
    order.length = 0;
    for (const name of ['one', 'two', 'three']) void enter(name, a);
    for (let n = 0; n < 3; n++) {
      admission.leave();
      await settled();
    }
    expect(order).toEqual(['one', 'two', 'three']);
  });

  it('refuses for good what holds all of the pool by itself', async () => {
    const admission = new Admission(2, patientMs);
    const held = [holder('outer'), holder('inner')];
    await admission.enter([]);
    await admission.enter(held.slice(0, 1));
    const error: unknown = await admission.enter(held).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PoolStarvedError);
    expect(error).toMatchObject({ isTransient: false });
  });

  it('ends a wait after its time, and gives the place to the next one then', async () => {
    const admission = new Admission(1, 50);
    await admission.enter([]);
    await expect(admission.enter([])).rejects.toThrow(new PoolTimeoutError(50));
    const next = admission.enter([]);
    admission.leave();
    await next;
    admission.leave();
    expect(admission.hasPlace).toBe(true);
  });
});
