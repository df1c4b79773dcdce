/** @servers any */
import { Injectable } from '@nestjs/common';
import { newId } from '../../src/kernel/ids.ts';
import { rollBackEachTest } from '../../src/testing/testing.ts';
import { afterCommit } from '../../src/transactions/hooks.ts';
import { InjectDatabase, type Tables } from '../../src/transactions/tables.ts';
import { Transactional } from '../../src/transactions/transactional.ts';
import { type Core, startCore } from '../support/core.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// The module of a team: gift cards, which are products with one SKU that costs what the card is worth. docs/testing.md refers to it.

@Injectable()
class GiftCardsRepository {
  constructor(@InjectDatabase() private readonly db: Tables<'product'>) {}

  /** `worth` in cents. */
  async create(code: string, worth: bigint): Promise<void> {
    const sku = { id: newId(), code, name: 'Gift card', price: worth, currency: 'EUR' };
    await this.db.product.create({
      data: { id: newId(), slug: code.toLowerCase(), name: 'Gift card', skus: { create: sku } },
    });
  }

  countOf(codes: string[]): Promise<number> {
    return this.db.product.count({ where: { skus: { some: { code: { in: codes } } } } });
  }
}

@Injectable()
class GiftCardsService {
  readonly mailed: string[] = [];
  constructor(private readonly giftCards: GiftCardsRepository) {}

  /** All of them or none. Throws slug-taken. */
  @Transactional()
  async issue(codes: string[], worth: bigint): Promise<void> {
    for (const code of codes) await this.giftCards.create(code, worth);
    afterCommit(() => this.mailed.push(...codes));
  }
}

// Their tests.

let database: TestDatabase;
let core: Core;
beforeAll(async () => {
  database = await createDatabase();
  core = await startCore(database, [GiftCardsRepository, GiftCardsService]);
});
afterAll(async () => {
  await core.close();
  await database.drop();
});

const kit = rollBackEachTest(() => core.app, { beforeEach, afterEach });
beforeEach(() => {
  core.get(GiftCardsService).mailed.length = 0;
});

describe('issuing gift cards', () => {
  const issue = (...codes: string[]) => core.get(GiftCardsService).issue(codes, 2500n);
  const count = (...codes: string[]) => core.get(GiftCardsRepository).countOf(codes);
  const mailed = () => core.get(GiftCardsService).mailed;

  it('mails them once they are stored', async () => {
    await issue('GIFT-1', 'GIFT-2');
    expect(await count('GIFT-1', 'GIFT-2')).toBe(2);
    expect(mailed()).toEqual(['GIFT-1', 'GIFT-2']);
  });

  it('issues none and mails none when one of them is there already', async () => {
    await issue('GIFT-1');
    await expect(issue('GIFT-2', 'GIFT-1')).rejects.toMatchObject({ code: 'P2002' });
    expect(await count('GIFT-1', 'GIFT-2')).toBe(1);
    expect(mailed()).toEqual(['GIFT-1']);
  });

  it('is done again after a conflict, and mails each card once', async () => {
    kit.failAt({ boundary: 'GiftCardsService.issue', attempt: 1, at: 'commit', sqlState: '40001' });
    await issue('GIFT-1');
    expect(await count('GIFT-1')).toBe(1);
    expect(mailed()).toEqual(['GIFT-1']);
  });

  it('issues none and mails none when the database fails half-way', async () => {
    kit.failAt({ at: 'statement', statement: /^INSERT sku$/, sqlState: '53100' });
    await expect(issue('GIFT-1', 'GIFT-2')).rejects.toThrow();
    expect([await count('GIFT-1', 'GIFT-2'), mailed()]).toEqual([0, []]);
  });
});
