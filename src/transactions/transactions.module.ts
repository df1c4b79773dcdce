import { Global, Module } from '@nestjs/common';
import { ClsPluginTransactional, TransactionHost } from '@nestjs-cls/transactional';
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
    {
      provide: DATABASE,
      inject: [TransactionHost],
      useFactory: (host: TransactionHost<Adapter>) =>
        new Proxy({}, { get: (_, member) => Reflect.get(host.tx, member) as unknown }),
    },
  ],
  exports: [Transactions, DATABASE],
})
export class TransactionsModule {}
