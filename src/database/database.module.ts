import { Global, Module } from '@nestjs/common';
import { Clock } from '../kernel/clock.ts';
import { DatabaseClock } from './database-clock.ts';
import { Databases } from './databases.ts';

/** For all: a repository that asks beside any boundary imports no module of ours. */
@Global()
@Module({
  providers: [Databases, DatabaseClock, { provide: Clock, useExisting: DatabaseClock }],
  exports: [Databases, Clock],
})
export class DatabaseModule {}
