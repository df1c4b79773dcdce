/** @servers any */
import { generalProblems } from '../../kernel/general.problems.ts';
import { HashingQueue } from './hashing-queue.ts';

/** Work that goes on until it is told to end. */
function held() {
  const ends: (() => void)[] = [];
  const order: number[] = [];
  const work = (n: number) => () =>
    new Promise<number>((resolve) => {
      order.push(n);
      ends.push(() => resolve(n));
    });
  return { ends, order, work };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));
const refused = { code: 'temporary-reduced-capacity', type: generalProblems.reducedCapacity };

it('runs so many at a time, the others in their order', async () => {
  const queue = new HashingQueue({ atOnce: 2, waiting: 2, waitMs: 60_000 });
  const { ends, order, work } = held();
  const all = [0, 1, 2, 3].map((n) => queue.run(work(n)));
  await turn();
  expect(order).toEqual([0, 1]);
  ends[1]?.();
  await turn();
  expect(order).toEqual([0, 1, 2]);
  ends[0]?.();
  ends[2]?.();
  await turn();
  ends[3]?.();
  expect(await Promise.all(all)).toEqual([0, 1, 2, 3]);
});

it('refuses at once what finds no place to wait, and lets others in when one is free again', async () => {
  const queue = new HashingQueue({ atOnce: 1, waiting: 1, waitMs: 60_000 });
  const { ends, order, work } = held();
  const all = [0, 1].map((n) => queue.run(work(n)));
  await expect(queue.run(work(2))).rejects.toMatchObject(refused);
  ends[0]?.();
  await turn();
  const late = queue.run(work(3));
  ends[1]?.();
  await turn();
  ends[2]?.();
  expect(await Promise.all([...all, late])).toEqual([0, 1, 3]);
  expect(order).toEqual([0, 1, 3]);
});

it('keeps a part of the places from those who may not have all', async () => {
  const queue = new HashingQueue({ atOnce: 1, waiting: 4, waitMs: 60_000 });
  const { ends, work } = held();
  const all = [0, 1, 2].map((n) => queue.run(work(n), 0.5));
  await expect(queue.run(work(3), 0.5)).rejects.toMatchObject(refused);
  const whole = queue.run(work(4));
  for (let n = 0; n < 4; n++) {
    await turn();
    ends[n]?.();
  }
  expect(await Promise.all([...all, whole])).toEqual([0, 1, 2, 4]);
});

it('refuses who has waited too long, and keeps no place for them', async () => {
  const queue = new HashingQueue({ atOnce: 1, waiting: 1, waitMs: 10 });
  const { ends, order, work } = held();
  const first = queue.run(work(0));
  await expect(queue.run(work(1))).rejects.toMatchObject(refused);
  const third = queue.run(work(2));
  ends[0]?.();
  await turn();
  ends[1]?.();
  expect(await Promise.all([first, third])).toEqual([0, 2]);
  expect(order).toEqual([0, 2]);
});

it('gives its place on when work fails', async () => {
  const queue = new HashingQueue({ atOnce: 1, waiting: 1, waitMs: 60_000 });
  await expect(queue.run(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(await queue.run(async () => 1)).toBe(1);
});
