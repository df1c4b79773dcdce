import { ClsPluginTransactional } from '@nestjs-cls/transactional';
import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { ClsModule } from 'nestjs-cls';
import { DatabaseModule } from '../database/database.module.ts';
import { type Adapter, BoundaryAdapter } from './boundary/adapter.ts';
import { Crowding } from './boundary/crowding.ts';
import { SeparateWrites } from './boundary/separate-writes.ts';
import { BoundaryTable } from './boundary/table.ts';
import { readingClient } from './client/reading-client.ts';
import { ExternalWorkGuard } from './external-work.ts';
import { Lanes } from './lane.ts';
import { Consistency } from './reads/consistency.ts';
import { ReadRouter } from './reads/router.ts';
import { DATABASE, READS } from './tables.ts';
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
    Lanes,
    { provide: DATABASE, inject: [Transactions], useFactory: ({ client }: Transactions) => client },
    { provide: READS, inject: [Transactions], useFactory: ({ client }: Transactions) => readingClient(client) },
    BoundaryTable,
  ],
  exports: [Transactions, Lanes, DATABASE, READS, RoutingModule],
})
export class TransactionsModule {}
