import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { ClsPluginTransactional } from '@nestjs-cls/transactional';
import { ClsModule } from 'nestjs-cls';
import { DatabaseModule } from '../database/database.module.ts';
import { DATABASE, READS } from '../database/tables.ts';
import { type Adapter, BoundaryAdapter } from './adapter.ts';
import { Consistency } from './consistency.ts';
import { Crowding } from './crowding.ts';
import { BoundaryTable } from './boundary-table.ts';
import { ExternalWorkGuard } from './external-work.ts';
import { ReadRouter } from './read-router.ts';
import { readingClient } from './reading-client.ts';
import { SeparateWrites } from './separate-writes.ts';
import { Transactions } from './transactions.ts';

@Module({
  imports: [DatabaseModule],
  providers: [Consistency, Crowding, ReadRouter],
  exports: [Consistency, Crowding, ReadRouter, DatabaseModule],
})
class RoutingModule {}

/** Gives every module `@Transactional()` and every repository the client that is the transaction. */
@Global()
@Module({
  imports: [
    DiscoveryModule,
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
    SeparateWrites,
    ExternalWorkGuard,
    { provide: DATABASE, inject: [Transactions], useFactory: ({ client }: Transactions) => client },
    { provide: READS, inject: [Transactions], useFactory: ({ client }: Transactions) => readingClient(client) },
    BoundaryTable,
  ],
  exports: [Transactions, DATABASE, READS, RoutingModule],
})
export class TransactionsModule {}
