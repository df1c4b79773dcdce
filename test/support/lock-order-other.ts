// Not a test of ours: test/lock-order.test.ts gives it to a Jest of its own.
import { Injectable } from '@nestjs/common';
import { lockRows } from '../../src/transactions/locks.ts';
import { InjectDatabase, type Sql } from '../../src/transactions/tables.ts';
import { Transactional } from '../../src/transactions/transactional.ts';
import { startCore } from './core.ts';
import { createDatabase } from './database.ts';
import { lockableRows } from './lock-order-rows.ts';

@Injectable()
class Returns {
  constructor(@InjectDatabase() private readonly db: Sql) {}

  @Transactional()
  async giveBack(skuId: string, accountId: string): Promise<void> {
    await this.takeMoney(skuId, accountId);
    await this.takeGoods(skuId, accountId);
  }

  private async takeGoods(skuId: string, _: string): Promise<void> {
    await lockRows(this.db, { stock: [skuId] });
  }

  private async takeMoney(_: string, accountId: string): Promise<void> {
    await lockRows(this.db, { account: [accountId] });
  }
}

it('takes money before goods', async () => {
  const database = await createDatabase();
  const core = await startCore(database, [Returns]);
  const { stock, account } = await lockableRows(database, 1);
  await core.get(Returns).giveBack(stock[0] ?? '', account[0] ?? '');
  await core.close();
  await database.drop();
});
