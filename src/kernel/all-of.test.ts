/** @servers any */
import { setTimeout as sleep } from 'node:timers/promises';
import { allOf } from './all-of.ts';

it('gives what each comes to, in their order', async () => {
  expect(await allOf([sleep(5, 'slow'), Promise.resolve(1)])).toEqual(['slow', 1]);
});

it('throws what the first in their order has failed with, once none is under way', async () => {
  const ended: string[] = [];
  const failing = async (name: string, ms: number): Promise<never> => {
    await sleep(ms);
    ended.push(name);
    throw new Error(name);
  };
  const slow = sleep(40).then(() => ended.push('slow'));
  await expect(allOf([slow, failing('second', 20), failing('third', 1)])).rejects.toThrow('second');
  expect(ended).toEqual(['third', 'second', 'slow']);
});
