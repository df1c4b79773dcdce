import { Global, Module } from '@nestjs/common';
import { ClsPluginTransactional } from '@nestjs-cls/transactional';
import { ClsModule } from 'nestjs-cls';
import { DatabaseModule } from '../database/database.module.ts';
import { DATABASE } from '../database/tables.ts';
import { type Adapter, BoundaryAdapter } from './adapter.ts';
import { ReadRouter } from './read-router.ts';
import { Transactions } from './transactions.ts';

@Module({ imports: [DatabaseModule], providers: [ReadRouter], exports: [ReadRouter, DatabaseModule] })
class RoutingModule {}

/** Gives every module `@Transactional()` and every repository the client that is the transaction. */
@Global()
@Module({
  imports: [
    RoutingModule,
    ClsModule.forRoot({
      global: true,
      plugins: [
        new ClsPluginTransactional({ imports: [RoutingModule], adapter: new BoundaryAdapter() as unknown as Adapter }),
      ],
    }),
  ],
  providers: [
    Transactions,
    { provide: DATABASE, inject: [Transactions], useFactory: (transactions: Transactions) => transactions.client },
  ],
  exports: [Transactions, DATABASE],
})
export class TransactionsModule {}
