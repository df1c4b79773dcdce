import type { TransactionKit } from '../../src/testing/testing.ts';
import { findMistakes } from './books.ts';

/** Rolls back every test of the group in which it is called, and looks before whether the books add up. */
export function rolledBack(kit: TransactionKit): void {
  beforeEach(() => kit.begin());
  afterEach(async () => {
    expect(await findMistakes(kit)).toEqual([]);
  });
  afterEach(() => kit.rollback());
}
