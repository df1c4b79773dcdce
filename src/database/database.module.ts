import { Global, Module } from '@nestjs/common';
import { Clock } from '../kernel/clock.ts';
import { DatabaseClients } from './database-clients.ts';
import { DatabaseClock } from './database-clock.ts';

/** For all: a repository that asks beside any boundary imports no module of ours. */
@Global()
@Module({
  providers: [DatabaseClients, DatabaseClock, { provide: Clock, useExisting: DatabaseClock }],
  exports: [DatabaseClients, Clock],
})
export class DatabaseModule {}
