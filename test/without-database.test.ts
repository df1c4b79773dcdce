/** @servers any */
import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Transactional } from '../src/transactions/transactional.ts';
import { Transactions } from '../src/transactions/transactions.ts';

@Injectable()
class PricesRepository {
  find = async (_: string): Promise<bigint> => Promise.reject(new TypeError('There is no database.'));
}

@Injectable()
class Prices {
  constructor(private readonly prices: PricesRepository) {}

  @Transactional({ readOnly: true })
  async total(ids: readonly string[]): Promise<bigint> {
    let total = 0n;
    for (const id of ids) total += await this.prices.find(id);
    return total;
  }
}

it('a service with boundaries is tested without a database, as docs/testing.md has it', async () => {
  const noBoundaries = { provide: Transactions, useValue: { run: (_: unknown, work: () => unknown) => work() } };
  const prices = { provide: PricesRepository, useValue: { find: async (id: string) => BigInt(id.length) } };
  const module = await Test.createTestingModule({ providers: [Prices, noBoundaries, prices] }).compile();
  expect(await module.get(Prices).total(['a', 'bcd'])).toBe(4n);
  await module.close();
});
